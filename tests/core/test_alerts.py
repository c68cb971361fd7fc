"""Alerts: how loudly a record is told, what it says, and that its words are those of the record."""

from typing import Any

import pytest

from assent.core.alerts import TOLD, Alert, Mark, Severity, alert_of, is_told
from assent.core.breakers import Scope
from assent.core.records import RecordKind

KINDS = {
    RecordKind.BREAKER_TRIPPED: (Severity.ALERT, "breaker tripped over agent `bot`, by eve"),
    RecordKind.BREAKER_MOVED: (Severity.NOTICE, "breaker moved over agent `bot`, by eve"),
    RecordKind.BREAKER_RESET_ASKED: (
        Severity.ALERT,
        "a second person is needed to reset the breaker over agent `bot`, by eve",
    ),
    RecordKind.BREAKER_RESET: (Severity.NOTICE, "breaker reset over agent `bot`, by eve"),
    RecordKind.BREAKER_REMINDED: (
        Severity.ALERT,
        "still tripped, you wanted to be asked again: the breaker over agent `bot`, by eve",
    ),
    RecordKind.BREAKER_WATCHED: (Severity.NOTICE, "would have tripped over agent `bot`, by eve"),
}
POLICIES = {
    RecordKind.POLICY_ACTIVATED: (Severity.NOTICE, "a policy that widens something serves: `aaaaaaaaaaaa`"),
    RecordKind.POLICY_PROPOSED: (
        Severity.ALERT,
        "a policy that widens something waits to be confirmed: `aaaaaaaaaaaa`",
    ),
}


def leaf(kind: RecordKind = RecordKind.BREAKER_TRIPPED, **changes: Any) -> dict[str, Any]:
    return {"id": "rec_1", "kind": kind.value, "time": "2026-11-23T10:00:00Z", "operator": "eve", "agent": "bot"} | (
        changes
    )


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_its_words_and_how_loud_it_is(kind: RecordKind) -> None:
    alert = alert_of(leaf(kind), "")
    assert (alert.event, alert.severity, alert.text) == (kind.value, *KINDS[kind])


def test_these_kinds_are_told_and_no_other() -> None:
    assert set(TOLD) == {*KINDS, *POLICIES}


def policy_leaf(kind: RecordKind, detail: dict[str, Any], **changes: Any) -> dict[str, Any]:
    said = {"id": "rec_1", "kind": kind.value, "time": "2026-11-23T10:00:00Z", "policy": "a" * 64, "detail": detail}
    return said | changes


@pytest.mark.requirement("T23")
@pytest.mark.parametrize("kind", POLICIES)
def test_a_policy_is_told_with_what_it_widens_and_who_let_it(kind: RecordKind) -> None:
    severity, headline = POLICIES[kind]
    one = {"diff": {"widens": 1}, "widens": ["rule x: is new"]}
    alert = alert_of(policy_leaf(kind, one, operator="ada"), "")
    assert (alert.severity, alert.text) == (severity, f"{headline}, by ada: rule x: is new")
    assert (alert.policy, alert.covers, alert.tells_of_trip) == ("a" * 64, "", False)
    many = {"diff": {"widens": 5, "rewords": 2}, "widens": list("abcde"), "release": {"keys": ["ci+01"]}}
    assert alert_of(policy_leaf(kind, many), "").text == f"{headline}, by the release key ci+01: a; b; c; and 2 more"
    assert ", by the files in the policy directory: a" in alert_of(policy_leaf(kind, {**one, "widens": ["a"]}), "").text
    unknown = policy_leaf(kind, {"previous": "b" * 64, "diff": "unknown"})
    assert is_told(unknown)
    assert "nobody knows what it widens" in alert_of(unknown, "").text


def test_a_policy_that_widens_nothing_is_not_told() -> None:
    assert not is_told(policy_leaf(RecordKind.POLICY_ACTIVATED, {"diff": {"narrows": 1}}))
    assert not is_told(policy_leaf(RecordKind.POLICY_ACTIVATED, {}))
    assert is_told(leaf())


def test_an_alert_says_what_its_record_says() -> None:
    said = {"state": "forced_open", "cancelled": 2, "running": 1}
    found = alert_of(leaf(breaker="brk_1", tool="k8s.*", environment="production", detail=said), "loop", "revoke it")
    assert found == Alert(
        id="rec_1",
        event="breaker.tripped",
        severity=Severity.ALERT,
        at="2026-11-23T10:00:00Z",
        breaker="brk_1",
        state="forced_open",
        scope=Scope(agent="bot", tool="k8s.*", environment="production"),
        by="eve",
        reason="loop",
        cancelled=2,
        running=1,
        cut_off_elsewhere="revoke it",
    )
    assert found.text.endswith(", by eve: loop; 2 cut off, 1 still running")


def test_what_a_record_does_not_say_is_empty() -> None:
    found = alert_of({"id": "rec_1", "kind": "breaker.tripped", "time": "t"}, "")
    assert (found.breaker, found.state, found.scope, found.reason) == ("", "", Scope(), "")
    assert (found.cancelled, found.running, found.cut_off_elsewhere, found.drill) == (0, 0, "", False)
    assert found.text == "breaker tripped over everything, by rule `?`"


def test_the_machine_is_named_by_its_rule_and_gives_its_own_reason() -> None:
    said = {"rule": "runaway", "because": "120 actions asked for within 1m"}
    found = alert_of(leaf(operator=None, detail=said), "")
    assert (found.by, found.reason) == ("rule `runaway`", "120 actions asked for within 1m")
    assert alert_of(leaf(detail=said), "words").reason == "words"


@pytest.mark.parametrize(("cancelled", "running"), [(0, 0), (1, 0), (0, 1)])
def test_what_was_cut_off_is_said_where_there_was_any(cancelled: int, running: int) -> None:
    found = alert_of(leaf(detail={"cancelled": cancelled, "running": running}), "")
    assert (f"{cancelled} cut off, {running} still running" in found.text) is (cancelled + running > 0)


def test_a_drill_wakes_nobody_and_says_that_it_is_one() -> None:
    found = alert_of(leaf(detail={"drill": True}), "")
    assert (found.severity, found.drill, found.text[:14]) == (Severity.NOTICE, True, "drill: breaker")


def test_many_agents_at_once_page_somebody() -> None:
    for kind in KINDS:
        assert alert_of(leaf(kind, detail={"agents_at_once": 3}), "").severity is Severity.PAGE


def test_severities_and_a_fresh_mark_are_what_is_stored_and_sent() -> None:
    assert [one.value for one in Severity] == ["notice", "alert", "page"]
    assert Mark(id="webhook", told_until=7).revision == 1
