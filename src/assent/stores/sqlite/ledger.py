"""The ledger on SQLite: the `Ledger` of the port, put together from one writing thread and a few reading ones."""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, Literal, TypeVar

from assent.core.errors import LedgerUnavailable
from assent.metrics import Durations
from assent.ports import Clock, Gate, NewId, Tx, View
from assent.stores.job import Job
from assent.stores.latches import Seen
from assent.stores.ledger_time import LedgerTime, standing_still
from assent.stores.randomness import Randomness
from assent.stores.sealing import LedgerKeys
from assent.stores.sqlite import migrations, opening
from assent.stores.sqlite.reader import Readers
from assent.stores.sqlite.storage import Storage, nothing
from assent.stores.sqlite.writer import Writer
from assent.stores.tx import Stamps

T = TypeVar("T")

CLOSE_SECONDS: Final = 5.0


class SqliteLedger:
    """A ledger in one SQLite file, or in memory for tests; made by `open`, ended by `close`.

    `was_left_open` says that a process ended without closing it (SQLite then recovered the last finished commit, which
    is worth a record), or that another one has it open right now. `durations` are those of all transactions so far,
    from the moment when they were handed over.
    """

    def __init__(self, writer: Writer, readers: Readers | None, keys: LedgerKeys, *, was_left_open: bool) -> None:
        self.was_left_open = was_left_open
        self.durations = Durations()
        self._writer = writer
        self._readers = readers
        self._keys = keys

    @classmethod
    def open(
        cls,
        path: Path | Literal[":memory:"],
        keys: LedgerKeys,
        *,
        clock: Clock,
        new_id: NewId,
        salts: Callable[[int], bytes] | None = None,
        unsafe_not_durable: str | None = None,
        prepare: Callable[[sqlite3.Connection], None] = nothing,
        scripts: Sequence[str] | None = None,
    ) -> "SqliteLedger":
        """Open the ledger at `path`, made when there is none.

        A broker's `clock` is a `LedgerTime`, so that others can tell the ledger's time by it and it never stands still.
        `unsafe_not_durable` names the reason why nothing needs to survive a crash (tests, benchmarks); `prepare` sees
        every connection before it is used; `scripts` are migrations other than those shipped. Blocks for as long as
        opening a file takes: call it before serving.

        Raises:
            LedgerUnavailable: it is damaged, of a newer version, or cannot be opened.
            KeysInvalid: it was written with other keys.

        """
        where = None if path == ":memory:" else Path(path)
        storage = Storage(path=where, unsafe_not_durable=unsafe_not_durable, prepare=prepare)
        told = clock if isinstance(clock, LedgerTime) else LedgerTime(clock, standing_still)
        stamps = Stamps(time=told, new_id=new_id, salts=salts or Randomness())
        was_left_open = storage.has_log()
        database = opening.opened(storage, keys, clock, migrations.shipped() if scripts is None else scripts)
        told.now(opening.known(database, keys).last_time)
        seen = Seen()
        readers = None if where is None else Readers(storage, keys, stamps, seen)
        return cls(Writer(storage, database, keys, stamps, seen), readers, keys, was_left_open=was_left_open)

    async def close(self) -> None:
        """Finish what waits, refuse what comes, close the file; a disk that hangs is left behind after 5 seconds."""
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
        # One writer: every transaction is alone, so both sides of the gate are one.
        del gate
        job = Job(work, within_seconds=within_seconds, is_urgent=urgent)
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
