"""Opening a ledger: make it, bring it forward, or refuse it with the operator's next command.

SQLite recovers a torn end by itself: after a crash the ledger is what the last finished commit left. What cannot be
explained by a crash (a damaged file, a head without its MAC, a gap, another key) is refused, never repaired.
"""

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from assent.core.errors import Forged, KeysInvalid, LedgerUnavailable
from assent.ports import Clock
from assent.stores import latches
from assent.stores.rows import journal
from assent.stores.rows.moments import stamp
from assent.stores.sealing import LedgerKeys
from assent.stores.sqlite import faults, migrations
from assent.stores.sqlite.exchange import refuse_interrupted
from assent.stores.sqlite.storage import BUSY_MILLISECONDS, Storage
from assent.stores.sqlite.view import SqliteView
from assent.stores.tx import Known

_HEAD: Final = f"SELECT {journal.COLUMNS} FROM {journal.TABLE} ORDER BY idx DESC LIMIT 1"  # noqa: S608  # no input
_FOUND: Final = "INSERT INTO ledger (id, created_at, latches, sealed, mac) VALUES (?, ?, ?, ?, ?)"
_GAPS: Final = "SELECT count(*), max(idx) - min(idx) + 1 FROM (SELECT idx FROM record ORDER BY idx DESC LIMIT ?)"
_LOOKED_AT: Final = 1_000
_WAIT_TO_CHANGE_MILLISECONDS: Final = 10_000
_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NEXT_STEP: Final = "keep the file as it is, run `assent audit verify` on a copy, and restore a backup"


def opened(storage: Storage, keys: LedgerKeys, clock: Clock, scripts: Sequence[str]) -> sqlite3.Connection:
    """Return the writing connection to a ledger that was made or checked.

    Raises:
        LedgerUnavailable: it is damaged, of a newer version, or cannot be opened.
        KeysInvalid: it was written with other keys.

    """
    database: sqlite3.Connection | None = None
    if storage.path is not None:
        refuse_interrupted(storage.path)
    try:
        database = storage.writer()
        _bring_forward(database, keys, clock, scripts, storage.path)
        _check(database, keys, storage.path)
    except (sqlite3.Error, OSError) as error:
        _close(database)
        raise _refusal(storage, error) from error
    except BaseException:
        _close(database)
        raise
    return database


def known(database: sqlite3.Connection, keys: LedgerKeys) -> Known:
    """Return where the log ends. Raises Forged when the last record does not carry its MAC."""
    row = database.execute(_HEAD).fetchone()
    if row is None:
        return Known(next_index=0, last_time=_BEGINNING)
    last = journal.load(row, keys)
    return Known(next_index=row[0] + 1, last_time=last.time)


def _bring_forward(
    database: sqlite3.Connection, keys: LedgerKeys, clock: Clock, scripts: Sequence[str], path: Path | None
) -> None:
    seen = migrations.version(database)
    if seen == len(scripts):
        return  # nothing to write, so nobody has to be waited for
    if path is not None and 0 < seen < len(scripts):
        _keep_copy(database, path, len(scripts))
    database.execute(f"PRAGMA busy_timeout = {_WAIT_TO_CHANGE_MILLISECONDS}")
    database.execute("BEGIN IMMEDIATE")
    try:
        if migrations.migrate(database, scripts):
            database.execute(_FOUND, latches.founded(keys, stamp(clock())))
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.rollback()
        raise
    database.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")


def _keep_copy(database: sqlite3.Connection, path: Path, wanted: int) -> None:
    try:
        migrations.keep_copy(database, path)
    except OSError as error:
        seen = migrations.version(database)
        raise LedgerUnavailable(
            f"the ledger has version {seen} and stays as it is: a copy of it cannot be kept beside it,"
            f" {(error.strerror or 'it cannot be written').lower()}",
            hint=f"let the broker write to `{path.parent}`, with as much space as the ledger takes; then it is brought"
            f" to version {wanted}",
        ) from error


def _check(database: sqlite3.Connection, keys: LedgerKeys, path: Path | None) -> None:
    if path is not None:
        _refuse_short(database, path)
    try:
        latches.check_keys(SqliteView(database, keys, _BEGINNING), keys)
        known(database, keys)
    except Forged as error:
        raise KeysInvalid(
            "the keys at hand are not those that this ledger was written with",
            hint="put back `ledger_key` and `payload_key` of this ledger; if they are the right ones, somebody changed"
            f" the ledger: {_NEXT_STEP}",
        ) from error
    counted, spanned = database.execute(_GAPS, (_LOOKED_AT,)).fetchone()
    if counted != (spanned or 0):
        raise LedgerUnavailable("records are missing from the end of the ledger", hint=_NEXT_STEP)


def _refuse_short(database: sqlite3.Connection, path: Path) -> None:
    # A file that lost its end is noticed by SQLite only when somebody reads there. The pages are counted first, then
    # the write-ahead log is moved into the file: another process may make it longer meanwhile, never shorter.
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    busy, frames, moved = database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    (size,) = database.execute("PRAGMA page_size").fetchone()
    if not busy and frames == moved and path.stat().st_size < pages * size:
        raise LedgerUnavailable("the ledger file is shorter than it was", hint=_NEXT_STEP)


def _refusal(storage: Storage, error: sqlite3.Error | OSError) -> LedgerUnavailable:
    if isinstance(error, OSError):
        reason = error.strerror or type(error).__name__
        return LedgerUnavailable(
            f"the ledger `{storage.path}` cannot be opened: {reason.lower()}", hint="correct that at this place"
        )
    if storage.path is not None and faults.is_damage(error):
        return LedgerUnavailable(f"the ledger `{storage.path}` is damaged", hint=_NEXT_STEP)
    if storage.path is not None and faults.has_no_room(storage.path.parent):
        return LedgerUnavailable(
            f"the disk under the ledger `{storage.path}` is full", hint="free some space; nothing was changed"
        )
    return faults.unavailable(error)


def _close(database: sqlite3.Connection | None) -> None:
    if database is not None:
        database.close()
