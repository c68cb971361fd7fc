"""Argument schemas: what the catalogue says that a tool takes; `fitting` holds values to it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from assent.core.canonical import Json
from assent.policy.documents import Mapping as MappingNode
from assent.policy.documents import Node, Scalar, Sequence, resolve
from assent.policy.fields import Fields, boolean, choice, integer, number
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


_KIND = choice(Kind, Kind.STRING)
_CASE = choice(Case, Case.ANY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """One argument: its type and bounds.

    `low` and `high` bound numbers, `max_length` characters or items, `of` is the type of a list's items, `fields` are
    an object's. A text may be a `path` of segments, of any script (`unicode`), of lower case only. What is `opaque`
    cannot change what happens, so that it is approved without being seen.
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
    opaque: bool = False


def is_kind(value: Json, kind: Kind) -> bool:
    """Whether `value` is exactly of that type; a boolean is no integer."""
    return type(value) in _PYTHON[kind]


def arguments(node: Node, findings: Findings) -> dict[str, Argument]:
    """Read a mapping of argument names to their types."""
    if not isinstance(node, MappingNode):
        findings.add(node.place, "`arguments` must be a mapping of names to types")
        return {}
    for key in node.entries:
        if not ARGUMENT_NAME.fullmatch(key):
            findings.add(node.key_place(key), f"{quoted(key)} cannot name an argument")
    return {key: argument(value, findings) for key, value in node.entries.items()}


def argument(node: Node, findings: Findings) -> Argument:
    """Read one argument: a type's name, or a mapping with `type` and its bounds."""
    if isinstance(node, Scalar):
        kind = _KIND(node, findings)
        if kind in {Kind.LIST, Kind.OBJECT}:
            findings.add(node.place, f"a {kind} says what it holds: write {{type: {kind}, …}}")
        return Argument(kind=kind)
    fields = Fields(node, findings, "an argument")
    kind = fields.need("type", _KIND, Kind.STRING)
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
        opaque=fields.take("opaque", boolean, default=False),
    )
    fields.close()
    _check_enum(read, fields)
    return read


def _spelling(fields: Fields) -> Spelling:
    return Spelling(
        is_path=fields.take("path", boolean, default=False),
        is_unicode=fields.take("unicode", boolean, default=False),
        is_lower=fields.take("case", _CASE, Case.ANY) is Case.LOWER,
    )


def _check_enum(read: Argument, fields: Fields) -> None:
    if any(not is_kind(value, read.kind) for value in read.enum):
        fields.refuse("enum", f"every value of `enum` must be of the type `{read.kind}`")
    if read.low is not None and read.high is not None and read.low > read.high:
        fields.refuse("min", "`min` is larger than `max`: no value fits")
    if read.opaque and (read.kind is not Kind.STRING or read.max_length is None):
        fields.refuse("opaque", "what nobody will see is a text with a `max_length`")


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
