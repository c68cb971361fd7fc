"""Reading beside the writer: a few threads with connections of their own, each answer from one snapshot.

In write-ahead mode a reader sees the last commit and holds up nobody. A question that takes longer than its caller
waits is stopped inside SQLite.
"""

import sqlite3
import time
from contextlib import suppress
from typing import Any, Final

from assent.stores.job import Job
from assent.stores.latches import Seen
from assent.stores.readers import THREADS, LedgerReaders
from assent.stores.sealing import LedgerKeys
from assent.stores.sqlite import faults, opening
from assent.stores.sqlite.storage import Storage
from assent.stores.sqlite.view import SqliteView
from assent.stores.tx import Stamps

_STEPS_BETWEEN_LOOKS: Final = 20_000


class Readers(LedgerReaders[SqliteView, sqlite3.Connection]):
    """Answers questions from a file."""

    def __init__(self, storage: Storage, keys: LedgerKeys, stamps: Stamps, seen: Seen) -> None:
        super().__init__()
        self._keys = keys
        self._stamps = stamps
        self._seen = seen
        self.start([storage.reader() for _ in range(THREADS)])

    def let_go(self, connection: sqlite3.Connection) -> None:
        connection.close()

    def answer(self, connection: sqlite3.Connection, question: Job[SqliteView, Any]) -> None:
        until = time.monotonic() + question.within_seconds
        connection.set_progress_handler(lambda: time.monotonic() > until, _STEPS_BETWEEN_LOOKS)
        seen = self._seen.count  # before the snapshot: what is committed while it is read, it cannot know
        try:
            connection.execute("BEGIN")
            now = self._stamps.time.now(opening.known(connection, self._keys).last_time)
            view = SqliteView(connection, self._keys, now, seen=seen)
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
                connection.rollback()
