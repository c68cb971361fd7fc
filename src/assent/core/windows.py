"""Sliding windows: what was counted lately, in slices; a sum never covers less than the window and hardly ever more.

A window of so many microseconds is cut into 20 slices of a whole number of them. A count belongs to the slice that its
moment falls in, and a sum at some moment covers the slice of that moment and the 20 before it. So it covers at least
the window and at most 21/20 of it, and everybody who counts this way comes to the same sum.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple, TypeAlias

SLICES: Final = 20
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

Slices: TypeAlias = tuple[tuple[int, Decimal], ...]
"""Pairs of (slice, sum), oldest first; a slice in which nothing was counted is left out."""


class Count(NamedTuple):
    """Add `amount` to `counter`, a name, and tell the sum over `window_us` microseconds then; 0 only looks."""

    counter: str
    window_us: int
    amount: int = 1


def microseconds(window: timedelta) -> int:
    """Return the length of a window in microseconds."""
    return window // _MICROSECOND


def moment_us(moment: datetime) -> int:
    """Return an aware moment in microseconds since the epoch, exact in every year."""
    return (moment - _EPOCH) // _MICROSECOND


def slice_of(at_us: int, window_us: int) -> int:
    """Return the slice of a window of `window_us` that the moment `at_us` falls in."""
    return at_us // -(-window_us // SLICES)


def first_covered(now_us: int, window_us: int) -> int:
    """Return the oldest slice that a sum at `now_us` covers."""
    return slice_of(now_us, window_us) - SLICES


def added(slices: Slices, place: int, amount: Decimal, *, since: int) -> Slices:
    """Return `slices` from `since` on, with `amount` more in the slice `place`; a slice without a sum falls away."""
    kept = {at: much for at, much in slices if at >= since}
    if place >= since:
        kept[place] = kept.get(place, Decimal()) + amount
    return tuple((at, much) for at, much in sorted(kept.items()) if much)


def total(slices: Iterable[tuple[int, Decimal]], *, since: int) -> Decimal:
    """Return the sum over the slices from `since` on."""
    return sum((much for at, much in slices if at >= since), Decimal())
