"""Signals: wake-ups, counters and buckets that are shared by whoever serves. They may only ever say no."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from assent.core.windows import Count


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger knows of a counter: `amount` more, `ago_us` microseconds ago."""

    counter: str
    window_us: int
    amount: int
    ago_us: int


class Signals(Protocol):
    """Wake-ups and counters shared by whoever serves: they may only ever say no, and losing one costs time only.

    Counters live in an epoch, which begins with `begin`. They are readable while the counters that are there are those
    of the epoch that this process began or joined; lost, emptied, of another epoch or out of reach, they are
    unreadable, and never read as zero. A count may be lost when this process, or where it counts, dies; it may be
    doubled or late; none is ever invented. Sums are those of `core.windows`, told by one clock for all who count.
    """

    def wake(self, topic: str) -> None:
        """Wake everybody who waits for `topic`."""
        ...

    def subscribe(self, topics: Sequence[str]) -> "Subscription":
        """Return a subscription that misses nothing from now on: subscribe, read the ledger, then wait."""
        ...

    async def begin(self, known: Sequence[Known]) -> None:
        """Begin an epoch, or join the one that others count in; one that begins starts from `known`.

        When it cannot be begun the counters stay unreadable; the caller tries again.
        """
        ...

    def is_there(self) -> bool:
        """Whether an epoch could begin now; where counters lie elsewhere, whether anybody answers there."""
        ...

    async def readable(self) -> bool:
        """Whether counters can be read now. Never raises, and answers within half a second."""
        ...

    async def count(self, counts: Sequence[Count]) -> Sequence[int] | None:
        """Count all of `counts` and return the sum of each, or None when they are unreadable.

        Never raises, and answers within half a second.
        """
        ...

    async def forget(self, counters: Sequence[str]) -> None:
        """Begin these counters anew. Never raises; where it fails they go on counting."""
        ...

    def take(self, bucket: str, *, per_second: float, burst: int) -> float:
        """Take one token; return 0.0 when there was one, else the seconds until the next.

        Where buckets are shared and cannot be reached, that of this process decides.
        """
        ...

    async def claim(self, name: str, *, seconds: int) -> bool | None:
        """Whether this is the first claim of `name` within so many seconds; None where nobody can tell: not claimed.

        Never raises, and answers within half a second.
        """
        ...


class Subscription(Protocol):
    """A wait that was announced before the ledger was read, so that no wake-up falls between the two."""

    async def wait(self, timeout_seconds: float) -> bool:
        """Wait for a wake-up since the subscription began; return False when the time is over first."""
        ...

    def close(self) -> None:
        """End the subscription."""
        ...
