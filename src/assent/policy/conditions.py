"""Conditions: what a rule demands of arguments, as predicates that were compiled at load.

A predicate that cannot be applied (the argument is missing, null or of another type) does not match an allow or an
ask, and does match a deny: not knowing is never a reason to let something pass. `present` and `absent` always apply;
null counts as absent.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from assent.core.canonical import Json
from assent.policy import spelling
from assent.policy.schema import Argument, Kind
from assent.policy.spelling import Spelling

Test = Callable[[Json], bool | None]
"""Whether a value passes; None when the test cannot be applied to it."""


@dataclass(frozen=True, slots=True)
class Predicate:
    """One test with what it demands: the kinds it applies to and the spelling of the values it reads."""

    test: Test
    kinds: frozenset[Kind]
    spelling: Spelling | None = None
    of: "Predicate | None" = None


@dataclass(frozen=True, slots=True)
class FieldCondition:
    """What one argument must be: any of these, each of which is all of its predicates."""

    argument: str
    any_of: tuple[tuple[Predicate, ...], ...]

    def holds(self, arguments: Mapping[str, Json], *, when_unknown: bool) -> bool:
        """Whether the argument is so; `when_unknown` answers for every test that cannot be applied."""
        value = arguments.get(self.argument)
        return any(
            all(when_unknown if (passed := one.test(value)) is None else passed for one in every)
            for every in self.any_of
        )


Condition = tuple[FieldCondition, ...]


def holds(condition: Condition, arguments: Mapping[str, Json], *, when_unknown: bool) -> bool:
    """Whether all fields of a condition hold."""
    return all(field.holds(arguments, when_unknown=when_unknown) for field in condition)


def demands(condition: Condition) -> dict[str, Spelling]:
    """Return the spelling of every argument whose text a condition looks at."""
    found: dict[str, Spelling] = {}
    for field in condition:
        for predicate in (p for every in field.any_of for p in every):
            looked = predicate.spelling or (predicate.of and predicate.of.spelling)
            if looked:
                found[field.argument] = spelling.stricter(found.get(field.argument, looked), looked)
    return found


def misuse(field: FieldCondition, argument: Argument) -> str | None:
    """Return why a predicate can never apply to an argument of that type, or None."""
    for predicate in (p for every in field.any_of for p in every):
        if argument.kind not in predicate.kinds:
            return f"a predicate on `{field.argument}` does not apply to the type `{argument.kind}`"
        if predicate.of is not None and (argument.of is None or argument.of.kind not in predicate.of.kinds):
            return f"a predicate within `each` does not apply to what `{field.argument}` holds"
    return None
