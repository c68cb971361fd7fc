"""One watcher for all open pages looks at the ledger, and each of them hears that it should look anew.

A page hears no content, only that something moved: `waits` when questions or stops did, `log` when there are records.
It then asks for itself like any visitor. Losing an event costs time only; nothing is decided by one.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from assent.core.breakers import BreakerId
from assent.core.errors import LedgerUnavailable
from assent.flows.broker import Broker
from assent.flows.trip_breaker import ALERTS
from assent.flows.watch_actions import CARDS
from assent.ports import OpenApprovals, View

# Another process may write to the same ledger; its wake-ups do not reach this one.
LOOK_EACH_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Moved:
    """How often questions and stops moved, and where the log ends: what a page last heard of."""

    waits: int = 0
    log: int = 0


@dataclass(frozen=True, slots=True)
class _Seen:
    approvals: OpenApprovals
    breakers: tuple[tuple[BreakerId, int], ...]
    log: int


class Live:
    """Looks at the ledger as long as somebody has a page open, once for all of them."""

    def __init__(self, broker: Broker, *, most: int) -> None:
        self._broker = broker
        self._most = most
        self._open = 0
        self._changed = asyncio.Condition()
        self._watching: asyncio.Task[None] | None = None
        self.moved = Moved()

    @property
    def has_room(self) -> bool:
        """Whether one more page may be kept current."""
        return self._open < self._most

    @contextlib.asynccontextmanager
    async def listener(self) -> AsyncIterator[None]:
        """Count as an open page; the watcher runs as long as there is one."""
        self._open += 1
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            self._open -= 1
            if not self._open and self._watching is not None:
                self._watching.cancel()
                self._watching = None

    async def after(self, heard: Moved, timeout_seconds: float) -> Moved:
        """Return what moved since `heard`, or `heard` itself when the time is over first."""
        async with self._changed:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_seconds):
                    await self._changed.wait_for(lambda: self.moved != heard)
            return self.moved

    async def _watch(self) -> None:
        subscription, last = self._broker.signals.subscribe((CARDS, ALERTS)), None
        try:
            while True:
                woken = await subscription.wait(LOOK_EACH_SECONDS)
                subscription.close()
                # Subscribed anew before looking, so that nothing falls between.
                subscription = self._broker.signals.subscribe((CARDS, ALERTS))
                with contextlib.suppress(LedgerUnavailable):
                    seen = await self._broker.ledger.read(_look)
                    await self._tell(seen, waits=woken or last is None or _waiting(seen) != _waiting(last))
                    last = seen
        finally:
            subscription.close()

    async def _tell(self, seen: _Seen, *, waits: bool) -> None:
        now = Moved(self.moved.waits + waits, seen.log)
        if now != self.moved:
            async with self._changed:
                self.moved = now
                self._changed.notify_all()


async def _look(view: View) -> _Seen:
    breakers = tuple((breaker.id, breaker.revision) for breaker in await view.open_breakers())
    return _Seen(await view.open_approvals(), breakers, await view.next_index())


def _waiting(seen: _Seen) -> tuple[object, ...]:
    return seen.approvals, seen.breakers
