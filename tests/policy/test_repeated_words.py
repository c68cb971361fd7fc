"""What many rules say in the same words is read once; reading it once never hides what is wrong the next time."""

from pathlib import Path

import pytest

from assent.core.decisions import Effect, Verdict
from assent.core.reasons import Reason
from tests.policy.directory import SAMPLE, ask, findings_of, load_files, scale

ROLE = "again: {description: again, owner: dana, rules: [\n"


def with_rules(*rules: str, agent_role: str = "again") -> dict[str, str]:
    """Return the sample with a role of these rules, which `bot` holds."""
    agents = SAMPLE["agents.yaml"].replace("roles: [deployer]", f"roles: [{agent_role}]", 1)
    return {**SAMPLE, "roles/again.yaml": ROLE + ",\n".join(rules) + "\n]}\n", "agents.yaml": agents}


def rule(number: int, tool: str, when: str, effect: str = "allow") -> str:
    return f"  {{id: again-{number}, tools: [{tool}], environments: [staging], when: {when}, effect: {effect}}}"


@pytest.mark.requirement("P1")
@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("{replicas: {prefix: a}}", "does not apply to the type `integer`"),
        ("{replicas: {maks: 3}}", "there is no predicate `maks`"),
        ("{nothing: {max: 3}}", "no tool of this rule takes an argument `nothing`"),
    ],
)
def test_the_same_mistake_in_two_rules_is_found_twice(tmp_path: Path, when: str, said: str) -> None:
    found = findings_of(tmp_path, with_rules(rule(1, "k8s.scale", when), rule(2, "k8s.scale", when)))
    assert [(line.split(":")[1], said in line) for line in found] == [("2", True), ("3", True)]


@pytest.mark.requirement("P1")
def test_words_that_fit_one_tool_are_held_against_the_next_one(tmp_path: Path) -> None:
    when = "{replicas: {max: 3}}"
    found = findings_of(tmp_path, with_rules(rule(1, "k8s.scale", when), rule(2, "k8s.delete", when)))
    assert len(found) == 1
    assert found[0].startswith("roles/again.yaml:3:")


def test_a_quoted_number_is_not_the_number_that_was_read_before(tmp_path: Path) -> None:
    rules = with_rules(rule(1, "k8s.scale", "{replicas: {max: 3}}"), rule(2, "k8s.scale", "{replicas: {max: '3'}}"))
    assert len(findings_of(tmp_path, rules)) == 1


def test_the_same_words_about_two_arguments_are_two_conditions(tmp_path: Path) -> None:
    same = "{equals: web}"
    rules = with_rules(rule(1, "k8s.scale", f"{{namespace: {same}}}"), rule(2, "k8s.scale", f"{{deployment: {same}}}"))
    policy = load_files(tmp_path, rules)
    found = ask(policy, "bot", "k8s.scale", scale(namespace="web", deployment="shop"))
    assert isinstance(found, Verdict)
    assert found.rules == ("again-1",)


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_what_two_rules_demand_of_the_spelling_of_one_argument_holds_together(
    tmp_path: Path, order: tuple[int, int]
) -> None:
    """One looks at a path, the other at a word: the stricter spelling counts, whichever was read first."""
    whens = {1: "{note: {under: a/b}}", 2: "{note: {equals: x}}"}
    policy = load_files(tmp_path, with_rules(*(rule(number, "k8s.scale", whens[number]) for number in order)))
    refused = ask(policy, "bot", "k8s.scale", scale(note="a//b/c"))
    assert isinstance(refused, Reason)
    assert refused.code == "not_canonical"
    granted = ask(policy, "bot", "k8s.scale", scale(note="a/b/c"))
    assert isinstance(granted, Verdict)
    assert granted.effect is Effect.ALLOW
