"""Sketches: what is known of a tool before somebody catalogues it, and what was asked of it in vain."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from assent.core.canonical import Json

Type = dict[str, Any]
"""The type of an argument as it stands in a catalogue: `{type: string, optional: true}`."""

_NAMES: Final = {str: "string", int: "integer", float: "number", bool: "boolean", list: "list", dict: "object"}
_SHORT: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """One ask that was denied for want of a tool or a rule; `arguments` only where payload was shown."""

    tool: str
    code: str
    environment: str = ""
    resource: str = ""
    arguments: Mapping[str, Json] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sketch:
    """What is known of one tool; `notes` are for whoever reviews, `reads` is its maker's word that it only reads.

    `moments` are arguments that say when, and so name nothing that a tool acts on.
    """

    name: str
    description: str = ""
    arguments: Mapping[str, Type] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    reads: bool = False
    moments: frozenset[str] = frozenset()
    source: str = ""


def of_denials(tool: str, denials: Iterable[Denial]) -> Sketch:
    """Return what the asks for an unknown tool tell about its arguments."""
    asked = [denial.arguments for denial in denials if denial.tool == tool and denial.arguments is not None]
    keys = dict.fromkeys(key for arguments in asked for key in arguments)
    types: dict[str, Type] = {}
    notes: list[str] = []
    for key in keys:
        values = [arguments[key] for arguments in asked if key in arguments]
        found = type_of(values)
        if found is None:
            notes.append(f"`{key}` came as values of several types or of no shape: declare what it takes")
            continue
        types[key] = found if len(values) == len(asked) else {**found, "optional": True}
    if not asked:
        notes.append("its arguments are not known: ask again with --payload, or name its function or server")
    return Sketch(name=tool, arguments=types, notes=tuple(notes), source=f"{len(asked) or 'no'} recorded asks")


def type_of(values: Iterable[Json]) -> Type | None:
    """Return the narrowest type that all values fit, or None."""
    given = list(values)
    some = [value for value in given if value is not None]
    kinds = {_NAMES[type(value)] for value in some}
    if kinds == {"integer", "number"}:
        kinds = {"number"}
    if len(kinds) != 1:
        return None
    found = _type_of_kind(kinds.pop(), some)
    return found if found is None or len(some) == len(given) else {**found, "nullable": True}


def _type_of_kind(kind: str, values: list[Any]) -> Type | None:
    if kind == "string":
        longest = max(len(value) for value in values)
        return {"type": "string", "max_length": max(_SHORT, 2 * longest)}
    if kind == "list":
        inner = type_of(item for value in values for item in value)
        return None if inner is None else {"type": "list", "of": inner, "max_length": max(map(len, values))}
    if kind == "object":
        return _object_of(values)
    if kind == "boolean":
        return {"type": "boolean"}
    return {"type": kind, "min": min(values), "max": max(values)}


def _object_of(values: list[dict[str, Json]]) -> Type | None:
    fields: dict[str, Type] = {}
    for key in dict.fromkeys(key for value in values for key in value):
        present = [value[key] for value in values if key in value]
        found = type_of(present)
        if found is None:
            return None
        fields[key] = found if len(present) == len(values) else {**found, "optional": True}
    return {"type": "object", "fields": fields} if fields else None


def sample(one: Type) -> Json:
    """Return a made-up value of a type."""
    if "enum" in one:
        made: Json = one["enum"][0]
        return made
    kind = one["type"]
    if kind == "string":
        return "example"[: one.get("max_length", _SHORT)]
    if kind in {"integer", "number"}:
        return _nearest_to_one(one)
    if kind == "boolean":
        return False
    if kind == "list":
        return [sample(one["of"])]
    return {key: sample(inner) for key, inner in one["fields"].items() if not inner.get("optional")}


def _nearest_to_one(one: Type) -> int | float:
    least: int | float = max(1, one.get("min", 1))
    most: int | float = one.get("max", least)
    return min(least, most)


def merged(sketches: Iterable[Sketch]) -> dict[str, Sketch]:
    """Return one sketch for each tool: what a maker declared goes before what was merely seen."""
    found: dict[str, Sketch] = {}
    for sketch in sketches:
        other = found.get(sketch.name)
        if other is None or not other.arguments:
            found[sketch.name] = sketch if other is None else replace(sketch, notes=sketch.notes)
    return found
