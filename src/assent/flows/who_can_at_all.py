"""Who could answer a question at all: enough different people, each on a surface that they can come to.

Whoever is named as a driver may be the one without whom too few can be at the console. Only `step_up` is more than a
surface: it takes a passkey. Whoever has one can, and whoever can sign in at the console with more than a token could
add one within the time that a question is open. Where these are too few, nobody is asked.
"""

from collections.abc import Sequence
from typing import Final

from assent.core import approvals
from assent.core.approvals import Approval
from assent.core.operators import Operator
from assent.flows.broker import Broker
from assent.flows.sign_for import held_live
from assent.ports import View

NO_PASSKEYS: Final = (
    "a route asks for `step_up`, and too few of those who may answer have a passkey, or can sign in where one is added"
)

DRIVER_NEEDED: Final = (
    "what destroys in production is answered at the console, and without the driver that was named too few who may "
    "answer can be there"
)


async def who_can_at_all(
    broker: Broker, view: View, question: Approval | None, operators: Sequence[Operator]
) -> tuple[bool, str]:
    """Return whether enough people could answer, and where they are too few for passkeys alone, that."""
    if question is None or not approvals.can_be_satisfied(question, operators, view.now):
        return False, ""
    there = broker.who_can_be_at_console()
    if approvals.was_put_at_console(question) and not approvals.can_be_satisfied_there(
        question, operators, who_can_be_there=there, now=view.now
    ):
        return False, DRIVER_NEEDED
    if not approvals.asks_for_passkey(question):
        return True, ""
    asked = approvals.who_can_vote(question, operators, view.now)
    without = [one for one in asked if not await _can_step_up(broker, view, one)]
    enough = approvals.can_be_satisfied(question, operators, view.now, without_passkey=without)
    return enough, "" if enough else NO_PASSKEYS


async def _can_step_up(broker: Broker, view: View, operator: str) -> bool:
    if broker.passkeys is None:
        return False
    return operator in broker.who_can_be_at_console() or bool(await held_live(view, operator))
