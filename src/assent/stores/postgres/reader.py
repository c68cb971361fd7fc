"""Reading beside the writer: a few threads with links of their own, each answer from one snapshot."""

from contextlib import suppress
from typing import Any, Final

from assent.stores.job import Job
from assent.stores.latches import Seen
from assent.stores.postgres import faults, opening
from assent.stores.postgres.link import Link, Place
from assent.stores.postgres.view import PostgresView
from assent.stores.readers import THREADS, LedgerReaders
from assent.stores.sealing import LedgerKeys
from assent.stores.tx import Stamps

_BEGIN: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = {}"


class Readers(LedgerReaders[PostgresView, Link]):
    """Answers questions from a database; a link is made when the first one comes."""

    def __init__(self, place: Place, keys: LedgerKeys, stamps: Stamps, seen: Seen) -> None:
        super().__init__()
        self._keys = keys
        self._stamps = stamps
        self._seen = seen
        self.start([Link(place) for _ in range(THREADS)])

    def let_go(self, connection: Link) -> None:
        connection.close()

    def answer(self, connection: Link, question: Job[PostgresView, Any]) -> None:
        seen = self._seen.count  # before the snapshot: what is committed while it is read, it cannot know
        connection.seconds = question.within_seconds
        try:
            self._begin(connection, f"{question.within_seconds * 1_000:.0f}")
            _, known = opening.known(connection, self._keys, opening.End())
            view = PostgresView(connection, self._keys, self._stamps.time.now(known.last_time), seen=seen)
            question.run(view)
            view.end()
            self._seen.take(view.latches_seen())
            if view.fault is not None:
                question.error = faults.unavailable(view.fault)
            connection.execute("ROLLBACK")
        except faults.FAULTS as fault:
            # What was answered from this snapshot is true, also when its end was not heard.
            question.error = question.error or (None if hasattr(question, "value") else faults.unavailable(fault))
            connection.drop()
        except Exception as error:  # noqa: BLE001  # the caller hears it, and the thread goes on answering others
            question.error = error
            with suppress(*faults.FAULTS):
                connection.execute("ROLLBACK")

    def _begin(self, link: Link, milliseconds: str) -> None:
        if link.is_open:
            # A connection that went away while nobody asked costs nobody anything.
            with suppress(*faults.FAULTS):
                link.execute(_BEGIN.format(milliseconds))
                return
        link.open()
        link.execute(_BEGIN.format(milliseconds))
