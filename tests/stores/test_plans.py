"""Every question that the ledger asks its database is answered by an index: what was stored before costs nothing."""

import re
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import fields
from itertools import combinations

import pytest

from assent.core.looking import RecordFilter
from assent.stores import search
from assent.stores.rows import TABLES
from assent.stores.sqlite import migrations, opening, queries
from assent.stores.sqlite.queries import QUERIES

MODULES = (opening, queries)
# Small for ever (breakers, statuses, who holds credentials), or the newest rows alone, by the order that rows have.
MAY_SCAN = {
    "all_breakers",
    "all_statuses",
    "all_active",
    "holders",
    "_HEAD",
    "last_note",
    "size",
    "checkpoint",
    "newest",
    "newest_records",
    "_GAPS",
}


def statements() -> Iterator[tuple[str, str]]:
    for module in MODULES:
        yield from named(vars(module))
    yield from named({field.name: getattr(QUERIES, field.name) for field in fields(QUERIES)})
    for kind, table in TABLES.items():
        yield f"update {kind.__name__}", table.update


def named(values: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        for text in value.values() if isinstance(value, dict) else (value,):
            if isinstance(text, str) and re.match(r"\s*(SELECT|UPDATE) ", text):
                yield name, text


def plan_of(statement: str) -> list[str]:
    database = sqlite3.connect(":memory:")
    try:
        for script in migrations.shipped():
            database.executescript(script)
        numbered = {int(number) for number in re.findall(r"\?(\d+)", statement)}
        places = [None] * (max(numbered) if numbered else statement.count("?"))
        return [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {statement}", places)]
    finally:
        database.close()


def test_statements_are_found_at_all() -> None:
    names = {name for name, _ in statements()}

    assert {"due_actions", "next_due", "ready_of_agent", "like", "denials", "by_id", "update Action"} <= names
    assert names >= MAY_SCAN, "an exception that stands for nothing"


@pytest.mark.parametrize(("name", "statement"), list(statements()))
def test_no_statement_reads_a_table_from_end_to_end(name: str, statement: str) -> None:
    plan = plan_of(statement)

    unbounded = [step for step in plan if step.startswith("SCAN ") and " USING INDEX " not in step]
    by_no_index = [step for step in plan if re.fullmatch(r"SEARCH \w+", step)]
    assert name in MAY_SCAN or not (unbounded + by_no_index), plan


def test_what_is_live_is_not_searched_among_what_has_ended() -> None:
    found = {name: plan_of(statement)[0] for name, statement in statements()}

    assert "action_live" in found["live"]
    assert "action_ready" in found["ready_of_agent"]


ALL_FILTERS = dict.fromkeys(("agent", "operator", "tool", "kind", "decision", "action", "approval"), "x")
NAMED = [dict(chosen) for count in range(4) for chosen in combinations(ALL_FILTERS.items(), count)] + [ALL_FILTERS]


@pytest.mark.parametrize("oldest_first", [True, False])
def test_whatever_records_are_looked_for_the_question_is_bounded(*, oldest_first: bool) -> None:
    for named in NAMED:
        which = RecordFilter(**named, oldest_first=oldest_first)  # type: ignore[arg-type]  # texts, all of them
        look = search.records(QUERIES, lambda query, _: (10**9,) if query == QUERIES.size else (0,), which, limit=50)
        (step,) = plan_of(look.query)
        indexed = "action" in named or list(named) == ["kind"]
        by = "INDEX record_by_" if indexed else "INTEGER PRIMARY KEY (rowid>? AND rowid<?)"
        assert (step.startswith("SEARCH "), by in step) == (True, True), (named, step)
        assert indexed or look.high - look.low <= search.LOOKED_AT


def test_lists_come_in_the_order_of_their_index() -> None:
    # Where SQLite sorts, it first reads all that there ever was.
    found = {name: plan_of(statement) for name, statement in statements()}

    assert [name for name in ("in_state", "denials", "by_code", "answered") if "TEMP B-TREE" in str(found[name])] == []
