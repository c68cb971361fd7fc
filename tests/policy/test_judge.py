"""The judge against a stock enforcer over all rules and against a reference without Casbin, on random rules."""

import logging
import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import casbin
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.core.actions import Impact, Proposal
from assent.core.agents import AgentId, AgentProfile
from assent.core.canonical import canonical
from assent.core.decisions import Effect
from assent.core.operators import OperatorId
from assent.core.reasons import Reason
from assent.policy.catalogue import Tool
from assent.policy.conditions import Condition, FieldCondition, Predicate
from assent.policy.declared import Declared
from assent.policy.documents import read_document
from assent.policy.environments import Constant, Derivation, Lookup
from assent.policy.findings import Findings
from assent.policy.index import RuleIndex
from assent.policy.judge import Facts, Judge, JudgeFailed, Question, functions
from assent.policy.loaded import LoadedPolicy
from assent.policy.predicates import read_condition
from assent.policy.rules import Rule
from assent.policy.templates import Template
from tests.policy import reference
from tests.policy.directory import NOW, SAMPLE

MODEL = SAMPLE["model.conf"]
TOOL_NAMES = ["a", "b", "a.b", "a.b.c", "a.c", "b.c"]
TOOL_PATTERNS = ["a", "a.*", "**", "a.**", "*.c", "a.b", "b*"]
RESOURCES = ["p", "p/x", "p/x/y", "p/q", "q", "q/x", "pq/x", "p/x/y/z/1/2/3/4/5/6"]
RESOURCE_PATTERNS = [
    "**",
    "p/**",
    "p/x",
    "p/x/**",
    "*/x",
    "q",
    "p*/x",
    "*/*",
    "p/x/y/z/1/2/3/4/5/6",
    "p/x/y/z/1/2/3/4/5/*",
]
ROLES = ["r1", "r2", "r3"]
PLACES = {"production": False, "staging": True}


def compiled(text: str) -> Condition:
    findings = Findings()
    node = read_document("when", text.encode(), findings)
    assert node is not None
    return read_condition(node, findings, {})


CONDITIONS: dict[str, Condition] = {"": (), **{text: compiled(text) for text in reference.WHEN}}


def some(values: Sequence[str], largest: int) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=largest, unique=True)


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Rule]:
    def rule(name: str) -> Rule:
        effect = draw(st.sampled_from(Effect))
        environments = draw(st.sampled_from([["*"], ["production"], ["staging"], ["production", "staging"]]))
        fields = [draw(some(TOOL_PATTERNS, 2)), environments, draw(some(RESOURCE_PATTERNS, 3))]
        row = (name, draw(st.sampled_from(ROLES)), *("|".join(field) for field in fields), effect.value)
        until = draw(st.none() | st.sampled_from([NOW - timedelta(days=1), NOW, NOW + timedelta(days=1)]))
        condition = CONDITIONS[draw(st.sampled_from(sorted(CONDITIONS)))]
        return Rule(row=row, effect=effect, route="default", until=until, condition=condition)

    return {name: rule(name) for name in (f"rule{n}" for n in range(draw(st.integers(1, 12))))}


def policy_of(
    found: dict[str, Rule],
    roles: Iterable[str],
    environment: Derivation = Constant("staging"),  # noqa: B008  # it is frozen
) -> LoadedPolicy:
    def tool(name: str) -> Tool:
        return Tool(
            name=name, definition="d", description="", impact=Impact.WRITE, resource=Template(("x",)),
            environment=environment, arguments={}, schema={},
        )  # fmt: skip

    agent = AgentProfile(
        id=AgentId("bot"), owner=OperatorId("dana"), roles=tuple(roles), expires=datetime(2030, 1, 1, tzinfo=UTC)
    )
    declared = Declared(
        version="v", model=MODEL, tools={name: tool(name) for name in TOOL_NAMES}, environments=PLACES, operators={},
        routes={}, rules=found, agents={"bot": agent}, demanded={},
    )  # fmt: skip
    return LoadedPolicy(declared, lambda: NOW)


def proposal(tool: str, environment: str, resource: str, n: int | None = None) -> Proposal:
    return Proposal(
        tool=tool, definition="d", impact=Impact.WRITE, arguments=canonical({} if n is None else {"n": n}),
        resource=resource, environment=environment, nonproduction=PLACES[environment],
    )  # fmt: skip


def stock(found: dict[str, Rule], asked: reference.Asked, arguments: bytes) -> tuple[bool, list[str]]:
    """Returns what an unchanged enforcer says over every rule, and, asked of one rule at a time, which apply."""
    hits: list[str] = []
    question = Question(
        tool=asked.tool,
        environment=asked.environment,
        resource=asked.resource,
        arguments=arguments,
        now=NOW,
    )
    enforcer = casbin.Enforcer(casbin.Enforcer.new_model(text=MODEL))
    for name, function in functions(Facts({"bot": asked.roles}, found), hits).items():
        enforcer.add_function(name, function)
    request = ("bot", asked.tool, asked.environment, asked.resource, question)
    policy = enforcer.model["p"]["p"]
    policy.policy = [list(rule.row) for rule in found.values()]
    allowed = enforcer.enforce(*request)
    hits.clear()
    for rule in found.values():
        policy.policy = [list(rule.row)]
        enforcer.enforce(*request)
    return allowed, sorted(hits)


ASKED = st.builds(
    reference.Asked,
    roles=st.lists(st.sampled_from(ROLES), unique=True).map(tuple),
    tool=st.sampled_from(TOOL_NAMES),
    environment=st.sampled_from(sorted(PLACES)),
    resource=st.sampled_from(RESOURCES),
    n=st.none() | st.integers(0, 6),
    now=st.just(NOW),
    changes_production=st.just(value=True),
).map(lambda asked: replace(asked, changes_production=asked.environment == "production"))


def written(found: dict[str, Rule]) -> list[tuple[Rule, str]]:
    """Returns rules with their conditions as they were written."""
    texts = {condition: text for text, condition in CONDITIONS.items()}
    return [(rule, texts[rule.condition]) for rule in found.values()]


@settings(deadline=None)
@given(rules(), ASKED)
def test_stock_casbin_and_a_reference_reach_the_same_verdict(found: dict[str, Rule], asked: reference.Asked) -> None:
    proposed = proposal(asked.tool, asked.environment, asked.resource, asked.n)
    ours = policy_of(found, asked.roles).verdict(proposed, AgentId("bot"), ())
    allowed, hits = stock(found, asked, proposed.arguments)
    expected, applying = reference.verdict(written(found), asked)
    assert (ours.effect, sorted(ours.rules)) == (expected, applying)
    assert hits == applying
    assert allowed is (found_effects(found, hits) >= {Effect.ALLOW} and Effect.DENY not in found_effects(found, hits))


def found_effects(found: dict[str, Rule], ids: Iterable[str]) -> set[Effect]:
    return {found[name].effect for name in ids}


@given(rules(), ASKED)
def test_the_index_leaves_out_only_rules_that_cannot_apply(found: dict[str, Rule], asked: reference.Asked) -> None:
    index = RuleIndex(found.values(), dict.fromkeys(TOOL_NAMES))
    kept = {row[0] for row in index.candidates(asked.roles, asked.tool, asked.resource)}
    assert {rule.id for rule, when in written(found) if reference.applies(rule, when, asked)} <= kept


def test_a_rule_over_very_many_tools_is_still_found() -> None:
    tools = dict.fromkeys(f"t.n{number}" for number in range(100))
    rule = Rule(row=("wide", "r1", "t.*", "*", "**", "allow"), effect=Effect.ALLOW)
    assert RuleIndex([rule], tools).candidates(["r1"], "t.n42", "x/y") == [rule.row]
    assert list(RuleIndex([rule], tools).about(["r1"], "t.n42")) == [rule.row]


def question(resource: str = "p/x") -> Question:
    return Question(tool="a.b", environment="staging", resource=resource, arguments=b"{}", now=NOW)


def allow(name: str = "one") -> Rule:
    return Rule(row=(name, "r1", "a.*", "*", "**", "allow"), effect=Effect.ALLOW)


def test_without_candidates_nothing_applies() -> None:
    assert Judge(MODEL, Facts({"bot": frozenset({"r1"})}, {})).applying(question(), "bot", []) == ()


@pytest.mark.requirement("T6")
def test_a_row_whose_effect_disagrees_with_its_rule_fails_instead_of_allowing() -> None:
    rule = allow()
    judge = Judge(MODEL, Facts({"bot": frozenset({"r1"})}, {"one": rule}))
    with pytest.raises(JudgeFailed):
        judge.applying(question(), "bot", [(*rule.row[:-1], "Deny")])


def breaks(_: object) -> bool:
    raise SystemError("AST constructor recursion depth mismatch")


BROKEN = FieldCondition("x", ((Predicate(breaks, frozenset()),),))
FAULTS = {
    "a row that is too short": Rule(row=("one", "r1", "a.*", "*", "**"), effect=Effect.ALLOW),
    "a row of another rule": Rule(row=("two", "r1", "a.*", "*", "**", "allow"), effect=Effect.ALLOW),
    "an effect that is not the rule's": Rule(row=("one", "r1", "a.*", "*", "**", "allow"), effect=Effect.DENY),
    "a condition that raises": replace(allow(), condition=(BROKEN,)),
}


@pytest.mark.requirement("T6", "P1")
@pytest.mark.parametrize("fault", FAULTS)
def test_an_error_inside_the_judge_is_a_deny_that_names_it(fault: str) -> None:
    policy = policy_of({"one": FAULTS[fault]}, ["r1"])
    verdict = policy.verdict(proposal("a.b", "staging", "p"), AgentId("bot"), ())
    assert verdict.effect is Effect.DENY
    assert [reason.code for reason in verdict.reasons] == ["policy_error"]


@pytest.mark.requirement("P1")
def test_an_error_while_proposing_is_a_refusal_that_names_it() -> None:
    lost = Lookup(argument="lost", segment=-1, names={}, patterns=())
    answer = policy_of({"one": allow()}, ["r1"], lost).propose("a", {})
    assert isinstance(answer, Reason)
    assert answer.code == "policy_error"


def test_casbin_logs_no_request(caplog: pytest.LogCaptureFixture) -> None:
    judge = Judge(MODEL, Facts({"bot": frozenset({"r1"})}, {"one": allow()}))
    logging.getLogger("casbin.enforcer").disabled = False
    with caplog.at_level(logging.DEBUG):
        judge.applying(question("secret/x"), "bot", [])
    assert "secret" not in caplog.text


def test_two_threads_at_once_each_get_their_own_answer() -> None:
    # CPython 3.11 raises SystemError when two threads parse at once; the lock is what this sees.
    facts = Facts({"bot": frozenset({"r1"})}, {name: allow(name) for name in ("one", "two")})
    judge = Judge(MODEL, facts)
    wrong: list[object] = []

    def ask(name: str) -> None:
        for _ in range(300):
            found = judge.applying(question(), "bot", [facts.rules[name].row])
            if [rule.id for rule in found] != [name]:
                wrong.append(found)

    threads = [threading.Thread(target=ask, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert wrong == []
