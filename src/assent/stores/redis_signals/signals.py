"""Signals that all brokers of a ledger share in Redis: they may only ever say no, and all of it may be lost.

Whatever waits to be counted goes to Redis in one call. Wake-ups and buckets are those of this process first
(`LocalSignals`), and told to the others a little later.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Final

from redis.exceptions import NoPermissionError

from assent.core.windows import Count
from assent.ports import Known, Subscription
from assent.stores.redis_signals.buckets import Buckets
from assent.stores.redis_signals.clients import Client, Connect
from assent.stores.redis_signals.library import Library, shipped
from assent.stores.redis_signals.link import FIRST_PAUSE_SECONDS, OPEN_SECONDS, Away, Link
from assent.stores.redis_signals.names import Names
from assent.stores.redis_signals.wakes import Wakes
from assent.stores.signals_local import LocalSignals

MAX_AT_ONCE: Final = 256
_ID_BYTES: Final = 16


class _Asked:
    """Somebody who waits for sums."""

    __slots__ = ("answer", "counts")

    def __init__(self, counts: Sequence[Count]) -> None:
        self.counts = counts
        self.answer: asyncio.Future[Sequence[int] | None] = asyncio.get_running_loop().create_future()


class RedisSignals:
    """The signals of the brokers that have `secret`, at the place called `name`; one event loop uses them.

    `monotonic` gives seconds that never go back; counters are told by the clock of the server.
    """

    def __init__(
        self,
        connect: Connect,
        *,
        name: str,
        secret: bytes,
        monotonic: Callable[[], float] = time.monotonic,
        library: str | None = None,
        pause_seconds: float = FIRST_PAUSE_SECONDS,
    ) -> None:
        self._library = Library.of(shipped() if library is None else library)
        self._names = Names(secret)
        self._local = LocalSignals(monotonic)
        self.link = Link(connect, self._prepare, name=name, pause_seconds=pause_seconds)
        self.buckets = Buckets(self.link, self._library, self._names, monotonic)
        self.wakes = Wakes(
            self.link,
            connect,
            channel=self._names.channel,
            sender=secrets.token_hex(_ID_BYTES),
            hear=self._local.wake,
        )
        self._epoch: str | None = None
        self._waiting: list[_Asked] = []
        self._counting: asyncio.Task[None] | None = None

    def wake(self, topic: str) -> None:
        """Wake everybody who waits here at once, and everybody elsewhere a moment later."""
        self._local.wake(topic)
        self.wakes.wake(topic)

    def subscribe(self, topics: Sequence[str]) -> Subscription:
        """Return a subscription that misses no wake-up of this process from now on; close it."""
        return self._local.subscribe(topics)

    async def begin(self, known: Sequence[Known]) -> None:
        """Begin an epoch, or join the one that others count in; where Redis is away nothing has begun."""
        self.wakes.listen()
        await self.link.open()
        facts = [secrets.token_hex(_ID_BYTES)]
        for one in sorted(known, key=lambda one: -one.ago_us):
            field = self._names.counter(one.counter)
            facts += (field, str(one.window_us), str(one.amount), str(max(0, one.ago_us)))
        try:
            epoch = await self.link.call(lambda client: self._call(client, "begin", facts), within_seconds=OPEN_SECONDS)
        except Away:
            return
        self._epoch = epoch.decode() if isinstance(epoch, bytes) else None

    def is_there(self) -> bool:
        return self.link.may_answer

    async def readable(self) -> bool:
        return await self.count(()) is not None

    async def count(self, counts: Sequence[Count]) -> Sequence[int] | None:
        if self._epoch is None or self.link.why is not None:
            return None
        asked = _Asked(counts)
        self._waiting.append(asked)
        if self._counting is None:
            self._counting = asyncio.get_running_loop().create_task(self._count_all())
        return await asked.answer

    async def forget(self, counters: Sequence[str]) -> None:
        if self._epoch is not None and counters:
            facts = [self._epoch, *(self._names.counter(counter) for counter in counters)]
            try:
                await self.link.call(lambda client: self._call(client, "forget", facts))
            except Away:
                return

    def take(self, bucket: str, *, per_second: float, burst: int) -> float:
        """Take one token; return 0.0 when there was one here and the others left one, else the seconds to wait."""
        closed = self.buckets.closed_for(bucket)
        if closed > 0:
            return closed
        wait = self._local.take(bucket, per_second=per_second, burst=burst)
        if wait == 0.0:
            self.buckets.took(bucket, per_second=per_second, burst=burst)
        return wait

    async def claim(self, name: str, *, seconds: int) -> bool | None:
        key = self._names.claim(name)
        try:
            is_first = await self.link.call(lambda client: client.set(key, "", nx=True, ex=seconds))
        except Away:
            return None
        # What was claimed here stays so, whatever Redis has lost since.
        return await self._local.claim(name, seconds=seconds) and bool(is_first)

    async def close(self) -> None:
        """End everything that runs beside; whoever still waits is told that counters are unreadable."""
        await self.wakes.close()
        await self.buckets.close()
        await self.link.close()
        if self._counting is not None:
            await asyncio.gather(self._counting, return_exceptions=True)

    async def _prepare(self, client: Client) -> None:
        """Load the functions, and see that they are there and that Redis takes writes."""
        with contextlib.suppress(NoPermissionError):  # somebody else may have loaded them, which shows at once
            await client.function_load(self._library.code, replace=True)
        await self._call(client, "count", [""])

    async def _call(self, client: Client, function: str, facts: Sequence[str]) -> object:
        return await client.fcall(self._library.function(function), 1, self._names.counts, *facts)

    async def _count_all(self) -> None:
        asked: list[_Asked] = []
        try:
            while self._waiting:
                asked, self._waiting = self._waiting[:MAX_AT_ONCE], self._waiting[MAX_AT_ONCE:]
                sums = await self._sums([count for one in asked for count in one.counts])
                _answer(asked, sums)
        finally:
            # However this ends, nobody is left waiting.
            self._counting = None
            _answer([*asked, *self._waiting], None)
            self._waiting.clear()

    async def _sums(self, counts: Sequence[Count]) -> list[int] | None:
        """Return the sums, or None, after which this epoch is nobody's here any more unless Redis was only away."""
        epoch = self._epoch
        if epoch is None:
            return None
        facts = [epoch]
        for counter, window, amount in counts:
            facts += (self._names.counter(counter), str(window), str(amount))
        try:
            sums = await self.link.call(lambda client: self._call(client, "count", facts))
        except Away:
            return None
        if isinstance(sums, list) and len(sums) == len(counts) and all(isinstance(one, int) for one in sums):
            return sums
        if self._epoch == epoch:
            self._epoch = None
        return None


def _answer(asked: Sequence[_Asked], sums: Sequence[int] | None) -> None:
    at = 0
    for one in asked:
        if not one.answer.done():
            one.answer.set_result(None if sums is None else sums[at : at + len(one.counts)])
        at += len(one.counts)
