"""One hand: two operators count as one person where one of them issued the other's token within the last day.

Whoever issues a token has held its secret. Where two people are needed, the second must not be the first one again with
a token made a moment ago; after a day somebody has noticed a token that they never asked for.
"""

from assent.core.approvals import NEW_TOKEN_FROM_OWNER_WAITS, Approval
from assent.core.credentials import Kind
from assent.core.operators import Assurance, OperatorId
from assent.core.reasons import Reason
from assent.flows.authenticate import OperatorCaller
from assent.ports import View

ONE_HAND = "one of you issued the other's token less than 24 hours ago"
# Revoking a token does not undo what it did, so all of them are looked at, newest first.
_LOOKED_AT = 1_000


async def is_one_hand(view: View, first: OperatorId, second: OperatorId) -> bool:
    """Whether one of these two issued a token of the other within the last day, be it revoked since."""
    return await _issued(view, by=first, to=second) or await _issued(view, by=second, to=first)


async def why_one_hand(view: View, approval: Approval, caller: OperatorCaller) -> Reason | None:
    """Return why the caller is no other person beside somebody who voted already, or None.

    Where neither of the two votes by token, whoever issued one could not have voted with it.
    """
    me = caller.operator.id
    for vote in approval.votes:
        by_token = vote.operator != me and Assurance.TOKEN in {vote.assurance, caller.assurance}
        if by_token and await is_one_hand(view, vote.operator, me):
            return Reason.of("not_eligible", f"{ONE_HAND}, so you are no other person beside `{vote.operator}`")
    return None


async def _issued(view: View, *, by: OperatorId, to: OperatorId) -> bool:
    since = view.now - NEW_TOKEN_FROM_OWNER_WAITS
    held = await view.credentials(Kind.OPERATOR, to, limit=_LOOKED_AT)
    return any(token.issued_by == by and token.issued_at > since for token in held)
