"""What a person's word is worth where letting something go on takes two: a reset, and a resumption."""

from collections.abc import Sequence

from assent.core.reasons import Reason
from assent.core.second_person import FirstAsk, waits_for
from assent.flows.authenticate import OperatorCaller
from assent.flows.one_hand import ONE_HAND, is_one_hand
from assent.ports import Tx


async def why_not_second(tx: Tx, first: FirstAsk | None, caller: OperatorCaller) -> Reason | None:
    """Return why the caller is no second person to `first`, or None; None also where theirs is a first word."""
    by = caller.operator.id
    asked = waits_for(first, by, tx.now)
    if asked is None or not await is_one_hand(tx, asked.by, by):
        return None
    return Reason.of("not_eligible", f"{ONE_HAND}, so you are no second person beside `{asked.by}`")


def others(who: Sequence[str], caller: OperatorCaller) -> tuple[str, ...]:
    """Return who of these may be the second person when the caller is the first."""
    return tuple(one for one in who if one != caller.operator.id)
