"""Open pages are kept current: after a change each view is made once, for everybody who looks at it with the same eyes.

Tabs with the same page, of the same operator and assurance, share a room. When something moved, one look at the ledger
says who of them is still signed in, and whoever is not hears nothing any more; then each room's page is made once, by
the code and with the rights of a visit, and goes to all of its tabs. Losing one costs time; nothing is decided here.

However much moves, making pages takes a fifth of a core in the long run: what comes meanwhile waits for the next.
"""

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from assent.core.breakers import BreakerId
from assent.core.errors import LedgerUnavailable
from assent.flows import authenticate
from assent.flows.authenticate import SessionCaller
from assent.flows.broker import Broker
from assent.flows.trip_breaker import ALERTS
from assent.flows.watch_actions import CARDS
from assent.logs import EventLog
from assent.ports import OpenApprovals, View

log = EventLog("assent.console")

# Another process may write to the same ledger; its wake-ups do not reach this one.
LOOK_EACH_SECONDS: Final = 1.0
# Rounds are paid for from a purse that fills while time goes by: so much of a second for each, and so much at most.
SHARE: Final = 0.2
PURSE_SECONDS: Final = 0.3
# What a change sets off, an agent above all that goes on, comes before its pages.
AFTER_SECONDS: Final = 0.005


@dataclass(frozen=True, slots=True)
class Target:
    """A page by path and query; it `hears_log` when it shows records, else only questions and stops."""

    path: str
    query: str
    hears_log: bool


Key: TypeAlias = tuple[Target, str, object, object]
Make: TypeAlias = Callable[[Target, SessionCaller], Awaitable[str | None]]
"""Makes the live parts of a page for somebody, or None where there is no such page for them any more."""


def key_of(target: Target, caller: SessionCaller) -> Key:
    """Return whose pages are the same: nothing else of a session changes what a live part shows."""
    return target, caller.operator.id, caller.assurance, None if caller.token is None else caller.token.id


class Tab:
    """One open page; it is told the newest frame only, so that a slow one keeps nothing waiting."""

    def __init__(self, cookie: str) -> None:
        self.cookie = cookie
        self.is_over = False
        self._frame: bytes | None = None
        self._news = asyncio.Event()

    def put(self, frame: bytes) -> None:
        """Have the tab told this."""
        self._frame = frame
        self._news.set()

    def end(self) -> None:
        """Have the tab told nothing any more."""
        self.is_over = True
        self._news.set()

    async def next(self, timeout_seconds: float) -> bytes | None:
        """Return the newest frame that it was not told yet, or None when there is none in time, or it is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._news.wait()
        self._news.clear()
        frame, self._frame = self._frame, None
        return None if self.is_over else frame


class _Room:
    def __init__(self, target: Target) -> None:
        self.target = target
        self.tabs: set[Tab] = set()
        self.is_due = True

    def end(self) -> None:
        for tab in self.tabs:
            tab.end()


@dataclass(frozen=True, slots=True)
class _Seen:
    approvals: OpenApprovals
    breakers: tuple[tuple[BreakerId, int], ...]
    log: int


class Live:
    """Looks at the ledger as long as somebody has a page open, once for all of them."""

    def __init__(self, broker: Broker, make: Make, closing: asyncio.Event, *, most: int, most_each: int) -> None:
        self._broker = broker
        self._make = make
        self._closing = closing
        self._most = most
        self._most_each = most_each
        self._open = Counter[str]()
        self._rooms: dict[Key, _Room] = {}
        self._due = asyncio.Event()
        self._work: list[asyncio.Task[None]] = []

    def has_room(self, operator: str) -> bool:
        """Whether one more page of that operator may be kept current."""
        return self._open.total() < self._most and self._open[operator] < self._most_each

    @contextlib.asynccontextmanager
    async def tab(self, target: Target, caller: SessionCaller, cookie: str) -> AsyncIterator[Tab]:
        """Keep one more page current; where that is too many it is over at once."""
        tab, key, operator = Tab(cookie), key_of(target, caller), caller.operator.id
        if not self.has_room(operator):
            tab.end()
            yield tab
            return
        room = self._rooms.setdefault(key, _Room(target))
        room.tabs.add(tab)
        self._open[operator] += 1
        self._begin()
        # Something may have moved since the page was loaded.
        self._make_anew([room])
        try:
            yield tab
        finally:
            room.tabs.discard(tab)
            self._open[operator] -= 1
            if not room.tabs and self._rooms.get(key) is room:
                del self._rooms[key]
            self._end_if_alone()

    def _begin(self) -> None:
        if not self._work:
            self._work = [asyncio.create_task(one) for one in (self._watch(), self._rounds(), self._until_closing())]

    def _end_if_alone(self) -> None:
        if not self._rooms:
            for task in self._work:
                task.cancel()
            self._work = []

    def _make_anew(self, rooms: list[_Room]) -> None:
        for room in rooms:
            room.is_due = True
        if rooms:
            self._due.set()

    async def _watch(self) -> None:
        subscription = self._broker.signals.subscribe((CARDS, ALERTS))
        last: _Seen | None = None
        try:
            with contextlib.suppress(LedgerUnavailable):
                last = await self._broker.ledger.read(_look)
            while True:
                woken = await subscription.wait(LOOK_EACH_SECONDS)
                subscription.close()
                # Subscribed anew before looking, so that nothing falls between.
                subscription = self._broker.signals.subscribe((CARDS, ALERTS))
                with contextlib.suppress(LedgerUnavailable):
                    seen = await self._broker.ledger.read(_look)
                    waits = woken or last is None or _waiting(seen) != _waiting(last)
                    moved = last is None or seen.log != last.log
                    rooms = self._rooms.values()
                    self._make_anew([room for room in rooms if waits or (moved and room.target.hears_log)])
                    last = seen
        finally:
            subscription.close()

    async def _rounds(self) -> None:
        purse, last = PURSE_SECONDS, time.perf_counter()
        while True:
            await self._due.wait()
            await asyncio.sleep(AFTER_SECONDS)
            self._due.clear()
            began = time.perf_counter()
            purse = min(PURSE_SECONDS, purse + SHARE * (began - last))
            with contextlib.suppress(LedgerUnavailable):
                await self._round([room for room in self._rooms.values() if room.is_due])
            if any(room.is_due for room in self._rooms.values()):
                self._due.set()
            last = time.perf_counter()
            purse -= last - began
            await asyncio.sleep(max(0.0, -purse) / SHARE)

    async def _round(self, rooms: list[_Room]) -> None:
        # (1) who is still signed in, of everybody who was there
        asked = {tab for room in rooms for tab in room.tabs}
        callers = await authenticate.sessions(self._broker, {tab.cookie for tab in asked})
        # (2) each page once
        for room in rooms:
            room.is_due = False
            try:
                await self._renew(room, asked, callers)
            except LedgerUnavailable:
                room.is_due = True
                raise
            except Exception as fault:  # what one page does wrong is no reason to let all others go stale
                log.exception("live_page_broke", kind=type(fault).__name__)
                room.end()

    async def _renew(self, room: _Room, asked: set[Tab], callers: Mapping[str, SessionCaller]) -> None:
        caller: SessionCaller | None = None
        for tab in asked & room.tabs:
            one = callers.get(tab.cookie)
            if one is None or self._rooms.get(key_of(room.target, one)) is not room:
                tab.end()
            else:
                caller = one
        if caller is None:
            return
        made = await self._make(room.target, caller)
        if made is None:
            room.end()
            return
        frame = b"data: " + json.dumps(made, ensure_ascii=False).encode() + b"\n\n"
        for tab in room.tabs:
            tab.put(frame)

    async def _until_closing(self) -> None:
        await self._closing.wait()
        for room in self._rooms.values():
            room.end()


async def _look(view: View) -> _Seen:
    breakers = tuple((breaker.id, breaker.revision) for breaker in await view.open_breakers())
    return _Seen(await view.open_approvals(), breakers, await view.next_index())


def _waiting(seen: _Seen) -> tuple[object, ...]:
    return seen.approvals, seen.breakers
