"""The end of the log: where records take their places, one broker at a time, in the transaction that commits them.

The lock is held for this write and the commit alone. So indexes are gapless in the order of commits, and each record
is no older than the one before it, whatever the clocks of several brokers say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from assent.core.records import Record, moved_to
from assent.stores.postgres.link import Link
from assent.stores.postgres.locks import END
from assent.stores.postgres.queries import END_OF_LOG, INSERT_RECORD
from assent.stores.rows import journal
from assent.stores.rows.moments import moment
from assent.stores.sealing import LedgerKeys


@dataclass(frozen=True, slots=True)
class Placed:
    """Where the log goes on, its last record's time and MAC, and which transaction of the database wrote that."""

    next_index: int
    last_time: datetime
    mac: bytes
    transaction: str


def write_records(link: Link, keys: LedgerKeys, waiting: Sequence[Record]) -> Placed:
    """Give `waiting` their places behind the last record, and hold the end until the transaction is over.

    One that is older than the last record, because another broker was quicker, is stamped with that one's time. Raises
    one of `faults.FAULTS`.
    """
    top, at, transaction = link.fetch_one(END_OF_LOG, (END,))
    index, time = int(top) + 1, moment(int(at))
    rows = []
    for made in waiting:
        time = max(time, made.time)
        placed = made if made.time == time else moved_to(made, time)
        rows.append(journal.dump(placed, index, keys))
        index += 1
    link.write_many(INSERT_RECORD, rows)
    return Placed(index, time, rows[-1][-1], str(transaction))
