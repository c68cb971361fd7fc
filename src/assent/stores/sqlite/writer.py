"""The one thread that writes: it takes whatever waits, runs it as one batch, and wakes all callers.

Rules kept here:
- The queue is bounded; when it is full a caller hears so at once.
- What is urgent goes before everything that waits, in the order in which it came, and a batch at work ends with it.
  Only what stops something is urgent: who sends that without end stops everything anyway.
- A batch is begun before its jobs are claimed: who gave up while another process held the ledger never ran.
- Whether the file is still the one that was opened is looked at after the commit and before anybody is told.
- After an I/O error, or an error that nobody thought of, the ledger is closed for good.
"""

import concurrent.futures
import sqlite3
import threading
from collections import deque
from collections.abc import Iterable
from contextlib import nullcontext, suppress
from enum import Enum
from queue import SimpleQueue
from typing import Final

from assent.core.errors import AssentError, LedgerUnavailable
from assent.stores.job import settle
from assent.stores.latches import Seen
from assent.stores.sealing import LedgerKeys
from assent.stores.sqlite import faults, opening
from assent.stores.sqlite.batch import Batch, Work
from assent.stores.sqlite.storage import Identity, Storage
from assent.stores.sqlite.turnstile import Turnstile
from assent.stores.tx import Known, Stamps

MAX_BATCH: Final = 64
MAX_WAITING: Final = 4_096
MAX_URGENT: Final = 1_024


class _Token(Enum):
    """What stands in the queue and is no job: look at what is urgent, or end."""

    LOOK = "look"
    END = "end"


class Writer:
    """Runs jobs in batches on its own thread, on the only connection of this process that writes."""

    def __init__(
        self, storage: Storage, database: sqlite3.Connection, keys: LedgerKeys, stamps: Stamps, seen: Seen
    ) -> None:
        self.failed: concurrent.futures.Future[LedgerUnavailable] = concurrent.futures.Future()
        self.failed.set_running_or_notify_cancel()
        self._closed: LedgerUnavailable | None = None
        self._storage = storage
        self._database = database
        self._keys = keys
        self._stamps = stamps
        self._seen = seen
        self._known: Known | None = None
        self._version = 0
        self._identities: tuple[Identity | None, ...] = storage.identities()
        self._turnstile = None if storage.path is None else Turnstile(storage.path)
        self._waiting: SimpleQueue[Work | _Token] = SimpleQueue()
        self._urgent: deque[Work] = deque()
        self._thread = threading.Thread(target=self._live, name="ledger-writer", daemon=True)
        self._thread.start()

    def submit(self, job: Work) -> None:
        """Let `job` wait for its turn.

        Raises:
            LedgerUnavailable: the ledger is closed, or too many wait already.

        """
        self.refuse_closed()
        most, waiting = (MAX_URGENT, len(self._urgent)) if job.is_urgent else (MAX_WAITING, self._waiting.qsize())
        if waiting >= most:
            raise LedgerUnavailable(f"{most} transactions wait for the ledger already", hint="the disk is slow")
        if job.is_urgent:
            self._urgent.append(job)
        self._waiting.put(_Token.LOOK if job.is_urgent else job)
        # It may have closed between the two. Who claims the job then answers it: this thread or the writer's.
        if self._closed is not None and job.claim():
            self.refuse_closed()

    @property
    def waiting(self) -> int:
        """How many jobs wait for their turn, or did so a moment ago."""
        return self._waiting.qsize()

    def refuse_closed(self) -> None:
        """Return only while the ledger is open. Raises LedgerUnavailable."""
        if self._closed is not None:
            raise LedgerUnavailable(self._closed.message, hint=self._closed.hint)

    def close(self, seconds: float) -> bool:
        """Refuse new jobs, finish those that wait, and end; return whether all that was done in time."""
        self._closed = self._closed or LedgerUnavailable("the ledger is closed")
        self._waiting.put(_Token.END)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _live(self) -> None:
        jobs: deque[Work] | None = deque()
        try:
            while (jobs := self._take()) is not None:
                while jobs or self._urgent:
                    self._serve(jobs)
        except BaseException as error:  # noqa: BLE001  # whatever ends this thread ends the ledger, and everybody hears
            self._fail(error)
        self._shut(jobs or ())

    def _take(self) -> deque[Work] | None:
        """Wait for a job and return it with all others that wait by now; None when it is time to end.

        What is urgent waits elsewhere: where nothing else does, nothing else is returned.
        """
        taken: deque[Work] = deque()
        while not (taken or self._urgent) or (len(taken) < MAX_BATCH and not self._waiting.empty()):
            job = self._waiting.get()
            if job is _Token.LOOK:
                continue
            if job is not _Token.END:
                taken.append(job)
            elif not (taken or self._urgent):
                return None
            else:
                self._waiting.put(_Token.END)
                break
        return taken

    def _put_urgent_first(self, jobs: deque[Work]) -> None:
        while self._urgent:
            # Behind those that are first already, so that what is urgent keeps its own order.
            jobs.insert(sum(job.is_urgent for job in jobs), self._urgent.popleft())

    def _serve(self, jobs: deque[Work]) -> None:
        self._put_urgent_first(jobs)
        try:
            if not self._begin(jobs):
                jobs.clear()
                return
            batch = Batch(self._database, self._keys, self._stamps, self._know(), seen=self._seen.count)
        except (AssentError, sqlite3.Error) as error:
            if isinstance(error, sqlite3.Error) and faults.is_fatal(error):
                raise
            _answer(jobs, error if isinstance(error, AssentError) else faults.unavailable(error))
            jobs.clear()
            self._forget()
            return
        try:
            self._run(batch, jobs)
        except BaseException as error:
            batch.fail(_said(error))
            raise
        finally:
            settle(batch.ran)

    def _run(self, batch: Batch, jobs: deque[Work]) -> None:
        self._put_urgent_first(jobs)
        if batch.run(jobs, self._put_urgent_first):
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

    def _fail(self, error: BaseException) -> None:
        said = _said(error)
        said.__cause__ = error
        self._closed = said
        self.failed.set_result(said)

    def _shut(self, jobs: Iterable[Work]) -> None:
        left = [*jobs, *self._urgent]
        while not self._waiting.empty():
            left += [job for job in (self._waiting.get(),) if not isinstance(job, _Token)]
        if self._closed is not None:
            _answer(left, self._closed)
        with suppress(sqlite3.Error):  # nothing is lost by it: what was answered is in the write-ahead log
            self._database.close()
        if self._turnstile is not None:
            self._turnstile.close()


def _said(error: BaseException) -> LedgerUnavailable:
    """Return what callers hear of an error that ends the ledger."""
    if isinstance(error, sqlite3.Error):
        return faults.unavailable(error)
    if isinstance(error, LedgerUnavailable):
        return LedgerUnavailable(error.message, hint=error.hint)
    return LedgerUnavailable(f"the ledger stopped: {type(error).__name__}: {error}", hint=faults.RESTART)


def _answer(jobs: Iterable[Work], error: AssentError) -> None:
    """Tell every job that has not run that it will not."""
    claimed = [job for job in jobs if job.claim()]
    for job in claimed:
        job.error = error
    settle(claimed)
