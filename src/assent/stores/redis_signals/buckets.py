"""Buckets of several brokers: each gives from its own, tells the others a little later, and closes what is empty.

Nobody waits for Redis. What brokers give before they hear of each other comes on top of the limit: at most the burst
of each. Where Redis is away every broker's own bucket holds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from assent.stores.redis_signals.later import Later
from assent.stores.redis_signals.library import Library
from assent.stores.redis_signals.link import Away, Link
from assent.stores.redis_signals.names import Names

TELL_AFTER_SECONDS: Final = 0.05
BUCKETS_PER_CALL: Final = 200
MAX_BUCKETS: Final = 10_000
_MICROSECONDS: Final = 1_000_000


@dataclass(slots=True)
class _Taken:
    amount: int
    per_second: float
    burst: int


class Buckets:
    """What was taken here and is to be told, and until when a bucket that all share is empty."""

    def __init__(self, link: Link, library: Library, names: Names, monotonic: Callable[[], float]) -> None:
        self._link = link
        self._library = library
        self._names = names
        self._monotonic = monotonic
        self._taken: dict[str, _Taken] = {}
        self._closed_until: dict[str, float] = {}
        self._later = Later(self._tell, after_seconds=TELL_AFTER_SECONDS)

    def closed_for(self, bucket: str) -> float:
        """Return for how many seconds the bucket of all is empty as far as this process knows."""
        until = self._closed_until.get(bucket)
        return 0.0 if until is None else max(0.0, until - self._monotonic())

    def took(self, bucket: str, *, per_second: float, burst: int) -> None:
        """Have it told that a token was taken."""
        taken = self._taken.get(bucket)
        if taken is not None:
            taken.amount += 1
        elif len(self._taken) < MAX_BUCKETS:
            self._taken[bucket] = _Taken(1, per_second, burst)
            self._later.soon()

    async def told(self) -> None:
        """Tell now what was taken, and wait for the answer."""
        while await self._tell():
            continue

    async def close(self) -> None:
        """Tell no more."""
        await self._later.close()

    async def _tell(self) -> bool:
        if not self._taken:
            return False
        told = {bucket: self._taken.pop(bucket) for bucket in list(self._taken)[:BUCKETS_PER_CALL]}
        keys = [self._names.bucket(bucket) for bucket in told]
        facts = [str(fact) for one in told.values() for fact in (one.amount, one.per_second, one.burst)]
        function = self._library.function("took")
        try:
            waits = await self._link.call(lambda client: client.fcall(function, len(keys), *keys, *facts))
        except Away:
            self._taken.clear()
            return False
        self._close(list(told), waits)
        return bool(self._taken)

    def _close(self, buckets: list[str], waits: object) -> None:
        now = self._monotonic()
        if len(self._closed_until) >= MAX_BUCKETS:
            self._closed_until = {name: until for name, until in self._closed_until.items() if until > now}
        for bucket, wait in zip(buckets, waits if isinstance(waits, list) else (), strict=False):
            if isinstance(wait, int) and wait > 0 and len(self._closed_until) < MAX_BUCKETS:
                self._closed_until[bucket] = now + wait / _MICROSECONDS
            else:
                self._closed_until.pop(bucket, None)
