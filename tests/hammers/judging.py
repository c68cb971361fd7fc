"""Random policies and actions: the broker, a stock Casbin enforcer on its export, and a plain reference must agree.

A policy is made as it would stand in YAML, written to files and loaded like any other; what comes out of the loader is
exported, and read by an enforcer that is Casbin's own. The reference sees only what was written.
"""

import json
import logging
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import casbin

from assent.core.actions import Proposal
from assent.core.agents import AgentId
from assent.core.decisions import Verdict
from assent.policy import LoadedPolicy, load
from assent.policy.exported import as_csv
from assent.policy.judge import Facts, Question, functions
from tests.hammers.budget import Budget, Report, expect
from tests.policy import plainly
from tests.policy.directory import NOW, SAMPLE, write

FULL_PAIRS: Final = 1_000_000
ASKED_OF_EACH: Final = 100
PLACES: Final = {"prod": "production", "stg": "staging", "lab": "lab"}
TOOLS: Final = {"t.read": "read", "t.write": "write", "t.sub.wipe": "destructive", "u.write": "write"}
TOOL_PATTERNS: Final = ("t.*", "**", "t.**", "*.write", "u.write", "t.read", "t.sub.wipe", "t.w*", "t.sub.*")
RESOURCES: Final = ("x", "x/y", "x/y/z", "ab/x", "a/b/c/d/e/f/g/h/i", "team-1/x", "team-2/x/y")
RESOURCE_PATTERNS: Final = (
    "**", "prod/**", "*/x", "*/x/**", "stg/x/y", "**/x", "*/team-*/**", "prod/*/y", "*/*", "lab/ab/*", "**/y/*",
    "stg/a/b/c/d/e/f/g/h/*", "p*/x/**",
)  # fmt: skip
ROLES: Final = ("one", "two", "three")
AGENTS: Final = {"a": ("one",), "b": ("one", "two"), "c": ("two", "three"), "d": ("three",)}
NUMBERS: Final = (0, 1, 2, 3, 5, 10)
TEXTS: Final = ("a", "ab", "a/b", "a/b/c", "x.example", "sub.x.example", "me@x.example", "Ab", "b-c", "7")
PREDICATES: Final[dict[str, tuple[tuple[str, tuple[Any, ...]], ...]]] = {
    "n": (
        ("min", NUMBERS),
        ("max", NUMBERS),
        ("equals", NUMBERS),
        ("in", ([0, 1], [2, 3, 5])),
        ("not_in", ([0], [1, 10])),
    ),
    "f": (("min", (0.5, 2, 2.5)), ("max", (0.5, 2, 2.5)), ("equals", (1, 2.5)), ("in", ([0.5, 1], [2.5]))),
    "s": (
        ("equals", TEXTS),
        ("in", (["a", "ab"], ["x.example", "7"])),
        ("not_in", (["a"], ["a/b", "Ab"])),
        ("prefix", ("a", "a/", "x", "Ab")),
        ("under", ("a", "a/b", "x")),
        ("domain", ("x.example", "example", "b-c")),
        ("length", ({"max": 2}, {"min": 3}, {"min": 2, "max": 9})),
        ("matches", ("a.*", "[a-z]+", ".*example", "a|ab", "[0-9]+")),
    ),
    "b": (("equals", (True, False)),),
    "l": (
        (
            "each",
            ({"equals": "a"}, {"in": ["a", "ab"]}, [{"prefix": "a"}, {"domain": "x.example"}], {"length": {"max": 2}}),
        ),
        ("length", ({"max": 1}, {"min": 1})),
    ),
}
_ARGUMENTS: Final = """    area: string
    name: {type: string, path: true}
    "n": {type: integer, optional: true, nullable: true}
    f: {type: number, optional: true}
    s: {type: string, optional: true, nullable: true, unicode: true}
    b: {type: boolean, optional: true}
    l: {type: list, of: string, optional: true}
"""
NAMED: Final = ((), (), (), ("agent:d",), ("operator:dana",), ("agent:b", "agent:c"), ("operator:fay", "agent:a"))
MOMENTS: Final = (NOW - timedelta(days=1), NOW, NOW + timedelta(days=1))


@dataclass(frozen=True)
class Made:
    """A policy as it would stand in YAML: rules by role."""

    rules: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def of(self, agent: str) -> list[dict[str, Any]]:
        """Return all rules of an agent."""
        return [rule for role in AGENTS[agent] for rule in self.rules.get(role, ())]


def run(folder: Path, budget: Budget) -> Report:
    """Compare the three until the budget is spent.

    Raises:
        Disproved: two of them came to something else.

    """
    chance, counts = budget.random(), Counter[str]()
    while budget.goes_on(counts["pairs"]):
        made = random_policy(chance)
        policy = load(write(folder / "policies", files_of(made)), _now)
        stock = Stock(folder, policy)
        counts["policies"] += 1
        for _ in range(ASKED_OF_EACH):
            counts[compare(made, policy, stock, random_action(chance))] += 1
            counts["pairs"] += 1
    return Report(counts=dict(counts))


def _now() -> datetime:
    return NOW


def random_policy(chance: random.Random) -> Made:
    """Return one to eighteen rules over three roles, with everything that a rule may say."""
    rules: dict[str, list[dict[str, Any]]] = {}
    for number in range(chance.randint(1, 18)):
        rules.setdefault(chance.choice(ROLES), []).append(_rule(f"rule{number}", chance))
    return Made(rules)


def _rule(name: str, chance: random.Random) -> dict[str, Any]:
    effect = chance.choice(["allow", "allow", "allow", "require_approval", "require_approval", "deny"])
    places = chance.choice([["*"], ["production"], ["staging"], ["staging", "lab"], ["production", "staging"]])
    rule: dict[str, Any] = {"id": name, "tools": _some(TOOL_PATTERNS, chance), "environments": places, "effect": effect}
    if chance.random() < 0.7:  # most rules name places
        rule["resources"] = _some(RESOURCE_PATTERNS, chance)
    if chance.random() < 0.4:  # and have conditions
        rule["when"] = {key: _alternatives(key, chance) for key in _some(tuple(PREDICATES), chance)}
    if chance.random() < 0.2:  # some end
        rule["until"] = chance.choice(MOMENTS)
    if effect == "require_approval":
        rule["route"] = chance.choice(["default", "oncall"])
    if effect == "allow" and chance.random() < 0.3:  # some are exceptions
        rule["standing"] = {"reason": "r", "until": chance.choice(MOMENTS), "approved_by": "eve"}
    return rule


def _some(values: tuple[str, ...], chance: random.Random) -> list[str]:
    return chance.sample(values, chance.choice([1, 1, 2, 3]))


def _alternatives(key: str, chance: random.Random) -> Any:  # as it stands in YAML
    groups = [_group(key, chance) for _ in range(chance.choice([1, 1, 1, 2]))]
    return groups[0] if len(groups) == 1 else groups


def _group(key: str, chance: random.Random) -> dict[str, Any]:
    if chance.random() < 0.15:  # what every type has
        return {chance.choice(["present", "absent"]): True}
    some = chance.sample(PREDICATES[key], min(len(PREDICATES[key]), chance.choice([1, 1, 2])))
    return {name: chance.choice(operands) for name, operands in some}


def files_of(made: Made) -> dict[str, str]:
    """Return the files of a policy."""
    roles = [
        f"{role}:\n  description: d\n  owner: dana\n  rules:\n" + "".join(map(_line, rules))
        for role, rules in made.rules.items()
    ]
    missing = [f"{role}:\n  description: d\n  owner: dana\n  rules: []\n" for role in ROLES if role not in made.rules]
    return {
        "model.conf": SAMPLE["model.conf"],
        "operators.yaml": SAMPLE["operators.yaml"],
        "routes.yaml": SAMPLE["routes.yaml"],
        "environments.yaml": "production: {}\nstaging: {nonproduction: true}\nlab: {nonproduction: true}\n",
        "tools/tools.yaml": "".join(_tool(name, impact) for name, impact in TOOLS.items()),
        "roles/roles.yaml": "".join(roles + missing),
        "agents.yaml": "".join(
            f"{name}: {{owner: dana, roles: {json.dumps(roles)}, expires: 2027-03-31}}\n"
            for name, roles in AGENTS.items()
        ),
    }


def _line(rule: dict[str, Any]) -> str:
    return f"    - {json.dumps(rule, default=lambda moment: moment.isoformat())}\n"


def _tool(name: str, impact: str) -> str:
    match = ", ".join(f"{key}: {place}" for key, place in PLACES.items())
    words = "" if impact == "read" else "  how_bad: h\n  undo: u\n"
    return (
        f"{name}:\n  description: d\n  impact: {impact}\n"
        f'  resource: "{{area}}/{{name}}"\n  environment: {{from: area, match: {{{match}}}}}\n'
        f"  arguments:\n{_ARGUMENTS}{words}"
    )


def random_action(chance: random.Random) -> tuple[str, tuple[str, ...], str, dict[str, Any]]:
    """Return an agent, further principals, a tool and its arguments, all spelled as they must be."""
    arguments: dict[str, Any] = {"area": chance.choice(list(PLACES)), "name": chance.choice(RESOURCES)}
    optional = {
        "n": chance.choice([*NUMBERS, None]),
        "f": chance.choice([0.5, 1, 2.5, 3]),
        "s": chance.choice([*TEXTS, None]),
        "b": chance.choice([True, False]),
        "l": chance.choice([[], ["a"], ["a", "ab"], ["x.example"], ["me@x.example", "a"], ["zz", "a"]]),
    }
    arguments |= {key: value for key, value in optional.items() if chance.random() < 0.6}  # some are left out
    return chance.choice(list(AGENTS)), chance.choice(NAMED), chance.choice(list(TOOLS)), arguments


def compare(
    made: Made, policy: LoadedPolicy, stock: "Stock", asked: tuple[str, tuple[str, ...], str, dict[str, Any]]
) -> str:
    """Return what all three say.

    Raises:
        Disproved: they do not say the same.

    """
    agent, named, tool, arguments = asked
    proposal = policy.propose(tool, arguments)
    expect(isinstance(proposal, Proposal), f"{proposal} of {tool} {arguments}")
    if not isinstance(proposal, Proposal):
        return ""
    place = PLACES[arguments["area"]]
    action = plainly.Action(
        tool=tool,
        environment=place,
        resource=f"{arguments['area']}/{arguments['name']}",
        arguments=arguments,
        changes=TOOLS[tool] != "read",
        production=place == "production",
    )
    principals = list(dict.fromkeys([agent, *(name[6:] for name in named if name.startswith("agent:"))]))
    expected = plainly.together([plainly.outcome(made.of(one), action, NOW) for one in principals])
    verdict = policy.verdict(proposal, AgentId(agent), named)
    question = f"{agent} {named} {tool} {arguments}\n{made.rules}"
    expect(_as_outcome(verdict) == expected, f"ours {verdict}\nplainly {expected}\n{question}")
    for one in principals:
        applying = sorted(rule["id"] for rule in made.of(one) if plainly.applies(rule, action, NOW))
        found = stock.applying(one, proposal)
        expect(found == applying, f"stock {found}\nplainly {applying}\n{one} of {question}")
    return verdict.effect.value


def _as_outcome(verdict: Verdict) -> plainly.Outcome:
    return plainly.Outcome(
        effect=verdict.effect.value,
        rules=frozenset(verdict.rules),
        routes=frozenset(verdict.routes),
        standing=frozenset(verdict.standing),
    )


class Stock:
    """A stock enforcer on the exported model and CSV, with our functions; nothing else of it is ours."""

    def __init__(self, folder: Path, policy: LoadedPolicy) -> None:
        (folder / "model.conf").write_text(policy.declared.model)
        (folder / "policy.csv").write_text(as_csv(policy.declared))
        self._hits: list[str] = []
        files = (str(folder / "model.conf"), str(folder / "policy.csv"))
        self._enforcer = casbin.Enforcer(*files)  # type: ignore[arg-type,call-arg]  # our stub names what the broker uses
        self._enforcer.logger = logging.Logger("stock", logging.CRITICAL)  # noqa: LOG001  # a warning about every denial
        self.rules = policy.declared.rules
        roles_of: dict[str, tuple[str, ...]] = {agent.id: agent.roles for agent in policy.agents()}
        for name, function in functions(Facts(roles_of, self.rules), self._hits).items():
            self._enforcer.add_function(name, function)
        self._table = self._enforcer.model["p"]["p"]
        self.rows: list[list[str]] = [list(row) for row in self._table.policy]

    def applying(self, agent: str, proposal: Proposal) -> list[str]:
        """Return every rule that applies, each row asked alone: a stock effect stops at the first denial.

        Raises:
            Disproved: over all rows it answers what does not follow from them.

        """
        question = Question(
            tool=proposal.tool,
            environment=proposal.environment,
            resource=proposal.resource,
            arguments=proposal.arguments,
            now=NOW,
        )
        request = (agent, proposal.tool, proposal.environment, proposal.resource, question)
        self._table.policy = self.rows
        allowed = self._enforcer.enforce(*request)
        self._hits.clear()
        for row in self.rows:
            self._table.policy = [row]
            self._enforcer.enforce(*request)
        effects = {self.rules[rule].effect.value for rule in self._hits}
        expect(allowed is ("allow" in effects and "deny" not in effects), f"stock says {allowed} over {self._hits}")
        return sorted(self._hits)
