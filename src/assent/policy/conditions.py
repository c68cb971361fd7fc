"""Conditions: what a rule demands of arguments, as predicates that were compiled at load.

A predicate that cannot be applied (the argument is missing, null or of another type) does not match an allow or an
ask, and does match a deny: not knowing is never a reason to let something pass. `present` and `absent` always apply;
null counts as absent.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field

from assent.core.canonical import Json
from assent.core.values import made_quickly
from assent.policy import spelling
from assent.policy.bounds import CONDITION_STEPS, TEST_STEPS, Meter
from assent.policy.schema import Argument, Kind
from assent.policy.spelling import Spelling

Test = Callable[[Json], bool | None]
"""Whether a value passes; None when the test cannot be applied to it."""
_CHARACTERS_PER_STEP = 64


@made_quickly
@dataclass(frozen=True, slots=True)
class Predicate:
    """One test with what it demands: the kinds it applies to and the spelling of the values it reads.

    `steps` are what applying it costs, `per_character` what each character of a text adds, in 64ths of a step.
    `each` holds the predicates that are applied to the items of a list.
    """

    test: Test
    kinds: frozenset[Kind]
    spelling: Spelling | None = None
    steps: int = TEST_STEPS
    per_character: int = 0
    each: tuple[tuple["Predicate", ...], ...] = ()

    def cost(self, value: Json) -> int:
        """Return the steps that the test takes for `value`, at most."""
        if isinstance(value, str):
            return self.steps + self.per_character * len(value) // _CHARACTERS_PER_STEP
        if not self.each or not isinstance(value, list):
            return self.steps
        inner = [one for every in self.each for one in every]
        steps = self.steps + len(value) * sum([one.steps for one in inner])
        per_character = sum([one.per_character for one in inner])
        if not per_character:
            return steps
        characters = sum([len(item) for item in value if isinstance(item, str)])
        return steps + per_character * characters // _CHARACTERS_PER_STEP


@made_quickly
@dataclass(frozen=True, slots=True)
class FieldCondition:
    """What one argument must be: any of these, each of which is all of its predicates; `written` is that as JSON."""

    argument: str
    any_of: tuple[tuple[Predicate, ...], ...] = field(compare=False)
    written: str = ""

    def holds(self, arguments: Mapping[str, Json], meter: Meter, *, when_unknown: bool) -> bool:
        """Whether the argument is so; `when_unknown` answers for every test that cannot be applied.

        Raises:
            TooCostly: the tests would take more steps than the decision has left.

        """
        value = arguments.get(self.argument)
        meter.spend(CONDITION_STEPS + sum([one.cost(value) for every in self.any_of for one in every]))
        return any_holds(self.any_of, value, when_unknown=when_unknown)


Condition = tuple[FieldCondition, ...]


def any_holds(any_of: tuple[tuple[Predicate, ...], ...], value: Json, *, when_unknown: bool) -> bool:
    """Whether all predicates of any of the groups hold for `value`."""
    return any(
        all(when_unknown if (passed := one.test(value)) is None else passed for one in every) for every in any_of
    )


def holds(condition: Condition, arguments: Mapping[str, Json], meter: Meter, *, when_unknown: bool) -> bool:
    """Whether all fields of a condition hold."""
    return all(one.holds(arguments, meter, when_unknown=when_unknown) for one in condition)


def demands(condition: Condition) -> dict[str, Spelling]:
    """Return the spelling of every argument whose text a condition looks at."""
    found: dict[str, Spelling] = {}
    for one in condition:
        for looked in _spellings(one.any_of):
            known = found.get(one.argument, looked)
            found[one.argument] = looked if known is looked else spelling.stricter(known, looked)
    return found


def _spellings(any_of: tuple[tuple[Predicate, ...], ...]) -> Iterator[Spelling]:
    for every in any_of:
        for predicate in every:
            if predicate.spelling is not None:
                yield predicate.spelling
            if predicate.each:
                yield from _spellings(predicate.each)


def kinds(any_of: tuple[tuple[Predicate, ...], ...]) -> Hashable:
    """Return all that `misuse` looks at in a field's predicates: the kinds that they apply to."""
    return tuple([(one.kinds, kinds(one.each) if one.each else ()) for every in any_of for one in every])


def misuse(one: FieldCondition, argument: Argument) -> str | None:
    """Return why a predicate can never apply to an argument of that type, or None."""
    for predicate in (p for every in one.any_of for p in every):
        if argument.kind not in predicate.kinds:
            return f"a predicate on `{one.argument}` does not apply to the type `{argument.kind}`"
        for inner in (p for every in predicate.each for p in every):
            if argument.of is None or argument.of.kind not in inner.kinds:
                held = argument.of.kind if argument.of is not None else argument.kind
                hint = "; `absent`, `present` and `length` look at the list itself" if held is Kind.OBJECT else ""
                return f"a predicate within `each` does not apply to what `{one.argument}` holds (`{held}`){hint}"
    return None
