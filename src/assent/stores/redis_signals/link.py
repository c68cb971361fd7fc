"""The line to Redis: every call ends in time, none is made twice, and while Redis is away nobody waits for it.

A call that fails takes the client with it: an answer that comes late can be taken for no other's. From then on every
call fails at once, and one attempt at a time looks whether Redis is back, whole: functions loaded, writes taken.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, TypeVar

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from assent.logs import EventLog
from assent.stores.redis_signals.clients import Client, Connect
from assent.stores.redis_signals.later import ended, goes_on

log = EventLog("assent.signals")

CALL_SECONDS: Final = 0.2
OPEN_SECONDS: Final = 1.5
FIRST_PAUSE_SECONDS: Final = 0.25
LONGEST_PAUSE_SECONDS: Final = 1.0
_CLOSE_SECONDS: Final = 1.0
_LONGEST_CHAIN: Final = 10
_HINT: Final = "changes in production that a rule counts are denied meanwhile; see `assent doctor`"

T = TypeVar("T")


class Away(Exception):
    """Redis cannot be used now."""


class Link:
    """Calls Redis at the place called `name`; `prepare` makes a fresh client ready, or fails. One event loop uses it.

    `why` says why Redis cannot be used, None while it can and `is_reached` is set.
    """

    def __init__(
        self,
        connect: Connect,
        prepare: Callable[[Client], Awaitable[None]],
        *,
        name: str,
        pause_seconds: float = FIRST_PAUSE_SECONDS,
    ) -> None:
        self.name = name
        self.why: str | None = "nobody has asked it yet"
        self.is_reached = asyncio.Event()
        self._connect = connect
        self._prepare = prepare
        self._pause_seconds = pause_seconds
        self._client: Client | None = None
        self._coming_back: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._is_closed = False

    @property
    def may_answer(self) -> bool:
        """Whether Redis answers as far as is known, or nobody has asked it yet."""
        return self._client is not None or (self._coming_back is None and not self._is_closed)

    async def open(self) -> None:
        """Connect for the first time; where that fails, go on trying. Later on it changes nothing."""
        if self._client is None and self._coming_back is None and not self._is_closed and not await self._try():
            self._come_back_later()

    async def look(self) -> str | None:
        """Connect as `open` does, let go again, and return why Redis cannot be used, or None; nothing is logged."""
        found = await self._fresh()
        if isinstance(found, str):
            return found
        await _closed(found)
        return None

    async def call(self, ask: Callable[[Client], Awaitable[T]], *, within_seconds: float = CALL_SECONDS) -> T:
        """Return what `ask` gets from Redis.

        Raises:
            Away: it did not get it in time, or nobody is asked now. What was asked may have been done all the same.

        """
        client = self._client
        if client is None:
            raise Away(self.why)
        try:
            async with asyncio.timeout(within_seconds):
                return await ask(client)
        except Exception as fault:  # whatever a client trips over, Redis cannot be used
            self._lose(client, told(fault))
            raise Away(self.why) from fault

    async def close(self) -> None:
        """Give up the line for good."""
        self._is_closed = True
        if self._coming_back is not None:
            await ended(self._coming_back)
        client, self._client, self.why = self._client, None, "the broker ends"
        if client is not None:
            await _closed(client)
        await asyncio.gather(*self._closing, return_exceptions=True)

    def _lose(self, client: Client, why: str) -> None:
        if self._client is not client:
            return  # somebody else has lost it
        self._client = None
        self.is_reached.clear()
        self._say_away(why)
        closing = asyncio.get_running_loop().create_task(_closed(client))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        if not self._is_closed:
            self._come_back_later()

    def _say_away(self, why: str) -> None:
        if self.why != why:
            log.warning("redis_away", redis=self.name, why=why, hint=_HINT)
        self.why = why

    def _come_back_later(self) -> None:
        self._coming_back = asyncio.get_running_loop().create_task(self._come_back())

    async def _come_back(self) -> None:
        pause = self._pause_seconds
        while goes_on():
            await asyncio.sleep(pause)
            if await self._try():
                return
            pause = min(LONGEST_PAUSE_SECONDS, pause * 2)

    async def _try(self) -> bool:
        found = await self._fresh()
        if isinstance(found, str):
            self._say_away(found)
            return False
        self._client, self.why, self._coming_back = found, None, None
        self.is_reached.set()
        log.info("redis_reached", redis=self.name)
        return True

    async def _fresh(self) -> Client | str:
        """Return a client that is ready, or why there is none."""
        client = self._connect()
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await self._prepare(client)
        except Exception as fault:  # noqa: BLE001  # as in a call
            await _closed(client)
            return told(fault)
        return client


async def _closed(client: Client) -> None:
    # One that cannot be closed is dropped.
    with contextlib.suppress(RedisError, OSError, TimeoutError):
        async with asyncio.timeout(_CLOSE_SECONDS):
            await client.aclose()


def told(fault: BaseException) -> str:
    """Return in words why Redis cannot be used, without anything of what was asked."""
    chain = list(_chain(fault))
    for kinds, said in _SAID:
        if any(isinstance(one, kinds) for one in chain):
            return said
    return f"the client tripped over it ({type(fault).__name__})"


def _chain(fault: BaseException | None) -> Iterator[BaseException]:
    # The client wraps what it meets, and the reason is further down.
    for _ in range(_LONGEST_CHAIN):
        if fault is None:
            return
        yield fault
        fault = fault.__cause__ or fault.__context__


_SAID: Final[tuple[tuple[tuple[type[BaseException], ...], str], ...]] = (
    ((ssl.SSLError,), "its certificate does not verify, or it speaks no TLS"),
    ((AuthenticationError,), "it refuses the user or the password"),
    ((NoPermissionError,), "its user may not do what the broker needs; `docs/redis.md` has the rules to give"),
    ((ReadOnlyError,), "it is a replica and takes no writes"),
    ((OutOfMemoryError,), "its memory is full"),
    ((BusyLoadingError,), "it still loads its data"),
    ((ResponseError,), "it does not understand what the broker asks: Redis 7.2 or Valkey 8 is the oldest that does"),
    ((TimeoutError, RedisError, OSError), "it does not answer"),
)
