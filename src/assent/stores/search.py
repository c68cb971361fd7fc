"""Queries whose shape depends on what is asked; every value in them is a parameter, never text."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from assent.core.looking import RecordFilter
from assent.core.records import Record, RecordKind
from assent.stores.queries import Queries
from assent.stores.rows.journal import COLUMNS, TABLE
from assent.stores.rows.moments import stamp

# So many records are looked at in one go for what no index knows: some 20 ms, whatever the log holds.
LOOKED_AT: Final = 20_000
LOWEST: Final = -(2**63)
NO_INDEX: Final = ""
One: TypeAlias = Callable[[str, Sequence[object]], Any]
_NAMED: Final = ("agent", "operator", "tool", "kind", "decision", "action", "approval")


def fullest(routes: Sequence[str], open_by_routes: Sequence[tuple[str, int]]) -> int:
    """Return how many open approvals the fullest of `routes` has, from counts by JSON lists of route names."""
    counted = dict.fromkeys(routes, 0)
    for names, count in open_by_routes:
        for name in json.loads(names):
            if name in counted:
                counted[name] += count
    return max(counted.values(), default=0)


@dataclass(frozen=True, slots=True)
class Look:
    """One bounded look at records `low` to below `high`; `end` is where the next one would begin, None at the end."""

    query: str
    parameters: tuple[object, ...]
    low: int
    high: int
    end: int | None

    def rest(self, which: RecordFilter, found: Sequence[Record], limit: int) -> int | None:
        """Return where to go on after this look found `found`."""
        if len(found) < limit or found[-1].index is None:
            return self.end
        last = found[-1].index
        if which.oldest_first:
            return last + 1 if last + 1 < self.high or self.end is not None else None
        return last if last > self.low or self.end is not None else None


def records(sql: Queries, one: One, which: RecordFilter, *, limit: int) -> Look:
    """Return the look that finds matching records."""
    named = [(name, getattr(which, name)) for name in _NAMED if getattr(which, name) is not None]
    low, high = _bounds(sql, one, which)
    index, end = _index(which, len(named)), None
    if index == NO_INDEX and high - low > LOOKED_AT:
        end = low + LOOKED_AT if which.oldest_first else high - LOOKED_AT
        low, high = (low, end) if which.oldest_first else (end, high)
    place = sql.place
    conditions = "".join(f" AND {name} = {place(n)}" for n, (name, _) in enumerate(named, start=3))
    order = "ASC" if which.oldest_first else "DESC"
    bounds = f"idx >= {place(1)} AND idx < {place(2)}"
    where = f"WHERE {bounds}{conditions} ORDER BY idx {order} LIMIT {place(len(named) + 3)}"
    query = f"SELECT {COLUMNS} FROM {TABLE} {sql.searched_by[index]} {where}"  # noqa: S608  # fixed names
    # Whoever moved a record to below the first one is to be met, not passed by.
    return Look(query, (low or LOWEST, high, *(value for _, value in named), limit), low, high, end)


def _index(which: RecordFilter, named: int) -> str:
    if which.action is not None:
        return "action"
    return "kind" if which.kind is not None and named == 1 else NO_INDEX


def _bounds(sql: Queries, one: One, which: RecordFilter) -> tuple[int, int]:
    (size,) = one(sql.size, ())
    low, high = which.first or 0, size if which.before is None else min(which.before, size)
    if which.since is not None:
        low = max(low, _first_at(sql, one, stamp(which.since), size))
    if which.until is not None:
        high = min(high, _first_at(sql, one, stamp(which.until), size))
    return low, high


def records_from(
    sql: Queries, index: int, kinds: Sequence[RecordKind], *, limit: int
) -> tuple[str, tuple[object, ...]]:
    """Return the query for records of `kinds` from `index` on, oldest first; each kind is searched by its index."""
    place = sql.place
    one = "SELECT idx FROM record WHERE kind = {} AND idx >= {}"
    found = " UNION ALL ".join(one.format(place(n), place(1)) for n in range(3, len(kinds) + 3))
    query = f"SELECT {COLUMNS} FROM {TABLE} WHERE idx IN ({found}) ORDER BY idx LIMIT {place(2)}"  # noqa: S608  # fixed names
    return query, (index, limit, *(kind.value for kind in kinds))


def _first_at(sql: Queries, one: One, time: int, size: int) -> int:
    """Return the index of the first record not before `time`: indexes are gapless and their times never fall."""
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        found = one(sql.time_at, (middle,))
        if found is not None and found[0] < time:
            low = middle + 1
        else:
            high = middle
    return low
