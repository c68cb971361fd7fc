"""Keeps what people are shown up to date: one loop for each channel, so that one that hangs keeps no other waiting."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from assent.core.deliveries import NotNow, Showing, Told
from assent.flows.broker import Broker
from assent.flows.deliver import deliver
from assent.flows.watch_actions import CARDS
from assent.ports import Channel

LOOK_EACH_SECONDS: Final = 2.0
SET_UP_EACH_SECONDS: Final = 20.0


class NotSetUp:
    """Stands where a route tells people and nothing is set up to tell them, so that its next step begins."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def announce(self, where: str, showing: Showing) -> Told:
        """Tell nobody."""
        raise self._not_now(where, showing)

    async def update(self, where: str, place: str, showing: Showing) -> Told:
        """Tell nobody."""
        raise self._not_now(where, place, showing)

    async def find(self, where: str, showing: Showing, since: datetime) -> str | None:
        """Look nowhere."""
        raise self._not_now(where, showing, since)

    def _not_now(self, *_what: object) -> NotNow:
        fault = NotNow(f"this broker has no {self._name} set up")
        fault.retry_after_seconds = SET_UP_EACH_SECONDS
        return fault


class Delivering:
    """Tells what is due in one channel, whenever something moved or has fallen due."""

    def __init__(self, broker: Broker, name: str, channel: Channel, *, now_seconds: Callable[[], float]) -> None:
        self._broker = broker
        self._name = name
        self._channel = channel
        self._now_seconds = now_seconds
        self._moves = broker.signals.subscribe((CARDS,))

    async def round(self) -> float:
        """Tell what there is to tell, or wait for a reason to; return when to go on."""
        done = await deliver(self._broker, self._name, self._channel)
        if done.looked_at == 0:
            await self._moves.wait(self._until(done.next_due))
        return 0.0

    def _until(self, due: datetime | None) -> float:
        if due is None:
            return LOOK_EACH_SECONDS
        return min(max(due.timestamp() - self._now_seconds(), 0.05), LOOK_EACH_SECONDS)
