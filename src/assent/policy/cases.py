"""Cases: decisions that a policy must come to, kept as data beside it: a question in, decision and rules out.

A version that answers one of its own cases with more than was written down never serves: so an accident to any file
that widens what a case covers is found at load. One that narrows it is left to whoever runs the cases.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from assent.core.canonical import Json
from assent.core.decisions import STRICTNESS, Answer, Effect
from assent.core.refusals import REFUSALS
from assent.policy.documents import Mapping as MappingNode
from assent.policy.documents import Node, Sequence, plain
from assent.policy.fields import NO_NAMES, Fields, choice, known, moment, name, names, text, texts
from assent.policy.findings import Findings, Place, quoted

_NO_ARGUMENTS: Final[Mapping[str, Json]] = {}
_MEANS: Final = {
    Answer.ALLOW: Effect.ALLOW,
    Answer.PENDING: Effect.REQUIRE_APPROVAL,
    Answer.DENY: Effect.DENY,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What must come out; None means that it does not matter. `routes` is for questions that go to several."""

    decision: Answer
    rules: tuple[str, ...] | None = None
    route: str | None = None
    routes: tuple[str, ...] | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One question with the decision it must get; `now` is given where a date matters."""

    name: str
    agent: str
    tool: str
    arguments: Mapping[str, Json]
    expect: Expected
    place: Place
    on_behalf_of: tuple[str, ...] = ()
    now: datetime | None = None


def widened(case: Case, effect: Effect) -> str | None:
    """Return how `effect` gives more than the case says, or None."""
    if STRICTNESS[effect] >= STRICTNESS[_MEANS[case.expect.decision]]:
        return None
    return f"the case {quoted(case.name)} must come to `{case.expect.decision}`, but comes to `{effect}`"


def read_cases(node: Node, findings: Findings) -> Iterator[Case]:
    """Yield the cases of one file."""
    if not isinstance(node, Sequence):
        findings.add(node.place, "a file of cases must be a list")
        return
    for item in node.items:
        fields = Fields(item, findings, "a case")
        case = Case(
            name=fields.need("name", text, ""),
            agent=fields.need("agent", text, ""),
            tool=fields.need("tool", text, ""),
            arguments=fields.need("arguments", _arguments, _NO_ARGUMENTS),
            expect=fields.need("expect", _expected, Expected(decision=Answer.DENY)),
            on_behalf_of=fields.take("on_behalf_of", texts, NO_NAMES),
            now=fields.take("now", _moment, None),
            place=item.place,
        )
        fields.close()
        yield case


def _expected(node: Node, findings: Findings) -> Expected:
    fields = Fields(node, findings, "`expect`")
    expected = Expected(
        decision=fields.need("decision", choice(Answer, Answer.DENY), Answer.DENY),
        rules=fields.take("rules", _rules, None),
        route=fields.take("route", _name, None),
        routes=fields.take("routes", _rules, None),
        reason=fields.take("reason", _name, None),
    )
    fields.close()
    if expected.route is not None and expected.routes is not None:
        fields.refuse("routes", "say `route` or `routes`, not both")
    if expected.reason is not None:
        known(expected.reason, REFUSALS, fields.at("reason"), findings, "reason")
    return expected


def _arguments(node: Node, findings: Findings) -> Mapping[str, Json]:
    value = plain(node)
    if isinstance(node, MappingNode) and isinstance(value, dict):
        return value
    findings.add(node.place, "`arguments` must be a mapping")
    return _NO_ARGUMENTS


def _rules(node: Node, findings: Findings) -> tuple[str, ...] | None:
    return names(node, findings)


def _name(node: Node, findings: Findings) -> str | None:
    return name(node, findings)


def _moment(node: Node, findings: Findings) -> datetime | None:
    return moment(node, findings)
