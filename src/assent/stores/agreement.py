"""Whether the rows of a ledger agree with its log; it takes the ledger's keys.

A row that was put back whole carries its MAC, so each is held against the log's word on it. A row may be further than
the log knows it (some moves are recorded with another row's); it may never be behind, and never be gone.
"""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from assent.core.approvals import OPEN
from assent.core.errors import Forged, VerificationFailed
from assent.core.grants import GrantState
from assent.stores import latches
from assent.stores.packing import from_json
from assent.stores.rows.actions import ACTIONS, GRANTS
from assent.stores.rows.approvals import APPROVALS, DENIALS
from assent.stores.rows.principals import BREAKERS, CREDENTIALS
from assent.stores.rows.publications import ACTIVE_POLICIES
from assent.stores.rows.table import Table
from assent.stores.sealing import LedgerKeys
from assent.stores.sqlite.view import SqliteView
from assent.stores.stories import Stories, Word, age

_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)  # nothing here is told by a time
_NOT_OVER: Final = frozenset({GrantState.ISSUED, *OPEN})
_TABLE: Final = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
_HINT: Final = "somebody changed the database: keep this copy, restore a backup, and look at what happened since"


def check_rows(database: sqlite3.Connection, keys: LedgerKeys, log: Stories) -> None:
    """Return only when every row carries its MAC and none contradicts the log.

    Raises:
        VerificationFailed: it names the row, and as `index` the record that it contradicts.

    """
    _check_breakers(database, keys, log)
    actions = {row["id"]: row["state"] for row in _rows(database, ACTIONS, keys)}
    for key, word in log.actions.items():
        if _there("action", key, word, actions) and age(actions[key]) < age(word.said):
            raise _behind("action", key, actions[key], word)
    grants = {row["id"]: row["state"] for row in _rows(database, GRANTS, keys)}
    asked = {row["id"]: row["state"] for row in _rows(database, APPROVALS, keys)}
    for key, word in log.over.items():
        name, states = ("approval", asked) if word.said.startswith("approval.") else ("grant", grants)
        if _there(name, key, word, states) and states[key] in _NOT_OVER:
            raise _behind(name, key, states[key], word)
    remembered = {row["id"]: row for row in _denials(database, keys)}
    for key, word in log.denied.items():
        _there("denial", key, word, remembered)
    _check_credentials(database, keys, log)


def _denials(database: sqlite3.Connection, keys: LedgerKeys) -> Iterator[dict[str, Any]]:
    # A copy from before there were any has no such table, and its log tells of none.
    return _rows(database, DENIALS, keys) if _is_there(database, DENIALS) else iter(())


def _is_there(database: sqlite3.Connection, table: Table[Any]) -> bool:
    return database.execute(_TABLE, (table.name,)).fetchone() is not None


def _check_breakers(database: sqlite3.Connection, keys: LedgerKeys, log: Stories) -> None:
    states = {row["id"]: row["state"] for row in _rows(database, BREAKERS, keys)}
    for key, word in log.breakers.items():
        if _there("breaker", key, word, states) and states[key] != word.said:
            raise _behind("breaker", key, states[key], word)
    try:
        view = SqliteView(database, keys, _BEGINNING)
        latches.load(view, keys, names_policy=_is_there(database, ACTIVE_POLICIES))
    except Forged as error:
        raise VerificationFailed(error.message, hint=_HINT) from error


def _check_credentials(database: sqlite3.Connection, keys: LedgerKeys, log: Stories) -> None:
    found = {row["id"]: from_json(row["facts"])["revoked_at"] for row in _rows(database, CREDENTIALS, keys)}
    for key, word in log.revoked.items():
        if _there("credential", key, word, found) and found[key] is None:
            raise _behind("credential", key, "not revoked", word)


def _rows(database: sqlite3.Connection, table: Table[Any], keys: LedgerKeys) -> Iterator[dict[str, Any]]:
    for row in database.execute(table.select("")):
        try:
            keys.check(table.name, row[:-1], row[-1])
        except Forged as error:
            raise VerificationFailed(f"{table.name} `{row[0]}`: {error.message}", hint=_HINT) from error
        yield dict(zip(table.all_columns, row, strict=True))


def _there(name: str, key: str, word: Word, rows: dict[str, Any]) -> bool:
    if key in rows:
        return True
    raise VerificationFailed(
        f"{name} `{key}` is gone, and record {word.index} tells of it", index=word.index, hint=_HINT
    )


def _behind(name: str, key: str, found: str, word: Word) -> VerificationFailed:
    message = f"{name} `{key}` was put back: it is `{found}`, and record {word.index} says `{word.said}`"
    return VerificationFailed(message, index=word.index, hint=_HINT)
