"""Rules and questions of any size, and the oracle: the answer that every contender must give.

Pure and seeded. The oracle reads rules one by one and knows no index, so that it cannot share a fault with one.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isqrt
from typing import Final

TOOLS: Final = 40
EVERY_TOOL: Final = "svc.*"
PLACES: Final = {"prod": "production", "stg": "staging"}


class Shape(StrEnum):
    """How rules are spread: over as many roles as each has rules, or all in one."""

    MIXED = "mixed"
    DEEP = "deep"


class Answer(StrEnum):
    """What a question comes to; nobody is asked in these worlds."""

    ALLOW = "allow"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Rule:
    """`effect` for `role` on `tool` (or every one) below `place`/`area`/."""

    id: str
    role: str
    tool: str
    place: str
    area: str
    effect: Answer


@dataclass(frozen=True, slots=True)
class Question:
    """One agent asks for one tool on one path; `role` is the agent's only one."""

    agent: str
    role: str
    tool: str
    path: str

    @property
    def environment(self) -> str:
        """The environment that the path's first segment stands for."""
        return PLACES[self.path.partition("/")[0]]


@dataclass(frozen=True, slots=True)
class World:
    """`rules` by position; agent number i has role number i modulo the number of roles."""

    rules: tuple[Rule, ...]
    roles: tuple[str, ...]
    agents: int

    def role_of(self, agent: int) -> str:
        """Return the role of an agent, by number."""
        return self.roles[agent % len(self.roles)]


def agent_name(number: int) -> str:
    """Return how agent `number` is called everywhere."""
    return f"agent-{number:06d}"


def tool_name(number: int) -> str:
    """Return how tool `number` is called everywhere."""
    return f"svc.op{number % TOOLS:02d}"


def place_of(tool: str) -> str:
    """Return where a tool works: even ones read in production, odd ones change staging."""
    return "stg" if int(tool[-2:]) % 2 else "prod"


def world(size: int, shape: Shape = Shape.MIXED, agents: int = 64) -> World:
    """Return a world of exactly `size` rules (10 or more)."""
    roles = tuple(f"role-{number:04d}" for number in range(1 if shape is Shape.DEEP else isqrt(size)))
    return World(tuple(_rules(size, roles)), roles, agents)


def _rules(size: int, roles: Sequence[str]) -> Iterator[Rule]:
    for number in range(size):
        role, turn = roles[number % len(roles)], number // len(roles)
        if turn == 0:
            yield Rule(f"{role}.private", role, EVERY_TOOL, "prod", "private", Answer.DENY)
            continue
        tool = tool_name(turn)
        effect = Answer.DENY if turn % 10 == 9 else Answer.ALLOW
        yield Rule(f"{role}.{turn}", role, tool, place_of(tool), f"{role}-{turn // TOOLS}", effect)


def questions(of: World, count: int, seed: int) -> list[Question]:
    """Return `count` questions, about four of five allowed, over all agents and all rules."""
    rng = random.Random(seed)
    per_role = _by_role(of)
    return [_question(of, per_role, number % of.agents, rng) for number in range(count)]


def _by_role(of: World) -> dict[str, list[Rule]]:
    found: dict[str, list[Rule]] = {role: [] for role in of.roles}
    for rule in of.rules:
        found[rule.role].append(rule)
    return found


def _question(of: World, per_role: dict[str, list[Rule]], agent: int, rng: random.Random) -> Question:
    role = of.role_of(agent)
    rule = rng.choice([rule for rule in per_role[role] if rule.tool != EVERY_TOOL])
    strays = rng.random() < 0.1
    area = "nobody-s" if strays else rule.area
    if not strays and rule.place == "prod" and rng.random() < 0.05:
        area = "private"
    return Question(agent_name(agent), role, rule.tool, f"{rule.place}/{area}/logs/{rng.randrange(10**6)}.txt")


def answers(of: World, asked: Sequence[Question]) -> list[Answer]:
    """Return the right answer to each question: a deny beats an allow, nothing is a deny."""
    per_role = _by_role(of)
    return [_answer(per_role[question.role], question) for question in asked]


def _answer(rules: Sequence[Rule], question: Question) -> Answer:
    effects = {rule.effect for rule in rules if _applies(rule, question)}
    return Answer.ALLOW if effects == {Answer.ALLOW} else Answer.DENY


def _applies(rule: Rule, question: Question) -> bool:
    same_tool = rule.tool in (EVERY_TOOL, question.tool)
    return same_tool and question.path.startswith(f"{rule.place}/{rule.area}/")
