"""The ledger's time: the machine's clock as long as that goes forward, and it never stands still when it does not.

A clock that was set back must not stop what is counted in time: while it stands behind, the ledger's time goes on at
half the pace of the machine's steady clock, until the two meet. So whatever was to end in an hour ends within two, and
the error shrinks by as much. A clock that was set forward is believed: what was to end by then has ended.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from assent.ports import Clock

PACE_BEHIND: Final = 0.5
_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class LedgerTime:
    """Tells the time to every transaction of one ledger; `steady` gives seconds that no setting of a clock moves.

    Threads may ask at once: what is remembered is one pair that is true as a whole, whichever of them kept it.
    """

    def __init__(self, clock: Clock, steady: Callable[[], float]) -> None:
        self._clock = clock
        self._steady = steady
        self._shown: tuple[datetime, float] | None = None

    def __call__(self) -> datetime:
        """Return the ledger's time outside of a transaction; never before a moment that was told."""
        return self.now(_BEGINNING)

    def now(self, last: datetime) -> datetime:
        """Return the moment of a transaction on a log whose last record is of `last`; never before that."""
        now, tick = self._clock(), self._steady()
        shown, at = self._shown or (last, tick)
        now = max(now, shown + timedelta(seconds=PACE_BEHIND * (tick - at)))
        if now < last:
            now = last + _MICROSECOND
        self._shown = now, tick
        return now


def standing_still() -> float:
    """Be the steady clock of who has none: then the time behind a clock creeps on by microseconds."""
    return 0.0
