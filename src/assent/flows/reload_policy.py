"""The policy directory is read again: because an operator asked, a signal came, or a file of it changed.

A directory that is refused changes nothing; that it was refused is on record, and what is wrong with it is told. Where
the ledger's versions are published no directory is read again: what every broker goes by comes from one place.
"""

import asyncio

from assent.core.errors import IllegalMove, LedgerUnavailable, NotFound, PolicyInvalid, Stale
from assent.core.operators import Permission
from assent.flows.activate_policy import TakenUp, take_up_policy
from assent.flows.active_policy import active_policy
from assent.flows.authenticate import OperatorCaller, confirm_operator, require
from assent.flows.broker import Broker
from assent.flows.run_broker import policy_turned_down
from assent.ports import View

# Somebody else took another version up between reading and swapping: read again, and not for ever.
MOST_TRIES = 5


async def reload_policy(broker: Broker, caller: OperatorCaller) -> TakenUp:
    """Return what became of what the policy directory holds now.

    Raises:
        Forbidden: the caller may not activate policies.
        PolicyInvalid: the directory was refused; the version before goes on serving.
        IllegalMove: the policies of this ledger are published.

    """
    require(caller, Permission.POLICY_ACTIVATE)

    async def work(view: View) -> None:
        await confirm_operator(view, caller)

    await broker.ledger.read(work)
    return await read_policy_again(broker, by=caller.operator.id)


async def read_policy_again(broker: Broker, *, by: str | None = None) -> TakenUp:
    """Return what became of what the policy directory holds now; `by` is who asked, None when nobody did.

    Raises:
        PolicyInvalid: it was refused, which is on record.
        IllegalMove: the policies of this ledger are published.

    """
    if broker.policies is None:
        raise NotFound("this broker serves one policy and takes up no other")
    active = await broker.ledger.read(active_policy)
    if active is not None and active.publication is not None:
        raise IllegalMove(
            "the policies of this ledger are published, and the policy directory is not read again",
            hint="publish what it holds with `assent policy publish DIR`",
        )
    for _ in range(MOST_TRIES):
        try:
            found = await asyncio.to_thread(broker.policies.read_again)
        except PolicyInvalid as refused:
            await policy_turned_down(broker, findings=len(refused.findings), by=by)
            raise
        try:
            return await take_up_policy(broker, found)
        except Stale:
            continue
    raise LedgerUnavailable("other versions were taken up again and again meanwhile", hint="try again")
