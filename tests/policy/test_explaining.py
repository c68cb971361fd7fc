"""Explaining: what a question comes to, which rules matched or nearly did, and whom a human question would reach."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.core.canonical import Json
from assent.core.decisions import Answer
from assent.core.explanations import Asking, Explanation
from assent.core.reasons import Reason
from assent.policy import LoadedPolicy
from assent.policy.explaining import explain
from tests.policy.directory import NOW, SAMPLE, ask, edited, load_files, scale
from tests.policy.test_delegation import AGENTS, NAMES, QUESTIONS


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> LoadedPolicy:
    return load_files(tmp_path_factory.mktemp("p") / "p", SAMPLE)


def told(policy: LoadedPolicy, tool: str, arguments: dict[str, Json], agent: str = "bot", *named: str) -> Explanation:
    return explain(policy, Asking(agent=agent, tool=tool, arguments=arguments, on_behalf_of=named), NOW)


def test_a_question_is_explained_with_whom_it_would_reach(policy: LoadedPolicy) -> None:
    found = told(policy, "k8s.scale", scale(cluster="prod-eu", namespace="payments"))
    assert (found.decision, found.environment, found.resource) == (
        Answer.PENDING,
        "production",
        "prod-eu/payments/deployments/shop",
    )
    assert [(rule.id, rule.effect, rule.at) for rule in found.matched] == [
        ("scale-prod", "require_approval", "roles/deployer.yaml:8:7")
    ]
    (route,) = found.asked
    assert (route.name, route.needs, route.assurance, route.who) == (
        "oncall",
        "2 of `oncall`",
        "console",
        ("eve", "fay"),
    )
    assert (found.how_bad, found.undo) == ("changes the capacity of shop to 3", "scale shop back")


def test_a_route_that_leaves_the_assurance_open_says_what_destroys_asks_for(tmp_path: Path) -> None:
    rule = (
        "\n    - {id: gone, tools: [k8s.delete], environments: [production], effect: require_approval, route: default}"
    )
    files = {
        **SAMPLE,
        "roles/deployer.yaml": SAMPLE["roles/deployer.yaml"].replace(
            "\n    - id: no-zero", f"{rule}\n    - id: no-zero"
        ),
    }
    found = told(
        load_files(tmp_path / "p", files), "k8s.delete", {"cluster": "prod-eu", "namespace": "a", "deployment": "b"}
    )
    assert [(route.name, route.assurance) for route in found.asked] == [("default", "console")]
    assert "`assurance` of the route says otherwise" in found.hints[-1]


def test_a_driver_is_not_among_those_who_may_answer(policy: LoadedPolicy) -> None:
    found = told(policy, "k8s.scale", scale(cluster="prod-eu"), "bot", "operator:eve")
    assert found.asked[0].who == ("fay",)


def test_a_rule_that_nearly_matched_says_which_condition_failed(policy: LoadedPolicy) -> None:
    found = told(policy, "k8s.scale", scale(replicas=30))
    assert (found.decision, found.reasons) == (Answer.DENY, (Reason.of("no_rule"),))
    assert found.matched == ()
    assert found.nearly[0].id == "scale-stg"
    assert found.nearly[0].failed == ("`replicas` is `30`, and it must be at most `20`",)
    assert "it is about `production`, and this is in `staging`" in found.nearly[1].failed


def test_a_denial_names_the_rule_and_what_would_have_asked(policy: LoadedPolicy) -> None:
    found = told(policy, "k8s.scale", scale(cluster="prod-eu", namespace="payments", replicas=0))
    assert [rule.id for rule in found.matched] == ["scale-prod", "no-zero"]
    assert found.decision is Answer.DENY


def test_the_floor_is_named(policy: LoadedPolicy) -> None:
    found = told(policy, "k8s.scale", scale(cluster="prod-eu"))
    assert (found.floored, [route.name for route in found.asked]) == (True, ["default"])


@pytest.mark.parametrize(
    ("tool", "arguments", "code", "hint"),
    [
        ("k8s.scal", {}, "unknown_tool", "the catalogue has no `k8s.scal`, did you mean `k8s.scale`"),
        ("k8s.scale", {"cluster": "x"}, "bad_arguments", ""),
        (
            "k8s.scale",
            scale(cluster="prod-us"),
            "environment_unknown",
            "from `cluster`: `prod-eu` for production",
        ),
        ("k8s.scale", scale(namespace="a//b"), "not_canonical", ""),
        (
            "k8s.delete",
            {"cluster": "stg-1", "namespace": "a", "deployment": "b"},
            "no_rule",
            "no rule of its roles (`deployer`) grants `k8s.delete`",
        ),
    ],
)
def test_a_refusal_comes_with_what_to_do(
    policy: LoadedPolicy, tool: str, arguments: dict[str, Json], code: str, hint: str
) -> None:
    found = told(policy, tool, arguments)
    assert [reason.code for reason in found.reasons] == [code]
    assert any(hint in said for said in found.hints) or not hint


def test_an_agent_that_is_misspelt_is_suggested(policy: LoadedPolicy) -> None:
    found = told(policy, "k8s.scale", scale(), "bott")
    assert found.hints == ("agents.yaml has no `bott`, did you mean `bot`",)


def test_roles_that_would_grant_it_are_named(policy: LoadedPolicy) -> None:
    found = told(policy, "k8s.scale", scale(), "viewer")
    assert "roles that do: `deployer`" in found.hints


def test_rules_of_another_principal_are_told_with_its_name(policy: LoadedPolicy) -> None:
    found = told(policy, "k8s.get", {"cluster": "prod-eu", "namespace": "a", "deployment": "b"}, "bot", "agent:viewer")
    assert found.decision is Answer.DENY
    assert {(rule.id, rule.of_agent) for rule in found.nearly} >= {("reader-read", "viewer")}


def test_a_question_that_nobody_may_answer_says_so(tmp_path: Path) -> None:
    policy = load_files(tmp_path / "p", edited("agents.yaml", "bot: {owner: dana", "bot: {owner: eve"))
    found = told(policy, "k8s.scale", scale(cluster="prod-eu", namespace="payments"))
    assert [reason.code for reason in found.reasons] == ["no_eligible_approver"]
    assert found.asked[0].who == ("fay",)


def test_a_sensitive_value_is_not_told(tmp_path: Path) -> None:
    files = edited("tools/kubernetes.yaml", '  how_bad: "changes', '  sensitive: [note]\n  how_bad: "changes')
    rule = "- {id: noted, tools: [k8s.scale], environments: [staging], when: {note: {prefix: ok}}, effect: deny}\n    "
    files["roles/deployer.yaml"] = files["roles/deployer.yaml"].replace("- {id: read,", f"{rule}- {{id: read,")
    found = told(load_files(tmp_path / "p", files), "k8s.scale", scale(note="hunter2"))
    assert "hunter2" not in str(found)
    assert any("`note` is something else" in failed for rule in found.nearly for failed in rule.failed)


@given(st.sampled_from(AGENTS), st.lists(st.sampled_from(NAMES), max_size=3), st.sampled_from(QUESTIONS))
def test_the_rules_that_are_said_to_match_are_those_that_decide(
    policy: LoadedPolicy, agent: str, named: list[str], asked: tuple[str, dict[str, Json]]
) -> None:
    found = told(policy, asked[0], asked[1], agent, *named)
    verdict = ask(policy, agent, *asked, tuple(named))
    assert not isinstance(verdict, Reason)
    if verdict.rules:
        assert {rule.id for rule in found.matched} == set(verdict.rules)
    assert not {rule.id for rule in found.nearly if not rule.of_agent} & {
        rule.id for rule in found.matched if not rule.of_agent
    }
