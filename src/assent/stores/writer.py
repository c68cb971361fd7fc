"""The one thread of a process that writes to its ledger: it takes whatever waits, and stores it as one transaction.

Rules kept here:
- The queue is bounded; when it is full a caller hears so at once.
- What is urgent goes before everything that waits, in the order in which it came, and a batch at work ends with it.
  Only what stops something is urgent: who sends that without end stops everything anyway.
- Whatever ends the thread closes the ledger for good, and everybody hears why.
"""

import concurrent.futures
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable
from enum import Enum
from queue import SimpleQueue
from typing import Any, Final, Generic, TypeVar

from assent.core.errors import AssentError, LedgerUnavailable
from assent.stores.job import Job, settle

X = TypeVar("X")

MAX_BATCH: Final = 64
MAX_WAITING: Final = 4_096
MAX_URGENT: Final = 1_024


class _Token(Enum):
    """What stands in the queue and is no job: look at what is urgent, or end."""

    LOOK = "look"
    END = "end"


class LedgerWriter(ABC, Generic[X]):
    """Runs jobs in batches on its own thread, which `start` begins; a store says how a batch is served."""

    def __init__(self) -> None:
        self.failed: concurrent.futures.Future[LedgerUnavailable] = concurrent.futures.Future()
        self.failed.set_running_or_notify_cancel()
        self._closed: LedgerUnavailable | None = None
        self._waiting: SimpleQueue[Job[X, Any] | _Token] = SimpleQueue()
        self._urgent: deque[Job[X, Any]] = deque()
        self._thread = threading.Thread(target=self._live, name="ledger-writer", daemon=True)

    @abstractmethod
    def serve(self, jobs: deque[Job[X, Any]]) -> None:
        """Store some of `jobs`, from the left, and answer them; an error that comes out ends the ledger."""

    @abstractmethod
    def said(self, error: BaseException) -> LedgerUnavailable:
        """Return what callers hear of an error that ends the ledger."""

    @abstractmethod
    def let_go(self) -> None:
        """Close what this thread has open; nothing is lost by it, and no error comes out."""

    def submit(self, job: Job[X, Any]) -> None:
        """Let `job` wait for its turn.

        Raises:
            LedgerUnavailable: the ledger is closed, or too many wait already.

        """
        self.refuse_closed()
        most, waiting = (MAX_URGENT, len(self._urgent)) if job.is_urgent else (MAX_WAITING, self._waiting.qsize())
        if waiting >= most:
            raise LedgerUnavailable(f"{most} transactions wait for the ledger already", hint="the ledger is slow")
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

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def close(self, seconds: float) -> bool:
        """Refuse new jobs, finish those that wait, and end; return whether all that was done in time."""
        self._closed = self._closed or LedgerUnavailable("the ledger is closed")
        self._waiting.put(_Token.END)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def put_urgent_first(self, jobs: deque[Job[X, Any]]) -> None:
        """Put what is urgent and has come before the rest of `jobs`."""
        while self._urgent:
            # Behind those that are first already, so that what is urgent keeps its own order.
            jobs.insert(sum(job.is_urgent for job in jobs), self._urgent.popleft())

    def _live(self) -> None:
        jobs: deque[Job[X, Any]] | None = deque()
        try:
            while (jobs := self._take()) is not None:
                while jobs or self._urgent:
                    self.serve(jobs)
        except BaseException as error:  # noqa: BLE001  # whatever ends this thread ends the ledger, and everybody hears
            self._fail(error)
        self._shut(jobs or ())

    def _take(self) -> deque[Job[X, Any]] | None:
        """Wait for a job and return it with all others that wait by now; None when it is time to end.

        What is urgent waits elsewhere: where nothing else does, nothing else is returned.
        """
        taken: deque[Job[X, Any]] = deque()
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

    def _fail(self, error: BaseException) -> None:
        said = self.said(error)
        said.__cause__ = error
        self._closed = said
        self.failed.set_result(said)

    def _shut(self, jobs: Iterable[Job[X, Any]]) -> None:
        left = [*jobs, *self._urgent]
        while not self._waiting.empty():
            left += [job for job in (self._waiting.get(),) if not isinstance(job, _Token)]
        if self._closed is not None:
            answer(left, self._closed)
        self.let_go()


def answer(jobs: Iterable[Job[X, Any]], error: AssentError) -> None:
    """Tell every job that has not run that it will not."""
    claimed = [job for job in jobs if job.claim()]
    for job in claimed:
        job.error = error
    settle(claimed)
