"""Scopes: whether everything that one rule covers is covered by another, and whether two rules could ever meet.

Both answers err on one side: containment is only claimed where it is certain, meeting is only denied where it is
impossible.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final

from assent.core.canonical import Json, load
from assent.core.decisions import Effect
from assent.core.patterns import RESOURCE_SEPARATOR, TOOL_SEPARATOR, matches
from assent.policy.conditions import Condition
from assent.policy.rules import ANY, Rule

_ACROSS: Final = "**"
_LOWER_IS_NARROWER: Final = frozenset({"max"})
_HIGHER_IS_NARROWER: Final = frozenset({"min"})


def within(one: Rule, other: Rule, tools: Collection[str]) -> bool:
    """Whether `other` covers every action that `one` covers, roles and effects apart; `tools` are all names in play."""
    return (
        all(covers_tool(other, tool) for tool in tools if covers_tool(one, tool))
        and (ANY in other.environments or set(one.environments) <= set(other.environments))
        and all(any(_pattern_within(p, q) for q in other.resources) for p in one.resources)
        and condition_within(one.condition, other.condition)
        and (one.effect is Effect.DENY or _no_later(one.until, other.until))
    )


def could_meet(one: Rule, other: Rule, tools: Collection[str]) -> bool:
    """Whether some action could be covered by both, conditions and dates apart."""
    return (
        any(covers_tool(one, tool) and covers_tool(other, tool) for tool in tools)
        and (
            ANY in one.environments
            or ANY in other.environments
            or not set(one.environments).isdisjoint(other.environments)
        )
        and any(_could_overlap(p, q) for p in one.resources for q in other.resources)
    )


def covers_tool(rule: Rule, tool: str) -> bool:
    """Whether a rule is about this tool."""
    return any(matches(pattern, tool, TOOL_SEPARATOR) for pattern in rule.tools)


def condition_within(one: Condition, other: Condition) -> bool:
    """Whether `other` holds wherever `one` does: it asks for no argument more, and for none more strictly."""
    mine = {field.argument: field.written for field in one}
    return all(field.argument in mine and _written_within(mine[field.argument], field.written) for field in other)


def _written_within(one: str, other: str) -> bool:
    return one == other or _predicate_within(load(one.encode()), load(other.encode()))


def _no_later(one: datetime | None, other: datetime | None) -> bool:
    return other is None or (one is not None and one <= other)


def _pattern_within(one: str, other: str) -> bool:
    if other in (one, _ACROSS):
        return True
    head = other.removesuffix(_ACROSS)
    if head != other and "*" not in head:
        return one.startswith(head) and len(one) > len(head)
    return "*" not in one and matches(other, one, RESOURCE_SEPARATOR)


def _could_overlap(one: str, other: str) -> bool:
    """Whether two patterns may match one resource: they cannot when their literal beginnings part."""
    for mine, theirs in zip(one.split(RESOURCE_SEPARATOR), other.split(RESOURCE_SEPARATOR), strict=False):
        if "*" in mine or "*" in theirs:
            return True
        if mine != theirs:
            return False
    return one.count(RESOURCE_SEPARATOR) == other.count(RESOURCE_SEPARATOR) or _ACROSS in one or _ACROSS in other


def _predicate_within(one: Json, other: Json) -> bool:
    """Whether every value that meets `one`, as written in a rule, meets `other`."""
    if one == other:
        return True
    if not isinstance(one, dict) or not isinstance(other, dict):
        return False
    return all(key in one and _operand_within(key, one[key], operand) for key, operand in other.items())


def _operand_within(key: str, one: Json, other: Json) -> bool:
    if one == other:
        return True
    if isinstance(one, int | float) and isinstance(other, int | float):
        return (key in _LOWER_IS_NARROWER and one <= other) or (key in _HIGHER_IS_NARROWER and one >= other)
    if isinstance(one, list) and isinstance(other, list):
        texts = {_text(item) for item in one}, {_text(item) for item in other}
        return (key == "in" and texts[0] <= texts[1]) or (key == "not_in" and texts[0] >= texts[1])
    return False


def _text(value: Json) -> str:
    return f"{type(value).__name__} {value}"


def by_role(rules: Mapping[str, Rule]) -> dict[str, list[Rule]]:
    """Return rules by role."""
    found: dict[str, list[Rule]] = {}
    for rule in rules.values():
        found.setdefault(rule.role, []).append(rule)
    return found
