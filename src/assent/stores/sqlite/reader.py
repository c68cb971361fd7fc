"""Reading beside the writer: a few threads with connections of their own, each answer from one snapshot.

In write-ahead mode a reader sees the last commit and holds up nobody. A question that takes longer than its caller
waits is stopped inside SQLite.
"""

import sqlite3
import threading
import time
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Final, TypeAlias

from assent.core.errors import LedgerUnavailable
from assent.stores.job import Job, settle
from assent.stores.latches import Seen
from assent.stores.sealing import LedgerKeys
from assent.stores.sqlite import faults, opening
from assent.stores.sqlite.storage import Storage
from assent.stores.sqlite.view import SqliteView
from assent.stores.tx import Stamps

THREADS: Final = 2
MAX_WAITING: Final = 4_096
_STEPS_BETWEEN_LOOKS: Final = 20_000

Question: TypeAlias = Job[SqliteView, Any]


class Readers:
    """Answers questions on threads of their own."""

    def __init__(self, storage: Storage, keys: LedgerKeys, stamps: Stamps, seen: Seen) -> None:
        self._keys = keys
        self._stamps = stamps
        self._seen = seen
        self._waiting: SimpleQueue[Question | None] = SimpleQueue()
        connections = [storage.reader() for _ in range(THREADS)]
        self._threads = [
            threading.Thread(target=self._live, args=(database,), name="ledger-reader", daemon=True)
            for database in connections
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, question: Question) -> None:
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

    def _live(self, database: sqlite3.Connection) -> None:
        while (question := self._waiting.get()) is not None:
            if question.claim():
                self._answer(database, question)
                settle([question])
        database.close()

    def _answer(self, database: sqlite3.Connection, question: Question) -> None:
        until = time.monotonic() + question.within_seconds
        database.set_progress_handler(lambda: time.monotonic() > until, _STEPS_BETWEEN_LOOKS)
        seen = self._seen.count  # before the snapshot: what is committed while it is read, it cannot know
        try:
            database.execute("BEGIN")
            now = self._stamps.time.now(opening.known(database, self._keys).last_time)
            view = SqliteView(database, self._keys, now, seen=seen)
            question.run(view)
            view.end()
            self._seen.take(view.latches_seen())
            if view.fault is not None:
                question.error = faults.unavailable(view.fault)
        except sqlite3.Error as error:
            question.error = faults.unavailable(error)
        except Exception as error:  # noqa: BLE001  # the caller hears it, and the thread goes on answering others
            question.error = error
        finally:
            with suppress(sqlite3.Error):  # the answer is known; the next question begins anew, or says what is wrong
                database.rollback()
