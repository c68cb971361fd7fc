"""Signals of one process: wake-ups, counters and token buckets in memory; they may only ever say no.

All calls come from the event loop's thread. A wake-up is remembered by every subscription that was there when it came,
so nothing is lost between subscribing and waiting. The counters' epoch is the life of the process, from `begin` on.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from assent.core.windows import Count, first_covered, slice_of
from assent.ports import Known

MAX_BUCKETS: Final = 100_000
MAX_COUNTERS: Final = 200_000
_MICROSECONDS: Final = 1_000_000


class LocalSignals:
    """Wakes the waiters of this process and counts its callers; `monotonic` gives seconds that never go back."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, *, max_counters: int = MAX_COUNTERS) -> None:
        self._monotonic = monotonic
        self._max_counters = max_counters
        self._waiting: dict[str, set[LocalSubscription]] = {}
        self._buckets: dict[str, tuple[float, float]] = {}
        self._counters: dict[str, _Sum] | None = None

    def wake(self, topic: str) -> None:
        """Wake everybody who subscribed to `topic`."""
        for subscription in self._waiting.get(topic, ()):
            subscription.wake()

    def subscribe(self, topics: Sequence[str]) -> "LocalSubscription":
        """Return a subscription that misses no wake-up from now on; close it."""
        subscription = LocalSubscription(self, tuple(topics))
        for topic in subscription.topics:
            self._waiting.setdefault(topic, set()).add(subscription)
        return subscription

    def end(self, subscription: "LocalSubscription") -> None:
        """End a subscription; a topic that nobody waits for takes no memory."""
        for topic in subscription.topics:
            waiting = self._waiting.get(topic)
            if waiting is not None:
                waiting.discard(subscription)
                if not waiting:
                    del self._waiting[topic]

    async def begin(self, known: Sequence[Known]) -> None:
        """Begin the epoch of this process; it is nobody else's, so there is none to join."""
        self._counters = {}
        now = self._now()
        for one in sorted(known, key=lambda one: -one.ago_us):
            self._count(self._counters, one.counter, one.window_us, one.amount, now - max(0, one.ago_us))

    def is_there(self) -> bool:
        return True

    async def readable(self) -> bool:
        return self._counters is not None

    async def count(self, counts: Sequence[Count]) -> Sequence[int] | None:
        counters = self._counters
        if counters is None:
            return None
        now = self._now()
        return [self._count(counters, counter, window, amount, now) for counter, window, amount in counts]

    async def forget(self, counters: Sequence[str]) -> None:
        if self._counters is not None:
            for counter in counters:
                self._counters.pop(counter, None)

    def _now(self) -> int:
        return int(self._monotonic() * _MICROSECONDS)

    def _count(self, counters: "dict[str, _Sum]", counter: str, window: int, amount: int, now: int) -> int:
        found = counters.get(counter)
        if found is None:
            if not amount:
                return 0
            if len(counters) >= self._max_counters:
                _make_room(counters, now)
            found = counters[counter] = _Sum(window)
        return found.add(amount, now)

    def take(self, bucket: str, *, per_second: float, burst: int) -> float:
        """Take one token; return 0.0 when there was one, else the seconds until the next."""
        now = self._monotonic()
        tokens, since = self._buckets.get(bucket, (float(burst), now))
        tokens = min(float(burst), tokens + (now - since) * per_second)
        if tokens < 1.0:
            return (1.0 - tokens) / per_second
        if bucket not in self._buckets and len(self._buckets) >= MAX_BUCKETS:
            self._drop_full(now, per_second, burst)
        self._buckets[bucket] = (tokens - 1.0, now)
        return 0.0

    async def claim(self, name: str, *, seconds: int) -> bool | None:
        return self.take(f"claim {name}", per_second=1 / seconds, burst=1) == 0.0

    def _drop_full(self, now: float, per_second: float, burst: int) -> None:
        # A bucket that has filled up again says the same as none. When none has, the flood comes from more callers
        # than we remember, and starting anew is the only bounded answer.
        kept = {k: v for k, v in self._buckets.items() if v[0] + (now - v[1]) * per_second < burst}
        self._buckets = kept if len(kept) < MAX_BUCKETS else {}


class _Sum:
    """One counter: the slices that hold something, newest last, and their sum."""

    __slots__ = ("_slices", "_sum", "_window", "last")

    def __init__(self, window: int) -> None:
        self._window = window
        self._slices: deque[list[int]] = deque()
        self._sum = 0
        self.last = 0

    def add(self, amount: int, now: int) -> int:
        """Add `amount` at `now`, which never goes back, and return the sum of what the window covers then."""
        slices, place = self._slices, slice_of(now, self._window)
        self._drop(now)
        if amount:
            self.last = now
            self._sum += amount
            if slices and slices[-1][0] == place:
                slices[-1][1] += amount
            else:
                slices.append([place, amount])
        return self._sum

    def is_over(self, now: int) -> bool:
        """Whether nothing in it counts any more."""
        self._drop(now)
        return not self._slices

    def _drop(self, now: int) -> None:
        slices, since = self._slices, first_covered(now, self._window)
        while slices and slices[0][0] < since:
            self._sum -= slices.popleft()[1]


def _make_room(counters: dict[str, _Sum], now: int) -> None:
    # Somebody floods us with things to count. What counts no more goes first, then the quarter that was longest
    # silent: a count that is lost so makes a trip later, and memory stays bounded.
    for counter in [counter for counter, found in counters.items() if found.is_over(now)]:
        del counters[counter]
    longest_silent = sorted(counters, key=lambda counter: counters[counter].last)[: len(counters) // 4 + 1]
    for counter in longest_silent:
        del counters[counter]


class LocalSubscription:
    """A wait announced before the ledger was read. Ten thousand wait at once, so it holds no more than it needs."""

    __slots__ = ("_is_woken", "_signals", "_waiter", "topics")

    def __init__(self, signals: LocalSignals, topics: tuple[str, ...]) -> None:
        self.topics = topics
        self._signals = signals
        self._is_woken = False
        self._waiter: asyncio.Future[None] | None = None

    def wake(self) -> None:
        """Remember a wake-up, and end the wait that is under way."""
        self._is_woken = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self, timeout_seconds: float) -> bool:
        """Wait for a wake-up since the subscription began, or the last wait; return False when time is over first."""
        if not self._is_woken:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(timeout_seconds):
                    await self._waiter
            except TimeoutError:
                return False
            finally:
                self._waiter = None
        self._is_woken = False
        return True

    def close(self) -> None:
        """End the subscription."""
        self._signals.end(self)
