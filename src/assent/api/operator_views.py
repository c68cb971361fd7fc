"""From what flows answer to what operators are shown: an approval whole, but no value of a sensitive argument.

Who neither decides nor may read payloads is shown no value at all.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from assent.api.agent_views import needs_of, outcome_view
from assent.api.replies import encoded, page, with_raw
from assent.core.actions import Action, frozen_arguments
from assent.core.approvals import Approval, is_self_approved
from assent.core.asking import Tally
from assent.core.canonical import Json, canonical, load
from assent.core.characters import invisible_count
from assent.core.looking import FoundRecords
from assent.core.operators import Operator, Permission
from assent.core.records import Record, rfc3339
from assent.flows.count_asks import Asked
from assent.flows.resolve_approval import Listed, Resolved, Seen
from assent.wire import operators as wire
from assent.wire.agents import ReasonView

_KINDS: Final = {str: "string", bool: "boolean", int: "number", float: "number", list: "list", dict: "object"}


def approval_view(seen: Seen) -> bytes:
    """Return the JSON of one approval as an operator is shown it."""
    shown = canonical(_without_sensitive(seen.action))
    return with_raw(encoded(_approval(seen, shown)), {"arguments": shown})


def masked_approval_view(seen: Seen) -> bytes:
    """Return the JSON of one approval for somebody who may not see payloads: kinds and lengths in their place."""
    action, shown = seen.action, canonical(_masked(frozen_arguments(seen.action)))
    view = replace(
        _approval(seen, shown),
        resource=action.resource if action.resource_is_public else masked_text(action.resource),
        agent_says=wire.AgentSays(
            reason=masked_text(action.reason),
            context=_stand_in("masked", load(action.context)) if action.context else None,
            on_behalf_of=tuple(map(masked_text, action.on_behalf_of)),
        ),
        comment=masked_text(seen.approval.comment) or None,
        masked=True,
        command=None,
    )
    return with_raw(encoded(view), {"arguments": shown})


def approval_view_for(operator: Operator) -> Callable[[Seen], bytes]:
    """Return how `operator` is shown approvals: whole where they decide about them or may read payloads."""
    whole = any(map(operator.may, (Permission.APPROVALS_DECIDE, Permission.AUDIT_PAYLOADS)))
    return approval_view if whole else masked_approval_view


def approvals_page(found: Listed, operator: Operator, notice: str | None = None) -> bytes:
    """Return the JSON of a page of approvals as `operator` may see them, with what they should know besides."""
    made = page(list(map(approval_view_for(operator), found.items)), found.rest)
    return made if notice is None else b'%s,"notice":%s}' % (made[:-1], json.dumps(notice).encode())


def asked_numbers(asked: Asked) -> bytes:
    """Return the JSON of how people were asked."""
    numbers = asked.numbers
    view = wire.AskedNumbers(
        since=rfc3339(asked.since),
        is_whole=asked.is_whole,
        all=_asked("everybody", numbers.all),
        people=tuple(_asked(name, tally) for name, tally in numbers.people.items()),
        agents=tuple(_asked(name, tally) for name, tally in numbers.agents.items()),
        always_approved=tuple(
            wire.AlwaysApproved(rule=rule, asked=asked) for rule, asked in numbers.always_approved.items()
        ),
    )
    return encoded(view)


def _asked(name: str, tally: Tally) -> wire.AskedView:
    return wire.AskedView(
        name=name,
        asked=tally.asked,
        approved=tally.approved,
        denied=tally.denied,
        expired=tally.expired,
        cancelled=tally.cancelled,
        answered=tally.answered,
        median_seconds=tally.median_seconds,
        quick_share=tally.quick_share,
    )


def resolved_answer(resolved: Resolved) -> bytes:
    """Return the JSON of what became of an act on an approval."""
    approval, action = resolved.approval, resolved.action
    view = wire.ResolvedAnswer(
        id=approval.id,
        code=approval.code,
        state=approval.state.value,
        revision=approval.revision,
        action_id=action.id,
        action_state=action.state.value,
        votes=_votes(approval),
        who=resolved.who,
        self_approved=is_self_approved(approval),
        decided_at=_time(approval.decided_at),
        decided_by=approval.decided_by,
        same_again_at=_time(resolved.again.same_at),
        alike_again_at=_time(resolved.again.alike_at),
    )
    return encoded(view)


def records_page(found: FoundRecords) -> bytes:
    """Return the JSON of a page of records."""
    return page(list(map(record_view, found.records)), None if found.rest is None else str(found.rest))


def record_view(record: Record) -> bytes:
    """Return the JSON of one record: its leaf is the very bytes that the tree hashes."""
    return with_raw(encoded(wire.RecordView(index=record.index)), {"leaf": record.leaf})


def _approval(seen: Seen, shown: bytes) -> wire.ApprovalView:
    approval, action = seen.approval, seen.action
    return wire.ApprovalView(
        id=approval.id,
        code=approval.code,
        state=approval.state.value,
        revision=approval.revision,
        action_id=action.id,
        action_state=action.state.value,
        agent=approval.agent,
        owner=approval.owner,
        tool=approval.tool,
        environment=approval.environment,
        resource=action.resource,
        impact=approval.impact.value,
        how_bad=action.how_bad,
        undo=action.undo,
        digest=approval.digest,
        arguments_text=shown.decode(),
        arguments_bytes=len(action.arguments),
        sensitive=tuple(_sensitive(action)),
        invisible=_invisible(action),
        agent_says=_agent_says(action),
        drivers=approval.drivers,
        key_issuer=approval.key_issuer,
        needs=needs_of(approval),
        votes=_votes(approval),
        who=seen.who,
        rules=action.rules,
        policy_version=action.policy_version,
        self_approved=is_self_approved(approval),
        asked_at=rfc3339(approval.asked_at),
        expires_at=rfc3339(approval.expires_at),
        run_id=action.run_id,
        why_not_me=None
        if seen.why_not_me is None
        else ReasonView(code=seen.why_not_me.code, message=seen.why_not_me.message),
        decided_at=_time(approval.decided_at),
        decided_by=approval.decided_by,
        category=None if approval.category is None else approval.category.value,
        comment=approval.comment or None,
        outcome=None if action.outcome is None else outcome_view(action.outcome),
        same_again_at=_time(seen.again.same_at),
        alike_again_at=_time(seen.again.alike_at),
        command=action.command or None,
        erased_by=action.erased_by or None,
    )


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)


def _votes(approval: Approval) -> tuple[wire.VoteView, ...]:
    return tuple(
        wire.VoteView(
            operator=vote.operator, at=rfc3339(vote.at), assurance=vote.assurance.name.lower(), surface=vote.surface
        )
        for vote in approval.votes
    )


def _agent_says(action: Action) -> wire.AgentSays:
    context = load(action.context) if action.context else None
    return wire.AgentSays(reason=action.reason, context=context, on_behalf_of=action.on_behalf_of)


def _without_sensitive(action: Action) -> Json:
    """Return the arguments as deciders see them: each sensitive one replaced by its kind and length."""
    arguments = frozen_arguments(action)
    if not isinstance(arguments, dict) or not action.sensitive:
        return arguments
    hidden = frozenset(action.sensitive)
    return {name: _stand_in("sensitive", value) if name in hidden else value for name, value in arguments.items()}


def _masked(arguments: Json) -> Json:
    """Return the arguments without any value; the names are the tool's own."""
    if not isinstance(arguments, dict):
        return _stand_in("masked", arguments)
    return {name: _stand_in("masked", value) for name, value in arguments.items()}


def masked_text(text: str) -> str:
    """Return what stands in the place of a text that the reader may not see."""
    return f"(masked: {len(text)} characters)" if text else ""


def _stand_in(why: str, value: Json) -> dict[str, Json]:
    length = _length(value)
    return {why: _kind(value)} if length is None else {why: _kind(value), "length": length}


def _sensitive(action: Action) -> Iterator[wire.SensitiveView]:
    arguments = frozen_arguments(action)
    for name in action.sensitive:
        if isinstance(arguments, dict) and name in arguments:
            value = arguments[name]
            yield wire.SensitiveView(name=name, kind=_kind(value), length=_length(value))


def _kind(value: Json) -> str:
    return _KINDS.get(type(value), "null")


def _length(value: Json) -> int | None:
    return len(value) if isinstance(value, str | list | dict) else None


def _invisible(action: Action) -> wire.InvisibleCounts:
    return wire.InvisibleCounts(
        arguments=sum(map(invisible_count, _texts(frozen_arguments(action)))),
        reason=invisible_count(action.reason),
        resource=invisible_count(action.resource),
    )


def _texts(value: Json) -> Iterator[str]:
    """Yield every text in `value`, member names too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, member in value.items():
            yield name
            yield from _texts(member)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def affected_action(action: Action) -> wire.AffectedAction:
    """Return an action that was cut off, or that runs still, without payload."""
    return wire.AffectedAction(
        action_id=action.id,
        agent=action.agent,
        tool=action.tool,
        environment=action.environment,
        state=action.state.value,
        run_id=action.run_id,
        resource=action.resource if action.resource_is_public else None,
        lease_expires_at=_time(action.lease_expires_at),
    )
