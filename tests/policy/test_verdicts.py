"""What a policy says: deny by default, the strictest rule wins, the production floor, dates, and named principals."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from assent.core.actions import Proposal
from assent.core.agents import AgentId
from assent.core.canonical import Json
from assent.core.decisions import Effect, Verdict
from assent.core.reasons import Reason
from assent.policy import LoadedPolicy
from assent.ports import Policy
from tests.policy.directory import SAMPLE, ask, edited, load_files, scale


@pytest.fixture
def policy(tmp_path: Path) -> LoadedPolicy:
    return load_files(tmp_path / "p", SAMPLE)


def verdict(policy: LoadedPolicy, agent: str, tool: str, arguments: Json, *named: str) -> Verdict:
    answer = ask(policy, agent, tool, arguments, named)
    assert isinstance(answer, Verdict), answer
    return answer


def code(verdict: Verdict) -> str:
    assert verdict.effect is Effect.DENY
    (reason,) = verdict.reasons
    return reason.code


def read(cluster: str = "stg-1", namespace: str = "web") -> dict[str, Json]:
    return {"cluster": cluster, "namespace": namespace, "deployment": "shop"}


def test_a_loaded_policy_is_what_flows_ask_for(policy: LoadedPolicy) -> None:
    port: Policy = policy
    assert len(port.version) == 64
    assert [agent.id for agent in port.agents()] == ["bot", "both", "gone", "helper", "viewer"]
    assert [operator.id for operator in port.operators()] == ["dana", "eve", "fay"]


def test_a_matching_allow_allows_and_is_named(policy: LoadedPolicy) -> None:
    assert verdict(policy, "bot", "k8s.get", read("prod-eu")) == Verdict(effect=Effect.ALLOW, rules=("read",))


@pytest.mark.requirement("P1")
def test_what_no_rule_matches_is_denied(policy: LoadedPolicy) -> None:
    assert code(verdict(policy, "viewer", "k8s.get", read("prod-eu"))) == "no_rule"
    assert code(verdict(policy, "bot", "k8s.delete", read())) == "no_rule"
    assert code(verdict(policy, "bot", "k8s.scale", scale(replicas=21))) == "no_rule"


@pytest.mark.requirement("P1")
def test_an_unknown_tool_agent_or_environment_is_denied(policy: LoadedPolicy) -> None:
    assert ask(policy, "bot", "k8s.exec", {}) == Reason.of("unknown_tool")
    assert code(verdict(policy, "nobody", "k8s.get", read())) == "unknown_agent"
    assert ask(policy, "bot", "k8s.get", {**read(), "cluster": "prod-us"}) == Reason.of("environment_unknown")


def test_a_rule_of_one_role_denies_what_another_role_allows(policy: LoadedPolicy) -> None:
    answer = verdict(policy, "both", "k8s.get", read("stg-1", "secrets"))
    assert answer == Verdict(
        effect=Effect.DENY,
        rules=("read", "reader-no-secrets", "reader-read"),
        reasons=(Reason.of("rule_denied"),),
    )


def test_a_deny_beats_an_ask_whichever_stands_first(policy: LoadedPolicy) -> None:
    answer = verdict(policy, "bot", "k8s.scale", scale(cluster="prod-eu", namespace="payments", replicas=0))
    assert (answer.effect, answer.rules) == (Effect.DENY, ("no-zero", "scale-prod"))


def test_an_ask_names_its_routes(policy: LoadedPolicy) -> None:
    answer = verdict(policy, "bot", "k8s.scale", scale(cluster="prod-eu", namespace="payments"))
    assert answer == Verdict(effect=Effect.REQUIRE_APPROVAL, rules=("scale-prod",), routes=("oncall",))


def test_several_asks_need_all_their_routes(tmp_path: Path) -> None:
    second = "- {id: also, tools: [k8s.scale], environments: [production], effect: require_approval}\n    - {id: read,"
    policy = load_files(tmp_path / "p", edited("roles/deployer.yaml", "- {id: read,", second))
    answer = verdict(policy, "bot", "k8s.scale", scale(cluster="prod-eu", namespace="payments"))
    assert (answer.rules, answer.routes) == (("also", "scale-prod"), ("default", "oncall"))


def test_what_a_denied_agent_reads_holds_no_text_of_the_rule(policy: LoadedPolicy) -> None:
    answer = verdict(policy, "bot", "k8s.scale", scale(cluster="prod-eu", replicas=0))
    assert answer.reasons == (Reason("rule_denied", "a rule forbids this action"),)


def test_below_the_floor_an_allowed_change_in_production_asks_on_default(policy: LoadedPolicy) -> None:
    answer = verdict(policy, "bot", "k8s.scale", scale(cluster="prod-eu"))
    assert answer == Verdict(effect=Effect.REQUIRE_APPROVAL, rules=("scale-floor",), routes=("default",), floored=True)


def test_an_environment_that_is_not_marked_is_production(tmp_path: Path) -> None:
    files = edited("environments.yaml", "{nonproduction: true}", "{}")
    assert verdict(load_files(tmp_path / "p", files), "bot", "k8s.scale", scale()).floored


STANDING = "effect: allow, standing: {reason: nightly job, until: 2027-02-01, approved_by: eve}}"


def test_a_standing_exception_lifts_the_floor_until_its_day(tmp_path: Path) -> None:
    old = 'resources: ["*/web/**"], effect: allow}'
    files = edited("roles/deployer.yaml", old, f'resources: ["*/web/**"], {STANDING}')
    arguments = scale(cluster="prod-eu")
    before = verdict(load_files(tmp_path / "p", files), "bot", "k8s.scale", arguments)
    after = verdict(load_files(tmp_path / "p", files, datetime(2027, 2, 1, tzinfo=UTC)), "bot", "k8s.scale", arguments)
    assert (before.effect, before.standing) == (Effect.ALLOW, ("scale-floor",))
    assert (after.effect, after.standing, after.floored) == (Effect.REQUIRE_APPROVAL, (), True)


@pytest.mark.parametrize(
    ("rule", "replicas", "before", "after"),
    [
        ("effect: allow}\n    - id: scale-prod", 3, Effect.ALLOW, Effect.DENY),
        ("effect: require_approval", 3, Effect.REQUIRE_APPROVAL, Effect.DENY),
        ("effect: deny", 0, Effect.DENY, Effect.DENY),
    ],
)
@pytest.mark.requirement("T15")
def test_an_expired_allow_or_ask_grants_nothing_and_an_expired_deny_still_denies(
    tmp_path: Path, rule: str, replicas: int, before: Effect, after: Effect
) -> None:
    separator = ", " if "}" in rule else "\n      "
    files = edited("roles/deployer.yaml", rule, f"until: 2027-02-01{separator}{rule}")
    asks = scale(replicas=replicas)
    if "allow" not in rule:
        asks = scale(cluster="prod-eu", namespace="payments", replicas=replicas)
    moments = (datetime(2027, 1, 31, 23, 59, 59, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC))
    answers = [verdict(load_files(tmp_path / "p", files, now), "bot", "k8s.scale", asks) for now in moments]
    assert [answer.effect for answer in answers] == [before, after]


def test_an_expired_agent_gets_nothing(policy: LoadedPolicy) -> None:
    assert code(verdict(policy, "gone", "k8s.get", read())) == "agent_expired"


def test_naming_another_agent_narrows_to_what_both_may(policy: LoadedPolicy) -> None:
    assert verdict(policy, "bot", "k8s.get", read(), "agent:viewer").effect is Effect.ALLOW
    assert code(verdict(policy, "bot", "k8s.get", read("prod-eu"), "agent:viewer")) == "no_rule"
    assert code(verdict(policy, "viewer", "k8s.scale", scale(), "agent:bot")) == "no_rule"


def test_naming_an_operator_narrows_nothing(policy: LoadedPolicy) -> None:
    assert verdict(policy, "bot", "k8s.get", read(), "operator:dana").effect is Effect.ALLOW


@pytest.mark.parametrize(
    "named",
    ["operator:nobody", "agent:nobody", "agent:gone", "dana", "operator:", "agent:dana", "Operator:dana", "agent:bot "],
)
@pytest.mark.requirement("P1")
def test_naming_somebody_unknown_or_expired_is_denied(policy: LoadedPolicy, named: str) -> None:
    assert code(verdict(policy, "bot", "k8s.get", read(), "operator:dana", named)) == "unknown_principal"


def test_naming_very_many_is_denied(policy: LoadedPolicy) -> None:
    assert code(verdict(policy, "bot", "k8s.get", read(), *["operator:dana"] * 17)) == "unknown_principal"


def test_an_interactive_agent_must_name_its_driver(policy: LoadedPolicy) -> None:
    assert code(verdict(policy, "helper", "k8s.get", read())) == "driver_required"
    assert code(verdict(policy, "helper", "k8s.get", read(), "agent:bot")) == "driver_required"
    assert verdict(policy, "helper", "k8s.get", read(), "operator:fay").effect is Effect.ALLOW


def test_a_proposal_of_another_definition_is_denied(tmp_path: Path, policy: LoadedPolicy) -> None:
    proposal = policy.propose("k8s.get", read())
    assert isinstance(proposal, Proposal)
    changed = load_files(tmp_path / "q", edited("tools/kubernetes.yaml", "look at a deployment", "look at it"))
    assert code(changed.verdict(proposal, AgentId("bot"), ())) == "definition_changed"
    assert changed.definition("k8s.get") != policy.definition("k8s.get")
    assert changed.definition("k8s.scale") == policy.definition("k8s.scale")
    assert changed.definition("k8s.exec") is None


def test_an_agent_sees_the_tools_that_some_rule_could_let_it_use(policy: LoadedPolicy) -> None:
    views = {view.name: view for view in policy.tools_for(AgentId("bot"))}
    assert set(views) == {"k8s.get", "k8s.scale"}
    assert not views["k8s.scale"].waits_for_human
    assert views["k8s.get"].arguments == {"cluster": "string", "namespace": "string", "deployment": "string"}
    assert policy.tools_for(AgentId("nobody")) == ()


def test_a_tool_that_always_asks_says_so(tmp_path: Path) -> None:
    files = edited("roles/deployer.yaml", "environments: [staging], when", "environments: [production], when")
    views = {view.name: view for view in load_files(tmp_path / "p", files).tools_for(AgentId("bot"))}
    assert views["k8s.scale"].waits_for_human


def test_routes_carry_what_they_declare(policy: LoadedPolicy) -> None:
    route = policy.route("oncall")
    assert route is not None
    assert (route.needs[0].count, route.needs[0].of) == (2, "oncall")
    assert (route.assurance.name, route.expires_after.seconds, route.pick_up_within.seconds) == ("CONSOLE", 600, 3600)
    assert route.cool_off.seconds == 7_200
    default = policy.route("default")
    assert default is not None
    assert default.assurance.name == "SLACK"
    assert policy.route("nowhere") is None


def test_routes_carry_who_is_told_when(tmp_path: Path) -> None:
    told = "steps: [{tell: [slack:C0PROD]}, {after: 4m, tell: [dm:oncall:secondary, dm:oncall]}]"
    route = load_files(tmp_path / "p", edited("routes.yaml", "cool_off: 2h", told)).route("oncall")
    assert route is not None
    assert [(step.after.seconds, step.tell) for step in route.steps] == [
        (0, ("slack:C0PROD",)),
        (240, ("dm:oncall:secondary", "dm:oncall")),
    ]
