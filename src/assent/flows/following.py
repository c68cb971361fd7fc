"""Following: what this process knows of the policy that is active in the ledger, beside the one that it has loaded.

Nothing is decided by it. Whoever is refused because the two differ wakes the one who loads (`kick`); why a version
cannot be loaded is kept here, for who asks whether this broker is ready.
"""

import asyncio
from contextlib import suppress


class Following:
    """Wakes who loads, and holds what it found; all calls come from the event loop's thread."""

    def __init__(self) -> None:
        self.why: str | None = None
        """Why the active version cannot be loaded; None while nothing is wrong."""
        self.held: str | None = None
        """The publication whose version is held until somebody confirms it."""
        self._kicked = asyncio.Event()

    def kick(self) -> None:
        """Have the ledger looked at for the active version at once."""
        self._kicked.set()

    async def kicked(self, timeout_seconds: float) -> bool:
        """Wait until somebody kicks, at most so long; return whether somebody did."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._kicked.wait(), timeout_seconds)
        was = self._kicked.is_set()
        self._kicked.clear()
        return was
