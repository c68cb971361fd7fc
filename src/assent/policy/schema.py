"""Argument schemas: what a tool takes, exactly. Nothing is converted: true is no integer, 1 is no text.

Numbers have arrived through strict JSON, where `1.0` is the integer 1 already; a float that is not an integer never
passes for one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from assent.core.canonical import Json
from assent.policy.documents import Mapping as MappingNode
from assent.policy.documents import Node, Scalar, Sequence, resolve
from assent.policy.fields import Fields, boolean, choice, integer, listed, number
from assent.policy.findings import Findings, quoted
from assent.policy.spelling import Spelling

ARGUMENT_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")


class Kind(StrEnum):
    """The type of an argument."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    LIST = "list"
    OBJECT = "object"


class Case(StrEnum):
    """Whether upper and lower case are two things to the system behind a tool."""

    ANY = "any"
    LOWER = "lower"


SCALARS: Final = frozenset({Kind.STRING, Kind.INTEGER, Kind.NUMBER, Kind.BOOLEAN})
NUMERIC: Final = frozenset({Kind.INTEGER, Kind.NUMBER})
_PYTHON: Final[dict[Kind, tuple[type, ...]]] = {
    Kind.STRING: (str,),
    Kind.INTEGER: (int,),
    Kind.NUMBER: (int, float),
    Kind.BOOLEAN: (bool,),
    Kind.LIST: (list,),
    Kind.OBJECT: (dict,),
}
_ARTICLE: Final = {Kind.INTEGER: "an integer", Kind.OBJECT: "an object", Kind.STRING: "a text"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """One argument: its type and bounds.

    `low` and `high` bound numbers, `max_length` characters or items, `of` is the type of a list's items, `fields` are
    an object's. A text may be a `path` of segments, of any script (`unicode`), of lower case only.
    """

    kind: Kind
    optional: bool = False
    nullable: bool = False
    enum: tuple[Json, ...] = ()
    low: int | float | None = None
    high: int | float | None = None
    max_length: int | None = None
    of: "Argument | None" = None
    fields: Mapping[str, "Argument"] = field(default_factory=dict)
    spelling: Spelling = field(default_factory=Spelling)


def is_kind(value: Json, kind: Kind) -> bool:
    """Whether `value` is exactly of that type; a boolean is no integer."""
    return type(value) in _PYTHON[kind]


def same(one: Json, other: Json) -> bool:
    """Whether two scalars are equal and of one type; an integer equals the same number only."""
    return one == other and isinstance(one, bool) is isinstance(other, bool)


def misfit(arguments: Mapping[str, Json], declared: Mapping[str, Argument], inside: str = "") -> str | None:
    """Return how `arguments` do not fit, naming the argument and never its value, or None when they fit exactly."""
    for key in arguments:
        if key not in declared:
            return f"{quoted(inside + key)} is no argument of this tool, it takes {listed(declared) or 'none'}"
    for key, argument in declared.items():
        if key not in arguments:
            if not argument.optional:
                return f"`{inside}{key}` is missing"
        elif (wrong := _wrong(arguments[key], argument, f"{inside}{key}")) is not None:
            return wrong
    return None


def _wrong(value: Json, argument: Argument, name: str) -> str | None:
    if value is None and argument.nullable:
        return None
    if not is_kind(value, argument.kind):
        return f"`{name}` must be {_ARTICLE.get(argument.kind, f'a {argument.kind}')}"
    if argument.enum and not any(same(value, allowed) for allowed in argument.enum):
        return f"`{name}` must be one of the declared values"
    if isinstance(value, str | list) and argument.max_length is not None and len(value) > argument.max_length:
        return f"`{name}` is longer than {argument.max_length}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _out_of_bounds(value, argument, name)
    if isinstance(value, list) and argument.of is not None:
        faults = (_wrong(item, argument.of, f"{name}[{index}]") for index, item in enumerate(value))
        return next((fault for fault in faults if fault is not None), None)
    if isinstance(value, dict):
        return misfit(value, argument.fields, f"{name}.")
    return None


def _out_of_bounds(value: float, argument: Argument, name: str) -> str | None:
    if argument.low is not None and value < argument.low:
        return f"`{name}` must be at least {argument.low}"
    if argument.high is not None and value > argument.high:
        return f"`{name}` must be at most {argument.high}"
    return None


def arguments(node: Node, findings: Findings) -> dict[str, Argument]:
    """Read a mapping of argument names to their types."""
    if not isinstance(node, MappingNode):
        findings.add(node.place, "`arguments` must be a mapping of names to types")
        return {}
    for key, place in node.keys.items():
        if not ARGUMENT_NAME.fullmatch(key):
            findings.add(place, f"{quoted(key)} cannot name an argument")
    return {key: argument(value, findings) for key, value in node.entries.items()}


def argument(node: Node, findings: Findings) -> Argument:
    """Read one argument: a type's name, or a mapping with `type` and its bounds."""
    kind_of = choice(Kind, Kind.STRING)
    if isinstance(node, Scalar):
        kind = kind_of(node, findings)
        if kind in {Kind.LIST, Kind.OBJECT}:
            findings.add(node.place, f"a {kind} says what it holds: write {{type: {kind}, …}}")
        return Argument(kind=kind)
    fields = Fields(node, findings, "an argument")
    kind = fields.need("type", kind_of, Kind.STRING)
    read = Argument(
        kind=kind,
        optional=fields.take("optional", boolean, default=False),
        nullable=fields.take("nullable", boolean, default=False),
        enum=fields.take("enum", _values, ()) if kind in SCALARS else (),
        low=fields.take("min", _number, None) if kind in NUMERIC else None,
        high=fields.take("max", _number, None) if kind in NUMERIC else None,
        max_length=fields.take("max_length", _length, None) if kind in {Kind.STRING, Kind.LIST} else None,
        of=fields.need("of", argument, Argument(kind=Kind.STRING)) if kind is Kind.LIST else None,
        fields=fields.need("fields", arguments, {}) if kind is Kind.OBJECT else {},
        spelling=_spelling(fields) if kind is Kind.STRING else Spelling(),
    )
    fields.close()
    _check_enum(read, fields)
    return read


def _spelling(fields: Fields) -> Spelling:
    return Spelling(
        is_path=fields.take("path", boolean, default=False),
        is_unicode=fields.take("unicode", boolean, default=False),
        is_lower=fields.take("case", choice(Case, Case.ANY), Case.ANY) is Case.LOWER,
    )


def _check_enum(read: Argument, fields: Fields) -> None:
    if any(not is_kind(value, read.kind) for value in read.enum):
        fields.refuse("enum", f"every value of `enum` must be of the type `{read.kind}`")
    if read.low is not None and read.high is not None and read.low > read.high:
        fields.refuse("min", "`min` is larger than `max`: no value fits")


def _number(node: Node, findings: Findings) -> int | float | None:
    return number(node, findings)


def _length(node: Node, findings: Findings) -> int | None:
    value = integer(node, findings)
    if value < 0:
        findings.add(node.place, "a length cannot be negative")
    return value


def _values(node: Node, findings: Findings) -> tuple[Json, ...]:
    if not isinstance(node, Sequence) or not node.items or not all(isinstance(item, Scalar) for item in node.items):
        findings.add(node.place, "this must be a list of values")
        return ()
    return tuple(resolve(item) for item in node.items if isinstance(item, Scalar))
