"""Naming others only narrows: whatever chain an agent acts for, it never gets more than anybody in it has alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.core.actions import Proposal
from assent.core.agents import AgentId
from assent.core.canonical import Json
from assent.core.decisions import STRICTNESS
from assent.policy import LoadedPolicy
from tests.policy.directory import SAMPLE, load_files

AGENTS = ["bot", "both", "viewer", "helper", "gone", "nobody"]
NAMES = [*(f"agent:{agent}" for agent in AGENTS), "operator:dana", "operator:fay"]
TOOLS: list[tuple[str, dict[str, Json]]] = [
    ("k8s.get", {}),
    ("k8s.scale", {"replicas": 3}),
    ("k8s.scale", {"replicas": 0}),
    ("k8s.delete", {}),
]
QUESTIONS: list[tuple[str, dict[str, Json]]] = [
    (tool, {"cluster": cluster, "namespace": namespace, "deployment": "d", **more})
    for tool, more in TOOLS
    for cluster in ("prod-eu", "stg-1")
    for namespace in ("payments", "web", "secrets")
]  # fmt: skip


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> LoadedPolicy:
    return load_files(tmp_path_factory.mktemp("p") / "p", SAMPLE)


@pytest.mark.requirement("T9")
@given(st.data())
def test_the_rights_of_a_chain_are_within_the_rights_of_everybody_in_it(
    policy: LoadedPolicy, data: st.DataObject
) -> None:
    child = data.draw(st.sampled_from(AGENTS))
    chain = data.draw(st.lists(st.sampled_from(NAMES), max_size=6))
    tool, arguments = data.draw(st.sampled_from(QUESTIONS))
    proposal = policy.propose(tool, arguments)
    assert isinstance(proposal, Proposal)
    together = policy.verdict(proposal, AgentId(child), chain)
    parents = [name.removeprefix("agent:") for name in chain if name.startswith("agent:")]
    for member in [child, *parents]:
        alone = policy.verdict(proposal, AgentId(member), ["operator:dana"])
        assert STRICTNESS[together.effect] >= STRICTNESS[alone.effect]
        assert together.effect is not alone.effect or set(together.routes) >= set(alone.routes)


@pytest.mark.requirement("T9")
@given(st.data())
def test_naming_one_more_never_widens(policy: LoadedPolicy, data: st.DataObject) -> None:
    chain = data.draw(st.lists(st.sampled_from(NAMES), max_size=4))
    more = data.draw(st.sampled_from(NAMES))
    tool, arguments = data.draw(st.sampled_from(QUESTIONS))
    proposal = policy.propose(tool, arguments)
    assert isinstance(proposal, Proposal)
    before = policy.verdict(proposal, AgentId("bot"), chain)
    after = policy.verdict(proposal, AgentId("bot"), [*chain, more])
    assert STRICTNESS[after.effect] >= STRICTNESS[before.effect]
    assert set(after.standing) <= set(before.standing)
