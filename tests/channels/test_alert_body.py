"""What the webhook is told of an alert: of a breaker what it covers and cut off, of a policy what it widens."""

from assent.channels.webhook import body_of
from assent.core.alerts import alert_of
from assent.core.records import RecordKind
from tests.core.test_alerts import leaf, policy_leaf


def test_of_a_breaker_it_says_what_is_stopped() -> None:
    said = body_of(alert_of(leaf(breaker="brk_1", detail={"cancelled": 1}), "it loops"), "runbook")
    assert (said["scope"], said["covers"], said["cut_off"]) == ({"agent": "bot"}, "agent `bot`", 1)
    assert "policy" not in said


def test_of_a_policy_it_says_which_version_and_what_it_widens() -> None:
    detail = {"diff": {"widens": 1}, "widens": ["rule x: is new"]}
    said = body_of(alert_of(policy_leaf(RecordKind.POLICY_PROPOSED, detail), ""), "runbook")
    assert (said["type"], said["policy"], said["reason"]) == ("policy.proposed", "a" * 64, "rule x: is new")
    assert said.keys().isdisjoint({"scope", "covers", "breaker"})
