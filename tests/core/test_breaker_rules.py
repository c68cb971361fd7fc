"""Rules: which of them count what somebody did, over which scope they trip, and from which sum on it is too much."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from assent.core.breaker_rules import (
    NOT_COUNTED,
    REJECTED,
    BreakerRule,
    Happened,
    Sign,
    TooMany,
    TooMuch,
    TooOften,
    counted,
    counting,
    decided,
    defined_otherwise,
    in_words,
)
from assent.core.breakers import Healing, Scope


def rule(*conditions: Any, scope: Scope, **more: Any) -> BreakerRule:
    return BreakerRule(id=more.pop("id", "r"), scope=scope, conditions=conditions, **more)


MANY = TooMany(Sign.DENIALS, 3)
OFTEN = TooOften(0.5)


@pytest.mark.parametrize(
    ("scope", "condition", "over"),
    [
        (Scope(agent="*"), MANY, Scope(agent="bot")),
        (Scope(agent="bot"), MANY, Scope(agent="bot")),
        (Scope(agent="other"), MANY, None),
        (Scope(agent="*", tool="k8s.*"), MANY, Scope(agent="bot", tool="k8s.*")),
        (Scope(agent="*", tool="*"), MANY, Scope(agent="bot", tool="k8s.scale")),
        (Scope(agent="*", tool="db.*"), MANY, None),
        (Scope(agent="*", environment="*"), MANY, Scope(agent="bot", environment="production")),
        (Scope(agent="*", environment="staging"), MANY, None),
        (Scope(tool="*"), OFTEN, Scope(agent="bot", tool="k8s.scale")),
        (Scope(tool="k8s.*"), OFTEN, Scope(agent="bot", tool="k8s.*")),
        (Scope(agent="bot", tool="*"), OFTEN, Scope(agent="bot", tool="k8s.scale")),
    ],
)
def test_a_rule_trips_over_its_scope_with_names_in_place_of_stars(
    scope: Scope, condition: Any, over: Scope | None
) -> None:
    found = counted([rule(condition, scope=scope)], agent="bot", tool="k8s.scale", environment="production")
    assert [one.scope for one in found.rules] == ([] if over is None else [over])


def test_what_no_rule_is_about_is_counted_by_nothing() -> None:
    assert counted([], agent="bot", tool="t", environment="e") is NOT_COUNTED
    assert not NOT_COUNTED.in_signals


def test_only_rules_that_stop_need_their_counters_readable() -> None:
    watching = rule(MANY, scope=Scope(agent="*"), watches=True)
    budget = rule(TooMuch("amount", Decimal(5)), scope=Scope(agent="*", tool="*"))
    named = {"agent": "bot", "tool": "t", "environment": "e"}
    assert not counted([watching, budget], **named).in_signals
    assert counted([watching, budget, rule(MANY, scope=Scope(agent="*"))], **named).in_signals
    assert [condition.argument for _, condition in counted([budget], **named).budgets] == ["amount"]


@pytest.mark.parametrize(
    ("refused", "signs"),
    [
        (None, {Sign.ACTIONS, Sign.SAME_CONTENT}),
        ("rule_denied", {Sign.ACTIONS, Sign.SAME_CONTENT, Sign.DENIALS}),
        ("unknown_tool", {Sign.ACTIONS, Sign.SAME_CONTENT, Sign.DENIALS}),
        ("bad_arguments", {Sign.ACTIONS, Sign.SAME_CONTENT, Sign.DENIALS}),
        ("too_many_pending", {Sign.ACTIONS, Sign.SAME_CONTENT}),
        ("broker_unavailable", {Sign.ACTIONS, Sign.SAME_CONTENT}),
        ("no_eligible_approver", {Sign.ACTIONS, Sign.SAME_CONTENT}),
        ("policy_error", {Sign.ACTIONS, Sign.SAME_CONTENT}),
        ("definition_changed", {Sign.ACTIONS, Sign.SAME_CONTENT}),
        ("breaker_open", set()),
        ("agent_suspended", set()),
        ("agent_expired", set()),
        ("unknown_agent", set()),
    ],
)
def test_an_ask_counts_for_what_the_agent_did_and_not_for_what_stopped_it(
    refused: str | None, signs: set[Sign]
) -> None:
    assert set(decided(refused, "c").signs) == signs


def sums(rules: list[BreakerRule], happened: Happened, **named: str) -> list[tuple[str, int]]:
    who = {"agent": "bot", "tool": "t", "environment": "e", **named}
    found = counting(counted(rules, **who).rules, happened)
    return [(count.counter, count.amount) for one in found for count in one.counts]


def test_counters_are_told_apart_by_rule_scope_window_and_content() -> None:
    same = TooMany(Sign.SAME_CONTENT, 3)
    star = Scope(agent="*")
    happened = decided(None, "aa")
    names = [
        sums([rule(same, scope=star)], happened),
        sums([rule(same, scope=star)], decided(None, "bb")),
        sums([rule(same, scope=star)], happened, agent="other"),
        sums([rule(same, scope=star, id="other")], happened),
        sums([rule(same, scope=star, window=timedelta(minutes=6))], happened),
        sums([rule(TooMany(Sign.ACTIONS, 3), scope=star)], happened),
        sums([rule(same, scope=Scope(agent="*", tool="*"))], happened),
        sums([rule(same, scope=Scope(agent="*", environment="*"))], happened, environment="t"),
    ]
    assert len({str(name) for name in names}) == len(names)


def test_no_spelling_of_a_name_makes_two_counters_one() -> None:
    many = rule(TooMany(Sign.ACTIONS, 3), scope=Scope(agent="*", tool="*"))
    one = sums([many], decided(None, ""), agent="a|b", tool="c")
    other = sums([many], decided(None, ""), agent="a", tool="b|c")
    third = sums([many], decided(None, ""), agent="a|", tool="|b")
    fourth = sums([many], decided(None, ""), agent="a||", tool="b")
    assert len({str(one), str(other), str(third), str(fourth)}) == 4


def why(condition: Any, found: list[int], **more: Any) -> str | None:
    made = rule(condition, scope=Scope(agent="*", tool="*"), **more)
    (one,) = counted([made], agent="bot", tool="t", environment="e").rules
    return one.why(condition, found)


def test_so_many_or_more_is_too_many() -> None:
    assert why(MANY, [2]) is None
    assert why(MANY, [3]) == "3 asks denied within 5m"
    assert why(MANY, [4]) == "4 asks denied within 5m"


@pytest.mark.parametrize(
    ("calls", "bad", "trips"),
    [(4, 4, False), (5, 2, False), (5, 3, True), (6, 3, True), (7, 3, False), (100, 0, False)],
)
def test_a_rate_counts_from_the_least_number_of_calls_on(calls: int, bad: int, *, trips: bool) -> None:
    found = why(OFTEN, [calls, bad])
    assert found == (f"{bad} of {calls} calls failed within 5m" if trips else None)


@pytest.mark.parametrize("tenths", range(1, 11))
def test_a_rate_is_reached_exactly_where_it_is_written(tenths: int) -> None:
    exactly = TooOften(tenths / 10)
    assert why(exactly, [10, tenths]) is not None
    assert why(exactly, [1_000, 100 * tenths - 1]) is None


def test_slow_calls_are_those_that_took_so_long_or_longer() -> None:
    slow = TooOften(0.5, over_ms=2_000)
    made = rule(slow, scope=Scope(tool="*"), minimum_calls=1)
    for duration, amount in ((1_999, 0), (2_000, 1), (None, 0)):
        counts = sums([made], Happened(failed=False, duration_ms=duration))
        assert [amount for _, amount in counts] == [1, amount]
    assert why(slow, [5, 4]) == "4 of 5 calls took 2 s or longer within 5m"
    assert why(slow, [5, 0]) is None


def test_what_failed_is_counted_among_the_calls_and_as_failed() -> None:
    (each,) = counted([rule(OFTEN, scope=Scope(tool="*"))], agent="bot", tool="t", environment="e").rules
    for failed in (True, False):
        assert [one.amount for one in each.counting(OFTEN, Happened(failed=failed))] == [1, failed]
    assert each.counting(OFTEN, Happened(signs=(Sign.ACTIONS,))) == ()
    assert each.counting(MANY, Happened(signs=(Sign.ACTIONS,))) == ()
    assert each.counting(TooMuch("n", Decimal(1)), Happened(failed=True)) == ()


def test_a_rule_heals_as_it_says_and_cuts_off_a_tool_where_it_names_no_agent() -> None:
    usual = rule(OFTEN, scope=Scope(tool="*"))
    assert usual.healing == Healing(wait_in_open=timedelta(seconds=60), probes=2)
    assert usual.cuts_off_tool
    own = rule(OFTEN, scope=Scope(agent="*", tool="*"), wait_in_open=timedelta(seconds=5), probes=7)
    assert own.healing == Healing(wait_in_open=timedelta(seconds=5), probes=7)
    assert not own.cuts_off_tool


def test_a_budget_has_a_name_by_argument_rule_and_scope_and_says_its_bound_only() -> None:
    limit = TooMuch("amount", Decimal("5e3"))
    made = rule(limit, scope=Scope(agent="*", tool="*"), window=timedelta(days=1))
    one, other = (counted([made], agent=name, tool="t", environment="e").rules[0] for name in ("bot", "other"))
    names = {one.budget_of(limit), other.budget_of(limit), one.budget_of(TooMuch("total", Decimal(5)))}
    assert len(names) == 3
    assert one.why_over(limit) == "`amount` would come to more than 5000 within 1d"
    assert one.why(limit, [9]) is None


def test_whatever_else_counts_a_sign_that_is_counted_says_so() -> None:
    both = rule(OFTEN, TooMany(Sign.ACTIONS, 3), scope=Scope(agent="*", tool="*"))
    (one,) = counted([both], agent="bot", tool="t", environment="e").rules
    assert one.scope == Scope(agent="bot", tool="t")
    assert [why(TooMany(sign, 1), [2]) for sign in Sign] == [
        "2 actions asked for within 5m",
        "2 asks denied within 5m",
        "2 asks rejected by a human within 5m",
        "the same asked for 2 times within 5m",
    ]


def test_a_human_no_counts_as_a_rejection_only() -> None:
    made = rule(TooMany(Sign.REJECTIONS, 3), MANY, scope=Scope(agent="*"))
    assert len(sums([made], REJECTED)) == 1


def test_a_changed_definition_concerns_the_rules_over_that_tool() -> None:
    rules = [
        BreakerRule(id="each", scope=Scope(tool="*"), on_definition=True),
        BreakerRule(id="k8s", scope=Scope(tool="k8s.*"), on_definition=True),
        BreakerRule(id="db", scope=Scope(tool="db.*"), on_definition=True),
        rule(OFTEN, scope=Scope(tool="*"), id="failing"),
    ]
    assert not list(
        defined_otherwise([BreakerRule(id="x", scope=Scope(tool="*", agent="bot"), on_definition=True)], "t")
    )
    found = [(one.rule.id, one.scope) for one in defined_otherwise(rules, "k8s.scale")]
    assert found == [("each", Scope(tool="k8s.scale")), ("k8s", Scope(tool="k8s.scale"))]


@pytest.mark.parametrize(("seconds", "words"), [(90, "90s"), (300, "5m"), (7_200, "2h"), (86_400, "1d"), (0.5, "0.5s")])
def test_lengths_of_time_read_as_they_are_written(seconds: float, words: str) -> None:
    assert in_words(timedelta(seconds=seconds)) == words
