"""Bounds: what one decision looks at is counted, whatever a policy says, and too much of it denies."""

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from assent.core.actions import Proposal
from assent.core.agents import AgentId
from assent.core.canonical import Json
from assent.core.decisions import Effect, Verdict
from assent.core.patterns import RESOURCE_SEPARATOR, _segments_match
from assent.core.reasons import Reason
from assent.policy import LoadedPolicy
from assent.policy.bounds import FEW, MAX_LOOKED_AT, MAX_RULE_STEPS, MAX_SEGMENTS, MAX_STEPS, RULE_STEPS, pattern_steps
from assent.policy.loaded import MAX_PRINCIPALS
from tests.policy.directory import SAMPLE, ask, findings_of, load_files

TOOL = """\
note.add:
  description: adds a note
  impact: write
  resource: "{path}"
  environment: staging
  arguments:
    path: string
    text: {type: string, optional: true, unicode: true}
    to: {type: list, of: string, optional: true}
  how_bad: a note more
  undo: remove it
"""


def rules(lines: list[str]) -> dict[str, str]:
    head = "noter:\n  description: d\n  owner: dana\n  rules:\n"
    files = {**SAMPLE, "tools/note.yaml": TOOL, "roles/note.yaml": head + "".join(f"    - {line}\n" for line in lines)}
    files["agents.yaml"] += "noter: {owner: dana, roles: [noter], expires: 2027-03-31}\n"
    return files


def effect(policy: LoadedPolicy, arguments: dict[str, Json], *named: str) -> tuple[Effect, list[str]]:
    answer = ask(policy, "noter", "note.add", arguments, named)
    assert isinstance(answer, Verdict), answer
    return answer.effect, [reason.code for reason in answer.reasons]


def rule(number: int, more: str = "", effect: str = "allow") -> str:
    return f"{{id: n{number}, tools: [note.add], environments: [staging], {more}effect: {effect}}}"


@pytest.mark.requirement("T14")
def test_more_rules_about_one_place_than_one_decision_may_look_at_is_a_deny_that_says_so(tmp_path: Path) -> None:
    most = MAX_STEPS // (RULE_STEPS + 2 * MAX_SEGMENTS)
    few = load_files(tmp_path / "p", rules([rule(n) for n in range(most // 2)]))
    assert effect(few, {"path": "a"}) == (Effect.ALLOW, [])
    many = load_files(tmp_path / "q", rules([rule(n) for n in range(MAX_STEPS // RULE_STEPS + 1)]))
    assert effect(many, {"path": "a"}) == (Effect.DENY, ["policy_error"])


@pytest.mark.requirement("T14")
def test_all_principals_of_one_question_share_its_steps(tmp_path: Path) -> None:
    files = rules([rule(n) for n in range(MAX_STEPS // RULE_STEPS // 4)])
    others = [f"noter{n}" for n in range(MAX_PRINCIPALS)]
    files["agents.yaml"] += "".join(
        f"{name}: {{owner: dana, roles: [noter], expires: 2027-03-31}}\n" for name in others
    )
    policy = load_files(tmp_path / "p", files)
    assert effect(policy, {"path": "a"})[0] is Effect.ALLOW
    assert effect(policy, {"path": "a"}, *[f"agent:{name}" for name in others])[1] == ["policy_error"]


def test_candidates_that_are_not_counted_are_within_bounds_whatever_their_patterns() -> None:
    assert FEW * (MAX_RULE_STEPS + RULE_STEPS) <= MAX_STEPS
    assert FEW >= 10


@pytest.mark.requirement("T14")
def test_a_rule_whose_patterns_cost_too_much_is_refused(tmp_path: Path) -> None:
    pattern = "/".join(["**", "a"] * (MAX_SEGMENTS // 2))
    few = json.dumps([f"x{n}/{pattern[:20].rstrip('/*')}" for n in range(20)])
    assert findings_of(tmp_path / "p", rules([rule(1, f"resources: {few}, ")])) == ()
    many = json.dumps([f"{'b' * n}{pattern}"[:-2] + "*" for n in range(1, 20)])
    found = findings_of(tmp_path / "q", rules([rule(1, f"resources: {many.replace('b**', 'b/**')}, ")]))
    assert any("cost too much" in line for line in found), found


@pytest.mark.requirement("T14")
@pytest.mark.parametrize(
    ("more", "said"),
    [
        (f"resources: {json.dumps([f'a{n}' for n in range(257)])}, ", "names 257 things"),
        (f"resources: [{'/'.join(['a'] * 65)}], ", "no resource has more than 64 segments"),
        (f"when: {{text: {json.dumps([{'equals': f'a{n}'} for n in range(257)])}}}, ", "more than 256 alternatives"),
        (f"when: {{text: {{in: {json.dumps([f'a{n}' for n in range(10_001)])}}}}}, ", "more than 10000 values"),
        ('when: {text: {matches: "[^a]{900}"}}, ', "instructions"),
        ('when: {text: {matches: "(a{900}){900}"}}, ', "not an expression of RE2"),
        (f'when: {{text: {{matches: "{"a" * 1001}"}}}}, ', "longer than 1000"),
    ],
)
def test_what_would_cost_too_much_is_refused_when_it_is_loaded(tmp_path: Path, more: str, said: str) -> None:
    found = findings_of(tmp_path / "p", rules([rule(1, more)]))
    assert any(said in line for line in found), found


@pytest.mark.requirement("T14")
def test_a_text_is_too_long_only_where_a_rule_looks_at_it(tmp_path: Path) -> None:
    long: dict[str, Json] = {"path": "a", "text": "a" * (MAX_LOOKED_AT + 1)}
    free = load_files(tmp_path / "p", rules([rule(1, "when: {text: {length: {max: 100000}}}, ")]))
    assert effect(free, long)[0] is Effect.ALLOW
    looked = load_files(tmp_path / "q", rules([rule(1, "when: {text: {prefix: a}}, ")]))
    answer = looked.propose("note.add", long)
    assert isinstance(answer, Reason)
    assert (answer.code, "longer than" in answer.message) == ("bad_arguments", True)
    assert effect(looked, {"path": "a", "text": "a" * MAX_LOOKED_AT})[0] is Effect.ALLOW


@pytest.mark.requirement("T14")
def test_a_list_is_too_long_by_all_its_items_together(tmp_path: Path) -> None:
    policy = load_files(tmp_path / "p", rules([rule(1, "when: {to: {each: {prefix: a}}}, ")]))
    assert effect(policy, {"path": "a", "to": ["a" * 99] * 100})[0] is Effect.ALLOW
    too_long: list[list[Json]] = [["a"] * MAX_LOOKED_AT, ["a" * 9_000] * 2]
    for to in too_long:
        answer = policy.propose("note.add", {"path": "a", "to": to})
        assert isinstance(answer, Reason)
        assert answer.code == "bad_arguments"


@pytest.mark.requirement("T14")
def test_conditions_of_many_rules_on_a_large_value_run_out_of_steps_and_deny(tmp_path: Path) -> None:
    costly = 'when: {text: {matches: "(a?){50}a{50}b"}}, '
    policy = load_files(tmp_path / "p", rules([rule(n, costly) for n in range(40)]))
    assert effect(policy, {"path": "a", "text": "a" * 100})[1] == ["no_rule"]
    assert effect(policy, {"path": "a", "text": "a" * MAX_LOOKED_AT})[1] == ["policy_error"]


def test_a_resource_has_at_most_so_many_segments(tmp_path: Path) -> None:
    policy = load_files(tmp_path / "p", rules([rule(1)]))
    assert isinstance(policy.propose("note.add", {"path": "/".join(["a"] * MAX_SEGMENTS)}), Proposal)
    answer = policy.propose("note.add", {"path": "/".join(["a"] * (MAX_SEGMENTS + 1))})
    assert isinstance(answer, Reason)
    assert answer.code == "not_canonical"


class Counted(str):
    """A segment that counts how often it is looked at."""

    __slots__ = ()
    looks = 0

    def __eq__(self, other: object) -> bool:
        Counted.looks += 1
        return str.__eq__(self, other)

    def startswith(self, *given: object) -> bool:
        Counted.looks += 1
        return str.startswith(self, *given)  # type: ignore[arg-type]  # same

    __hash__ = str.__hash__


@pytest.mark.requirement("T14")
@given(st.lists(st.sampled_from(["**", "*", "a", "b", "a*"]), min_size=1, max_size=20), st.integers(1, MAX_SEGMENTS))
@example(["**", "a", "a", "a", "b"], MAX_SEGMENTS)
def test_a_pattern_looks_at_no_more_segments_than_it_was_counted_for(segments: list[str], length: int) -> None:
    Counted.looks = 0
    _segments_match(tuple(segments), tuple(Counted("a") for _ in range(length)))
    assert pattern_steps("/".join(segments), RESOURCE_SEPARATOR) >= Counted.looks


def test_a_verdict_of_an_agent_does_not_depend_on_how_many_rules_others_have(tmp_path: Path) -> None:
    policy = load_files(tmp_path / "p", rules([rule(n) for n in range(3_000)]))
    proposal = policy.propose("k8s.get", {"cluster": "stg-1", "namespace": "w", "deployment": "d"})
    assert isinstance(proposal, Proposal)
    assert policy.verdict(proposal, AgentId("bot"), ()).rules == ("read",)
