"""What a person's word is worth where letting something go on takes two: a reset, and a resumption.

Stopping takes whatever credential is at hand. Letting go on is what an agent would do that found one: so whoever can
sign in at the console with more than a token is heard from there alone, and where there is such a person they are one
of the two. Where nobody can, two tokens are the surest there is, and the records say so.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from assent.core.operators import Assurance
from assent.core.reasons import Reason
from assent.core.second_person import FirstAsk, waits_for
from assent.flows.authenticate import OperatorCaller, was_revoked
from assent.flows.broker import Broker
from assent.flows.one_hand import ONE_HAND, is_one_hand
from assent.ports import Tx, View


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """Who may be the second person, and the least assurance that their surface has; None where any will do."""

    who: tuple[str, ...] = ()
    assurance: Assurance | None = None


async def heard_still(view: View, first: FirstAsk | None, who: Collection[str]) -> FirstAsk | None:
    """Return the wish of a first person who is still one of `who` may have it, by a token that still holds, or None."""
    if first is None or first.by not in who or await was_revoked(view, first.using):
        return None
    return first


async def why_not_heard(
    tx: Tx, broker: Broker, caller: OperatorCaller, *, first: FirstAsk | None, who: Sequence[str]
) -> Reason | None:
    """Return why the word of the caller, who is one of `who` may let it go on, does not count; None when it does."""
    by, is_sure = caller.operator.id, caller.assurance >= Assurance.CONSOLE
    # (1) whoever can be at the console is heard from there
    if by in broker.who_can_be_at_console() and not is_sure:
        return Reason.of("step_up_required", "you can sign in at the console here, so your word counts from there")
    # (2) a first word opens nothing: all else is asked of the second
    asked = waits_for(first, by, tx.now)
    if asked is None:
        return None
    # (3) two people, not one who made the other's token
    if await is_one_hand(tx, asked.by, by):
        return Reason.of("not_eligible", f"{ONE_HAND}, so you are no second person beside `{asked.by}`")
    # (4) where somebody can be at the console, one of the two was
    if broker.who_can_be_at_console().intersection(who) and not is_sure and asked.assurance < Assurance.CONSOLE:
        return Reason.of(
            "step_up_required", f"neither you nor `{asked.by}` spoke at the console, and one of two has to"
        )
    return None


def sought(broker: Broker, caller: OperatorCaller, who: Sequence[str]) -> Sought:
    """Return who of `who` may be the second person when the caller was the first."""
    others = tuple(one for one in who if one != caller.operator.id)
    at_console = broker.who_can_be_at_console()
    if caller.assurance >= Assurance.CONSOLE or not at_console.intersection(who):
        return Sought(who=others)
    return Sought(who=tuple(one for one in others if one in at_console), assurance=Assurance.CONSOLE)
