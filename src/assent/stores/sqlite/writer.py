"""The writer of a SQLite ledger: whatever waits is one batch, on one connection.

Rules kept here:
- A batch is begun before its jobs are claimed: who gave up while another process held the ledger never ran.
- Whether the file is still the one that was opened is looked at after the commit and before anybody is told.
- After an I/O error, or an error that nobody thought of, the ledger is closed for good.
"""

import sqlite3
from collections import deque
from collections.abc import Iterable
from contextlib import nullcontext, suppress

from assent.core.errors import AssentError, LedgerUnavailable
from assent.stores.job import settle
from assent.stores.latches import Seen
from assent.stores.sealing import LedgerKeys
from assent.stores.sqlite import faults, opening
from assent.stores.sqlite.batch import Batch, Work
from assent.stores.sqlite.storage import Identity, Storage
from assent.stores.sqlite.turnstile import Turnstile
from assent.stores.sqlite.tx import SqliteTx
from assent.stores.tx import Known, Stamps
from assent.stores.writer import LedgerWriter, answer


class Writer(LedgerWriter[SqliteTx]):
    """Runs jobs on the only connection of this process that writes."""

    def __init__(
        self, storage: Storage, database: sqlite3.Connection, keys: LedgerKeys, stamps: Stamps, seen: Seen
    ) -> None:
        super().__init__()
        self._storage = storage
        self._database = database
        self._keys = keys
        self._stamps = stamps
        self._seen = seen
        self._known: Known | None = None
        self._version = 0
        self._identities: tuple[Identity | None, ...] = storage.identities()
        self._turnstile = None if storage.path is None else Turnstile(storage.path)
        self.start()

    def serve(self, jobs: deque[Work]) -> None:
        self.put_urgent_first(jobs)
        try:
            if not self._begin(jobs):
                jobs.clear()
                return
            batch = Batch(self._database, self._keys, self._stamps, self._know(), seen=self._seen.count)
        except (AssentError, sqlite3.Error) as error:
            if isinstance(error, sqlite3.Error) and faults.is_fatal(error):
                raise
            answer(jobs, error if isinstance(error, AssentError) else faults.unavailable(error))
            jobs.clear()
            self._forget()
            return
        try:
            self._run(batch, jobs)
        except BaseException as error:
            batch.fail(self.said(error))
            raise
        finally:
            settle(batch.ran)

    def _run(self, batch: Batch, jobs: deque[Work]) -> None:
        self.put_urgent_first(jobs)
        if batch.run(jobs, self.put_urgent_first):
            self._refuse_other_file()
            self._known = batch.known
            if batch.known.latches is not None:
                self._seen.take(batch.known.latches.count)
            return
        if batch.fault is not None and faults.is_fatal(batch.fault):
            raise batch.fault
        self._forget()
        if batch.is_in_doubt and self._storage.path is not None:
            # The new one first: when the last connection closes, SQLite takes the write-ahead log away.
            doubtful, self._database = self._database, self._storage.writer()
            doubtful.close()

    def _begin(self, jobs: Iterable[Work]) -> bool:
        """Begin a transaction, or return False when everybody gave up before another process let go of the ledger."""
        while any(job.is_waiting for job in jobs):
            try:
                with self._turnstile.passing() if self._turnstile is not None else nullcontext():
                    self._database.execute("BEGIN IMMEDIATE")
            except sqlite3.Error as error:
                if not faults.is_busy(error):
                    raise
            else:
                return True
        return False

    def _know(self) -> Known:
        # Another process (`--direct`) may have written since: then nothing remembered counts.
        (version,) = self._database.execute("PRAGMA data_version").fetchone()
        if self._known is None or version != self._version:
            self._known, self._version = opening.known(self._database, self._keys), version
        return self._known

    def _refuse_other_file(self) -> None:
        if self._storage.identities() != self._identities:
            raise LedgerUnavailable(
                f"the ledger `{self._storage.path}` was moved, removed or replaced under the broker",
                hint="put it back and restart",
            )

    def _forget(self) -> None:
        self._known = None
        if self._database.in_transaction:
            self._database.rollback()

    def let_go(self) -> None:
        with suppress(sqlite3.Error):  # nothing is lost by it: what was answered is in the write-ahead log
            self._database.close()
        if self._turnstile is not None:
            self._turnstile.close()

    def said(self, error: BaseException) -> LedgerUnavailable:
        if isinstance(error, sqlite3.Error):
            return faults.unavailable(error)
        if isinstance(error, LedgerUnavailable):
            return LedgerUnavailable(error.message, hint=error.hint)
        return LedgerUnavailable(f"the ledger stopped: {type(error).__name__}: {error}", hint=faults.RESTART)
