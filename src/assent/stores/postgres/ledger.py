"""The ledger on PostgreSQL: the `Ledger` of the port, put together from one writing thread and a few reading ones."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from typing import Final

from assent.core.errors import LedgerUnavailable
from assent.ports import Clock, NewId
from assent.stores.latches import Seen
from assent.stores.ledger import StoredLedger
from assent.stores.ledger_time import LedgerTime, standing_still
from assent.stores.postgres import faults, opening
from assent.stores.postgres.link import Holding, Link, Place
from assent.stores.postgres.locks import SERVING
from assent.stores.postgres.reader import Readers
from assent.stores.postgres.writer import Writer
from assent.stores.randomness import Randomness
from assent.stores.rows.moments import stamp
from assent.stores.sealing import LedgerKeys
from assent.stores.tx import Stamps

_ALONE: Final = LedgerUnavailable(
    "another broker serves this ledger",
    hint="set `redis_url`, so that both count together, or stop that one: if it is gone, its lock is within seconds",
)
_BESIDE: Final = LedgerUnavailable(
    "another broker serves this ledger, and it has no `redis_url`: two that count apart would allow too much",
    hint="set `redis_url` there too, or stop that one: if it is gone, its lock is within seconds",
)


class Serving(Enum):
    """Who serves a ledger: one broker that counts for itself, or any number that count in one Redis."""

    ALONE = Holding(SERVING, is_shared=False, refused=_ALONE)
    BESIDE_OTHERS = Holding(SERVING, is_shared=True, refused=_BESIDE)


class PostgresLedger(StoredLedger):
    """A ledger in a PostgreSQL database, which other brokers may use at the same time."""

    @classmethod
    def open(
        cls,
        place: Place,
        keys: LedgerKeys,
        *,
        clock: Clock,
        new_id: NewId,
        salts: Callable[[int], bytes] | None = None,
        serves: Serving | None = None,
    ) -> "PostgresLedger":
        """Open the ledger at `place`, made when there is none and its role may make one.

        A broker's `clock` is a `LedgerTime`, as on SQLite. Who `serves` writes only as long as nobody does who
        must not beside it. Blocks until the database answered: call it before serving.

        Raises:
            LedgerUnavailable: it is damaged, of another version, or cannot be reached.
            KeysInvalid: it was written with other keys.

        """
        told = clock if isinstance(clock, LedgerTime) else LedgerTime(clock, standing_still)
        stamps = Stamps(time=told, new_id=new_id, salts=salts or Randomness())
        link = Link(place, holds=None if serves is None else serves.value)
        # A link blocks on a loop of its own, and whoever calls may have one that runs.
        with ThreadPoolExecutor(1) as beside:
            end = beside.submit(_opened, link, keys, stamp(clock())).result()
        told.now(end.last_time)
        seen = Seen()
        writer = Writer(link, keys, stamps, seen, end)
        return cls(writer, Readers(place, keys, stamps, seen), keys)


def _opened(link: Link, keys: LedgerKeys, created_at: int) -> opening.End:
    try:
        link.open()
        return opening.opened(link, keys, created_at)
    except faults.FAULTS as fault:
        link.close()
        raise faults.unavailable(fault) from fault
    except BaseException:
        link.close()
        raise
