"""What is told of an approval where nobody can answer: who asks for what, how long is left, and where to answer.

No argument is told, nothing that is made of one, and no word of an agent: whoever decides reads all of it where they
sign in. Only a resource that the catalogue calls public stands there, cut short. What is told is spelled out, so that
nothing in it can be taken for something else.
"""

from collections.abc import Mapping
from typing import Final

from assent.core.actions import Action, ActionState
from assent.core.approvals import OPEN, Approval, ApprovalState
from assent.core.canonical import Json
from assent.core.deliveries import Showing, shows
from assent.core.rendering import spelled_out

MAX_VALUE: Final = 300
_SECONDS_IN_A_MINUTE: Final = 60
_NOT_RUN: Final = "nothing was run"
_NOT_APPROVED: Final = {
    ApprovalState.DENIED: f"denied, {_NOT_RUN}",
    ApprovalState.EXPIRED: f"nobody answered in time, {_NOT_RUN}",
    ApprovalState.CANCELLED: f"cancelled, {_NOT_RUN}",
}


def headline(showing: Showing) -> str:
    """Return one line: the code, who asks for what and where, and how it stands."""
    approval = showing.approval
    lead = f"{approval.code} {approval.agent}: {approval.tool} {approval.environment}"
    return spelled_out(f"{lead} - {_standing(showing)}")


def _standing(showing: Showing) -> str:
    approval = showing.approval
    if approval.state in OPEN:
        return f"approval needed, {_minutes_left(showing)} min left"
    state = _NOT_APPROVED.get(approval.state)
    return state or ("approved" if showing.action.state is ActionState.READY else f"approved, {showing.action.state}")


def _minutes_left(showing: Showing) -> int:
    seconds = (showing.approval.expires_at - showing.now).total_seconds()
    return max(0, int(seconds // _SECONDS_IN_A_MINUTE))


def facts(showing: Showing, page: str | None) -> Mapping[str, str]:
    """Return what stands below the headline, by its name."""
    approval, action = showing.approval, showing.action
    told = {
        "Answer": address(approval, page) or f"assent approvals show {approval.code}",
        "Agent": f"{approval.agent}, of {approval.owner}",
        "Tool": f"{approval.tool}, a {action.impact} action",
        "Where": ", ".join(filter(None, (action.environment, resource(action)))),
        "Can answer": ", ".join(showing.who) or "nobody any more",
        "Until": f"{approval.expires_at:%Y-%m-%d %H:%M} UTC, then it is denied by itself",
    }
    return {name: _cut(spelled_out(value)) for name, value in told.items()}


def resource(action: Action) -> str:
    """Return what it is about, where the catalogue says that anybody may know; else nothing."""
    return _cut(spelled_out(action.resource)) if action.resource_is_public else ""


def _cut(text: str) -> str:
    return text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}…"


def address(approval: Approval, page: str | None) -> str | None:
    """Return where a person signs in, reads all of it and answers; None where no other machine reaches the broker."""
    return None if page is None else f"{page}{approval.id}"


def body_of(showing: Showing, page: str | None) -> dict[str, Json]:
    """Return the same for a machine; `revision` changes whenever approval or action move."""
    approval, action = showing.approval, showing.action
    told: dict[str, Json] = {
        "type": f"approval.{approval.state}",
        "id": approval.id,
        "revision": shows(approval, action),
        "code": approval.code,
        "text": headline(showing),
        "state": approval.state.value,
        "action": action.id,
        "action_state": action.state.value,
        "agent": approval.agent,
        "owner": approval.owner,
        "tool": approval.tool,
        "environment": action.environment,
        "resource": resource(action),
        "impact": action.impact.value,
        "routes": [route.name for route in approval.routes],
        "can_answer": list(showing.who),
        "asked_at": approval.asked_at.isoformat(),
        "expires_at": approval.expires_at.isoformat(),
        "url": address(approval, page),
    }
    return {name: value for name, value in told.items() if value not in ("", None)}
