"""Channels: how people are reached, about what waits for them and about breakers."""

from datetime import datetime
from typing import Protocol

from assent.core.alerts import Alert
from assent.core.deliveries import Showing, Told


class Channel(Protocol):
    """A way to reach people. A card is announced once at each destination, and changed in place from then on.

    Raises (every method):
        NotNow: nothing was done. NobodyKnows: it may have been done. Undeliverable: it never can be, there.
        LockedOut: nothing can be done anywhere until somebody sees to the channel.

    """

    async def announce(self, where: str, showing: Showing) -> Told:
        """Tell of an approval at `where`, for the first time."""
        ...

    async def update(self, where: str, place: str, showing: Showing) -> Told:
        """Let `place` show how the approval stands; doing it twice is as doing it once."""
        ...

    async def find(self, where: str, showing: Showing, since: datetime) -> str | None:
        """Return the place of a card that may have been announced at `where` since then, or None when there is none."""
        ...


class AlertChannel(Protocol):
    """One way in which people hear of breakers."""

    @property
    def name(self) -> str:
        """The destination, the same over restarts: what it was told is remembered by this name."""
        ...

    async def alert(self, alert: Alert) -> bool:
        """Tell `alert`; return whether it is known to have arrived. Telling it again is telling it once.

        Never raises, and answers within ten seconds.
        """
        ...
