"""A reference that reaches verdicts without Casbin, indexes or anything shared with them: slow, short, obvious."""

import re
from collections.abc import Iterable
from datetime import datetime

from assent.core.decisions import Effect
from assent.policy.roles import Rule

Asked = tuple[str, str, str]
"""Tool, environment, resource."""


def expression(pattern: str, separator: str) -> re.Pattern[str]:
    """Return a pattern as an expression, translated character by character."""
    one = f"[^{re.escape(separator)}]"
    segments = [
        ".+" if segment == "**" else f"{one}*".join(map(re.escape, segment.split("*")))
        for segment in pattern.split(separator)
    ]
    return re.compile(re.escape(separator).join(segments), re.DOTALL)


def applies(rule: Rule, roles: Iterable[str], asked: Asked, now: datetime) -> bool:
    """Whether a rule without conditions applies."""
    tool, environment, resource = asked
    return (
        rule.role in roles
        and any(expression(pattern, ".").fullmatch(tool) for pattern in rule.tools)
        and (rule.environments == ("*",) or environment in rule.environments)
        and any(expression(pattern, "/").fullmatch(resource) for pattern in rule.resources)
        and (rule.effect is Effect.DENY or rule.until is None or now < rule.until)
    )


def combine(effects: set[Effect], *, changes_production: bool) -> Effect:
    """Return what effects come to together, the production floor included."""
    if Effect.DENY in effects or not effects:
        return Effect.DENY
    if Effect.REQUIRE_APPROVAL in effects or changes_production:
        return Effect.REQUIRE_APPROVAL
    return Effect.ALLOW


def verdict(
    rules: Iterable[Rule], roles: Iterable[str], asked: Asked, now: datetime, *, changes_production: bool
) -> tuple[Effect, list[str]]:
    """Return the effect and the ids of all rules that apply."""
    applying = [rule for rule in rules if applies(rule, roles, asked, now)]
    effect = combine({rule.effect for rule in applying}, changes_production=changes_production)
    return effect, sorted(rule.id for rule in applying)
