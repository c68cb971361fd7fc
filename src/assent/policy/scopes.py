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
    return within_apart_from_tools(one, other) and tools_within(one, other, tools)


def tools_within(one: Rule, other: Rule, tools: Collection[str]) -> bool:
    """Whether `other` is about every tool that `one` is about."""
    return all(covers_tool(other, tool) for tool in tools if covers_tool(one, tool))


def within_apart_from_tools(one: Rule, other: Rule) -> bool:
    """Whether `other` covers every place and condition that `one` covers."""
    return (
        (ANY in other.environments or set(one.environments) <= set(other.environments))
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
        and any(patterns_meet(p, q) for p in one.resources for q in other.resources)
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


def patterns_meet(one: str, other: str) -> bool:
    """Whether some resource could match both patterns; certain when it says no."""
    mine, theirs = one.split(RESOURCE_SEPARATOR), other.split(RESOURCE_SEPARATOR)
    # reachable[j]: the segments so far of `mine` can be met by the first j segments of `theirs`.
    reachable = [True, *([False] * len(theirs))]
    for index, segment in enumerate(mine):
        following = [False] * (len(theirs) + 1)
        for j in range(1, len(theirs) + 1):
            before = (
                reachable[j - 1]
                or (segment == _ACROSS and following[j - 1])
                or (theirs[j - 1] == _ACROSS and reachable[j])
            )
            following[j] = before and _segments_meet(segment, theirs[j - 1])
        reachable = following
        if index == 0 and not any(reachable):
            return False
    return reachable[-1]


def _segments_meet(one: str, other: str) -> bool:
    if "*" not in one and "*" not in other:
        return one == other
    head, other_head = one.partition("*")[0], other.partition("*")[0]
    tail, other_tail = one.rpartition("*")[2], other.rpartition("*")[2]
    return (head.startswith(other_head) or other_head.startswith(head)) and (
        tail.endswith(other_tail) or other_tail.endswith(tail)
    )


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
