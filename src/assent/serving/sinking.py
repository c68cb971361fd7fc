"""The newest checkpoint goes, once a day, to where whoever keeps the ledger cannot change it.

What was taken stands in a file beside the ledger, so that a broker that is started often does not send often. A sink
that does not take it stops nothing: it is told, and tried again.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

from assent.channels.checkpoint_sink import NotTaken, send
from assent.logs import EventLog
from assent.wiring import Assembly
from assent.wiring.kept_checkpoint import sent_file_of, write

log = EventLog("assent.sinking")

LOOK_EACH_SECONDS: Final = 60.0


class Sinking:
    """Sends the newest checkpoint to `place` whenever the last that was taken is old enough."""

    def __init__(self, assembly: Assembly, place: str) -> None:
        self._assembly = assembly
        self._place = place
        self._each = timedelta(seconds=assembly.settings.checkpoint_sink_each_seconds)
        self._taken = sent_file_of(assembly.settings.ledger_file)
        self._failing = False

    async def round(self) -> float:
        """Send it if it is time; return in how many seconds to look again."""
        left = self._left().total_seconds()
        note = self._assembly.log.newest_checkpoint()
        if left > 0 or note is None:
            return min(max(left, 1.0), LOOK_EACH_SECONDS)
        try:
            await asyncio.to_thread(send, self._place, note)
        except NotTaken as fault:
            if not self._failing:
                log.warning("checkpoint_not_taken", why=fault.message, hint=fault.hint)
            self._failing = True
            return min(self._each.total_seconds(), LOOK_EACH_SECONDS)
        self._failing = False
        await asyncio.to_thread(write, self._taken, note)
        log.info("checkpoint_taken")
        return min(self._each.total_seconds(), LOOK_EACH_SECONDS)

    def _left(self) -> timedelta:
        """Return how long it is until the next; a clock that was set back makes it due."""
        try:
            taken = datetime.fromtimestamp(self._taken.stat().st_mtime, UTC)
        except FileNotFoundError:
            return timedelta(0)
        now = self._assembly.clocks.wall()
        return timedelta(0) if taken > now else taken + self._each - now
