"""Copies of a ledger: one moment of it in one file, for its owner alone, under its name only when it is whole.

A broker may serve meanwhile: it is neither stopped nor waited for. Where the disk is full, a name is taken or the
folder cannot be written, an OSError says which file, and nothing of the copy is left.
"""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from assent.core.errors import LedgerUnavailable
from assent.stores.owners import leave_to_owner
from assent.stores.sqlite.snapshot import read_only, unreadable

_MODE: Final = 0o600
_PRIMARY: Final = 0xFF
_DISK_FAULTS: Final = {sqlite3.SQLITE_FULL: errno.ENOSPC, sqlite3.SQLITE_IOERR: errno.EIO}
_NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.EMLINK})


@contextmanager
def copied(source: Path, target: Path) -> Iterator[Path]:
    """Copy the ledger `source`, and give the copy the name `target` when the body has found nothing against it.

    The body gets the copy under a name of its own. Raises LedgerUnavailable when `source` cannot be read, OSError when
    `target` is there already or cannot be written.
    """
    try:
        with closing(read_only(source)) as database:
            making = write_copy(database, target)
    except sqlite3.Error as error:
        raise unreadable(source, error) from error
    try:
        yield making
        _name_new(making, target)
    finally:
        making.unlink(missing_ok=True)
    sync(target.parent)


def write_copy(database: sqlite3.Connection, target: Path) -> Path:
    """Write a copy of the ledger beside `target`, and return under which name; it is on the disk then."""
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    making = target.with_name(f".{target.name}.partial")
    making.unlink(missing_ok=True)  # what somebody who was killed left
    descriptor = os.open(making, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, _MODE)
    try:
        os.fchmod(descriptor, _MODE)
        leave_to_owner(descriptor, target.parent)
        _fill(database, making, target)
        os.fsync(descriptor)
    except BaseException:
        making.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    return making


def _fill(database: sqlite3.Connection, making: Path, target: Path) -> None:
    copy = sqlite3.connect(making, isolation_level=None)
    try:
        database.backup(copy)
        # One file: what is opened next needs no write-ahead log beside it.
        copy.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        code = _DISK_FAULTS.get(getattr(error, "sqlite_errorcode", 0) & _PRIMARY)
        if code is None:
            raise
        raise OSError(code, os.strerror(code), str(target)) from error
    finally:
        copy.close()


def _name_new(making: Path, target: Path) -> None:
    try:
        os.link(making, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # A file system without hard links: the name was free a moment ago.
        making.replace(target)


def sync(directory: Path) -> None:
    """Let the names in `directory` reach the disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # some file systems do not know how
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_integrity(path: Path) -> None:
    """Return only when SQLite finds nothing wrong with its own structures.

    Raises:
        LedgerUnavailable: it does; the file is damaged.

    """
    try:
        with closing(read_only(path)) as database:
            (found,) = database.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        raise unreadable(path, error) from error
    if found != "ok":
        raise LedgerUnavailable(f"`{path}` is damaged: {found}", hint="keep it as it is, and restore a backup")
