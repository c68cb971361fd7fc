"""Queries whose shape depends on what is asked; every value in them is a parameter, never text."""

import json
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from assent.ports import RecordFilter
from assent.stores.sqlite.journal import COLUMNS, TABLE
from assent.stores.sqlite.moments import stamp

RECORD_BY_ID: Final = f"SELECT {COLUMNS} FROM {TABLE} WHERE id = ?"  # noqa: S608  # no input in it
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


def records(one: One, which: RecordFilter, *, limit: int) -> tuple[str, tuple[object, ...]]:
    """Return the query for matching records, newest first; `since` is included, `until` is not."""
    named = [(f"{name} = ?", getattr(which, name)) for name in _NAMED if getattr(which, name) is not None]
    bounds: list[tuple[str, object]] = []
    if which.before is not None:
        bounds.append(("idx < ?", which.before))
    if which.since is not None:
        bounds.append(("idx >= ?", _first_at(one, stamp(which.since))))
    if which.until is not None:
        bounds.append(("idx < ?", _first_at(one, stamp(which.until))))
    conditions = [*named, *bounds]
    where = " AND ".join(condition for condition, _ in conditions) or "1"
    query = f"SELECT {COLUMNS} FROM {TABLE} WHERE {where} ORDER BY idx DESC LIMIT ?"  # noqa: S608  # fixed names
    return query, (*(value for _, value in conditions), limit)


def _first_at(one: One, time: int) -> int:
    """Return the index of the first record not before `time`: indexes are gapless and their times never fall."""
    (end,) = one("SELECT ifnull(max(idx) + 1, 0) FROM record", ())
    low, high = 0, int(end)
    while low < high:
        middle = (low + high) // 2
        found = one("SELECT time FROM record WHERE idx = ?", (middle,))
        if found is not None and found[0] < time:
            low = middle + 1
        else:
            high = middle
    return low
