"""Signals of one process: wake-ups and token buckets in memory; they may only ever say no.

All calls come from the event loop's thread. A wake-up is remembered by every subscription that was there when it came,
so nothing is lost between subscribing and waiting.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

MAX_BUCKETS: Final = 100_000


class LocalSignals:
    """Wakes the waiters of this process and counts its callers; `monotonic` gives seconds that never go back."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._waiting: dict[str, set[LocalSubscription]] = {}
        self._buckets: dict[str, tuple[float, float]] = {}

    def wake(self, topic: str) -> None:
        """Wake everybody who subscribed to `topic`."""
        for subscription in self._waiting.get(topic, ()):
            subscription.woken.set()

    def subscribe(self, topics: Sequence[str]) -> "LocalSubscription":
        """Return a subscription that misses no wake-up from now on; close it."""
        subscription = LocalSubscription(self, tuple(topics))
        for topic in subscription.topics:
            self._waiting.setdefault(topic, set()).add(subscription)
        return subscription

    def forget(self, subscription: "LocalSubscription") -> None:
        """End a subscription; a topic that nobody waits for takes no memory."""
        for topic in subscription.topics:
            waiting = self._waiting.get(topic)
            if waiting is not None:
                waiting.discard(subscription)
                if not waiting:
                    del self._waiting[topic]

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

    def _drop_full(self, now: float, per_second: float, burst: int) -> None:
        # A bucket that has filled up again says the same as none. When none has, the flood comes from more callers
        # than we remember, and starting anew is the only bounded answer.
        kept = {k: v for k, v in self._buckets.items() if v[0] + (now - v[1]) * per_second < burst}
        self._buckets = kept if len(kept) < MAX_BUCKETS else {}


class LocalSubscription:
    """A wait announced before the ledger was read."""

    def __init__(self, signals: LocalSignals, topics: tuple[str, ...]) -> None:
        self.topics = topics
        self.woken = asyncio.Event()
        self._signals = signals

    async def wait(self, timeout_seconds: float) -> bool:
        """Wait for a wake-up since the subscription began, or the last wait; return False when time is over first."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self.woken.wait()
        except TimeoutError:
            return False
        self.woken.clear()
        return True

    def close(self) -> None:
        """End the subscription."""
        self._signals.forget(self)
