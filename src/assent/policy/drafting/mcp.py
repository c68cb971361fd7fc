"""Tools from an MCP server's `tools/list`: JSON Schemas become argument types; hints are a server's word, no more."""

import re
from collections.abc import Mapping
from typing import Any, Final

from assent.core.canonical import MAX_INTEGER, Json
from assent.core.errors import BadRequest
from assent.policy.drafting.sketches import Sketch, Type
from assent.policy.schema import ARGUMENT_NAME

_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
_MOST_WORDS: Final = 200
_MAX_DEPTH: Final = 8
_MAX_REFERENCES: Final = 1_000
_MOMENTS: Final = frozenset({"date", "date-time", "time"})


class _Schemas:
    """The schemas of one tool, which may refer to definitions beside them; so many references are followed."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._left = _MAX_REFERENCES

    def meant(self, schema: object) -> object:
        """Return a schema, or the definition that it refers to; None where that is elsewhere, missing or too much."""
        if not isinstance(schema, dict) or "$ref" not in schema:
            return schema
        self._left -= 1
        reference = schema["$ref"]
        if self._left < 0 or not isinstance(reference, str) or not reference.startswith("#/"):
            return None
        found: Any = self._root
        for step in reference.removeprefix("#/").split("/"):
            found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
        # What stands beside a reference narrows it: titles and defaults change nothing, anything else is not guessed.
        more = {key: value for key, value in schema.items() if key not in {"$ref", "title", "description", "default"}}
        return None if more or (isinstance(found, dict) and "$ref" in found) else found


def of_mcp(answer: Json, prefix: str) -> tuple[Sketch, ...]:
    """Return the tools of a `tools/list` answer, of its result, or of the list in it; names get `prefix` and a dot.

    Raises:
        BadRequest: it holds no tools.

    """
    found: Any = answer
    for key in ("result", "tools"):
        if isinstance(found, dict) and key in found:
            found = found[key]
    tools = found if isinstance(found, list) else []
    if not tools or not all(isinstance(tool, dict) and tool.get("name") for tool in tools):
        raise BadRequest(
            "this is no answer to `tools/list`", hint='it holds {"tools": [{"name": …, "inputSchema": …}]}'
        )
    return tuple(_sketch(tool, prefix) for tool in tools)


def _sketch(tool: dict[str, Any], prefix: str) -> Sketch:
    schema = tool.get("inputSchema")
    schema = schema if isinstance(schema, dict) else {}
    schemas = _Schemas(schema)
    arguments, notes = _arguments(schema, schemas, _MAX_DEPTH)
    hints = tool.get("annotations")
    hints = hints if isinstance(hints, dict) else {}
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", str(tool["name"])).strip("-") or "tool"
    if name != tool["name"]:
        notes.append(f"the server calls it {str(tool['name'])[:_MOST_WORDS]!r}")
    words = " ".join(str(tool.get("description") or tool.get("title") or "").split())
    return Sketch(
        name=f"{prefix}.{name}" if prefix else name,
        description=words.split(". ")[0][:_MOST_WORDS].rstrip("."),
        arguments=arguments,
        notes=tuple(notes),
        reads=hints.get("readOnlyHint") is True,
        moments=frozenset(key for key in arguments if _is_moment(schemas.meant(schema["properties"][key]))),
        source="tools/list",
    )


def _is_moment(schema: object) -> bool:
    return isinstance(schema, dict) and schema.get("format") in _MOMENTS


def _arguments(schema: Mapping[str, Any], schemas: _Schemas, room: int) -> tuple[dict[str, Type], list[str]]:
    properties = schema.get("properties")
    required = schema.get("required")
    needed = set(required) if isinstance(required, list) else set()
    types: dict[str, Type] = {}
    notes: list[str] = []
    for key, value in (properties if isinstance(properties, dict) else {}).items():
        found = type_of(value, schemas, room) if ARGUMENT_NAME.fullmatch(key) else None
        if found is None:
            notes.append(f"`{key}` has no type of a catalogue: calls with it are refused until you declare one")
            continue
        types[key] = found if key in needed else {**found, "optional": True}
    return types, notes


def type_of(schema: object, schemas: _Schemas, room: int) -> Type | None:
    """Return the argument type that a JSON Schema means, or None where no catalogue type does."""
    schema = schemas.meant(schema)
    if not isinstance(schema, dict) or room < 1:
        return None
    alternatives = schema.get("anyOf") or schema.get("oneOf")
    if isinstance(alternatives, list):
        return _alternatives([schemas.meant(one) for one in alternatives], schemas, room)
    if isinstance(schema.get("const"), str):
        return {"type": "string", "enum": [schema["const"]]}
    kinds = schema.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    named = [kind for kind in kinds if kind != "null"]
    enum = schema.get("enum")
    if named == [None] and isinstance(enum, list) and all(isinstance(value, str) for value in enum):
        named = ["string"]
    found = _of_kind(named[0], schema, schemas, room) if len(named) == 1 else None
    return found if found is None or "null" not in kinds else {**found, "nullable": True}


def _alternatives(alternatives: list[object], schemas: _Schemas, room: int) -> Type | None:
    others = [one for one in alternatives if not (isinstance(one, dict) and one.get("type") == "null")]
    words = [one["const"] for one in others if isinstance(one, dict) and isinstance(one.get("const"), str)]
    if words and len(words) == len(others):
        found: Type | None = {"type": "string", "enum": list(dict.fromkeys(words))}
    else:
        found = type_of(others[0], schemas, room - 1) if len(others) == 1 else None
    return found if found is None or len(others) == len(alternatives) else {**found, "nullable": True}


def _of_kind(kind: object, schema: Mapping[str, Any], schemas: _Schemas, room: int) -> Type | None:
    if kind in _TYPES:
        return {"type": kind, **_bounds(str(kind), schema)}
    if kind == "array":
        inner = type_of(schema.get("items"), schemas, room - 1)
        longest = _whole(schema.get("maxItems"))
        return None if inner is None else {"type": "list", "of": inner, **({"max_length": longest} if longest else {})}
    if kind == "object":
        fields, notes = _arguments(schema, schemas, room - 1)
        return {"type": "object", "fields": fields} if fields and not notes else None
    return None


def _bounds(kind: str, schema: Mapping[str, Any]) -> Type:
    found: Type = {}
    enum = schema.get("enum")
    if isinstance(enum, list) and enum and all(_is(value, kind) for value in enum):
        found["enum"] = enum
    if kind == "string" and (longest := _whole(schema.get("maxLength"))):
        found["max_length"] = longest
    if kind in {"integer", "number"}:
        for theirs, ours in (("minimum", "min"), ("maximum", "max")):
            bound = schema.get(theirs)
            if isinstance(bound, int | float) and not isinstance(bound, bool) and abs(bound) <= MAX_INTEGER:
                found[ours] = bound
    return found


def _is(value: object, kind: str) -> bool:
    return type(value) in _TYPES[kind]


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MAX_INTEGER else None
