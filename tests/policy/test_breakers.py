"""`breakers.yaml`: what it may say, what it means, and what is refused with its place and the way to right it."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from assent.core.breaker_rules import BreakerRule, Sign, TooMany, TooMuch, TooOften
from assent.core.breakers import Scope
from assent.core.errors import PolicyInvalid
from assent.policy import LoadedPolicy, load
from tests.policy.directory import NOW, SAMPLE, write

FILE = "breakers.yaml"
WHOLE = """\
defaults: {sliding_window: 5m, minimum_calls: 4, wait_in_open: 30s, probes: 3}
rules:
  - {id: failing-tool, scope: {tool: "*"}, trip_on: {failure_rate: 0.5, slow_rate: {over: 60s, rate: 0.8}}}
  - {id: refused-agent, scope: {agent: "*"}, trip_on: {denials: 10, rejections: 3, window: 10m}}
  - {id: runaway, scope: {agent: "*"}, trip_on: {actions: 120, window: 1m}, mode: watch}
  - {id: same-again, scope: {agent: "*", environment: production}, trip_on: {same_content: 4}}
  - {id: budget, scope: {agent: "*", tool: "k8s.sc*"}, trip_on: {sum_of: replicas, over: 5000, window: 1d}}
  - {id: definition, scope: {tool: "*"}, trip_on: {definition_changed: true}}
"""


SOUND = "  - {id: r, scope: {agent: '*'}, trip_on: {denials: 3}}\n"


def loaded(folder: Path, text: str) -> LoadedPolicy:
    folder.mkdir(exist_ok=True)
    return load(write(folder / "p", SAMPLE | {FILE: text}), lambda: NOW)


def findings(folder: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(PolicyInvalid) as refused:
        loaded(folder, text)
    return refused.value.findings


def test_every_rule_is_read_with_the_defaults_of_the_file(tmp_path: Path) -> None:
    rules = {rule.id: rule for rule in loaded(tmp_path, WHOLE).breaker_rules()}
    usual = {"minimum_calls": 4, "wait_in_open": timedelta(seconds=30), "probes": 3}
    five, ten, one = timedelta(minutes=5), timedelta(minutes=10), timedelta(minutes=1)
    assert rules == {
        rule.id: rule
        for rule in (
            BreakerRule(
                id="failing-tool",
                scope=Scope(tool="*"),
                conditions=(TooOften(0.5), TooOften(0.8, 60_000)),
                window=five,
                **usual,  # type: ignore[arg-type]  # each value is of its field's type
            ),
            BreakerRule(
                id="refused-agent",
                scope=Scope(agent="*"),
                conditions=(TooMany(Sign.DENIALS, 10), TooMany(Sign.REJECTIONS, 3)),
                window=ten,
                **usual,  # type: ignore[arg-type]  # same
            ),
            BreakerRule(
                id="runaway",
                scope=Scope(agent="*"),
                conditions=(TooMany(Sign.ACTIONS, 120),),
                window=one,
                watches=True,
                **usual,  # type: ignore[arg-type]  # same
            ),
            BreakerRule(
                id="same-again",
                scope=Scope(agent="*", environment="production"),
                conditions=(TooMany(Sign.SAME_CONTENT, 4),),
                window=five,
                **usual,  # type: ignore[arg-type]  # same
            ),
            BreakerRule(
                id="budget",
                scope=Scope(agent="*", tool="k8s.sc*"),
                conditions=(TooMuch("replicas", Decimal(5000)),),
                window=timedelta(days=1),
                **usual,  # type: ignore[arg-type]  # same
            ),
            BreakerRule(id="definition", scope=Scope(tool="*"), on_definition=True, window=five, **usual),  # type: ignore[arg-type]  # same
        )
    }


def test_without_the_file_nothing_is_counted(tmp_path: Path) -> None:
    policy = load(write(tmp_path / "p", SAMPLE), lambda: NOW)
    assert policy.breaker_rules() == ()
    assert policy.counted("bot", "k8s.scale", "production").rules == ()


def test_the_file_is_part_of_the_version(tmp_path: Path) -> None:
    assert loaded(tmp_path / "a", WHOLE).version != loaded(tmp_path / "b", WHOLE + "\n").version


def test_what_counts_is_remembered_for_tools_of_the_catalogue_only(tmp_path: Path) -> None:
    policy = loaded(tmp_path, WHOLE)
    first = policy.counted("bot", "k8s.scale", "production")
    assert policy.counted("bot", "k8s.scale", "production") is first
    made_up = policy.counted("bot", "made.up", "")
    assert [one.rule.id for one in made_up.rules] == [one.rule.id for one in policy.counted("bot", "made.up", "").rules]
    assert policy.counted("bot", "made.up", "") is not made_up


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("{scope: {agent: '*'}, trip_on: {denials: 3}}", "2:5: a rule lacks `id`"),
        ("{id: r, trip_on: {denials: 3}}", "2:5: a rule lacks `scope`"),
        ("{id: r, scope: {agent: '*'}}", "2:5: a rule lacks `trip_on`"),
        ("{id: r, scope: {agent: '*'}, trip_on: {}}", "says nothing that trips"),
        ("{id: r, scope: {agent: '*'}, trip_on: {window: 5m}}", "says nothing that trips"),
        ("{id: r, scope: {agent: '*'}, trip_on: {denial: 3}}", "has no field `denial`, did you mean `denials`"),
        ("{id: r, scope: {agnt: '*'}, trip_on: {denials: 3}}", "has no field `agnt`, did you mean `agent`"),
        ("{id: r, scope: {}, trip_on: {denials: 3}}", 'counted by agent: add `agent: "*"`'),
        ("{id: r, scope: {tool: '*'}, trip_on: {denials: 3}}", "counted by agent"),
        ("{id: r, scope: {agent: '*'}, trip_on: {failure_rate: 0.5}}", "counted by tool"),
        ("{id: r, scope: {agent: '*'}, trip_on: {definition_changed: true}}", "counted by tool"),
        ("{id: r, scope: {agent: '*', tool: '*'}, trip_on: {definition_changed: true}}", "leave `agent` out"),
        ("{id: r, scope: {tool: '*'}, trip_on: {definition_changed: false}}", "or leave it out"),
        ("{id: r, scope: {tool: '*'}, trip_on: {definition_changed: true, failure_rate: 0.5}}", "stands alone"),
        ("{id: r, scope: {agent: botx}, trip_on: {denials: 3}}", "there is no agent `botx`, did you mean"),
        ("{id: r, scope: {agent: '*', environment: prodction}, trip_on: {denials: 3}}", "did you mean `production`"),
        ("{id: r, scope: {agent: '*', tool: 'db.*'}, trip_on: {denials: 3}}", "no tool of the catalogue matches"),
        ("{id: r, scope: {agent: '*', tool: 'k8s..x'}, trip_on: {denials: 3}}", "a segment is empty"),
        ("{id: r, scope: {agent: '*'}, trip_on: {denials: 0}}", "between 1 and"),
        ("{id: r, scope: {agent: '*'}, trip_on: {denials: many}}", "must be an integer"),
        ("{id: r, scope: {tool: '*'}, trip_on: {failure_rate: 1.5}}", "above 0 and at most 1"),
        ("{id: r, scope: {tool: '*'}, trip_on: {failure_rate: 0}}", "above 0 and at most 1"),
        ("{id: r, scope: {tool: '*'}, trip_on: {slow_rate: 0.5}}", "must be a mapping of fields"),
        ("{id: r, scope: {tool: '*'}, trip_on: {slow_rate: {rate: 0.5}}}", "lacks `over`"),
        ("{id: r, scope: {agent: '*'}, trip_on: {denials: 3, window: 1s}}", "a duration from 10s to 1d"),
        ("{id: r, scope: {agent: '*'}, trip_on: {denials: 3, window: 2d}}", "a duration from 10s to 1d"),
        ("{id: r, scope: {agent: '*'}, trip_on: {denials: 3, window: soon}}", "a duration from 10s to 1d"),
        ("{id: r, scope: {agent: '*', tool: '*'}, trip_on: {sum_of: replicas}}", "lacks `over`"),
        ("{id: r, scope: {agent: '*', tool: '*'}, trip_on: {over: 3}}", "lacks `sum_of`"),
        ("{id: r, scope: {agent: '*', tool: '*'}, trip_on: {sum_of: replicas, over: -1}}", "cannot be negative"),
        ("{id: r, scope: {agent: '*', tool: '*'}, trip_on: {sum_of: amount, over: 3}}", "has an argument `amount`"),
        ("{id: r, scope: {agent: '*', tool: '*'}, trip_on: {sum_of: cluster, over: 3}}", "`k8s.get` is no number"),
        ("{id: r, scope: {agent: '*', tool: k8s.scale}, trip_on: {sum_of: note, over: 3}}", "is no number"),
        ("{id: r, scope: {agent: '*'}, trip_on: {denials: 3}, mode: off}", "is not one of `enforce`, `watch`"),
        ("{id: r, scope: {tool: '*'}, trip_on: {failure_rate: 0.5}, probes: 1}", "between 2 and 100"),
        ("{id: r, scope: {tool: '*'}, trip_on: {failure_rate: 0.5}, wait_in_open: 0s}", "a duration from 1s to 1d"),
    ],
)
def test_what_could_not_work_is_refused_with_its_place(tmp_path: Path, rule: str, said: str) -> None:
    found = findings(tmp_path, f"rules:\n  - {rule}\n")
    assert any(line.startswith(f"{FILE}:2:") and said in line for line in found), found


def test_an_amount_that_may_be_left_out_is_no_budget(tmp_path: Path) -> None:
    tools = SAMPLE["tools/kubernetes.yaml"].replace("min: 0, max: 500}", "min: 0, max: 500, optional: true}")
    text = "rules:\n  - {id: r, scope: {agent: '*', tool: '*'}, trip_on: {sum_of: replicas, over: 3}}\n"
    with pytest.raises(PolicyInvalid) as refused:
        load(write(tmp_path / "p", SAMPLE | {FILE: text, "tools/kubernetes.yaml": tools}), lambda: NOW)
    assert any("may be left out" in line for line in refused.value.findings)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rules: {id: r}\n", "`rules` must be a list"),
        ("defaults: {}\n", "lacks `rules`"),
        ("rules: []\nrule: []\n", "has no field `rule`, did you mean `rules`"),
        ("defaults: {window: 5m}\nrules: []\n", "has no field `window`"),
        ("rules:\n" + SOUND * 2, "3:5: the rule `r` stands twice"),
        ("rules:\n" + SOUND * 201, "more than 200 rules"),
    ],
)
def test_a_file_that_says_something_else_is_refused(tmp_path: Path, text: str, said: str) -> None:
    assert any(said in line for line in findings(tmp_path, text))
