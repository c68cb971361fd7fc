"""A ledger file as it is, read by somebody who changes nothing of it and does not stand in a broker's way."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from assent.core.errors import LedgerUnavailable
from assent.core.records import Record, RecordKind
from assent.stores.sealing import LedgerKeys
from assent.stores.sqlite import journal

_OF_KIND: Final = f"SELECT {journal.COLUMNS} FROM {journal.TABLE} WHERE kind = ? ORDER BY idx"  # noqa: S608  # no input


def read_only(path: Path) -> sqlite3.Connection:
    """Return a connection that cannot write; without a write-ahead log nothing appears beside the file."""
    # Without a write-ahead log nothing else can be going on, and not even a lock file is made beside the evidence.
    mode = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "mode=ro&immutable=1"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, isolation_level=None)


def records_of(path: Path, keys: LedgerKeys, kind: RecordKind) -> list[Record]:
    """Return every record of one kind, oldest first, without payload.

    Raises:
        LedgerUnavailable: the file cannot be read as a ledger.
        Forged: a record does not carry its MAC.

    """
    try:
        with closing(read_only(path)) as database:
            return [journal.load(row, keys) for row in database.execute(_OF_KIND, (kind,))]
    except sqlite3.Error as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: sqlite3.Error) -> LedgerUnavailable:
    """Return what is said of a file that cannot be read as a ledger."""
    return LedgerUnavailable(
        f"`{path}` cannot be read as a ledger: {error}", hint="copy it with its `-wal` file to a folder of yours"
    )
