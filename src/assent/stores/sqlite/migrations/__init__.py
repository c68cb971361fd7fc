"""The ledger's shape: numbered SQL files, applied forward only, each in one transaction with its number.

A ledger of a newer broker is refused: an older one would read what it does not understand. Before a ledger that holds
something is changed, a copy of it is kept beside it.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path

from assent.core.errors import LedgerUnavailable
from assent.stores.sqlite import copies


def shipped() -> tuple[str, ...]:
    """Return the text of all migrations, in order."""
    found = [entry for entry in files(__package__).iterdir() if entry.name.endswith(".sql")]
    return tuple(entry.read_text(encoding="utf-8") for entry in sorted(found, key=lambda entry: entry.name))


def version(database: sqlite3.Connection) -> int:
    """Return how many migrations a database has seen; 0 for an empty one."""
    (found,) = database.execute("PRAGMA user_version").fetchone()
    return int(found)


def migrate(database: sqlite3.Connection, migrations: Sequence[str]) -> bool:
    """Apply what is missing, inside the caller's transaction; return whether the ledger is new.

    Raises:
        LedgerUnavailable: a newer broker wrote this ledger.

    """
    seen = version(database)
    if seen > len(migrations):
        raise LedgerUnavailable(
            f"the ledger has version {seen} and this broker knows versions up to {len(migrations)}",
            hint="run the newer broker again, or restore the copy kept beside the ledger before it was changed",
        )
    for number, script in enumerate(migrations[seen:], start=seen + 1):
        for statement in _statements(script):
            database.execute(statement)
        database.execute(f"PRAGMA user_version = {number}")
    return seen == 0


def keep_copy(database: sqlite3.Connection, path: Path) -> Path:
    """Keep the whole ledger in `<ledger>.version-N`, for its owner alone; return where.

    An earlier copy of that name is from a migration that was interrupted, and older than the ledger is now.
    """
    kept = path.with_name(f"{path.name}.version-{version(database)}")
    making = copies.write_copy(database, kept.with_name(f"{kept.name}.new"))
    making.replace(kept)
    copies.sync(path.parent)
    return kept


def _statements(script: str) -> Iterator[str]:
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
