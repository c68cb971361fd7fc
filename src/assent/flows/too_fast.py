"""Refused acts that come faster than they are worth a record each: counted, and recorded once a minute as a number.

A flood fills no log, and leaves no gap in it either. What is lost with a process that is killed is the number of a
minute; that there was a flood stands in the records before it.
"""

from assent.flows import entries
from assent.flows.broker import Broker
from assent.ports import Tx

RECORDED_EACH_SECONDS = 60.0


async def record_unrecorded(broker: Broker) -> int:
    """Record how many acts of whom were refused without a record of their own; return of how many accounts.

    Raises:
        LedgerUnavailable: they are counted on, and recorded the next time.

    """
    gathered = broker.unrecorded.gather()
    if not gathered:
        return 0

    async def work(tx: Tx) -> None:
        for who, times in sorted(gathered.items()):
            await tx.append(entries.acts_refused(who, times))

    try:
        await broker.ledger.transact(work)
    except BaseException:
        broker.unrecorded.put_back(gathered)
        raise
    return len(gathered)
