"""Which rules could apply at all: rules filed by role, tool and the literal beginning of their resources.

The index may only leave out rules that cannot match; Casbin judges the rest. So the cost of a decision follows the
rules that are about this tool and this place, not how many rules there are.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from assent.core.patterns import RESOURCE_SEPARATOR
from assent.policy.rules import Rule, covered

WIDE: Final = 32
"""A rule over more tools than this is filed once, under every tool, and not once for each."""
_EVERY_TOOL: Final = ""
_DEEPEST: Final = 8
"""How many literal segments of a pattern tell rules apart; what differs only below is left to Casbin."""

Row = tuple[str, ...]
_Filed = dict[str, Row | list[Row]]


class RuleIndex:
    """An index over the rows of all rules, immutable once built."""

    __slots__ = ("_filed",)

    def __init__(self, rules: Iterable[Rule], tools: Mapping[str, object]) -> None:
        names = tuple(tools)
        by_patterns: dict[str, tuple[str, ...]] = {}
        kept: dict[str, str] = {}
        self._filed: dict[tuple[str, str], _Filed] = {}
        for rule in rules:
            where = by_patterns.get(rule.row[2])
            if where is None:
                where = covered(rule.tools, names)
                by_patterns[rule.row[2]] = where = (_EVERY_TOOL,) if len(where) > WIDE else where
            for tool in where:
                filed = self._filed.setdefault((rule.role, tool), {})
                for beginning in {literal_beginning(pattern) for pattern in rule.resources}:
                    _file(filed, kept.setdefault(beginning, beginning), rule.row)

    def candidates(self, roles: Iterable[str], tool: str, resource: str) -> list[Row]:
        """Return the row of every rule of `roles` that could match this tool and resource, each once."""
        starts = beginnings(resource)
        found: dict[str, Row] = {}
        for role in roles:
            for key in ((role, tool), (role, _EVERY_TOOL)):
                filed = self._filed.get(key)
                if filed is None:
                    continue
                for beginning in starts:
                    there = filed.get(beginning)
                    if there is None:
                        continue
                    if isinstance(there, list):
                        found.update([(row[0], row) for row in there])
                    else:
                        found[there[0]] = there
        return list(found.values())

    def about(self, roles: Iterable[str], tool: str) -> Iterator[Row]:
        """Yield the rows of rules of `roles` that may cover this tool, wherever it acts; some more than once."""
        for role in roles:
            for key in (tool, _EVERY_TOOL):
                for rows in self._filed.get((role, key), {}).values():
                    yield from _rows(rows)


def _file(filed: _Filed, beginning: str, row: Row) -> None:
    # Most places hold one rule: a list for each would be most of the index.
    there = filed.get(beginning)
    if there is None:
        filed[beginning] = row
    elif isinstance(there, list):
        there.append(row)
    else:
        filed[beginning] = [there, row]


def _rows(there: Row | list[Row] | None) -> Iterable[Row]:
    if there is None:
        return ()
    return there if isinstance(there, list) else (there,)


def literal_beginning(pattern: str) -> str:
    """Return the segments before the first one that holds a wildcard, at most eight."""
    star = pattern.find("*")
    literal = pattern if star < 0 else pattern[:star].rpartition(RESOURCE_SEPARATOR)[0]
    if literal.count(RESOURCE_SEPARATOR) < _DEEPEST:
        return literal
    return RESOURCE_SEPARATOR.join(literal.split(RESOURCE_SEPARATOR)[:_DEEPEST])


def beginnings(resource: str) -> list[str]:
    """Return every beginning under which a pattern that matches `resource` may be filed."""
    found = [""]
    end = resource.find(RESOURCE_SEPARATOR)
    while end >= 0 and len(found) <= _DEEPEST:
        found.append(resource[:end])
        end = resource.find(RESOURCE_SEPARATOR, end + 1)
    if end < 0:
        found.append(resource)
    return found
