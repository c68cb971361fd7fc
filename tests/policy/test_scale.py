"""How much is looked at for one decision: it follows what is about this tool and place, not how many rules exist."""

from collections.abc import Iterator

import pytest

from assent.core.decisions import Effect
from assent.policy.index import RuleIndex
from assent.policy.rules import Rule

TOOLS = dict.fromkeys(f"t.n{number}" for number in range(20))


def spread(count: int) -> Iterator[Rule]:
    """Yields rules over many roles, tools and places."""
    for number in range(count):
        row = (f"r{number}", f"role{number // 50}", f"t.n{number % 20}", "*", f"prod/team{number}/**", "allow")
        yield Rule(row=row, effect=Effect.ALLOW)


def deep(count: int) -> Iterator[Rule]:
    """Yields rules that are all of one role and one tool."""
    for number in range(count):
        yield Rule(row=(f"r{number}", "role0", "t.n0", "*", f"prod/team{number}/**", "allow"), effect=Effect.ALLOW)


@pytest.mark.parametrize("shape", [spread, deep])
def test_the_candidates_for_one_question_do_not_grow_with_the_rules(shape: object) -> None:
    assert callable(shape)
    found = [RuleIndex(shape(count), TOOLS).candidates(["role0"], "t.n0", "prod/team0/x") for count in (10, 20_000)]
    assert [[row[0] for row in rows] for rows in found] == [["r0"], ["r0"]]
