"""One unambiguous byte form for a tuple of stored values, for what is MACed and what is sealed: MessagePack.

Each value carries its type and its length, so two different tuples never share a form. Values are appended only: a
reader of an old row finds fewer of them.
"""

from collections.abc import Iterable
from typing import Any, Final, TypeAlias

import msgspec

from assent.core.errors import Forged

Value: TypeAlias = str | int | bytes | None

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder()
_TYPES: Final = frozenset({str, int, bytes, type(None)})
_JSON_ENCODER: Final = msgspec.json.Encoder()
_JSON_DECODER: Final = msgspec.json.Decoder()


def pack(values: Iterable[Value]) -> bytes:
    """Return the byte form of `values`."""
    return _ENCODER.encode(tuple(values))


def unpack(packed: bytes) -> tuple[Value, ...]:
    """Return the values that `pack` wrote.

    Raises:
        Forged: the bytes are not such a form.

    """
    try:
        values = _DECODER.decode(packed)
    except (msgspec.DecodeError, UnicodeDecodeError):
        values = None
    if type(values) is not list or any(type(value) not in _TYPES for value in values):
        raise Forged("a stored value cannot be read back")
    return tuple(values)


def as_json(facts: object) -> str:
    """Return plain values (mappings, lists, text, numbers) as JSON text."""
    return _JSON_ENCODER.encode(facts).decode()


def from_json(text: Value) -> Any:  # noqa: ANN401  # what was written as JSON may be anything; its reader knows
    """Return the values of JSON text that `as_json` wrote, in a row whose MAC was checked."""
    return _JSON_DECODER.decode(str(text))
