"""Fitting: whether a value is exactly what an argument takes, as checks that are put together once for each tool.

Nothing is converted: true is no integer, 1 is no text. Numbers have arrived through strict JSON, where `1.0` is the
integer 1 already; a float that is not an integer never passes for one.
"""

from collections.abc import Callable, Mapping
from typing import Final

from assent.core.canonical import MAX_INTEGER, Json
from assent.policy.fields import listed
from assent.policy.findings import quoted
from assent.policy.schema import Argument, Kind

Fault = tuple[str, str]
"""Where inside the value (`[0].name`), and what is wrong there; never the value itself."""
Check = Callable[[Json], Fault | None]

_ARTICLE: Final = {Kind.INTEGER: "an integer", Kind.OBJECT: "an object", Kind.STRING: "a text"}
_TYPES: Final[dict[Kind, type]] = {Kind.STRING: str, Kind.BOOLEAN: bool, Kind.LIST: list, Kind.OBJECT: dict}
_NUMBERS: Final = {Kind.INTEGER: (int,), Kind.NUMBER: (int, float)}


def check_of(argument: Argument) -> Check:
    """Return the check that holds a value to `argument`."""
    must = "", f"must be {_ARTICLE.get(argument.kind, f'a {argument.kind}')}"
    if argument.kind in _NUMBERS:
        check = _number(argument, must)
    elif argument.kind is Kind.LIST and argument.of is not None:
        check = _list(argument, check_of(argument.of), must)
    elif argument.kind is Kind.OBJECT:
        check = _object(argument, must)
    else:
        check = _text(argument, must)
    if not argument.nullable:
        return check
    return lambda value: None if value is None else check(value)


def arguments_check(declared: Mapping[str, Argument]) -> Check:
    """Return the check that holds a mapping to what is declared: no name more, none less."""
    checks = {key: check_of(argument) for key, argument in declared.items()}
    required = tuple(key for key, argument in declared.items() if not argument.optional)
    takes = f"is no argument of this tool, it takes {listed(declared) or 'none'}"

    def check(value: Json) -> Fault | None:
        given: Mapping[str, Json] = value if isinstance(value, dict) else {}
        for key, item in given.items():
            one = checks.get(key)
            if one is None:
                return f".{key}", takes
            if (fault := one(item)) is not None:
                return f".{key}{fault[0]}", fault[1]
        for key in required:
            if key not in given:
                return f".{key}", "is missing"
        return None

    return check


def told(fault: Fault) -> str:
    """Return a fault of a tool's arguments in words."""
    return f"{quoted(fault[0].removeprefix('.'))} {fault[1]}"


def _text(argument: Argument, must: Fault) -> Check:
    kind, longest, allowed = _TYPES[argument.kind], argument.max_length, _among(argument)

    def check(value: Json) -> Fault | None:
        if type(value) is not kind:
            return must
        if allowed is not None and value not in allowed:
            return _NOT_DECLARED
        if longest is not None and len(value) > longest:  # type: ignore[arg-type]  # only texts declare a length
            return "", f"is longer than {longest}"
        return None

    return check


def _number(argument: Argument, must: Fault) -> Check:
    low = -MAX_INTEGER if argument.low is None else argument.low
    high = MAX_INTEGER if argument.high is None else argument.high
    is_bounded = argument.kind is Kind.INTEGER
    kinds, allowed = _NUMBERS[argument.kind], _among(argument)

    def check(value: Json) -> Fault | None:
        if type(value) not in kinds or not isinstance(value, int | float):
            return must
        if allowed is not None and value not in allowed:
            return _NOT_DECLARED
        if value < low and (is_bounded or argument.low is not None):
            return "", f"must be at least {low}"
        if value > high and (is_bounded or argument.high is not None):
            return "", f"must be at most {high}"
        return None

    return check


def _list(argument: Argument, inner: Check, must: Fault) -> Check:
    longest = argument.max_length

    def check(value: Json) -> Fault | None:
        if not isinstance(value, list):
            return must
        if longest is not None and len(value) > longest:
            return "", f"is longer than {longest}"
        for index, item in enumerate(value):
            if (fault := inner(item)) is not None:
                return f"[{index}]{fault[0]}", fault[1]
        return None

    return check


def _object(argument: Argument, must: Fault) -> Check:
    inner = arguments_check(argument.fields)
    return lambda value: inner(value) if isinstance(value, dict) else must


def _among(argument: Argument) -> frozenset[Json] | None:
    # The type was compared before, so that true is not taken for 1.
    return frozenset(argument.enum) if argument.enum else None


_NOT_DECLARED: Final[Fault] = "", "must be one of the declared values"


def is_plain(declared: Mapping[str, Argument]) -> bool:
    """Whether whatever fits is written alike by every encoder: texts, booleans and integers under ASCII names."""
    return all(_is_plain(argument) for argument in declared.values())


def _is_plain(argument: Argument) -> bool:
    if argument.kind is Kind.NUMBER or (argument.of is not None and not _is_plain(argument.of)):
        return False
    return is_plain(argument.fields)
