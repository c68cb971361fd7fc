"""Signals that fail in every way their contract allows, and in none that it does not.

Wake-ups get lost. Counts get lost, are doubled, come late, are unreadable for a while; an epoch does not begin;
counters that were to be forgotten are not; a bucket says no although there was a token; nobody can
tell whether something was claimed; an answer takes a while. No
count is invented and nothing is ever read as zero that is unreadable.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Final

from assent.core.windows import Count
from assent.ports import Known, Subscription
from assent.stores.signals_local import LocalSignals

# Of so many calls one fails in each of the ways.
ONE_OF: Final = 6
ONE_IS_SLOW_OF: Final = 500
ONE_TOKEN_MISSES_OF: Final = 200
SLOW_SECONDS: Final = 0.2


class MoodySignals:
    """The signals of one process, seeded, so that a run can be repeated."""

    def __init__(self, monotonic: Callable[[], float], seed: int) -> None:
        self._signals = LocalSignals(monotonic)
        self._rng = random.Random(seed)
        self._late: list[Count] = []

    def wake(self, topic: str) -> None:
        """Wake whoever waits, unless that gets lost."""
        if not self._fails():
            self._signals.wake(topic)

    def subscribe(self, topics: Sequence[str]) -> Subscription:
        """Return a subscription, which may be woken for nothing later on or not at all."""
        return self._signals.subscribe(topics)

    async def begin(self, known: Sequence[Known]) -> None:
        """Begin an epoch, unless that fails."""
        if not self._fails():
            await self._signals.begin(known)

    def is_there(self) -> bool:
        """Whether an epoch could begin; at times not, for no reason."""
        return not self._fails()

    async def readable(self) -> bool:
        """Whether counters can be read; at times not, whatever was true a moment ago."""
        await self._take_a_while()
        return not self._fails() and await self._signals.readable()

    async def count(self, counts: Sequence[Count]) -> Sequence[int] | None:
        """Count, or lose it, or do so twice, or later, or do not say."""
        await self._take_a_while()
        how = self._rng.randrange(ONE_OF)
        if how == 0:
            return None
        if how == 1:
            return await self._signals.count([one._replace(amount=0) for one in counts])
        if how == 2:
            await self._signals.count(counts)
        late, self._late = self._late, []
        if how == 3:
            self._late = list(counts)
            counts = [one._replace(amount=0) for one in counts]
        await self._signals.count(late)
        return await self._signals.count(counts)

    async def forget(self, counters: Sequence[str]) -> None:
        """Begin the counters anew, or go on counting."""
        if not self._fails():
            await self._signals.forget(counters)

    def take(self, bucket: str, *, per_second: float, burst: int) -> float:
        """Take a token, or say that there is none."""
        if self._rng.randrange(ONE_TOKEN_MISSES_OF) == 0:
            return 0.01
        return self._signals.take(bucket, per_second=per_second, burst=burst)

    async def claim(self, name: str, *, seconds: int) -> bool | None:
        """Claim, or say that nobody can tell."""
        return None if self._fails() else await self._signals.claim(name, seconds=seconds)

    def _fails(self) -> bool:
        return self._rng.randrange(ONE_OF) == 0

    async def _take_a_while(self) -> None:
        if self._rng.randrange(ONE_IS_SLOW_OF) == 0:
            await asyncio.sleep(SLOW_SECONDS)
