"""What an error of SQLite means: something to try again later, or the end of this ledger in this process.

After an I/O error nobody knows what reached the disk (a failed fsync drops the pages it could not write), and what
this process still holds in memory proves nothing. So the ledger closes for good; opening it again recovers.
"""

import os
import sqlite3
from pathlib import Path
from typing import Final

from assent.core.errors import LedgerUnavailable

_FATAL: Final = {
    sqlite3.SQLITE_IOERR: "the disk under the ledger failed",
    sqlite3.SQLITE_CORRUPT: "the ledger is damaged",
    sqlite3.SQLITE_NOTADB: "the ledger is not a database",
}
_PASSING: Final = {
    sqlite3.SQLITE_FULL: ("the disk under the ledger is full", "free some space, nothing was decided meanwhile"),
    sqlite3.SQLITE_READONLY: ("the ledger cannot be written", "check the file's owner and mode, and the mount"),
    sqlite3.SQLITE_CANTOPEN: ("the ledger cannot be opened", "check that the folder exists and may be written"),
    sqlite3.SQLITE_BUSY: ("another process holds the ledger", "find it with `fuser` on the ledger file"),
    sqlite3.SQLITE_INTERRUPT: ("the ledger took too long to answer", "ask for less at once"),
}
_PRIMARY: Final = 0xFF
_UNIQUE: Final = frozenset({sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY})
RESTART: Final = "restart the broker; if it refuses to start, follow what it says"


# Less than a page and a record: SQLite calls it an I/O error when its shared memory or its log cannot grow.
_NO_ROOM_BYTES: Final = 65_536


def has_no_room(directory: Path) -> bool:
    """Whether the disk under `directory` is full, whatever SQLite called it."""
    try:
        disk = os.statvfs(directory)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < _NO_ROOM_BYTES


def _code(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", 0))


def is_fatal(error: sqlite3.Error) -> bool:
    """Whether nothing that this process believes about the ledger can be trusted any more."""
    return _code(error) & _PRIMARY in _FATAL


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file itself is not what it was."""
    return _code(error) & _PRIMARY in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another connection holds the lock."""
    return _code(error) & _PRIMARY == sqlite3.SQLITE_BUSY


def is_taken(error: sqlite3.Error) -> bool:
    """Whether something that must be unique exists already."""
    return _code(error) in _UNIQUE


def unavailable(error: sqlite3.Error) -> LedgerUnavailable:
    """Return the error that callers see; it names the fault and the next step, and no SQL."""
    code = _code(error) & _PRIMARY
    if code in _FATAL:
        return LedgerUnavailable(f"{_FATAL[code]} ({_name(error)})", hint=RESTART)
    message, hint = _PASSING.get(code, ("the ledger could not answer", "see the log for the cause"))
    return LedgerUnavailable(f"{message} ({_name(error)})", hint=hint)


def _name(error: sqlite3.Error) -> str:
    return str(getattr(error, "sqlite_errorname", type(error).__name__))
