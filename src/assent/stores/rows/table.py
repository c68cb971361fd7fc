"""Rows: a value of the core as the columns of one table, and back, with the MAC made here and checked here.

Every table holds the columns that are searched, then `facts` (JSON, never payload), `sealed` (encrypted payload) and
`mac`. The MAC covers the table's name and every other column, so a value moved to another column, row or table is
refused. Facts have names and default when absent; payload has places and only grows at its end.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from assent.stores.packing import Value, as_json, from_json
from assent.stores.sealing import LedgerKeys

R = TypeVar("R")
Facts: TypeAlias = Mapping[str, Any]
Split: TypeAlias = tuple[tuple[Value, ...], dict[str, object], tuple[Value, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A row that was believed: its columns by name, its facts and its opened payload."""

    columns: Mapping[str, Any]
    facts: Facts
    payload: tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table(Generic[R]):
    """How values of one type are stored; `columns` begin with `id` and `revision`.

    `split` returns the columns' values, the facts and the payload (empty when there is none); `join` undoes it.
    """

    name: str
    columns: tuple[str, ...]
    split: Callable[[R, LedgerKeys], Split]
    join: Callable[[Stored], R]

    @property
    def all_columns(self) -> tuple[str, ...]:
        """All columns in the order of a row."""
        return (*self.columns, "facts", "sealed", "mac")

    def select(self, rest: str) -> str:
        """Return the query for whole rows, ended by `rest` (a clause written in this package, never input)."""
        return f"SELECT {', '.join(self.all_columns)} FROM {self.name} {rest}"  # noqa: S608  # no input in it

    @property
    def insert(self) -> str:
        """Return the statement that stores a row."""
        places = ", ".join("?" * len(self.all_columns))
        return f"INSERT INTO {self.name} ({', '.join(self.all_columns)}) VALUES ({places})"  # noqa: S608  # no input

    @property
    def update(self) -> str:
        """Return the statement that replaces a row; id and expected revision come last."""
        assigned = ", ".join(f"{column} = ?" for column in self.all_columns)
        return f"UPDATE {self.name} SET {assigned} WHERE id = ? AND revision = ?"  # noqa: S608  # no input in it

    def dump(self, value: R, keys: LedgerKeys) -> tuple[Value, ...]:
        """Return the row of `value`, in the order of `all_columns`."""
        columns, facts, payload = self.split(value, keys)
        sealed = keys.seal(self.name, str(columns[0]), payload) if payload else None
        row = (*columns, as_json(facts), sealed)
        return (*row, keys.mac(self.name, row))

    def load(self, row: tuple[Value, ...], keys: LedgerKeys) -> R:
        """Return the value of a row.

        Raises:
            Forged: the row does not carry its MAC, or its payload does not open.

        """
        keys.check(self.name, row[:-1], row[-1])
        *columns, facts, sealed = row[:-1]
        named = dict(zip(self.columns, columns, strict=True))
        payload = keys.unseal(self.name, str(columns[0]), sealed)
        return self.join(Stored(columns=named, facts=from_json(facts), payload=payload))


def hexed(data: bytes | None) -> str | None:
    """Return bytes as a fact."""
    return None if data is None else data.hex()


def unhexed(text: str | None) -> bytes | None:
    """Return the bytes of a fact."""
    return None if text is None else bytes.fromhex(text)
