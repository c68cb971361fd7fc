"""What a policy comes to, plainly: a reference that shares nothing with the broker and uses no Casbin.

It works on rules and agents as they would stand in YAML, and is short enough to be read against docs/policy.md.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

STRICTER = {"allow": 0, "require_approval": 1, "deny": 2}


@dataclass(frozen=True, kw_only=True)
class Action:
    """A question whose arguments were taken: where and on what it acts, and whether it changes something."""

    tool: str
    environment: str
    resource: str
    arguments: Mapping[str, Any]
    changes: bool
    production: bool


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """An effect with the rules that apply, the routes that are asked, the exceptions that lift the floor."""

    effect: str
    rules: frozenset[str]
    routes: frozenset[str] = frozenset()
    standing: frozenset[str] = frozenset()


def matches(pattern: str, value: str, separator: str) -> bool:
    one = f"[^{re.escape(separator)}]*"
    parts = [".+" if part == "**" else one.join(map(re.escape, part.split("*"))) for part in pattern.split(separator)]
    return re.fullmatch(re.escape(separator).join(parts), value, re.DOTALL) is not None


def known(results: Iterable[bool | None], *, every: bool) -> bool | None:
    found = list(results)
    return (not every) if (not every) in found else None if None in found else every


def host(value: str) -> str | None:
    label = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
    found = re.fullmatch(rf"(?:[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@)?({label}(?:\.{label})*)", value)
    return found[1] if found else None


def test(name: str, operand: Any, value: Any) -> bool | None:  # noqa: C901  # one branch for each predicate
    """Whether one predicate holds; None when it cannot be applied."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if name in {"present", "absent"}:
        return (value is not None) is (name == "present")
    if value is None:
        return None
    if name in {"equals", "in", "not_in"}:
        if isinstance(value, list):
            return None
        among = operand if isinstance(operand, list) else [operand]
        return any(type(value) is type(one) and value == one for one in among) is (name != "not_in")
    if name == "min":
        return value >= operand if is_number else None
    if name == "max":
        return value <= operand if is_number else None
    if name == "length":
        return (
            operand.get("min", 0) <= len(value) <= operand.get("max", 10**9) if isinstance(value, str | list) else None
        )
    if name == "each":
        return known((any_of(operand, item) for item in value), every=True) if isinstance(value, list) else None
    if not isinstance(value, str):
        return None
    if name == "prefix":
        return value.startswith(operand)
    if name == "under":
        return value == operand or value.startswith(f"{operand}/")
    if name == "matches":
        return re.fullmatch(operand, value) is not None
    where = host(value)
    return None if where is None else where == operand or where.endswith(f".{operand}")


def any_of(written: Any, value: Any) -> bool | None:
    groups = written if isinstance(written, list) else [written]
    return known((known((test(k, o, value) for k, o in group.items()), every=True) for group in groups), every=False)


def applies(rule: Mapping[str, Any], action: Action, now: datetime) -> bool:
    is_deny = rule["effect"] == "deny"
    if not is_deny and "until" in rule and now >= rule["until"]:
        return False
    held = (any_of(written, action.arguments.get(key)) for key, written in rule.get("when", {}).items())
    return (
        any(matches(pattern, action.tool, ".") for pattern in rule["tools"])
        and (rule["environments"] == ["*"] or action.environment in rule["environments"])
        and any(matches(pattern, action.resource, "/") for pattern in rule.get("resources", ["**"]))
        and all(is_deny if one is None else one for one in held)
    )


def outcome(rules: Iterable[Mapping[str, Any]], action: Action, now: datetime) -> Outcome:
    """Return what one principal's rules come to."""
    found = [rule for rule in rules if applies(rule, action, now)]
    ids, effects = frozenset(rule["id"] for rule in found), {rule["effect"] for rule in found}
    if "deny" in effects or not found:
        return Outcome(effect="deny", rules=ids)
    if "require_approval" in effects:
        asks = frozenset(rule.get("route", "default") for rule in found if rule["effect"] == "require_approval")
        return Outcome(effect="require_approval", rules=ids, routes=asks)
    standing = frozenset(rule["id"] for rule in found if "standing" in rule and now < rule["standing"]["until"])
    if action.changes and action.production and not standing:
        return Outcome(effect="require_approval", rules=ids, routes=frozenset({"default"}))
    return Outcome(effect="allow", rules=ids, standing=standing)


def together(outcomes: list[Outcome]) -> Outcome:
    """Return the strictest of several principals' outcomes."""
    effect = max((one.effect for one in outcomes), key=STRICTER.__getitem__)
    decisive = [one for one in outcomes if one.effect == effect]
    all_stand = all(one.standing for one in decisive)
    return Outcome(
        effect=effect,
        rules=frozenset().union(*(one.rules for one in outcomes)),
        routes=frozenset().union(*(one.routes for one in decisive)),
        standing=frozenset().union(*(one.standing for one in decisive if all_stand)),
    )
