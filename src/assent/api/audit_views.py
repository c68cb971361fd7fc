"""From what flows answer to what auditors are shown: a story in words, payload with its salts, exports, findings."""

from collections.abc import Sequence

from assent.api.replies import encoded, page, with_raw
from assent.core.canonical import canonical, load
from assent.core.records import Record, rfc3339
from assent.core.telling import tell
from assent.flows.erase_payload import Erased
from assent.flows.examine_log import Finding
from assent.flows.export_log import Export
from assent.flows.reveal_payload import Revealed
from assent.flows.tell_story import Story, leaf_of
from assent.wire import audit as wire


def story_page(story: Story) -> bytes:
    """Return the JSON of a page of an action's life."""
    own, approval = {record.id for record in story.own}, story.approval
    lines = [_line(record, "action" if record.id in own else "stop") for record in story.in_order()]
    head = wire.StoryHead(
        action_id=story.id,
        state=None if story.action is None else story.action.state.value,
        approval=None
        if approval is None
        else wire.StoryApproval(id=approval.id, code=approval.code, state=approval.state.value),
    )
    return _headed(head, lines, story.rest)


def _headed(head: object, items: Sequence[bytes], rest: int | None) -> bytes:
    listed = page(list(items), None if rest is None else str(rest))
    return encoded(head)[:-1] + b"," + listed[1:]


def _line(record: Record, about: str) -> bytes:
    leaf = leaf_of(record)
    line = wire.StoryLine(
        index=record.index,
        record_id=record.id,
        time=rfc3339(record.time),
        kind=str(leaf.get("kind", "")),
        about=about,
        what=tell(leaf),
    )
    return with_raw(encoded(line), {"leaf": record.leaf})


def revealed_page(revealed: Revealed) -> bytes:
    """Return the JSON of payload, with the salts that prove it against each record's commitments."""
    head = wire.RevealedHead(record_id=revealed.record)
    return _headed(head, list(map(_revealed, revealed.items)), revealed.rest)


def _revealed(record: Record) -> bytes:
    view = {"record_id": record.id, "index": record.index}
    committed = leaf_of(record).get("commit")
    names = sorted(committed) if isinstance(committed, dict) else []
    fields = b",".join(canonical(name) + b":" + _field(record.disclosed.get(name)) for name in names)
    return with_raw(canonical(view), {"fields": b"{%s}" % fields, "leaf": record.leaf})


def _field(kept: tuple[bytes, bytes] | None) -> bytes:
    if kept is None:
        return b"{}"
    salt, value = kept
    load(value)  # whatever is not JSON would break the answer: it is refused as a whole
    return with_raw(canonical({"salt": salt.hex()}), {"value": value})


def erased_answer(erased: Erased) -> bytes:
    """Return the JSON of an erasure."""
    return encoded(
        wire.ErasedAnswer(
            record_id=erased.record,
            action_id=erased.action,
            records=erased.records,
            seen_by=erased.seen_by,
            shown_at=erased.shown_at,
        )
    )


def export_answer(export: Export) -> bytes:
    """Return the JSON of an export that begins."""
    return encoded(
        wire.ExportAnswer(record_id=export.record, records=export.records, first=export.first, last=export.last)
    )


def findings_page(found: Sequence[Finding]) -> bytes:
    """Return the JSON of all findings."""
    views = [wire.FindingView(check=one.check, ok=one.ok, what=one.what, do=one.do or None) for one in found]
    return page(list(map(encoded, views)), None)
