"""One connection to the database, on an event loop of its own, for the one thread that owns it.

To that thread each call is one that blocks: a transaction's work never suspends, as on SQLite, and whatever else waits
for the ledger waits in its queue. Every call ends in time, or the connection with it: what a server that did not answer
does with it is not known, and a session that is left ends with its transaction.
"""

import asyncio
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final

import asyncpg

from assent.core.errors import LedgerUnavailable
from assent.stores.postgres import faults

CONNECT_SECONDS: Final = 1.5
ANSWER_SECONDS: Final = 2.0
SCHEMA: Final = "assent"
_HOLD: Final = {False: "SELECT pg_advisory_lock($1)", True: "SELECT pg_advisory_lock_shared($1)"}
_ROWS_AT_ONCE: Final = 256
_CACHED_STATEMENTS: Final = 512
_CLOSE_SECONDS: Final = 1.0
# For the server: whoever hangs in the middle of a transaction is put out, so that nobody waits for them at the gate.
_SESSION: Final = {
    "search_path": SCHEMA,
    "timezone": "UTC",
    "synchronous_commit": "on",
    "default_transaction_isolation": "read committed",
    "statement_timeout": "1900ms",
    "lock_timeout": "1500ms",
    "idle_in_transaction_session_timeout": "2000ms",
    "jit": "off",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}


@dataclass(frozen=True, slots=True)
class Holding:
    """A lock that a connection has as long as it lives: alone, or together with whoever asks for it `shared`."""

    lock: int
    is_shared: bool
    refused: LedgerUnavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a ledger lives: the URL of its database, and the password if that is not in it."""

    url: str
    password: str | None = None
    name: str = "assent"


class Link:
    """A connection that is made when it is needed; `seconds` bounds each answer.

    What it `holds` it has as long as it is connected: whoever cannot get it back stays out.
    """

    def __init__(
        self, place: Place, *, settings: Mapping[str, str] | None = None, holds: Holding | None = None
    ) -> None:
        self._place = place
        self._holds = holds
        self.seconds = ANSWER_SECONDS
        self._settings = _SESSION | {"application_name": place.name} | dict(settings or {})
        self._loop = _new_loop()
        self._connection: Any = None

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, as far as anybody noticed."""
        return self._connection is not None and not self._connection.is_closed()

    def open(self) -> None:
        """Connect.

        Raises:
            LedgerUnavailable: somebody else has the lock that it holds.

        Or one of `faults.FAULTS`.

        """
        self.drop()
        connecting = asyncpg.connect(
            self._place.url,
            password=self._place.password,
            timeout=CONNECT_SECONDS,
            statement_cache_size=_CACHED_STATEMENTS,
            max_cached_statement_lifetime=0,
            server_settings=self._settings,
        )
        self._connection = self._loop.run_until_complete(connecting)
        if self._holds is None:
            return
        try:
            # The server may still have to notice that a connection of ours went away: it waits, for `lock_timeout`.
            self.fetch(_HOLD[self._holds.is_shared], (self._holds.lock,))
        except faults.FAULTS as fault:
            self.drop()
            if not faults.is_collision(fault):
                raise
            refused = self._holds.refused
            raise LedgerUnavailable(refused.message, hint=refused.hint) from fault

    def execute(self, script: str) -> str:
        """Run statements that take no values, and return what the server says of the last of them."""
        return str(self._ask(lambda connection: connection.execute(script, timeout=self.seconds)))

    def fetch(self, query: str, parameters: Sequence[object] = ()) -> list[Any]:
        """Return all rows of a query."""
        return [
            tuple(row)
            for row in self._ask(lambda connection: connection.fetch(query, *parameters, timeout=self.seconds))
        ]

    def fetch_one(self, query: str, parameters: Sequence[object] = ()) -> Any:  # noqa: ANN401  # a row of PostgreSQL
        """Return the first row of a query or None."""
        row = self._ask(lambda connection: connection.fetchrow(query, *parameters, timeout=self.seconds))
        return None if row is None else tuple(row)

    def write(self, statement: str, values: Sequence[object]) -> int:
        """Run a statement and return how many rows it touched; one that tells nothing of that touched none."""
        told = str(self._ask(lambda connection: connection.execute(statement, *values, timeout=self.seconds)))
        count = told.rpartition(" ")[2]
        return int(count) if count.isdecimal() else 0

    def write_many(self, statement: str, rows: Sequence[Sequence[object]]) -> None:
        """Run a statement for each of `rows`, all of them on their way at once."""
        self._ask(lambda connection: connection.executemany(statement, rows, timeout=self.seconds))

    def stream(self, query: str, parameters: Sequence[object]) -> Generator[Any]:
        """Yield the rows of a query inside a transaction, read a few at a time."""
        cursor = self._ask(lambda connection: _opened(connection.cursor(query, *parameters, timeout=self.seconds)))
        while rows := self._ask(lambda _connection: cursor.fetch(_ROWS_AT_ONCE, timeout=self.seconds)):
            yield from map(tuple, rows)
            if len(rows) < _ROWS_AT_ONCE:
                return

    def drop(self) -> None:
        """Let go of the connection without a word; a transaction that is open there ends with it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
            self._loop.run_until_complete(_left_behind())

    def close(self) -> None:
        """End the connection and the loop; no error comes out."""
        connection, self._connection = self._connection, None
        with suppress(*faults.FAULTS):
            if connection is not None:
                self._loop.run_until_complete(connection.close(timeout=_CLOSE_SECONDS))
        with suppress(Exception):
            self._loop.run_until_complete(_left_behind())
            self._loop.close()

    def _ask(self, what: Any) -> Any:  # noqa: ANN401  # asyncpg tells no types
        if self._connection is None:
            raise LedgerUnavailable("the ledger's database is not connected", hint="see whether it runs")
        return self._loop.run_until_complete(what(self._connection))


def _new_loop() -> asyncio.AbstractEventLoop:
    """Return a loop, the faster one where it is installed: a good part of each call is the loop's."""
    if find_spec("uvloop") is None:
        return asyncio.new_event_loop()
    import uvloop  # noqa: PLC0415  # not on every system

    return uvloop.new_event_loop()


async def _left_behind() -> None:
    """End what still runs for a connection that nobody waits for, such as asking a server that hangs to stop."""
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await asyncio.sleep(0)


async def _opened(cursor: Any) -> Any:  # noqa: ANN401  # asyncpg tells no types
    return await cursor
