"""A reference that reaches verdicts without Casbin, indexes or anything shared with them: slow, short, obvious."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from assent.core.decisions import Effect
from assent.policy.rules import Rule

WHEN: dict[str, Callable[[int], bool]] = {
    "n: {max: 3}": lambda n: n <= 3,
    "n: {equals: 5}": lambda n: n == 5,
    "n: {not_in: [1, 5]}": lambda n: n not in {1, 5},
    "n: [{max: 1}, {min: 5}]": lambda n: n <= 1 or n >= 5,
}
"""Conditions over an optional integer, as they stand in a rule and as Python."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One question; `n` is the only argument, None when it is missing."""

    roles: tuple[str, ...]
    tool: str
    environment: str
    resource: str
    n: int | None
    now: datetime
    changes_production: bool


def expression(pattern: str, separator: str) -> re.Pattern[str]:
    """Return a pattern as an expression, translated character by character."""
    one = f"[^{re.escape(separator)}]"
    segments = [
        ".+" if segment == "**" else f"{one}*".join(map(re.escape, segment.split("*")))
        for segment in pattern.split(separator)
    ]
    return re.compile(re.escape(separator).join(segments), re.DOTALL)


def holds(when: str, asked: Asked, effect: Effect) -> bool:
    """Whether a condition holds; without the argument it does for a deny only."""
    if not when:
        return True
    return effect is Effect.DENY if asked.n is None else WHEN[when](asked.n)


def applies(rule: Rule, when: str, asked: Asked) -> bool:
    """Whether a rule applies whose condition is written as `when`."""
    return (
        rule.role in asked.roles
        and any(expression(pattern, ".").fullmatch(asked.tool) for pattern in rule.tools)
        and (rule.environments == ("*",) or asked.environment in rule.environments)
        and any(expression(pattern, "/").fullmatch(asked.resource) for pattern in rule.resources)
        and (rule.effect is Effect.DENY or rule.until is None or asked.now < rule.until)
        and holds(when, asked, rule.effect)
    )


def verdict(rules: Iterable[tuple[Rule, str]], asked: Asked) -> tuple[Effect, list[str]]:
    """Return the effect, the production floor included, and the ids of all rules that apply."""
    applying = [rule for rule, when in rules if applies(rule, when, asked)]
    ids = sorted(rule.id for rule in applying)
    effects = {rule.effect for rule in applying}
    if Effect.DENY in effects or not effects:
        return Effect.DENY, ids
    if Effect.REQUIRE_APPROVAL in effects or asked.changes_production:
        return Effect.REQUIRE_APPROVAL, ids
    return Effect.ALLOW, ids
