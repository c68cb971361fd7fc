"""Reads roles and their rules: what agents of a role may do, must ask for, or must never do.

A rule that could mean two things, or nothing, is a finding: an effect that is misspelled never becomes another effect.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from assent.core.decisions import Effect
from assent.core.patterns import RESOURCE_SEPARATOR, TOOL_SEPARATOR, fault
from assent.policy import spelling
from assent.policy.catalogue import Tool
from assent.policy.conditions import misuse
from assent.policy.documents import Node, Scalar
from assent.policy.fields import EPOCH, NO_NAMES, Fields, choice, known, moment, name, text, texts
from assent.policy.findings import Findings, did_you_mean, quoted
from assent.policy.predicates import read_condition
from assent.policy.rules import ANY, SEPARATOR, Rule, Standing, covered

_RULE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
# What a row's field may hold without being read differently by a CSV file, a Casbin matcher or a person.
_UNSAFE_IN_PATTERNS = re.compile(r'[|,;"\'#\\{}]')
_TOOL_PATTERN = re.compile(r"[A-Za-z0-9_*-]+(\.[A-Za-z0-9_*-]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What rules may refer to."""

    tools: Mapping[str, Tool]
    environments: Collection[str]
    routes: Collection[str]
    operators: Collection[str]


@dataclass(slots=True)
class Rulebook:
    """Collects the rules of all role files and what is wrong with them; texts that repeat are kept once."""

    names: Names
    findings: Findings
    rules: dict[str, Rule] = field(default_factory=dict)
    roles: set[str] = field(default_factory=set)
    _texts: dict[str, str] = field(default_factory=dict)
    _covered: dict[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)

    def take(self, keys: tuple[str, ...], node: Node) -> bool:
        """Take one item of a role's `rules` while the file is still being read: a large file is never held whole."""
        if keys[1:] != ("rules",):
            return False
        rule = self._rule(keys[0], node)
        if rule.id in self.rules:
            self.findings.add(
                node.place, f"the rule id {quoted(rule.id)} is taken by a rule of `{self.rules[rule.id].role}`"
            )
        elif rule.id:
            self.rules[rule.id] = rule
        return True

    def add_role(self, role: str, node: Node) -> None:
        """Read what a role says besides its rules."""
        fields = Fields(node, self.findings, f"the role `{role}`")
        fields.need("description", text, "")
        owner = fields.need("owner", name, "")
        known(owner, self.names.operators, fields.at("owner"), self.findings, "operator")
        fields.take("review_by", moment, EPOCH)
        fields.need("rules", _list_only, NO_NAMES)
        fields.close()
        if role in self.roles:
            self.findings.add(node.place, f"the role {quoted(role)} stands in two places")
        self.roles.add(role)

    def _rule(self, role: str, node: Node) -> Rule:
        fields = Fields(node, self.findings, "a rule")
        effect = fields.need("effect", choice(Effect, Effect.DENY), Effect.DENY)
        tools = fields.need("tools", self._tools, NO_NAMES)
        environments = fields.need("environments", self._environments, NO_NAMES)
        rule = Rule(
            row=self._row(
                fields.need("id", _rule_id, ""),
                role,
                SEPARATOR.join(tools),
                SEPARATOR.join(environments),
                SEPARATOR.join(fields.take("resources", _resources, ("**",))),
                effect.value,
            ),
            effect=effect,
            route=self._text(fields.take("route", name, "default" if effect is Effect.REQUIRE_APPROVAL else "")),
            condition=fields.take("when", read_condition, ()),
            standing=fields.take("standing", self._standing, None),
            until=fields.take("until", _moment, None),
        )
        fields.take("reason", text, "")
        fields.take("description", text, "")
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
        if rule.condition:
            self._check_condition(rule, fields)

    def _check_condition(self, rule: Rule, fields: Fields) -> None:
        tools = [self.names.tools[tool] for tool in self._cover(rule.tools)]
        for part in rule.condition:
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

    def _tools(self, node: Node, findings: Findings) -> tuple[str, ...]:
        patterns = texts(node, findings)
        for pattern in patterns:
            wrong = fault(pattern, TOOL_SEPARATOR)
            if wrong or not _TOOL_PATTERN.fullmatch(pattern):
                findings.add(node.place, f"{quoted(pattern)} is no pattern of tool names: {wrong or 'a character'}")
            elif not self._cover((pattern,)):
                hint = did_you_mean(pattern, self.names.tools)
                findings.add(node.place, f"no tool of the catalogue matches {quoted(pattern)}{hint}")
        return _not_empty(patterns, node, findings)

    def _environments(self, node: Node, findings: Findings) -> tuple[str, ...]:
        found = texts(node, findings)
        for environment in found:
            if environment != ANY:
                known(environment, self.names.environments, node, findings, "environment")
            elif len(found) > 1:
                findings.add(node.place, "`*` covers every environment, leave the others out")
        return _not_empty(found, node, findings)

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
        return tuple(self._text(value) for value in values)

    def _text(self, value: str) -> str:
        return self._texts.setdefault(value, value)


def _resources(node: Node, findings: Findings) -> tuple[str, ...]:
    patterns = texts(node, findings)
    for pattern in patterns:
        wrong = fault(pattern, RESOURCE_SEPARATOR) or spelling.fault(pattern, spelling.PATTERN)
        if wrong is None and (unsafe := _UNSAFE_IN_PATTERNS.search(pattern)) is not None:
            wrong = f"{quoted(unsafe[0])} cannot stand in a pattern, write `*` for it"
        if wrong is not None:
            findings.add(node.place, f"{quoted(pattern)} is no pattern of resources: {wrong}")
    return _not_empty(patterns, node, findings)


def _not_empty(values: tuple[str, ...], node: Node, findings: Findings) -> tuple[str, ...]:
    if not values:
        findings.add(node.place, "this list is empty: the rule would match nothing")
    return values


def _rule_id(node: Node, findings: Findings) -> str:
    value = text(node, findings)
    if value and not _RULE_ID.fullmatch(value):
        findings.add(node.place, f"{quoted(value)} cannot be a rule's id: use letters, digits, `_`, `.` and `-`")
    return value


def _moment(node: Node, findings: Findings) -> datetime | None:
    return moment(node, findings)


def _list_only(node: Node, findings: Findings) -> tuple[str, ...]:
    if isinstance(node, Scalar):
        findings.add(node.place, "`rules` must be a list")
    return ()
