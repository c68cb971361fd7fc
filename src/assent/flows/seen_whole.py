"""Whether whoever says yes has seen all of it; the log answers, so that a restart or another replica knows as much.

Elsewhere the surface itself shows everything or offers no yes. The console shows any length, so its page reports when
the last line was on the screen, and sensitive values when they were asked for; both count for one session alone.
"""

from collections.abc import Mapping

from assent.core.actions import Action
from assent.core.canonical import Json
from assent.core.looking import RecordFilter
from assent.core.reasons import Reason
from assent.core.records import RecordKind
from assent.core.telling import leaf_detail
from assent.flows.authenticate import OperatorCaller, SessionCaller
from assent.flows.tell_story import leaf_of
from assent.ports import View

# Of one action, one kind and one person: more than anybody opens it.
_LOOKED_AT = 200


async def why_not_seen(view: View, action: Action, caller: OperatorCaller) -> Reason | None:
    """Return why the caller cannot have seen all of what would run, or None."""
    if (reason := await why_not_displayable(view, action, caller)) is not None:
        return reason
    if isinstance(caller, SessionCaller) and not await is_shown(view, action, caller):
        return Reason.of("not_shown")
    return None


async def why_not_displayable(view: View, action: Action, caller: OperatorCaller) -> Reason | None:
    """Return why something of the action could not be shown to the caller, or None.

    Nobody says yes to what nobody could see, unless it is declared that it cannot change what happens.
    """
    if not action.to_be_revealed:
        return None
    names = ", ".join(f"`{name}`" for name in action.to_be_revealed)
    if not isinstance(caller, SessionCaller):
        return Reason.of("step_up_required", f"{names} would have to be revealed, which only the console does")
    if await is_revealed(view, action, caller):
        return None
    return Reason.of("not_shown", f"{names} must be revealed first")


async def is_shown(view: View, action: Action, caller: SessionCaller) -> bool:
    """Whether the last line of the action was on the screen in this session, with everything that must be seen."""
    return any(
        detail.get("approvable") is True for detail in await _of(view, action, caller, RecordKind.APPROVAL_SHOWN)
    )


async def is_revealed(view: View, action: Action, caller: SessionCaller) -> bool:
    """Whether the sensitive values of the action were revealed in this session."""
    return bool(await _of(view, action, caller, RecordKind.PAYLOAD_REVEALED))


async def _of(view: View, action: Action, caller: SessionCaller, kind: RecordKind) -> list[Mapping[str, Json]]:
    which = RecordFilter(action=action.id, kind=kind, operator=caller.operator.id)
    details = [leaf_detail(leaf_of(record)) for record in (await view.records(which, limit=_LOOKED_AT)).records]
    return [detail for detail in details if detail.get("session") == caller.session.id]
