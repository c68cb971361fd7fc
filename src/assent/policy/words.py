"""Conditions and needs in words, as a colleague would say them."""

from collections.abc import Iterable
from typing import Final

from assent.core.approvals import Route
from assent.core.canonical import Json, canonical, load
from assent.core.characters import visible
from assent.policy.conditions import Condition, FieldCondition

_MOST: Final = 8
_SAID: Final = {
    "equals": "{}",
    "min": "at least {}",
    "max": "at most {}",
    "prefix": "begin with {}",
    "under": "{} or below it",
    "domain": "{} or below it",
    "matches": "match {}",
}


def condition_in_words(condition: Condition) -> str:
    """Return everything that a rule demands of arguments; empty when it demands nothing."""
    return " and ".join(f"`{field.argument}` is {field_in_words(field)}" for field in condition)


def field_in_words(field: FieldCondition) -> str:
    """Return what one argument must be."""
    return predicate_in_words(load(field.written.encode())) if field.written else "as the rule says"


def predicate_in_words(written: Json) -> str:
    """Return a predicate, or a list of alternatives, as it was written in a rule."""
    if isinstance(written, list):
        return " or ".join(predicate_in_words(one) for one in written)
    if not isinstance(written, dict):
        return quoted(written)
    return " and ".join(_one(key, operand) for key, operand in written.items())


def _one(key: str, operand: Json) -> str:
    if key in {"present", "absent"}:
        return key
    if key == "in":
        return f"one of {_several(operand)}"
    if key == "not_in":
        return f"none of {_several(operand)}"
    if key == "each":
        return f"a list whose items are each {predicate_in_words(operand)}"
    if key == "length" and isinstance(operand, dict):
        bounds = [f"at least {quoted(operand['min'])}"] if "min" in operand else []
        bounds += [f"at most {quoted(operand['max'])}"] if "max" in operand else []
        return f"{' and '.join(bounds)} long"
    return _SAID.get(key, f"{key} {{}}").format(quoted(operand))


def _several(operand: Json) -> str:
    items = operand if isinstance(operand, list) else [operand]
    shown = ", ".join(quoted(item) for item in items[:_MOST])
    return shown if len(items) <= _MOST else f"{shown} and {len(items) - _MOST} more"


def quoted(value: Json) -> str:
    """Return a value in back-ticks, with what a reader cannot see made visible."""
    return f"`{visible(value if isinstance(value, str) else canonical(value).decode())}`"


def needs_in_words(route: Route) -> str:
    """Return whom a route asks."""
    return " and ".join(f"{need.count} of `{need.of}`" for need in route.needs)


def assurance_in_words(route: Route) -> str:
    """Return the least that a route accepts."""
    least = f"`{route.assurance.name.lower()}` or surer"
    return f"{least}, `console` for what destroys in production" if route.assurance_left_open else least


def listed(names: Iterable[str]) -> str:
    """Return names in back-ticks, with commas."""
    return ", ".join(f"`{name}`" for name in names)
