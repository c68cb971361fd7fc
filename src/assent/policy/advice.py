"""Advice: what is sound and may still not be meant, or is due: idle rules, questions nobody may answer, exceptions.

Each piece names its place. Nothing here keeps a version from serving; who reviews decides.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from assent.core.actions import Impact
from assent.core.agents import AgentProfile
from assent.core.canonical import Json, load
from assent.core.decisions import Effect
from assent.core.operators import Assurance, Permission
from assent.policy.asking import can_be_answered, question
from assent.policy.catalogue import Tool
from assent.policy.declared import Declared
from assent.policy.environments import Constant, Lookup
from assent.policy.files import AGENTS, CASES, ENVIRONMENTS, OPERATORS, ROUTES
from assent.policy.findings import Findings, Place
from assent.policy.index import beginnings, literal_beginning
from assent.policy.routes import DEFAULT
from assent.policy.rules import ANY, Rule
from assent.policy.schema import Kind
from assent.policy.scopes import covers_tool, patterns_meet, tools_within, within_apart_from_tools
from assent.policy.templates import Template
from assent.policy.words import listed

SOON: Final = timedelta(days=30)
_ABOUT_BEING: Final = frozenset({"present", "absent"})
_COMPARED_WITH: Final = 64
"""A rule is held against at most so many others that could cover all of it."""
# A repetition inside a repetition: linear here, and where a backtracking engine reads the same policy it may hang.
_NESTED: Final = re.compile(r"\((?:[^()\\]|\\.)*(?<!\\)[+*](?:[^()\\]|\\.)*\)[+*{]")


def advise(declared: Declared, findings: Findings, now: datetime) -> None:
    """Add to `findings` whatever a reviewer should look at."""
    _Rules(declared, findings, now).advise()
    _tools(declared, findings)
    _environments(declared, findings)
    _people(declared, findings, now)
    if not declared.cases:
        findings.advise(Place(CASES), "there is no case: nothing says what this policy must come to")


class _Rules:
    """Looks at every rule, beside the other rules of its role."""

    def __init__(self, declared: Declared, findings: Findings, now: datetime) -> None:
        self._declared = declared
        self._findings = findings
        self._now = now
        self._held = {role for agent in declared.agents.values() for role in agent.roles}
        self._beside = _Beside(declared.rules.values(), declared.tools)
        self._covered: dict[tuple[str, ...], tuple[Tool, ...]] = {}
        self._empty: dict[str, bool] = {}

    def advise(self) -> None:
        for role in self._declared.roles.values():
            if role.name not in self._held:
                self._findings.advise(role.place, f"no agent has the role `{role.name}`")
            if role.review_by is not None and role.review_by <= self._now:
                self._findings.advise(
                    role.place, f"the role `{role.name}` was to be reviewed by {role.review_by:%Y-%m-%d}"
                )
        for rule in self._declared.rules.values():
            for said in self._about(rule):
                self._findings.advise(rule.place, f"`{rule.id}` {said}")

    def _about(self, rule: Rule) -> Iterator[str]:
        if rule.until is not None and rule.until <= self._now:
            if rule.effect is Effect.DENY:
                yield f"goes on denying after {rule.until:%Y-%m-%d}: an expired deny still denies"
            else:
                yield f"expired on {rule.until:%Y-%m-%d} and grants nothing"
            return
        if rule.until is not None and rule.effect is not Effect.DENY and rule.until <= self._now + SOON:
            yield f"expires on {rule.until:%Y-%m-%d}"
        tools = self._tools_of(rule)
        if (why := self._never(rule, tools)) is not None:
            yield why
            return
        yield from self._standing(rule)
        yield from self._overlapping(rule)
        if rule.effect is Effect.DENY:
            yield from _missing(rule, tools)
        else:
            yield from self._wide(rule, tools)
        yield from _expressions(rule)

    def _tools_of(self, rule: Rule) -> tuple[Tool, ...]:
        found = self._covered.get(rule.tools)
        if found is None:
            found = tuple(tool for name, tool in self._declared.tools.items() if covers_tool(rule, name))
            self._covered[rule.tools] = found
        return found

    def _never(self, rule: Rule, tools: tuple[Tool, ...]) -> str | None:
        """Return why a rule decides nothing, or None."""
        there = [tool for tool in tools if ANY in rule.environments or _places(tool).intersection(rule.environments)]
        if not there:
            return f"is never reached: none of its tools acts in {listed(rule.environments)}"
        if not any(patterns_meet(pattern, _shape(tool)) for tool in there for pattern in rule.resources):
            return f"is never reached: the resources of its tools look like `{_shape(there[0])}`"
        if (field := next((f.argument for f in rule.condition if self._is_empty(f.written)), None)) is not None:
            return f"is never reached: no `{field}` is both so large and so small"
        if rule.effect is Effect.DENY:
            return None
        if (stronger := self._beside.stronger(rule)) is not None:
            if stronger.effect is Effect.DENY:
                return f"is never reached: `{stronger.id}` denies all of it"
            return f"never allows: `{stronger.id}` asks for all of it"
        return self._floored(rule, there)

    def _is_empty(self, written: str) -> bool:
        """Whether no value meets a condition on one argument; the same words are looked at once."""
        if written not in self._empty:
            self._empty[written] = _never_holds(load(written.encode()))
        return self._empty[written]

    def _floored(self, rule: Rule, tools: Iterable[Tool]) -> str | None:
        if rule.effect is not Effect.ALLOW or rule.standing is not None:
            return None
        if any(tool.impact is Impact.READ or self._reaches_nonproduction(rule, tool) for tool in tools):
            return None
        return f"never allows: below the production floor it asks on `{DEFAULT}`; say require_approval and its route"

    def _reaches_nonproduction(self, rule: Rule, tool: Tool) -> bool:
        places = _places(tool)
        if ANY not in rule.environments:
            places = places.intersection(rule.environments)
        return any(self._declared.environments.get(place, False) for place in places)

    def _standing(self, rule: Rule) -> Iterator[str]:
        if rule.standing is None:
            return
        until, by = f"{rule.standing.until:%Y-%m-%d}", rule.standing.approved_by
        if rule.standing.until <= self._now:
            yield f"was an exception from the production floor until {until}: it asks again"
            return
        yield f"is an exception from the production floor until {until}, approved by `{by}`: {rule.standing.reason}"
        owned = [agent.id for agent in self._declared.agents.values() if agent.owner == by and rule.role in agent.roles]
        if owned:
            yield f"is an exception that `{by}` approved, who owns {listed(owned)}"

    def _overlapping(self, rule: Rule) -> Iterator[str]:
        if (wider := self._beside.same(rule)) is not None:
            does = {Effect.ALLOW: "allows", Effect.REQUIRE_APPROVAL: "asks for", Effect.DENY: "denies"}[rule.effect]
            yield f"adds nothing: `{wider.id}` {does} all of it"

    def _wide(self, rule: Rule, tools: tuple[Tool, ...]) -> Iterator[str]:
        changing = [tool for tool in tools if tool.impact is not Impact.READ]
        production = [place for place, marked in self._declared.environments.items() if not marked]
        in_production = ANY in rule.environments or any(place in rule.environments for place in production)
        if not changing or not in_production or not any(_places(tool).intersection(production) for tool in changing):
            return
        if wild := [pattern for pattern in rule.tools if "*" in pattern]:
            yield f"reaches production by the pattern {listed(wild)}: {len(changing)} tools that change something"
        if rule.effect is Effect.ALLOW and rule.standing is not None and "**" in rule.resources:
            yield "lets everything in production pass without a question"


class _Beside:
    """Finds a rule of the same role that covers all of another one: a stronger one, or one that says the same."""

    def __init__(self, rules: Iterable[Rule], tools: Iterable[str]) -> None:
        self._names = tuple(tools)
        self._tools_within: dict[tuple[str, str], bool] = {}
        self._by: dict[tuple[str, Effect, str], list[Rule]] = {}
        for rule in rules:
            for beginning in {literal_beginning(pattern) for pattern in rule.resources}:
                self._by.setdefault((rule.role, rule.effect, beginning), []).append(rule)

    def stronger(self, rule: Rule) -> Rule | None:
        """Return a deny, or for an allow an ask, that covers all of `rule`."""
        effects = (Effect.DENY, Effect.REQUIRE_APPROVAL) if rule.effect is Effect.ALLOW else (Effect.DENY,)
        return next((found for effect in effects if (found := self._covering(rule, effect)) is not None), None)

    def same(self, rule: Rule) -> Rule | None:
        """Return a rule to the same effect that covers all of `rule`; of two that say the same, the first."""
        if rule.standing is not None:
            return None
        return self._covering(rule, rule.effect)

    def _covering(self, rule: Rule, effect: Effect) -> Rule | None:
        looked = 0
        for beginning in beginnings(literal_beginning(rule.resources[0])):
            for other in self._by.get((rule.role, effect, beginning), ()):
                looked += 1
                if looked > _COMPARED_WITH:
                    return None
                if self._covers(other, rule):
                    return other
        return None

    def _covers(self, other: Rule, rule: Rule) -> bool:
        if other is rule or (other.effect is rule.effect and other.route != rule.route):
            return False
        if not self._are_tools_within(rule, other) or not within_apart_from_tools(rule, other):
            return False
        if other.effect is not rule.effect or rule.at > other.at:
            return True
        # Each covers the other: only the later one is told.
        return not (self._are_tools_within(other, rule) and within_apart_from_tools(other, rule))

    def _are_tools_within(self, one: Rule, other: Rule) -> bool:
        key = one.row[2], other.row[2]
        if key not in self._tools_within:
            self._tools_within[key] = tools_within(one, other, self._names)
        return self._tools_within[key]


def _missing(rule: Rule, tools: Iterable[Tool]) -> Iterator[str]:
    """Tell where a deny holds because an argument is missing: right when in doubt, and seldom what was thought of."""
    for field in rule.condition:
        may_be_missing = [
            tool.name
            for tool in tools
            if (argument := tool.arguments.get(field.argument)) and (argument.optional or argument.nullable)
        ]
        written = load(field.written.encode())
        groups = written if isinstance(written, list) else [written]
        if may_be_missing and any(isinstance(one, dict) and one.keys().isdisjoint(_ABOUT_BEING) for one in groups):
            yield f"denies `{may_be_missing[0]}` without `{field.argument}` as well; add `present: true` if not meant"


def _places(tool: Tool) -> set[str]:
    if isinstance(tool.environment, Constant):
        return {tool.environment.environment}
    return {*tool.environment.names.values(), *(place for _, place in tool.environment.patterns)}


def _shape(tool: Tool) -> str:
    """Return the pattern of all resources of a tool: what an argument fills stands for anything."""
    template: Template = tool.resource
    parts = [part if index % 2 == 0 else _filled(tool, part) for index, part in enumerate(template.parts)]
    return "".join(parts) or "**"


def _filled(tool: Tool, key: str) -> str:
    argument = tool.arguments[key]
    is_whole = tool.resource.parts == ("", key, "")
    return "**" if argument.kind is Kind.STRING and (argument.spelling.is_path or is_whole) else "*"


def _never_holds(written: Json) -> bool:
    if isinstance(written, list):
        return bool(written) and all(_never_holds(one) for one in written)
    if not isinstance(written, dict):
        return False
    low, high = written.get("min"), written.get("max")
    return isinstance(low, int | float) and isinstance(high, int | float) and low > high


def _expressions(rule: Rule) -> Iterator[str]:
    for field in rule.condition:
        if '"matches"' in field.written and _NESTED.search(field.written):
            yield f"repeats a repetition in its expression on `{field.argument}`: linear here, not in every engine"


def _tools(declared: Declared, findings: Findings) -> None:
    patterns = {pattern for rule in declared.rules.values() for pattern in rule.tools}
    for name, tool in declared.tools.items():
        if not any(covers_tool_by(pattern, name) for pattern in patterns):
            findings.advise(tool.place, f"no rule is about `{name}`: nobody may use it")
        if isinstance(tool.environment, Lookup) and tool.environment.patterns and tool.impact is not Impact.READ:
            found = listed(pattern for pattern, _ in tool.environment.patterns)
            findings.advise(tool.place, f"`{name}` finds its environment by {found}: {tool.environment.unsafe_pattern}")
        if hidden := [
            key for key in tool.sensitive if not tool.arguments[key].opaque and not tool.arguments[key].optional
        ]:
            findings.advise(
                tool.place,
                f"`{name}` takes {listed(hidden)} in secret: a question about it is approved only where it can be seen",
            )


def _environments(declared: Declared, findings: Findings) -> None:
    reached = {place for tool in declared.tools.values() for place in _places(tool)}
    for name in declared.environments:
        if name not in reached:
            findings.advise(declared.place(ENVIRONMENTS, name), f"no tool acts in the environment `{name}`")


def covers_tool_by(pattern: str, name: str) -> bool:
    """Whether one pattern of a rule is about a tool."""
    return covers_tool(Rule(row=("", "", pattern, "", "", ""), effect=Effect.DENY), name)


def _people(declared: Declared, findings: Findings, now: datetime) -> None:
    used = {DEFAULT, *(rule.route for rule in declared.rules.values() if rule.effect is Effect.REQUIRE_APPROVAL)}
    for name in declared.routes:
        if name not in used:
            findings.advise(declared.place(ROUTES, name), f"no rule asks on the route `{name}`")
    for name, route in declared.routes.items():
        if route.assurance is Assurance.STEP_UP:
            said = (
                f"`{name}` is answered at the console alone, each time with a passkey: `assent doctor` says who has one"
            )
            findings.advise(declared.place(ROUTES, name), said)
    asked = {need.of for route in declared.routes.values() for need in route.needs}
    for key, operator in declared.operators.items():
        single = operator.single_person
        if single is not None:
            might = "might" if single.until <= now else "may"
            said = f"`{key}` {might} approve what their own agents ask until {single.until:%Y-%m-%d}: {single.reason}"
            findings.advise(declared.place(OPERATORS, key), said)
        # Who administers everything holds this permission with all others, and is not meant to be asked.
        is_meant = operator.may(Permission.APPROVALS_DECIDE) and not operator.security_admin
        if is_meant and not asked.intersection(operator.groups):
            said = f"`{key}` may approve and is in no group that a route asks"
            findings.advise(declared.place(OPERATORS, key), said)
    routes_of = _routes_of_roles(declared)
    for agent in declared.agents.values():
        _agent(declared, agent, findings, now, routes_of)


def _routes_of_roles(declared: Declared) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for rule in declared.rules.values():
        if rule.effect is Effect.REQUIRE_APPROVAL:
            found.setdefault(rule.role, set()).add(rule.route)
        elif rule.effect is Effect.ALLOW:
            found.setdefault(rule.role, set()).add(DEFAULT)
    return found


def _agent(
    declared: Declared, agent: AgentProfile, findings: Findings, now: datetime, routes_of: dict[str, set[str]]
) -> None:
    place = declared.place(AGENTS, agent.id)
    if agent.expires <= now:
        findings.advise(place, f"`{agent.id}` expired on {agent.expires:%Y-%m-%d}")
        return
    if agent.expires <= now + SOON:
        findings.advise(place, f"`{agent.id}` expires on {agent.expires:%Y-%m-%d}")
    if not agent.cut_off:
        findings.advise(place, f"`{agent.id}` says nothing under `cut_off`: how are its own credentials revoked?")
    operators = tuple(declared.operators.values())
    for name in sorted({route for role in agent.roles for route in routes_of.get(role, ())}):
        if not can_be_answered(question(agent, (declared.routes[name],), now), operators, now):
            findings.advise(
                place, f"nobody may answer `{agent.id}` on `{name}`: its owner `{agent.owner}` does not count"
            )
