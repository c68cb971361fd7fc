"""Connections: how many there may be, how long a request may take to arrive, and how much of it is no request.

None of this needs a credential, so it is all that stands between a stranger and the descriptors of the process:
- whoever connects beyond the limits, of the process or of one address, takes the place of the oldest connection of the
  same address that has yet to send a whole request, or is hung up on at once;
- a head and its body arrive within `arrival_seconds` of the first of them, or the connection ends;
- bytes that neither end a head nor carry a body (a head without end, chunk extensions, trailers) have a bound;
- a header that comes after the head is refused: readers took the head for complete, and may have judged it.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

NO_ADDRESS: Final = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """Limits of connections, units in their names."""

    connections: int
    connections_per_address: int
    head_bytes: int
    arrival_seconds: float


class Places:
    """Counts the connections of a process, in all and by address, and knows which have not sent a whole request."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._taken: Counter[str] = Counter()
        self._waiting: dict[str, dict[Bounded, None]] = {}

    def take(self, address: str) -> bool:
        """Return whether there is a place for one more connection from `address`; it is taken then.

        Where there is none, the oldest connection of that address that has yet to send a whole request gives up its
        own: whoever holds connections open keeps nobody out who has something to say.
        """
        if self._is_full(address):
            oldest = next(iter(self._waiting.get(address, ())), None)
            if oldest is None:
                return False
            oldest.give_up()
        self._taken[address] += 1
        return True

    def leave(self, address: str) -> None:
        """Give a place back."""
        self._taken[address] -= 1
        if not self._taken[address]:
            del self._taken[address]

    def wait(self, address: str, connection: "Bounded") -> None:
        """Note that a request of `connection` has yet to arrive."""
        self._waiting.setdefault(address, {})[connection] = None

    def stop_waiting(self, address: str, connection: "Bounded") -> None:
        """Note that it has arrived, or never will."""
        waiting = self._waiting.get(address, {})
        waiting.pop(connection, None)
        if not waiting:
            self._waiting.pop(address, None)

    def _is_full(self, address: str) -> bool:
        limits = self._limits
        return self._taken.total() >= limits.connections or self._taken[address] >= limits.connections_per_address


class Bounded(asyncio.Protocol):
    """What uvicorn's protocols lack: a place for each connection, and a deadline for what is on its way.

    Stands before one of them among the bases, which brings `client`, `loop` and `transport`.
    """

    client: tuple[str, int] | None
    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport

    def __init__(self, limits: ConnectionLimits, places: Places, **given: Any) -> None:  # noqa: ANN401  # uvicorn's own
        super().__init__(**given)
        self.limits = limits
        self._places = places
        self._place: str | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take a place, or hang up."""
        super().connection_made(transport)
        address = self.client[0] if self.client else NO_ADDRESS
        if not self._places.take(address):
            transport.abort()
            return
        self._place = address
        self.expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        self._leave()
        super().connection_lost(exc)

    def expect(self) -> None:
        """Begin to wait for a request, unless that has begun."""
        if self._deadline is None and self._place is not None:
            self._deadline = self.loop.call_later(self.limits.arrival_seconds, self.give_up)
            self._places.wait(self._place, self)

    def arrived(self) -> None:
        """Wait no longer: everything is here."""
        if self._deadline is not None and self._place is not None:
            self._deadline.cancel()
            self._deadline = None
            self._places.stop_waiting(self._place, self)

    def give_up(self) -> None:
        """Hang up, and give the place back at once."""
        self._leave()
        # Aborted, not closed: whoever does not send may not read either, and closing waits for readers.
        self.transport.abort()

    def _leave(self) -> None:
        self.arrived()
        if self._place is not None:
            self._places.leave(self._place)
            self._place = None


def protocol(limits: ConnectionLimits) -> Callable[..., asyncio.Protocol]:
    """Return what makes the protocol of one connection: the faster parser where it is installed."""
    places = Places(limits)
    try:
        from assent.serving.fast_connections import BoundedHttpTools  # noqa: PLC0415  # not on every platform
    except ImportError:
        from assent.serving.plain_connections import BoundedH11  # noqa: PLC0415  # needless where the other one is

        return partial(BoundedH11, limits, places)
    return partial(BoundedHttpTools, limits, places)
