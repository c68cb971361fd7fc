"""Random policies and actions: ours, stock Casbin on the export and a plain reference; and that this would notice."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from assent.core.actions import Proposal
from assent.core.agents import AgentId
from assent.core.canonical import Json
from assent.policy import LoadedPolicy
from assent.policy.index import RuleIndex
from tests.hammers import judging
from tests.hammers.budget import Disproved, short_budget
from tests.hammers.judging import AGENTS, Made, Stock, compare, files_of, random_action, random_policy
from tests.policy import plainly
from tests.policy.directory import NOW, SAMPLE, load_files


@pytest.mark.hammer
@pytest.mark.requirement("T6", "P1")
def test_three_judges_agree_on_random_policies(tmp_path: Path) -> None:
    print(judging.run(tmp_path, short_budget()))


@pytest.mark.requirement("T6")
def test_the_index_leaves_out_no_rule_that_applies(tmp_path: Path) -> None:
    chance = random.Random(20_270_101)
    for number in range(30):
        made = random_policy(chance)
        policy = load_files(tmp_path / str(number), files_of(made))
        index = RuleIndex(policy.declared.rules.values(), policy.declared.tools)
        for _ in range(50):
            agent, _, tool, arguments = random_action(chance)
            place, name = arguments["area"], arguments["name"]
            action = plainly.Action(
                tool=tool,
                environment=judging.PLACES[place],
                resource=f"{place}/{name}",
                arguments=arguments,
                changes=True,
                production=False,
            )
            kept = {row[0] for row in index.candidates(AGENTS[agent], tool, action.resource)}
            assert {rule["id"] for rule in made.of(agent) if plainly.applies(rule, action, NOW)} <= kept


def one_rule(folder: Path, effect: str = "allow") -> tuple[Made, LoadedPolicy]:
    made = Made({"one": [{"id": "r", "tools": ["t.*"], "environments": ["staging"], "effect": effect}]})
    return made, load_files(folder, files_of(made))


WHERE: dict[str, Json] = {"area": "stg", "name": "x"}
ASKED: tuple[str, tuple[str, ...], str, dict[str, Any]] = ("a", (), "t.write", WHERE)


def test_a_verdict_that_differs_is_noticed(tmp_path: Path) -> None:
    made, policy = one_rule(tmp_path / "p")
    stock = Stock(tmp_path, policy)
    assert compare(made, policy, stock, ASKED) == "allow"
    other, _ = one_rule(tmp_path / "q", "deny")
    with pytest.raises(Disproved, match="plainly"):
        compare(other, policy, stock, ASKED)


def test_a_row_that_casbin_reads_otherwise_is_noticed(tmp_path: Path) -> None:
    made, policy = one_rule(tmp_path / "p")
    stock = Stock(tmp_path, policy)
    stock.rows[:] = [[*stock.rows[0][:2], "u.*", *stock.rows[0][3:]]]
    with pytest.raises(Disproved, match="stock"):
        compare(made, policy, stock, ASKED)


def test_a_model_that_was_changed_changes_what_stock_casbin_says_too(tmp_path: Path) -> None:
    made, _ = one_rule(tmp_path / "p")
    narrowed = SAMPLE["model.conf"].replace("m = ", "m = r.environment == p.role && ")
    policy = load_files(tmp_path / "q", {**files_of(made), "model.conf": narrowed})
    proposal = policy.propose("t.write", WHERE)
    assert isinstance(proposal, Proposal)
    assert Stock(tmp_path, policy).applying("a", proposal) == []
    with pytest.raises(Disproved, match="ours"):
        compare(made, policy, Stock(tmp_path, policy), ASKED)


def test_the_reference_tells_principals_routes_and_exceptions_apart() -> None:
    action = plainly.Action(
        tool="t.write", environment="production", resource="prod/x", arguments={}, changes=True, production=True
    )
    allow = {"id": "a", "tools": ["t.*"], "environments": ["*"], "effect": "allow"}
    asks = plainly.outcome([allow], action, NOW)
    assert (asks.effect, asks.routes) == ("require_approval", frozenset({"default"}))
    stands = plainly.outcome([{**allow, "standing": {"until": judging.MOMENTS[2]}}], action, NOW)
    assert (stands.effect, stands.standing) == ("allow", frozenset({"a"}))
    assert plainly.together([asks, stands]) == replace(asks, rules=frozenset({"a"}))
    assert plainly.outcome([], action, NOW).effect == "deny"


def test_agents_of_the_experiment_are_those_of_its_files(tmp_path: Path) -> None:
    _, policy = one_rule(tmp_path / "p")
    assert {agent.id for agent in policy.agents()} == {AgentId(name) for name in AGENTS}
