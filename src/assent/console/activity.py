"""Looking: what the log says, newest first, by who and what; the life of one action; numbers for people."""

from typing import Final

from starlette.responses import Response

from assent.console.counting import count
from assent.console.visits import Visit, page
from assent.core.approvals import OPEN, ApprovalState
from assent.core.errors import BadRequest
from assent.core.looking import RecordFilter
from assent.core.records import RecordKind
from assent.core.telling import tell
from assent.flows.read_records import list_records
from assent.flows.resolve_approval import list_approvals
from assent.flows.tell_story import leaf_of, tell_story

ON_A_PAGE: Final = 50
MAX_STORY: Final = 200
COUNTED: Final = 500
MAX_NAME: Final = 200
_FILTERS: Final = ("agent", "tool", "operator", "kind", "decision")
_DECIDED: Final = tuple(sorted(set(ApprovalState) - OPEN))


async def show_activity(visit: Visit) -> Response:
    """Show records, newest first: decisions where nothing else is asked for."""
    asked = {name: visit.query(name) for name in _FILTERS}
    if any(value is not None and len(value) > MAX_NAME for value in asked.values()):
        raise BadRequest(f"a filter is longer than {MAX_NAME} characters")
    if not any(asked.values()) and visit.query("all") is None:
        asked["kind"] = RecordKind.ACTION_DECIDED.value
    which = RecordFilter(
        agent=asked["agent"],
        tool=asked["tool"],
        operator=asked["operator"],
        kind=asked["kind"],
        decision=asked["decision"],
        before=_index(visit.query("before")),
    )
    found = await list_records(visit.broker, visit.caller, which, limit=ON_A_PAGE)
    return visit.page(
        "activity.html",
        asked=asked,
        everything=visit.query("all") is not None,
        kinds=tuple(kind.value for kind in RecordKind),
        found=[(record, leaf_of(record)) for record in found.records],
        rest=found.rest,
        tell=tell,
    )


def _index(said: str | None) -> int | None:
    if said is None:
        return None
    if not said.isascii() or not said.isdigit() or len(said) > len(str(2**53)):
        raise BadRequest("this is no place in the log", hint="follow a link of the page")
    return int(said)


async def show_story(visit: Visit) -> Response:
    """Show the life of one action in the order of the log."""
    first = _index(visit.query("first"))
    story = await tell_story(visit.broker, visit.caller, visit.param("action"), limit=MAX_STORY, first=first)
    return visit.page("story.html", story=story, tell=lambda record: tell(leaf_of(record)))


async def show_numbers(visit: Visit) -> Response:
    """Show how questions were answered lately: by whom, how fast, how often with a no."""
    listed = await list_approvals(visit.broker, visit.caller, _DECIDED, limit=COUNTED)
    return visit.page("numbers.html", numbers=count([seen.approval for seen in listed.items]), most=COUNTED)


routes: Final = (
    page("/activity", show_activity),
    page("/activity/{action}", show_story),
    page("/numbers", show_numbers),
)
