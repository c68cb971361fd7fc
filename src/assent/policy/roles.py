"""Reads roles and their rules: what agents of a role may do, must ask for, or must never do.

A rule that could mean two things, or nothing, is a finding: an effect that is misspelled never becomes another effect.
"""

import re
from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from assent.core.decisions import Effect
from assent.core.patterns import RESOURCE_SEPARATOR, TOOL_SEPARATOR, fault
from assent.policy import spelling
from assent.policy.bounds import MAX_ALTERNATIVES, MAX_RULE_STEPS, MAX_SEGMENTS, pattern_steps
from assent.policy.catalogue import Tool
from assent.policy.conditions import Condition, FieldCondition, kinds, misuse
from assent.policy.documents import Node, Scalar, Sequence
from assent.policy.fields import EPOCH, NO_NAMES, Fields, choice, known, moment, name, text, texts
from assent.policy.findings import Findings, Place, did_you_mean, quoted
from assent.policy.predicates import Sound, read_condition
from assent.policy.routes import DEFAULT
from assent.policy.rules import ANY, SEPARATOR, Rule, Standing, covered

_RULE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
# What a row's field may hold without being read differently by a CSV file, a Casbin matcher or a person.
_UNSAFE_IN_PATTERNS = re.compile(r'[|,;"\'#\\{}()\[\]]')
_SEGMENT = r"(?:\*\*?|[A-Za-z0-9_-][A-Za-z0-9_.:@-]*\*?)"
_SOUND_RESOURCE = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT}){{0,{MAX_SEGMENTS - 1}}}")
_SAID_INSTEAD: Final = {
    **dict.fromkeys(
        ("ask", "approve", "approval", "confirm", "human", "pending", "require-approval"), Effect.REQUIRE_APPROVAL
    ),
    **dict.fromkeys(("accept", "grant", "permit", "yes"), Effect.ALLOW),
    **dict.fromkeys(("block", "forbid", "never", "no", "refuse", "reject"), Effect.DENY),
}
_EFFECT = choice(Effect, Effect.DENY, _SAID_INSTEAD)
_EVERYWHERE: Final[tuple[str, ...]] = ("**",)
_TOOLS: Final = 2
_TOOL_PATTERN = re.compile(r"[A-Za-z0-9_*-]+(\.[A-Za-z0-9_*-]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What rules may refer to."""

    tools: Mapping[str, Tool]
    environments: Collection[str]
    routes: Collection[str]
    operators: Collection[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What a role is for, who answers for it, and when somebody should look at it again."""

    name: str
    description: str
    owner: str
    review_by: datetime | None
    place: Place


@dataclass(slots=True)
class Rulebook:
    """Collects the rules of all role files and what is wrong with them; what repeats is read and kept once."""

    names: Names
    findings: Findings
    rules: dict[str, Rule] = field(default_factory=dict)
    roles: dict[str, Role] = field(default_factory=dict)
    _texts: dict[str, str] = field(default_factory=dict)
    _lists: dict[tuple[str, tuple[tuple[str, bool], ...]], tuple[str, ...]] = field(default_factory=dict)
    _conditions: dict[Condition, Condition] = field(default_factory=dict)
    _fields: Sound = field(default_factory=dict)
    _fitting: set[tuple[str, str, Hashable]] = field(default_factory=set)
    _covered: dict[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)

    def take(self, keys: tuple[str, ...], node: Node) -> bool:
        """Take one item of a role's `rules` while the file is still being read: a large file is never held whole."""
        if keys[1] != "rules":
            return False
        rule = self._rule(keys[0], node)
        if rule.id in self.rules:
            other = self.rules[rule.id]
            where = f"a rule of `{other.role}` at {other.place}"
            self.findings.add(node.place, f"the rule id {quoted(rule.id)} is taken by {where}")
        elif rule.id:
            self.rules[rule.id] = rule
        return True

    def add_role(self, role: str, node: Node, place: Place) -> None:
        """Read what a role that stands at `place` says besides its rules."""
        fields = Fields(node, self.findings, f"the role `{role}`")
        read = Role(
            name=role,
            description=fields.need("description", text, ""),
            owner=fields.need("owner", name, ""),
            review_by=fields.take("review_by", _moment, None),
            place=place,
        )
        fields.need("rules", _list_only, NO_NAMES)
        fields.close()
        known(read.owner, self.names.operators, fields.at("owner"), self.findings, "operator")
        if role in self.roles:
            self.findings.add(place, f"the role {quoted(role)} stands in two places")
        self.roles[role] = read

    def _rule(self, role: str, node: Node) -> Rule:
        fields = Fields(node, self.findings, "a rule")
        effect = fields.need("effect", _EFFECT, Effect.DENY)
        tools = fields.need("tools", self._tools, NO_NAMES)
        environments = fields.need("environments", self._environments, NO_NAMES)
        resources = fields.take("resources", _resources, _EVERYWHERE)
        rule = Rule(
            row=self._row(
                fields.need("id", _rule_id, ""),
                role,
                SEPARATOR.join(tools),
                SEPARATOR.join(environments),
                SEPARATOR.join(resources),
                effect.value,
            ),
            effect=effect,
            route=fields.take("route", self._name, DEFAULT if effect is Effect.REQUIRE_APPROVAL else ""),
            condition=fields.take("when", self._condition, ()),
            standing=fields.take("standing", self._standing, None),
            until=fields.take("until", _moment, None),
            reason=fields.take("reason", self._words, ""),
            description=fields.take("description", self._words, ""),
            steps=_steps(tools, resources),
            at=node.at,
        )
        fields.close()
        self._check(rule, fields)
        return rule

    def _check(self, rule: Rule, fields: Fields) -> None:
        if rule.effect is Effect.REQUIRE_APPROVAL:
            known(rule.route, self.names.routes, fields.at("route"), self.findings, "route")
        elif rule.route:
            fields.refuse("route", "only a rule with `effect: require_approval` has a route")
        if rule.standing is not None and rule.effect is not Effect.ALLOW:
            fields.refuse("standing", "only a rule with `effect: allow` can be a standing exception")
        if rule.steps > MAX_RULE_STEPS:
            fields.refuse("resources", "these patterns cost too much to try: fewer of them, or fewer `**` within them")
        if rule.condition:
            self._check_condition(rule, fields)

    def _check_condition(self, rule: Rule, fields: Fields) -> None:
        """Check what a condition says against the arguments of the rule's tools; what fits once fits again.

        That hangs on the kinds of the predicates alone, not on what they compare with.
        """
        tools: list[Tool] = []
        for part in rule.condition:
            key = rule.row[_TOOLS], part.argument, kinds(part.any_of)
            if key in self._fitting:
                continue
            tools = tools or [self.names.tools[tool] for tool in self._cover(rule.tools)]
            count = len(self.findings)
            self._check_part(part, tools, fields)
            if len(self.findings) == count:
                self._fitting.add(key)

    def _check_part(self, part: FieldCondition, tools: list[Tool], fields: Fields) -> None:
        declared = [tool.arguments[part.argument] for tool in tools if part.argument in tool.arguments]
        if not declared and tools:
            taken = {argument for tool in tools for argument in tool.arguments}
            hint = did_you_mean(part.argument, taken)
            fields.refuse("when", f"no tool of this rule takes an argument {quoted(part.argument)}{hint}")
        lacking = [tool.name for tool in tools if part.argument not in tool.arguments]
        if declared and lacking:
            fields.refuse("when", f"`{lacking[0]}` takes no {quoted(part.argument)}: give it a rule of its own")
        for argument in declared:
            if (wrong := misuse(part, argument)) is not None:
                fields.refuse("when", wrong)
            if argument.opaque:
                said = f"`{part.argument}` is opaque: it cannot change what happens, nor what is judged"
                fields.refuse("when", said)

    def _condition(self, node: Node, findings: Findings) -> Condition:
        """Read `when`; the same words about one argument are compiled once."""
        condition = read_condition(node, findings, self._fields)
        return self._conditions.setdefault(condition, condition)

    def _tools(self, node: Node, findings: Findings) -> tuple[str, ...]:
        return self._once("tools", node, findings, self._read_tools)

    def _read_tools(self, node: Node, findings: Findings) -> tuple[str, ...]:
        patterns = texts(node, findings)
        for pattern in patterns:
            wrong = fault(pattern, TOOL_SEPARATOR)
            if wrong or not _TOOL_PATTERN.fullmatch(pattern):
                findings.add(node.place, f"{quoted(pattern)} is no pattern of tool names: {wrong or 'a character'}")
            elif not self._cover((pattern,)):
                hint = did_you_mean(pattern, self.names.tools)
                findings.add(node.place, f"no tool of the catalogue matches {quoted(pattern)}{hint}")
        return _some(patterns, node, findings)

    def _environments(self, node: Node, findings: Findings) -> tuple[str, ...]:
        return self._once("environments", node, findings, self._read_environments)

    def _read_environments(self, node: Node, findings: Findings) -> tuple[str, ...]:
        found = texts(node, findings)
        for environment in found:
            if environment != ANY:
                known(environment, self.names.environments, node, findings, "environment")
            elif len(found) > 1:
                findings.add(node.place, "`*` covers every environment, leave the others out")
        return _some(found, node, findings)

    def _once(
        self, what: str, node: Node, findings: Findings, read: Callable[[Node, Findings], tuple[str, ...]]
    ) -> tuple[str, ...]:
        """Return what `read` makes of a list; one that was sound before is not looked at again."""
        if not isinstance(node, Sequence):
            return read(node, findings)
        key = what, tuple([(item.text, item.plain) for item in node.items if isinstance(item, Scalar)])
        sound = self._lists.get(key)
        if sound is not None and len(sound) == len(node.items):
            return sound
        count = len(findings)
        values = read(node, findings)
        if len(findings) == count:
            self._lists[key] = values
        return values

    def _standing(self, node: Node, findings: Findings) -> Standing | None:
        fields = Fields(node, findings, "`standing`")
        standing = Standing(
            reason=fields.need("reason", text, ""),
            until=fields.need("until", moment, EPOCH),
            approved_by=fields.need("approved_by", name, ""),
        )
        fields.close()
        known(standing.approved_by, self.names.operators, fields.at("approved_by"), findings, "operator")
        return standing

    def _cover(self, patterns: tuple[str, ...]) -> tuple[str, ...]:
        if patterns not in self._covered:
            self._covered[patterns] = covered(patterns, self.names.tools)
        return self._covered[patterns]

    def _row(self, *values: str) -> tuple[str, ...]:
        known_texts = self._texts
        return tuple([known_texts.setdefault(value, value) for value in values])

    def _name(self, node: Node, findings: Findings) -> str:
        value = name(node, findings)
        return self._texts.setdefault(value, value)

    def _words(self, node: Node, findings: Findings) -> str:
        value = text(node, findings)
        return self._texts.setdefault(value, value)


def _resources(node: Node, findings: Findings) -> tuple[str, ...]:
    patterns = texts(node, findings)
    for pattern in patterns:
        if _SOUND_RESOURCE.fullmatch(pattern):
            continue
        wrong = fault(pattern, RESOURCE_SEPARATOR) or spelling.fault(pattern, spelling.PATTERN)
        if wrong is None and (unsafe := _UNSAFE_IN_PATTERNS.search(pattern)) is not None:
            wrong = f"{quoted(unsafe[0])} cannot stand in a pattern, write `*` for it"
        if wrong is None and pattern.count(RESOURCE_SEPARATOR) >= MAX_SEGMENTS:
            wrong = f"no resource has more than {MAX_SEGMENTS} segments"
        if wrong is not None:
            findings.add(node.place, f"{quoted(pattern)} is no pattern of resources: {wrong}")
    return _some(patterns, node, findings)


def _steps(tools: tuple[str, ...], resources: tuple[str, ...]) -> int:
    by_tool = [pattern_steps(pattern, TOOL_SEPARATOR) for pattern in tools]
    return sum(by_tool) + sum([pattern_steps(pattern, RESOURCE_SEPARATOR) for pattern in resources])


def _some(values: tuple[str, ...], node: Node, findings: Findings) -> tuple[str, ...]:
    if not values and isinstance(node, Sequence):
        findings.add(node.place, "this list is empty: the rule would match nothing")
    if len(values) > MAX_ALTERNATIVES:
        findings.add(node.place, f"this list names {len(values)} things, at most {MAX_ALTERNATIVES}: write a pattern")
    return values


def _rule_id(node: Node, findings: Findings) -> str:
    value = text(node, findings)
    if value and not _RULE_ID.fullmatch(value):
        findings.add(node.place, f"{quoted(value)} cannot be a rule's id: use letters, digits, `_`, `.` and `-`")
    return value


def _moment(node: Node, findings: Findings) -> datetime | None:
    return moment(node, findings)


def _list_only(node: Node, findings: Findings) -> tuple[str, ...]:
    if not isinstance(node, Sequence):
        findings.add(node.place, "`rules` must be a list")
    return ()
