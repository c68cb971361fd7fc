"""One unambiguous byte form for a tuple of stored values, for what is MACed and what is sealed.

Each value is its type, its length where it has one, and its bytes, so two different tuples never share a form.
Values are appended only: a reader of an old row finds fewer of them.
"""

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from assent.core.errors import Forged

Value: TypeAlias = str | int | bytes | None


def pack(values: Iterable[Value]) -> bytes:
    """Return the byte form of `values`: `s` and `b` with a length, `i` with decimal digits, `n` for None."""
    parts: list[bytes] = []
    for value in values:
        if isinstance(value, str):
            text = value.encode()
            parts += (b"s%d;" % len(text), text)
        elif isinstance(value, bytes):
            parts += (b"b%d;" % len(value), value)
        elif value is None:
            parts.append(b"n;")
        else:
            parts.append(b"i%d;" % value)
    return b"".join(parts)


def unpack(packed: bytes) -> tuple[Value, ...]:
    """Return the values that `pack` wrote.

    Raises:
        Forged: the bytes are not such a form.

    """
    try:
        return tuple(_values(packed))
    except (ValueError, UnicodeDecodeError, IndexError):
        raise Forged("a stored value cannot be read back") from None


def _values(packed: bytes) -> Iterator[Value]:
    at = 0
    while at < len(packed):
        end = packed.index(b";", at)
        kind, number = packed[at], packed[at + 1 : end]
        at = end + 1
        if kind == _NONE:
            yield None
        elif kind == _INTEGER:
            yield int(number)
        else:
            end = at + int(number)
            yield packed[at:end].decode() if kind == _TEXT else packed[at:end]
            at = end


_NONE, _INTEGER, _TEXT = b"nis"
