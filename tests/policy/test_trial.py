"""Trying cases: decision, rules, routes and reasons must come out, and rules that no case met are named."""

from pathlib import Path

import pytest

from assent.policy.trial import Trial, try_cases
from tests.policy.directory import NOW, SAMPLE, edited, load_files

ASKS = """\
- name: scaling payments asks
  agent: bot
  tool: k8s.scale
  arguments: {cluster: prod-eu, namespace: payments, deployment: d, replicas: 3}
  expect: {decision: pending, route: oncall, rules: [scale-prod]}
"""


def trial(directory: Path, cases: str, files: dict[str, str] | None = None) -> Trial:
    return try_cases(load_files(directory, {**(files or SAMPLE), "tests/x.yaml": cases}), NOW)


def test_cases_that_come_out_fail_nothing_and_rules_without_one_are_named(tmp_path: Path) -> None:
    found = trial(tmp_path / "p", ASKS)
    assert found.failed == ()
    assert found.rules == len(load_files(tmp_path / "p", SAMPLE).declared.rules)
    assert "scale-prod" not in [rule.id for rule in found.unreached]
    assert [rule.id for rule in found.unreached][:2] == ["read", "scale-stg"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("rules: [scale-prod]", "rules: [scale-stg]", "expected the rules `scale-stg`, met `scale-prod`"),
        ("route: oncall", "route: default", "expected to ask on `default`, asks on `oncall`"),
        ("route: oncall", "routes: [default, oncall]", "expected to ask on `default`, `oncall`, asks on `oncall`"),
        ("decision: pending, route: oncall", "decision: allow", "expected `allow`, came to `pending`"),
        ("route: oncall", "reason: no_rule", "expected the reason `no_rule`, got none"),
    ],
)
def test_a_case_that_comes_out_otherwise_says_how(tmp_path: Path, old: str, new: str, said: str) -> None:
    found = trial(tmp_path / "p", ASKS.replace(old, new))
    (failed,) = found.failed
    assert said in failed.differs


def test_a_question_that_nobody_may_answer_is_a_denial(tmp_path: Path) -> None:
    owned = edited("agents.yaml", "bot: {owner: dana", "bot: {owner: eve")
    found = trial(tmp_path / "p", ASKS.replace("decision: pending, route: oncall", "decision: pending"), owned)
    assert found.failed[0].differs == ("expected `pending`, came to `deny` (no_eligible_approver)",)


def test_a_case_may_be_asked_at_another_moment(tmp_path: Path) -> None:
    late = ASKS.replace(
        "  expect: {decision: pending, route: oncall, rules: [scale-prod]}",
        "  now: 2027-06-01\n  expect: {decision: deny, reason: agent_expired}",
    )
    assert trial(tmp_path / "p", late).failed == ()
