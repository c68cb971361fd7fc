"""The file (or memory) that a ledger lives in: how connections to it are made, and whether it is still there.

Durability is set here: write-ahead log, synchronous=FULL, so a commit that returned is on the disk. A file is created
for its owner alone.
"""

import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from assent.core.errors import LedgerUnavailable

BUSY_SECONDS: Final = 0.25
_CACHED_STATEMENTS: Final = 256
_CACHE_KIBIBYTES: Final = 16_384  # the edges of all indexes: without it every insert reads pages again
_PAGES_BETWEEN_CHECKPOINTS: Final = 4_000  # 16 MB: pages that change in every batch are moved to the file less often
_MODE: Final = 0o600
_APPLICATION_ID: Final = 0x41534E54  # "ASNT"
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
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE))
        database = self._connect()
        database.execute("PRAGMA journal_mode = WAL")
        database.execute(f"PRAGMA cache_size = -{_CACHE_KIBIBYTES}")
        database.execute(f"PRAGMA wal_autocheckpoint = {_PAGES_BETWEEN_CHECKPOINTS}")
        database.execute("PRAGMA synchronous = " + ("FULL" if self.unsafe_not_durable is None else "OFF"))
        self.prepare(database)
        return database

    def reader(self) -> sqlite3.Connection:
        """Return a connection that cannot write."""
        database = self._connect()
        database.execute("PRAGMA query_only = ON")
        self.prepare(database)
        return database

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(
            ":memory:" if self.path is None else self.path,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=_CACHED_STATEMENTS,
        )
        # A savepoint's journal must not depend on the disk of the temporary folder.
        database.execute("PRAGMA temp_store = MEMORY")
        return database

    def identities(self) -> tuple[Identity, ...]:
        """Return device and inode of the database and its write-ahead log; nothing for a ledger in memory.

        Raises:
            LedgerUnavailable: one of them is gone.

        """
        if self.path is None:
            return ()
        try:
            found = (self.path.stat(), Path(f"{self.path}-wal").stat())
        except FileNotFoundError:
            raise LedgerUnavailable(
                f"the ledger `{self.path}` was moved or removed under the broker", hint="put it back and restart"
            ) from None
        return tuple((status.st_dev, status.st_ino) for status in found)
