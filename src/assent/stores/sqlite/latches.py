"""Latches: breakers and agents' statuses, the rows whose absence would mean yes.

For every other row a missing one means no. Deleting a breaker would let everything in its scope pass, so these rows
are believed only as a whole: the ledger row carries a MAC over which of them exist, in which revision.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from assent.core.agents import AgentStatus
from assent.core.breakers import Breaker
from assent.core.errors import Forged
from assent.stores.packing import Value
from assent.stores.sealing import LedgerKeys
from assent.stores.sqlite.principals import BREAKERS, STATUSES

LEDGER_ROW: Final = "ledger"
_COLUMNS: Final = "id, created_at, latches, sealed, mac"
_SELECT: Final = f"SELECT {_COLUMNS} FROM ledger WHERE id = ?"  # noqa: S608  # no input in it
_INSERT: Final = f"INSERT INTO ledger ({_COLUMNS}) VALUES (?, ?, ?, ?, ?)"  # noqa: S608  # no input in it
_UPDATE: Final = "UPDATE ledger SET latches = ?, mac = ? WHERE id = ?"
_BREAKERS: Final = BREAKERS.select("")
_STATUSES: Final = STATUSES.select("")


@dataclass(frozen=True, slots=True)
class Latches:
    """All breakers and all statuses, each by its id."""

    breakers: Mapping[str, Breaker]
    statuses: Mapping[str, AgentStatus]

    def having(self, row: Breaker | AgentStatus) -> "Latches":
        """Return the latches with this row added, or in place of the one with its id."""
        if isinstance(row, Breaker):
            return replace(self, breakers={**self.breakers, row.id: row})
        return replace(self, statuses={**self.statuses, row.id: row})

    def listed(self) -> tuple[Value, ...]:
        """Return which rows there are, in which revision, in one order."""
        kinds = (("breaker", self.breakers), ("agent_status", self.statuses))
        return tuple(part for kind, rows in kinds for key in sorted(rows) for part in (kind, key, rows[key].revision))


_NONE: Final = Latches({}, {})


def load(database: sqlite3.Connection, keys: LedgerKeys) -> Latches:
    """Return all latches.

    Raises:
        Forged: one of them was changed, added, removed or put back by somebody without the ledger key.

    """
    breakers = (BREAKERS.load(row, keys) for row in database.execute(_BREAKERS).fetchall())
    statuses = (STATUSES.load(row, keys) for row in database.execute(_STATUSES).fetchall())
    latches = Latches({row.id: row for row in breakers}, {row.id: row for row in statuses})
    if _ledger_row(database, keys)[2] != _roster(latches, keys):
        raise Forged(
            "a breaker or a suspension was removed from the ledger, or put back to an older state",
            hint="nothing is decided until a backup is restored: run `assent audit verify` on a copy first",
        )
    return latches


def found(database: sqlite3.Connection, keys: LedgerKeys, created_at: int) -> None:
    """Write the ledger row of a new ledger: no latches yet, and a sealed word that only the payload key opens."""
    sealed = keys.seal("ledger", LEDGER_ROW, (LEDGER_ROW,))
    row = (LEDGER_ROW, created_at, _roster(_NONE, keys), sealed)
    database.execute(_INSERT, (*row, keys.mac("ledger", row)))


def renew(database: sqlite3.Connection, keys: LedgerKeys, latches: Latches) -> None:
    """Vouch for `latches`, in the transaction that changed one of them.

    The caller must have believed them before the change: a roster made from what is found would launder a removal.
    """
    identifier, created_at, _, sealed = _ledger_row(database, keys)
    row = (identifier, created_at, _roster(latches, keys), sealed)
    database.execute(_UPDATE, (row[2], keys.mac("ledger", row), LEDGER_ROW))


def check_keys(database: sqlite3.Connection, keys: LedgerKeys) -> None:
    """Return only when this ledger was made with these keys.

    Raises:
        Forged: the ledger key or the payload key is another one, or the ledger row was changed.

    """
    keys.unseal("ledger", LEDGER_ROW, _ledger_row(database, keys)[3])


def _ledger_row(database: sqlite3.Connection, keys: LedgerKeys) -> tuple[Value, ...]:
    row = database.execute(_SELECT, (LEDGER_ROW,)).fetchone()
    if row is None:
        raise Forged("the ledger row is missing", hint="restore a backup")
    keys.check("ledger", row[:-1], row[-1])
    return tuple(row[:-1])


def _roster(latches: Latches, keys: LedgerKeys) -> bytes:
    return keys.mac("latches", latches.listed())
