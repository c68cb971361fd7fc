"""Cards: one approval as a message, in every state of its life. Pure: the same view gives the same bytes.

Rules kept here:
- What will run is shown whole, from the stored bytes, or the card carries no button to approve it and says so.
- Text of agents stands only where nothing is interpreted (see `slack.blocks`), with every invisible character spelled.
- A state that ended says in words whether anything was run, and carries no button that would decide again.
"""

import json
from typing import Any, Final

from assent.core.actions import ActionState, Impact
from assent.core.approvals import OPEN, Approval
from assent.slack import blocks, telling
from assent.slack.blocks import Part
from assent.slack.telling import Shown
from assent.slack.view import Card, CardView, More, Press

DIGEST_IN_BUTTON: Final = 16
# While the agent may act or has acted, somebody may want to stop it.
_STOPPABLE: Final = frozenset(
    {ActionState.READY, ActionState.EXECUTING, ActionState.SUCCEEDED, ActionState.FAILED, ActionState.UNKNOWN}
)


def card(view: CardView) -> Card:
    """Return the card of `view`: with everything on it, or the one that says what it does not show."""
    shown = telling.shown_of(view)
    made = _card(view, shown)
    if blocks.fits(made.blocks):
        return made
    return _card(view, Shown(shown.lines, is_whole=False))


def too_long(view: CardView) -> Card:
    """Return the card that shows only the beginning, for when Slack itself called the whole one too long."""
    return _card(view, Shown(telling.shown_of(view).lines, is_whole=False))


def _card(view: CardView, shown: Shown) -> Card:
    approval, action = view.approval, view.action
    is_approvable = (
        approval.state in OPEN and shown.is_whole and not action.to_be_revealed and telling.is_answered_here(approval)
    )
    found = [
        blocks.header(f"{telling.headline(view, is_approvable=is_approvable)} · {action.tool} · {action.environment}"),
        blocks.facts(_id(view, "facts"), telling.facts(view)),
        blocks.rich(_id(view, "what"), *telling.what(view, shown)),
        blocks.rich(_id(view, "people"), *telling.people(view)),
        blocks.rich(_id(view, "end"), *telling.end(view)),
    ]
    if controls := _controls(view, is_approvable=is_approvable):
        found.insert(-1, blocks.actions(_id(view, "do"), controls))
    return Card(
        text=telling.notification(view),
        blocks=tuple(found),
        metadata=_metadata(view),
        is_approvable=is_approvable,
        whole=None if shown.is_whole else shown.text,
    )


def _id(view: CardView, name: str) -> str:
    # New with every change, as Slack asks for; the same for the same view, so that nothing is sent twice.
    there = "" if view.presence is None else ".quiet" if view.presence.is_quiet else ".there"
    return f"{view.approval.id}:{name}:r{view.approval.revision}.{view.action.revision}{there}"


def _controls(view: CardView, *, is_approvable: bool) -> list[Part]:
    if view.approval.state in OPEN:
        return _answers(view, is_approvable=is_approvable)
    state = view.action.state
    controls = []
    if state is ActionState.READY:
        controls.append(blocks.button(Press.REVOKE, "Revoke…", value_of(view), label="Revoke", style="danger"))
    if state in _STOPPABLE:
        controls.append(blocks.button(Press.TRIP, "Trip a breaker…", value_of(view), label="Stop this agent"))
    return controls


def _answers(view: CardView, *, is_approvable: bool) -> list[Part]:
    value, controls = value_of(view), []
    if is_approvable:
        approve = blocks.button(Press.APPROVE, "Approve once", value, label="Approve this once", style="primary")
        controls.append(_confirmed(view, approve) if view.action.impact is Impact.DESTRUCTIVE else approve)
    elif view.page is not None:
        controls.append(blocks.link_button(Press.OPEN, "Open in the console", view.page, label="Read all of it"))
    controls.append(blocks.button(Press.DENY, "Deny…", value, label="Deny, with a reason", style="danger"))
    menu = {f"{More.TRIP}:{value}": "Trip a breaker…", f"{More.WHY_NOT_ME}:{value}": "Who can, and can I?"}
    if is_approvable:
        menu = {f"{More.COMMENT}:{value}": "Approve with a comment…"} | menu
    controls.append(blocks.overflow(Press.MORE, menu))
    return controls


def _confirmed(view: CardView, approve: Part) -> Part:
    approval = view.approval
    what = f"exactly this {approval.tool} in {approval.environment}"
    text = f"{approval.agent} will run {what}, once. It destroys something."
    return blocks.asking(approve, title=f"Approve {approval.code}?", text=text, yes="Approve once")


def value_of(view: CardView) -> str:
    """Return what a button carries: which approval, which revision of it was shown, and the digest's beginning."""
    return carried(view.approval)


def carried(approval: Approval) -> str:
    """Return how a button or a dialog names an approval as it stands now."""
    named = {"a": approval.id, "r": approval.revision, "d": approval.digest[:DIGEST_IN_BUTTON]}
    return json.dumps(named, separators=(",", ":"))


def _metadata(view: CardView) -> dict[str, Any]:
    # Any app in the workspace can read it.
    approval = view.approval
    payload = {"approval": approval.id, "revision": approval.revision, "digest": approval.digest}
    return {"event_type": "assent_approval", "event_payload": payload}
