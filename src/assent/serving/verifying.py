"""The log is verified while the broker serves, each day by itself, and the result is a record.

A day is told by the ledger's time, so a broker that is restarted often is verified as often as another. Verifying reads
everything that there is: it runs in a process of its own, which gives way to decisions and ends with the broker.
"""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

from assent.core.errors import LedgerUnavailable
from assent.core.looking import RecordFilter
from assent.core.records import RecordKind
from assent.flows.run_broker import record_verification
from assent.logs import EventLog
from assent.ports import View
from assent.stores.key_places import KeyPlaces
from assent.wiring import Assembly
from assent.wiring.database import place_of

log = EventLog("assent.verifying")

LOOK_EACH_SECONDS: Final = 600.0
AT_MOST_SECONDS: Final = 6 * 3_600.0
MAX_SAID_CHARACTERS: Final = 300
MODULE: Final = "assent.wiring.verification"


class Verifying:
    """Verifies the log of a broker as often as its settings say."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._each = timedelta(seconds=assembly.settings.verify_each_seconds)

    async def round(self) -> float:
        """Verify when it is time; return how many seconds later to look again."""
        left = (await self._left()).total_seconds()
        if left > 0:
            return min(left, LOOK_EACH_SECONDS)
        try:
            found = await self._verified()
        except (LedgerUnavailable, TimeoutError) as fault:
            log.exception("verification_failed_to_run", said=str(fault))
            return LOOK_EACH_SECONDS
        await record_verification(self._assembly.broker, found)
        if found.get("verified") is not True:
            hint = "keep a copy of the ledger and run `assent audit verify --keys` on it; nothing more can be believed"
            log.error("log_does_not_verify", index=found.get("index"), problem=found.get("problem"), hint=hint)
        return min(self._each.total_seconds(), LOOK_EACH_SECONDS)

    async def _left(self) -> timedelta:
        """Return how long it is until the next verification; the log begins with a first one that nobody recorded."""

        async def work(view: View) -> timedelta:
            last = (await view.records(RecordFilter(kind=RecordKind.LOG_VERIFIED), limit=1)).records
            begin = last or (await view.records(RecordFilter(oldest_first=True), limit=1)).records
            return self._each if not begin else begin[0].time + self._each - view.now

        return await self._assembly.broker.ledger.read(work)

    async def _verified(self) -> dict[str, Any]:
        settings, chain = self._assembly.settings, self._assembly.kept.ring.chain
        places = KeyPlaces.of(settings)
        elsewhere = [word for name, file in places.elsewhere.items() for word in (name, str(file))]
        asked = (str(settings.ledger_file), chain.newest.encode(), str(places.directory), *elsewhere)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", MODULE, *asked, stdin=PIPE, stdout=PIPE, stderr=PIPE
        )
        try:
            out, wrong = await asyncio.wait_for(process.communicate(self._where()), AT_MOST_SECONDS)
        finally:
            with suppress(ProcessLookupError):
                process.kill()
        if process.returncode != 0:
            said = wrong.decode(errors="replace")[-MAX_SAID_CHARACTERS:]
            raise LedgerUnavailable(f"verifying ended with {process.returncode}: {said}")
        found = json.loads(out)
        return found if isinstance(found, dict) else {}

    def _where(self) -> bytes:
        """Return where a database is, for nobody but that process to read; nothing for a file."""
        settings = self._assembly.settings
        if settings.ledger_url is None:
            return b""
        place = place_of(settings)
        return json.dumps({"url": place.url, "password": place.password}).encode()
