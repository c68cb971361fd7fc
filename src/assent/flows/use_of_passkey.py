"""What a passkey would do for somebody's vote on one question: pages say it before anything is signed."""

from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from assent.core import approvals
from assent.core.actions import Action
from assent.core.approvals import Approval
from assent.core.operators import Assurance
from assent.flows.authenticate import OperatorCaller, SessionCaller
from assent.flows.broker import Broker
from assent.flows.one_hand import why_one_hand
from assent.flows.seen_whole import why_not_displayable
from assent.ports import View


class PasskeyUse(StrEnum):
    """What the caller's passkey would do for their vote: nothing, fill a seat that asks for more, or make it count."""

    NONE = "none"
    HELPS = "helps"
    NEEDED = "needed"


async def use_of_passkey(
    broker: Broker, view: View, action: Action, approval: Approval, caller: OperatorCaller
) -> PasskeyUse:
    """Return what a passkey would do for the caller's vote, everything else about it being right."""
    if not gains_by_passkey(broker, approval, caller, view.now):
        return PasskeyUse.NONE
    if approvals.why_not_vote(approval, caller.voter(), view.now) is None:
        return PasskeyUse.HELPS
    sure = replace(caller, assurance=Assurance.STEP_UP)
    rest = await why_one_hand(view, approval, sure) or await why_not_displayable(view, action, sure)
    # What is sensitive is revealed to a session that is sure by itself: an agent may hold a token, and read with it.
    can_reveal = rest is not None and rest.code == "not_shown" and caller.assurance >= Assurance.CONSOLE
    return PasskeyUse.NEEDED if rest is None or can_reveal else PasskeyUse.NONE


def gains_by_passkey(broker: Broker, approval: Approval, caller: OperatorCaller, now: datetime) -> bool:
    """Whether the caller, at the console, could fill a seat with a passkey that they cannot fill as they are."""
    if broker.passkeys is None or not isinstance(caller, SessionCaller):
        return False
    return approvals.why_closed(approval, now) is None and approvals.gains_by_passkey(approval, caller.voter(), now)
