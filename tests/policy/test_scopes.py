"""Scopes: containment is claimed only where it is certain, meeting denied only where it is impossible."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.core.decisions import Effect
from assent.core.patterns import matches
from assent.policy.bounds import Meter
from assent.policy.conditions import Condition, holds
from assent.policy.documents import read_document
from assent.policy.findings import Findings
from assent.policy.predicates import read_condition
from assent.policy.rules import Rule
from assent.policy.scopes import condition_within, could_meet, patterns_meet, within
from tests.policy.directory import NOW

SEGMENTS = st.sampled_from(["a", "b", "ab", "*", "**", "a*", "*b", "a*b"])
PATTERNS = st.lists(SEGMENTS, min_size=1, max_size=4).map("/".join)
VALUES = st.lists(st.sampled_from(["a", "b", "ab", "aab", "c"]), min_size=1, max_size=5).map("/".join)
WHEN = st.sampled_from(
    ["{n: {max: 3}}", "{n: {max: 5}}", "{n: {min: 1}}", "{n: {min: 1, max: 3}}", "{n: {in: [1, 2]}}", "{n: {in: [2]}}",
     "{n: {not_in: [2]}}", "{n: {not_in: [1, 2]}}", "{n: {equals: 2}}", "{n: [{max: 1}, {min: 5}]}",
     "{m: {present: true}}", "{n: {max: 3}, m: {absent: true}}"]
)  # fmt: skip


def compiled(text: str) -> Condition:
    findings = Findings()
    node = read_document("when", text.encode(), findings)
    assert node is not None
    return read_condition(node, findings, {})


def rule(effect: Effect, resources: str, environments: str = "*", when: str = "", until: int | None = None) -> Rule:
    return Rule(
        row=("r", "role", "t", environments, resources, effect.value),
        effect=effect,
        condition=compiled(when) if when else (),
        until=None if until is None else NOW + timedelta(days=until),
    )


@given(PATTERNS, PATTERNS, VALUES)
def test_patterns_that_cannot_meet_match_nothing_together(one: str, other: str, value: str) -> None:
    if matches(one, value, "/") and matches(other, value, "/"):
        assert patterns_meet(one, other)
        assert patterns_meet(other, one)


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/c", False),
        ("a/b", "a/b/c", False),
        ("a/**", "a/b/c", True),
        ("a/**", "a", False),
        ("**/x", "a/**/y", False),
        ("**/x", "a/*", True),
        ("*/deployments/*", "*/secrets/**", False),
        ("a*/x", "b*/x", False),
        ("**", "a", True),
        ("**/b", "a/**", True),
    ],
)
def test_whether_patterns_meet(one: str, other: str, *, meet: bool) -> None:
    assert patterns_meet(one, other) is meet
    assert patterns_meet(other, one) is meet


@given(WHEN, WHEN, st.none() | st.integers(0, 6), st.none() | st.integers(0, 1), st.booleans())
def test_a_condition_that_is_within_another_holds_nowhere_else(
    one: str, other: str, n: int | None, m: int | None, unknown: bool
) -> None:
    mine, theirs = compiled(one), compiled(other)
    arguments = {key: value for key, value in (("n", n), ("m", m)) if value is not None}
    if condition_within(mine, theirs) and holds(mine, arguments, Meter(), when_unknown=unknown):
        assert holds(theirs, arguments, Meter(), when_unknown=unknown)


@given(PATTERNS, PATTERNS, VALUES)
def test_a_rule_that_is_within_another_covers_nothing_else(one: str, other: str, value: str) -> None:
    mine, theirs = rule(Effect.ALLOW, one), rule(Effect.ALLOW, other)
    if within(mine, theirs, ["t"]) and matches(one, value, "/"):
        assert matches(other, value, "/")


def test_environments_and_dates_count() -> None:
    allow = Effect.ALLOW
    assert within(rule(allow, "a", "p"), rule(allow, "**", "p|s"), ["t"])
    assert not within(rule(allow, "a", "*"), rule(allow, "**", "p|s"), ["t"])
    assert within(rule(allow, "a", until=1), rule(allow, "a", until=2), ["t"])
    assert not within(rule(allow, "a"), rule(allow, "a", until=2), ["t"])
    assert within(rule(Effect.DENY, "a"), rule(Effect.DENY, "a", until=2), ["t"])
    assert not could_meet(rule(allow, "a", "p"), rule(allow, "a", "s"), ["t"])
    assert could_meet(rule(allow, "a", "p"), rule(allow, "a", "*"), ["t"])
