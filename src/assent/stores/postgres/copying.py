"""A ledger moves between PostgreSQL and a SQLite file, row by row as it is: every MAC and every proof comes along.

A copy as a file is what is verified, kept as a backup and shown to an auditor; a file becomes a database when more than
one broker is to use it. Either is one moment of the ledger, and the place it goes to holds nothing before.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from assent.core.errors import LedgerUnavailable
from assent.stores.postgres import faults, migrations
from assent.stores.postgres.link import Link, Place
from assent.stores.postgres.locks import GATE
from assent.stores.rows import TABLES, journal
from assent.stores.sqlite import migrations as sqlite_migrations
from assent.stores.sqlite.snapshot import read_only, unreadable
from assent.stores.sqlite.storage import Storage

_AT_ONCE: Final = 1_000
_SNAPSHOT: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_ALONE: Final = f"BEGIN; SELECT pg_advisory_xact_lock({GATE})"
_UNHURRIED: Final = {"statement_timeout": "0", "idle_in_transaction_session_timeout": "0"}
_MOST_SECONDS: Final = 3_600.0


@dataclass(frozen=True, slots=True)
class _Moved:
    """A table as both stores have it, in the order in which its rows are read."""

    name: str
    columns: tuple[str, ...]
    order: str

    @property
    def listed(self) -> str:
        return ", ".join(self.columns)


_MOVED: Final = (
    _Moved("ledger", ("id", "created_at", "latches", "sealed", "mac"), "id"),
    *(_Moved(table.name, table.all_columns, "seq") for table in TABLES.values()),
    _Moved(journal.TABLE, tuple(journal.COLUMNS.split(", ")), "idx"),
    _Moved("tile", ("level", "idx", "hashes"), "level, idx"),
    _Moved("checkpoint", ("size", "time", "note"), "size"),
)


def copy_to_file(place: Place, path: Path) -> int:
    """Write the ledger at `place` to a new SQLite file; return how many records it has.

    Raises:
        LedgerUnavailable: the database cannot be read, is of another version, or the file cannot be written.
        FileExistsError: there is a file.

    """
    if path.exists():
        raise FileExistsError(path)
    with ThreadPoolExecutor(1) as beside:  # a link blocks on a loop of its own, and whoever calls may have one
        return beside.submit(_copied_to_file, place, path).result()


def copy_from_file(path: Path, place: Place) -> int:
    """Write a SQLite ledger that nobody has open to an empty database; return how many records it has.

    Raises:
        LedgerUnavailable: the file cannot be read, is of another version, or the database is not empty or unreachable.

    """
    with ThreadPoolExecutor(1) as beside:
        return beside.submit(_copied_from_file, path, place).result()


def _copied_to_file(place: Place, path: Path) -> int:
    link = Link(place, settings=_UNHURRIED)
    link.seconds = _MOST_SECONDS
    try:
        link.open()
        _refuse_other_version(migrations.version(link), len(migrations.shipped()))
        link.execute(_SNAPSHOT)
        with closing(Storage(path=path).writer()) as database:
            database.execute("BEGIN IMMEDIATE")
            sqlite_migrations.migrate(database, sqlite_migrations.shipped())
            for table in _MOVED:
                query = f'SELECT {table.listed} FROM "{table.name}" ORDER BY {table.order}'  # noqa: S608  # no input
                places = ", ".join("?" * len(table.columns))
                insert = f'INSERT INTO "{table.name}" ({table.listed}) VALUES ({places})'  # noqa: S608  # no input
                database.executemany(insert, link.stream(query, ()))
            (count,) = database.execute("SELECT count(*) FROM record").fetchone()
            database.execute("COMMIT")
        link.execute("ROLLBACK")
        return int(count)
    except faults.FAULTS as fault:
        raise faults.unavailable(fault) from fault
    except sqlite3.Error as error:
        raise unreadable(path, error) from error
    finally:
        link.close()


def _copied_from_file(path: Path, place: Place) -> int:
    link = Link(place, settings=_UNHURRIED)
    link.seconds = _MOST_SECONDS
    try:
        with closing(read_only(path)) as database:
            database.execute("BEGIN")
            _refuse_other_version(sqlite_migrations.version(database), len(sqlite_migrations.shipped()))
            link.open()
            migrations.migrate(link, migrations.shipped())
            link.execute(_ALONE)
            _refuse_full(link)
            for table in _MOVED:
                order = "rowid" if table.order == "seq" else table.order
                query = f'SELECT {table.listed} FROM "{table.name}" ORDER BY {order}'  # noqa: S608  # no input
                places = ", ".join(f"${n}" for n in range(1, len(table.columns) + 1))
                insert = f'INSERT INTO "{table.name}" ({table.listed}) VALUES ({places})'  # noqa: S608  # no input
                for rows in _chunks(database.execute(query)):
                    link.write_many(insert, rows)
            (count,) = link.fetch_one("SELECT count(*) FROM record")
            if link.execute("COMMIT") != "COMMIT":
                raise LedgerUnavailable("the database undid what was written to it", hint="see its log for the cause")
        return int(count)
    except faults.FAULTS as fault:
        raise faults.unavailable(fault) from fault
    except sqlite3.Error as error:
        raise unreadable(path, error) from error
    finally:
        link.close()


def _chunks(rows: Iterator[Any]) -> Iterator[Sequence[Any]]:
    while chunk := list(islice(rows, _AT_ONCE)):
        yield chunk


def _refuse_full(link: Link) -> None:
    for table in _MOVED:
        (is_there,) = link.fetch_one(f'SELECT EXISTS (SELECT FROM "{table.name}")')  # noqa: S608  # no input in it
        if is_there:
            raise LedgerUnavailable(
                "there is a ledger in this database already, and nothing was changed",
                hint="name an empty database in `ledger_url`",
            )


def _refuse_other_version(found: int, wanted: int) -> None:
    if found != wanted:
        raise LedgerUnavailable(
            f"the ledger has version {found}, and this broker moves version {wanted}",
            hint="start this broker on it once, so that it is brought forward",
        )
