"""Hammers would notice: each checker is shown a world in which its promise does not hold, and says so."""

import itertools
import json
import random
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from assent.core.canonical import canonical
from assent.core.errors import PolicyInvalid
from assent.policy import load
from assent.wiring.assembly import now
from tests.hammers import broker, crashes, double_spend, records, reloads, trips, versions
from tests.hammers.budget import Budget, Disproved
from tests.hammers.corruptions import corrupted
from tests.hammers.grants import Granted
from tests.hammers.mutants import mutant, reordered, same

ARGUMENTS: dict[str, Any] = {"path": "prod/a", "count": 1, "tags": ["x", "y"], "window": {"days": [1, 2], "on": True}}
GRANT = Granted(id="g", action="a", digest="d", arguments={}, token=None, tool_redeems=False)
WON = ["g", "one", 200, ""]
LOST = ["g", "two", 409, "grant_spent"]


def log_of(*leaves: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"kind": "", "action": "act", "detail": {}, **leaf} for leaf in leaves]


HELD = log_of({"kind": "action.decided", "decision": "allow", "detail": {"state": "executing"}})
BEGAN = {"run": "r", "number": 0, "action": "act", "part": "begin", "arguments": {"path": "stg/r/0.txt"}}


def test_a_mutant_is_never_the_value_it_came_from() -> None:
    rng = random.Random(7)
    assert not [changed for changed in (mutant(ARGUMENTS, rng) for _ in range(2_000)) if same(changed, ARGUMENTS)]


def test_keys_in_another_order_are_the_same_canonical_bytes() -> None:
    rng = random.Random(7)
    assert {canonical(reordered(ARGUMENTS, rng)) for _ in range(100)} == {canonical(ARGUMENTS)}


@pytest.mark.parametrize(("one", "other"), [(1, True), (0, False), (0, None), ("1", 1), ([], {}), ([1, 2], [2, 1])])
def test_values_of_other_types_are_not_the_same(one: object, other: object) -> None:
    assert not same(one, other)


def test_corruptions_change_most_bodies() -> None:
    rng = random.Random(7)
    body = json.dumps(ARGUMENTS).encode()
    unchanged = [hit for hit in (corrupted(body, rng) for _ in range(500)) if hit == body]
    assert len(unchanged) < 25


def test_a_budget_of_hits_ends_with_the_last_one_and_allows_the_first() -> None:
    budget = Budget(seed=1, hits=2)
    assert [budget.goes_on(done) for done in range(4)] == [True, True, False, False]


def test_a_grant_that_two_redeemed_is_noticed() -> None:
    with pytest.raises(Disproved, match="exactly once"):
        double_spend.check_heard([GRANT], [WON, ["g", "two", 200, ""]])


def test_a_grant_that_nobody_redeemed_is_noticed() -> None:
    with pytest.raises(Disproved, match="exactly once"):
        double_spend.check_heard([GRANT], [LOST])


def test_an_attempt_that_heard_neither_yes_nor_no_is_noticed() -> None:
    with pytest.raises(Disproved, match="something else"):
        double_spend.check_heard([GRANT], [WON, ["g", "two", 503, "broker_unavailable"]])


@pytest.mark.parametrize(
    ("sent", "heard", "is_inside"), [(5, 9, False), (5, 15, False), (12, 18, True), (12, 25, False)]
)
def test_a_success_inside_a_stopped_time_is_noticed(sent: int, heard: int, *, is_inside: bool) -> None:
    refusals = Counter({"200 breaker_open": 1})
    stopped = [trips.Stopped(10, 20)]
    if is_inside:
        with pytest.raises(Disproved, match="passed 2 ns after a trip"):
            trips.check_heard([["ask", sent, heard]], stopped, refusals)
    else:
        trips.check_heard([["ask", sent, heard]], stopped, refusals)


def test_a_tool_that_ran_twice_is_noticed() -> None:
    with pytest.raises(Disproved, match="ran twice"):
        crashes.check_effects([BEGAN, BEGAN], HELD)


def test_an_effect_without_a_record_is_noticed() -> None:
    with pytest.raises(Disproved, match="no start of it"):
        crashes.check_effects([BEGAN], log_of({"kind": "action.decided", "decision": "deny", "detail": {}}))


def test_a_production_change_without_a_vote_is_noticed() -> None:
    log = log_of({"kind": "approval.asked"}, {"kind": "grant.redeemed"})
    with pytest.raises(Disproved, match="without a recorded vote"):
        crashes.check_effects([BEGAN], log)


def test_an_outcome_that_is_not_in_the_log_is_noticed() -> None:
    heard = [{"run": "r", "number": 0, "fate": "done", "action": "act"}]
    with pytest.raises(Disproved, match="outcome is not in the log"):
        crashes.check_told(heard, {("r", 0): "act"}, HELD)


def test_a_gap_in_the_log_is_noticed(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as database:
        database.execute("CREATE TABLE record (idx INTEGER PRIMARY KEY, leaf TEXT)")
        database.executemany("INSERT INTO record VALUES (?, '{}')", [(0,), (2,)])
        database.commit()
    with pytest.raises(Disproved, match="gap"):
        records.read(tmp_path / "ledger.db")


FOUND: dict[str, Any] = {"wrong": [], "reloads": 9, "versions": 4, "decisions": {"on the event loop": 5}}


@pytest.mark.parametrize(
    ("fact", "value", "noticed"),
    [
        ("wrong", ["a mixture"], "a mixture"),
        ("reloads", 1, "only 1 reloads"),
        ("versions", 1, "one version"),
        ("decisions", {"on the event loop": 5, "as whole asks": 0}, "never made"),
    ],
)
def test_a_mixture_of_versions_and_a_hammer_without_hits_are_noticed(fact: str, value: object, noticed: str) -> None:
    reloads.check("Python", FOUND)
    with pytest.raises(Disproved, match=noticed):
        reloads.check("Python", {**FOUND, fact: value})


def test_versions_of_the_policy_differ_in_everything_a_decision_looks_at(tmp_path: Path) -> None:
    broker.install(tmp_path / "home")
    directory = tmp_path / "home" / "policies"
    seen = []
    for number in range(versions.COUNT):
        versions.write(directory, number)
        seen.append(versions.decided(load(directory, now), *versions.QUESTIONS[2]))
    for one, other in itertools.combinations(seen, 2):
        assert one.version != other.version
        assert one.definition != other.definition
        assert (set(one.rules) & set(other.rules), set(one.routes) & set(other.routes)) == (set(), set())
        assert one.people != other.people
    versions.write_refused(directory, 1)
    with pytest.raises(PolicyInvalid):
        load(directory, now)
