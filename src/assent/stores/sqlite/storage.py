"""The file (or memory) that a ledger lives in: how connections to it are made, and whether it is still there.

Durability is set here: write-ahead log, synchronous=FULL, so a commit that returned is on the disk. A file is created
for its owner alone.
"""

import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from assent.stores.owners import leave_to_owner

BUSY_MILLISECONDS: Final = 250
_CACHED_STATEMENTS: Final = 256
_CACHE_KIBIBYTES: Final = 16_384  # the edges of all indexes: without it every insert reads pages again
_PAGES_BETWEEN_CHECKPOINTS: Final = 4_000  # 16 MB: pages that change in every batch are moved to the file less often
_MODE: Final = 0o600
Identity = tuple[int, int]


def nothing(_connection: sqlite3.Connection) -> None:
    """Prepare nothing more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """Where a ledger lives; `path` is None in memory. `prepare` sees every connection before it is used."""

    path: Path | None
    unsafe_not_durable: str | None = None
    prepare: Callable[[sqlite3.Connection], None] = field(default=nothing)

    def writer(self) -> sqlite3.Connection:
        """Return a connection that writes."""
        if self.path is not None:
            _create(self.path)
        return self._connect(
            "PRAGMA journal_mode = WAL",
            f"PRAGMA cache_size = -{_CACHE_KIBIBYTES}",
            f"PRAGMA wal_autocheckpoint = {_PAGES_BETWEEN_CHECKPOINTS}",
            "PRAGMA synchronous = " + ("FULL" if self.unsafe_not_durable is None else "OFF"),
        )

    def reader(self) -> sqlite3.Connection:
        """Return a connection that cannot write."""
        return self._connect("PRAGMA query_only = ON")

    def _connect(self, *settings: str) -> sqlite3.Connection:
        database = sqlite3.connect(
            ":memory:" if self.path is None else self.path,
            timeout=BUSY_MILLISECONDS / 1_000,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=_CACHED_STATEMENTS,
        )
        database.text_factory = _text
        try:
            # A savepoint's journal must not depend on the disk of the temporary folder.
            for setting in ("PRAGMA temp_store = MEMORY", *settings):
                database.execute(setting)
            self.prepare(database)
        except BaseException:
            database.close()
            raise
        return database

    def has_log(self) -> bool:
        """Whether a write-ahead log lies beside the file: the last to close a ledger takes it away."""
        if self.path is None:
            return False
        try:
            return _log(self.path).stat().st_size > 0
        except OSError:
            return False

    def identities(self) -> tuple[Identity | None, ...]:
        """Return device and inode of the database and its write-ahead log, None for one that is gone.

        A ledger in memory has neither.
        """
        return () if self.path is None else (_identity(self.path), _identity(_log(self.path)))


def _text(raw: bytes) -> str | bytes:
    # Text that is none was not written here: as bytes its row fails its MAC, as an error it would end the transaction.
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _create(path: Path) -> None:
    # Only where there is none: closing a descriptor of a file that SQLite has open drops its locks (POSIX), and the
    # next process to leave would take the write-ahead log away.
    with suppress(FileExistsError):
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
        leave_to_owner(file, path.parent)
        os.close(file)


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _identity(path: Path) -> Identity | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
