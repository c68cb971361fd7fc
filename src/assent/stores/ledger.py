"""What every ledger does alike: jobs go to one writing thread, questions to a few reading ones."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from assent.core.errors import LedgerUnavailable
from assent.metrics import Durations
from assent.ports import Gate, Tx, View
from assent.stores.job import Job
from assent.stores.readers import LedgerReaders
from assent.stores.sealing import LedgerKeys
from assent.stores.writer import LedgerWriter

T = TypeVar("T")

CLOSE_SECONDS: Final = 5.0


class StoredLedger:
    """The `Ledger` of the port over a writer and readers; a store's `open` makes it, `close` ends it.

    `was_left_open` says that a process ended without closing it (the store then recovered the last finished commit,
    which is worth a record), or that another one has it open right now, where the store can tell. `durations` are those
    of all transactions so far, from the moment when they were handed over.
    """

    def __init__(
        self,
        writer: LedgerWriter[Any],
        readers: LedgerReaders[Any, Any] | None,
        keys: LedgerKeys,
        *,
        was_left_open: bool = False,
    ) -> None:
        self.was_left_open = was_left_open
        self.durations = Durations()
        self._writer = writer
        self._readers = readers
        self._keys = keys

    async def close(self) -> None:
        """Finish what waits, refuse what comes, close the ledger; a store that hangs is left behind after 5 seconds."""
        if self._readers is not None:
            await asyncio.to_thread(self._readers.close, CLOSE_SECONDS)
        await asyncio.to_thread(self._writer.close, CLOSE_SECONDS)

    @property
    def waiting(self) -> int:
        """How many transactions wait for their turn."""
        return self._writer.waiting

    async def failed(self) -> LedgerUnavailable:
        """Wait until the ledger is closed for good by a fault, and return it: the process should end then."""
        return await asyncio.wrap_future(self._writer.failed)

    async def transact(
        self,
        work: Callable[[Tx], Awaitable[T]],
        *,
        within_seconds: float = 2.0,
        gate: Gate = Gate.SHARED,
        urgent: bool = False,
    ) -> T:
        job = Job(work, within_seconds=within_seconds, gate=gate, is_urgent=urgent)
        began = time.perf_counter()
        try:
            self._writer.submit(job)
            return await job.heard()
        finally:
            self.durations.took(time.perf_counter() - began)

    async def read(self, work: Callable[[View], Awaitable[T]], *, within_seconds: float = 2.0) -> T:
        if self._readers is None:
            return await self.transact(work, within_seconds=within_seconds)
        self._writer.refuse_closed()
        question = Job(work, within_seconds=within_seconds)
        self._readers.submit(question)
        return await question.heard()

    def blind(self, purpose: str, value: bytes) -> bytes:
        return self._keys.blind(purpose, value)
