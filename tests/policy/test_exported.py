"""The exported model and CSV: a stock enforcer reads them and reaches the same verdicts."""

import logging
from pathlib import Path

import casbin
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.core.actions import Proposal
from assent.core.agents import AgentId
from assent.core.canonical import Json
from assent.core.decisions import Effect
from assent.policy import LoadedPolicy
from assent.policy.exported import as_casbin, as_csv
from assent.policy.judge import Facts, Question, functions
from tests.policy.directory import NOW, SAMPLE, load_files
from tests.policy.test_delegation import AGENTS, QUESTIONS


class Stock:
    """A stock enforcer on two files, with our functions; nothing of it is ours but these."""

    def __init__(self, folder: Path, policy: LoadedPolicy) -> None:
        (folder / "model.conf").write_text(policy.declared.model)
        (folder / "policy.csv").write_text(as_csv(policy.declared))
        self.hits: list[str] = []
        files = (str(folder / "model.conf"), str(folder / "policy.csv"))
        self.enforcer = casbin.Enforcer(*files)  # type: ignore[arg-type,call-arg]  # our stub names what the broker uses
        self.enforcer.logger = logging.Logger("stock")  # noqa: LOG001  # its warning about every denial is not wanted here
        roles_of: dict[str, tuple[str, ...]] = {agent.id: agent.roles for agent in policy.agents()}
        for name, function in functions(Facts(roles_of, policy.declared.rules), self.hits).items():
            self.enforcer.add_function(name, function)
        self.rows = self.enforcer.model["p"]["p"].policy
        self.rules = policy.declared.rules

    def applying(self, agent: str, proposal: Proposal) -> list[str]:
        """Return every rule that matches, asked one by one: a stock effect stops at the first deny."""
        question = Question(
            tool=proposal.tool,
            environment=proposal.environment,
            resource=proposal.resource,
            arguments=proposal.arguments,
            now=NOW,
        )
        request = (agent, proposal.tool, proposal.environment, proposal.resource, question)
        table = self.enforcer.model["p"]["p"]
        table.policy = self.rows
        allowed = self.enforcer.enforce(*request)
        self.hits.clear()
        for row in self.rows:
            table.policy = [row]
            self.enforcer.enforce(*request)
        effects = {self.rules[rule].effect for rule in self.hits}
        assert allowed is (Effect.ALLOW in effects and Effect.DENY not in effects)
        return sorted(self.hits)


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> LoadedPolicy:
    return load_files(tmp_path_factory.mktemp("p") / "p", SAMPLE)


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory, policy: LoadedPolicy) -> Stock:
    return Stock(tmp_path_factory.mktemp("stock"), policy)


@given(st.sampled_from([*AGENTS]), st.sampled_from(QUESTIONS))
def test_a_stock_enforcer_on_the_export_finds_the_same_rules(
    policy: LoadedPolicy, stock: Stock, agent: str, asked: tuple[str, dict[str, Json]]
) -> None:
    proposal = policy.propose(*asked)
    assert isinstance(proposal, Proposal)
    verdict = policy.verdict(proposal, AgentId(agent), ["operator:dana"])
    if verdict.rules:
        assert stock.applying(agent, proposal) == sorted(verdict.rules)
    elif verdict.reasons[0].code == "no_rule":
        assert stock.applying(agent, proposal) == []


def test_every_rule_is_one_row_that_casbin_reads_as_it_was_written(policy: LoadedPolicy, stock: Stock) -> None:
    assert stock.rows == [list(rule.row) for rule in policy.declared.rules.values()]


def test_what_a_row_cannot_hold_stands_above_it(policy: LoadedPolicy) -> None:
    text = as_casbin(policy.declared)
    assert '#   when replicas: {"max": 20}\np, scale-stg, deployer, k8s.scale, staging, **, allow\n' in text
    assert "#   route oncall\np, scale-prod," in text
    assert "g, both, reader\n" in text
    assert policy.declared.model.splitlines()[0] in text
