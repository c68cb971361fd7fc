"""Reading beside the writer: a few threads with connections of their own, each answer from one snapshot."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from queue import SimpleQueue
from typing import Any, Final, Generic, TypeVar

from assent.core.errors import LedgerUnavailable
from assent.stores.job import Job, settle
from assent.stores.view import LedgerView

V = TypeVar("V", bound=LedgerView)
C = TypeVar("C")

THREADS: Final = 2
MAX_WAITING: Final = 4_096


class LedgerReaders(ABC, Generic[V, C]):
    """Answers questions on threads of their own, one for each of the connections that `start` is given."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[Job[V, Any] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    @abstractmethod
    def answer(self, connection: C, question: Job[V, Any]) -> None:
        """Let `question` run on a snapshot, and keep what comes of it; no error comes out."""

    @abstractmethod
    def let_go(self, connection: C) -> None:
        """Close a connection, on its own thread; no error comes out."""

    def start(self, connections: Sequence[C]) -> None:
        """Begin to answer."""
        self._threads = [
            threading.Thread(target=self._live, args=(connection,), name="ledger-reader", daemon=True)
            for connection in connections
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, question: Job[V, Any]) -> None:
        """Let `question` wait for its turn. Raises LedgerUnavailable when too many wait already."""
        if self._waiting.qsize() >= MAX_WAITING:
            raise LedgerUnavailable(f"{MAX_WAITING} questions wait for the ledger already", hint="ask less often")
        self._waiting.put(question)

    def close(self, seconds: float) -> bool:
        """Finish the questions that wait and end; return whether that was done in time."""
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join(seconds)
        return not any(thread.is_alive() for thread in self._threads)

    def _live(self, connection: C) -> None:
        while (question := self._waiting.get()) is not None:
            if question.claim():
                self.answer(connection, question)
                settle([question])
        self.let_go(connection)
