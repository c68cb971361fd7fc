"""A ledger file as it is, read by somebody who changes nothing of it and does not stand in a broker's way."""

import sqlite3
from collections.abc import Collection, Generator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Final

from assent.core.credentials import Credential
from assent.core.errors import Forged, LedgerUnavailable
from assent.core.merkle import Frontier, leaf_hash
from assent.core.passkeys import Passkey
from assent.core.records import Record, RecordKind
from assent.stores.rows import journal
from assent.stores.rows.passkeys import PASSKEYS
from assent.stores.rows.principals import CREDENTIALS
from assent.stores.sealing import LedgerKeys
from assent.stores.sqlite import faults
from assent.stores.sqlite.view import SqliteView

_NO_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CREDENTIALS: Final = CREDENTIALS.select("")
SINCE_PUBLICATIONS: Final = 10
_SINCE_PASSKEYS: Final = 8
_PASSKEYS: Final = PASSKEYS.select("")
_RECORDS: Final = "SELECT ifnull(max(idx) + 1, 0) FROM record"
_FIRST_NOTE: Final = "SELECT CAST(note AS BLOB) FROM checkpoint ORDER BY size LIMIT 1"
_LAST_NOTE: Final = "SELECT CAST(note AS BLOB) FROM checkpoint ORDER BY size DESC LIMIT 1"
_LEAVES: Final = "SELECT CAST(leaf AS BLOB) FROM record ORDER BY idx"
_CHUNK: Final = 4_096
_OF_KIND: Final = f"SELECT {journal.COLUMNS} FROM {journal.TABLE} WHERE kind = ? ORDER BY idx"  # noqa: S608  # no input


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How far a ledger file goes: its records, its first and its last checkpoint, and the version of its shape."""

    records: int
    first_note: bytes | None
    last_note: bytes | None
    version: int


def read_only(path: Path) -> sqlite3.Connection:
    """Return a connection that cannot write; without a write-ahead log nothing appears beside the file."""
    # Without a write-ahead log nothing else can be going on, and not even a lock file is made beside the evidence.
    mode = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "mode=ro&immutable=1"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, isolation_level=None)


@contextmanager
def looked_at(path: Path, keys: LedgerKeys) -> Generator[SqliteView]:
    """Look at a ledger as it is; `now` means nothing there."""
    with closing(read_only(path)) as database:
        yield SqliteView(database, keys, _NO_TIME)


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


def credentials_of(path: Path, keys: LedgerKeys) -> list[Credential]:
    """Return every credential that carries its MAC; one that does not opens nothing, and is left out.

    Raises:
        LedgerUnavailable: the file cannot be read as a ledger.

    """
    found = []
    try:
        with closing(read_only(path)) as database:
            for row in database.execute(_CREDENTIALS):
                with suppress(Forged):
                    found.append(CREDENTIALS.load(row, keys))
    except sqlite3.Error as error:
        raise unreadable(path, error) from error
    return found


def passkeys_of(path: Path, keys: LedgerKeys) -> list[Passkey]:
    """Return every passkey that carries its MAC; one that does not signs nothing, and is left out.

    A ledger that no broker has brought forward since there are passkeys holds none.

    Raises:
        LedgerUnavailable: the file cannot be read as a ledger.

    """
    found = []
    try:
        with closing(read_only(path)) as database:
            (version,) = database.execute("PRAGMA user_version").fetchone()
            for row in database.execute(_PASSKEYS) if version >= _SINCE_PASSKEYS else ():
                with suppress(Forged):
                    found.append(PASSKEYS.load(row, keys))
    except sqlite3.Error as error:
        raise unreadable(path, error) from error
    return found


def extent(path: Path) -> Extent:
    """Return how far a ledger goes; nothing of it is verified.

    Raises:
        LedgerUnavailable: the file cannot be read as a ledger.

    """
    try:
        with closing(read_only(path)) as database:
            database.execute("BEGIN")
            (records,) = database.execute(_RECORDS).fetchone()
            notes = [database.execute(query).fetchone() for query in (_FIRST_NOTE, _LAST_NOTE)]
            (version,) = database.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error as error:
        raise unreadable(path, error) from error
    first, last = (None if row is None else bytes(row[0]) for row in notes)
    return Extent(records=int(records), first_note=first, last_note=last, version=int(version))


def roots_at(path: Path, sizes: Collection[int]) -> dict[int, bytes]:
    """Return the root over the first so many records, for each of `sizes` that the ledger reaches.

    Raises:
        LedgerUnavailable: the file cannot be read as a ledger.

    """
    try:
        with closing(read_only(path)) as database:
            leaves = (bytes(leaf) for (leaf,) in database.execute(_LEAVES))
            edge, roots = Frontier(), dict[int, bytes]()
            for size in sorted(set(sizes)):
                while edge.size < size and (chunk := list(islice(leaves, min(_CHUNK, size - edge.size)))):
                    edge = edge.after(map(leaf_hash, chunk))
                if edge.size == size:
                    roots[size] = edge.root()
    except sqlite3.Error as error:
        raise unreadable(path, error) from error
    return roots


def unreadable(path: Path, error: sqlite3.Error) -> LedgerUnavailable:
    """Return what is said of a file that cannot be read as a ledger."""
    if faults.has_no_room(path.parent):
        return LedgerUnavailable(
            f"`{path}` cannot be read: the disk that it lies on is full",
            hint="free some space, or copy it with its `-wal` file to another disk",
        )
    return LedgerUnavailable(
        f"`{path}` cannot be read as a ledger: {error}", hint="copy it with its `-wal` file to a folder of yours"
    )
