"""Strict JSON in, one canonical byte form out (RFC 8785), digests and salted commitments.

Everything the broker judges, shows, binds, stores or executes goes through `parse` once and through `canonical` bytes
from then on. Rules kept here:
- What two readers could read differently is refused: duplicate keys, NaN, infinities, numbers that overflow, integers
  beyond 2^53-1, lone surrogates, a byte order mark, bytes that are not UTF-8.
- `parse` returns what `load` returns later from the stored bytes, in type too: `1.0` and `1e0` are the integer 1 and
  `-0.0` is 0, because their canonical form is. A literal whose canonical form would be an integer beyond 2^53-1
  (`1e16`) is refused; from 1e21 on the canonical form has an exponent and stays a double (`1e300`).
- Depth is checked before anything recurses; `parse(canonical(x))` never fails but for size and depth.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final, NoReturn, TypeAlias

import msgspec
import rfc8785

from assent.core.characters import visible
from assent.core.errors import AssentError

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
# What `canonical` takes. The static type is wide so that `dict[str, str]` fits; at run time only dict, list and tuple
# are containers.
Jsonable: TypeAlias = "bool | int | float | str | Sequence[Jsonable] | Mapping[str, Jsonable] | None"

MAX_BODY_BYTES: Final = 262_144
MAX_DEPTH: Final = 64
# Canonical values wrap parsed ones (a record around an action around its arguments), so they may be deeper.
MAX_CANONICAL_DEPTH: Final = 128
MAX_INTEGER: Final = 2**53 - 1
SALT_BYTES: Final = 32

_COMMIT_DOMAIN: Final = b"assent/commit/v1"
_FIRST_EXPONENT: Final = 1e21  # from here on RFC 8785 writes an exponent
_PLAIN_FLOAT_MIN: Final = 1e-4  # from here up to 2^53 Python and RFC 8785 write the same shortest digits
_QUOTED_CHARACTERS: Final = 40
_MAX_INTEGER_CHARACTERS: Final = len(str(-MAX_INTEGER))
_SEQUENCES: Final = frozenset({list, tuple})

_STRING = r'"(?:[^"\\]++|\\.)*+"?'
_BRACKETS = re.compile(rf"{_STRING}|[\[{{]|[\]}}]", re.DOTALL)
_LITERALS = re.compile(rf"{_STRING}|-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|-?Infinity|NaN", re.DOTALL)
_KEYS = re.compile(rf"({_STRING})(\s*:)?|[{{}}]", re.DOTALL)
_SURROGATES = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.", re.DOTALL
)


class BadJson(AssentError):
    """The bytes or the value have no single meaning as JSON; `at` is the byte offset of the fault where it is known."""

    code = "bad_json"

    def __init__(self, message: str, *, at: int | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.at = at


def parse(raw: bytes, *, max_bytes: int = MAX_BODY_BYTES, max_depth: int = MAX_DEPTH) -> Json:
    """Return the value of `raw`, or refuse everything that two readers could read differently.

    Raises BadJson with the byte offset. Source: RFC 8259, RFC 7493 (I-JSON).
    """
    # (1) size, before any work that grows with it
    if len(raw) > max_bytes:
        raise BadJson(f"the JSON text is {len(raw)} bytes long, {max_bytes} are allowed", at=max_bytes)
    # (2) UTF-8 and nothing else: no other encoding is guessed
    text = _decoded(raw)
    # (3) depth, before the parser recurses
    _refuse_deep(text, max_depth)
    # (4) grammar, duplicate keys, numbers
    try:
        value: Json = _DECODER.decode(text)
    except json.JSONDecodeError as fault:
        _refuse(f"not JSON: {fault.msg[:1].lower()}{fault.msg[1:]}", text, fault.pos)
    except _Refused as refused:
        _refuse(refused.message, text, refused.locate(text))
    # (5) text that no encoder can write again
    if "\\u" in text:
        _refuse_lone_surrogates(text)
    return value


def load(canonical_bytes: bytes) -> Json:
    """Return a fresh mutable copy of the value that `canonical` wrote. Raises BadJson when the bytes were damaged."""
    return parse(canonical_bytes, max_bytes=len(canonical_bytes), max_depth=MAX_CANONICAL_DEPTH)


def canonical(value: Jsonable) -> bytes:
    """Return the RFC 8785 bytes of `value`, the same for every spelling of the same JSON.

    Raises BadJson for what has no canonical form: NaN, infinities, integers beyond 2^53-1, lone surrogates, keys that
    are not `str`, other types, more than 128 levels (a cycle ends there too).
    """
    try:
        if _encoder_agrees(value, MAX_CANONICAL_DEPTH):
            return _ENCODER.encode(value)
        return rfc8785.dumps(value)
    except (UnicodeEncodeError, rfc8785.CanonicalizationError):
        raise BadJson("a string holds a lone surrogate, half of a character") from None


def canonical_of_ours(value: Jsonable) -> bytes:
    """Return the same as `canonical` for a value that this program put together, without looking through it.

    For text, whole numbers within 2^53-1, truth values, lists of these, and ASCII keys written in the code; no byte of
    a request may have shaped it. Raises BadJson for a lone surrogate.
    """
    try:
        return _ENCODER.encode(value)
    except UnicodeEncodeError:
        raise BadJson("a string holds a lone surrogate, half of a character") from None


def digest(domain: str, *parts: bytes) -> bytes:
    """Return SHA-256(domain ‖ 0x00 ‖ for each part: 8-byte big-endian length ‖ part), 32 bytes.

    The lengths make field boundaries unambiguous; the domain keeps digests of different things apart.
    Raises ValueError for a domain that is empty, not ASCII or holds NUL.
    """
    named = [_label(domain), b"\x00"]
    for part in parts:
        named += (len(part).to_bytes(8, "big"), part)
    return hashlib.sha256(b"".join(named)).digest()


def commitment(field: str, salt: bytes, value: Jsonable) -> str:
    """Return hex SHA-256("assent/commit/v1" ‖ field ‖ 0x00 ‖ salt ‖ canonical value): it binds and discloses nothing.

    Raises BadJson for the value, ValueError for a salt that is not 32 bytes (it must be random) or a bad field name.
    """
    return commitment_of(field, salt, canonical(value))


def commitment_of(field: str, salt: bytes, canonical_value: bytes) -> str:
    """Return the same as `commitment` for a value that is canonical bytes already, which is not checked again."""
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt is {SALT_BYTES} bytes, not {len(salt)}")
    return sha256_hex(_COMMIT_DOMAIN + _label(field) + b"\x00" + salt + canonical_value)


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of `data` as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


@lru_cache(maxsize=256)
def _label(name: str) -> bytes:
    if not name or not name.isascii() or "\x00" in name:
        raise ValueError(f"`{visible(name)}` cannot label a digest: use ASCII without NUL")
    return name.encode()


class _Refused(Exception):
    """Raised by a decoder hook, which sees a value and not where it stands."""

    def __init__(self, message: str, literal: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.literal = literal

    def locate(self, text: str) -> int | None:
        return next(_duplicates(text), None) if self.literal is None else _literal_at(text, self.literal)


def _refuse(message: str, text: str, position: int | None) -> NoReturn:
    at = None if position is None else len(text[:position].encode())
    raise BadJson(message if at is None else f"{message} (byte {at})", at=at) from None


def _decoded(raw: bytes) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError as fault:
        raise BadJson(f"not UTF-8 (byte {fault.start})", at=fault.start) from None
    if text.startswith("\ufeff"):
        raise BadJson("a byte order mark stands before the JSON text, leave it out (byte 0)", at=0)
    return text


def _refuse_deep(text: str, max_depth: int) -> None:
    if text.count("[") + text.count("{") <= max_depth:
        return
    # Brackets that do not match may fool this count, but only behind the place where the parser stops anyway.
    depth = 0
    for token in _BRACKETS.finditer(text):
        if token[0] in "[{":
            depth += 1
            if depth > max_depth:
                _refuse(f"nested deeper than {max_depth} levels", text, token.start())
        elif token[0] in "]}":
            depth -= 1


def _refuse_lone_surrogates(text: str) -> None:
    for escape in _SURROGATES.finditer(text):
        if escape[1]:
            _refuse(f"`{escape[1]}` is a lone surrogate, half of a character", text, escape.start())


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    value = dict(pairs)
    if len(value) == len(pairs):
        return value
    seen: set[str] = set()
    twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]  # add() is falsy
    raise _Refused(f"key `{_quoted(twice)}` stands twice in one object")


def _integer(literal: str) -> int:
    # The length first: int() of a hostile number is quadratic, and refuses on its own terms from 4,300 digits on.
    if len(literal) <= _MAX_INTEGER_CHARACTERS and -MAX_INTEGER <= (value := int(literal)) <= MAX_INTEGER:
        return value
    raise _Refused(f"number `{_quoted(literal)}` is beyond 2^53-1, send it as a string", literal)


def _float(literal: str) -> int | float:
    value = float(literal)
    if not value.is_integer():
        if value - value == 0:
            return value
        raise _Refused(f"number `{_quoted(literal)}` is beyond the range of a double", literal)
    if -MAX_INTEGER <= value <= MAX_INTEGER:
        return int(value)
    if _exact_form(value):
        return value
    raise _Refused(f"number `{_quoted(literal)}` is beyond 2^53-1, send it as a string", literal)


def _constant(literal: str) -> NoReturn:
    raise _Refused(f"`{literal}` is not JSON", literal)


def _quoted(text: str) -> str:
    return visible(text) if len(text) <= _QUOTED_CHARACTERS else visible(text[:_QUOTED_CHARACTERS]) + "…"


def _literal_at(text: str, literal: str) -> int | None:
    return next((token.start() for token in _LITERALS.finditer(text) if token[0] == literal), None)


def _duplicates(text: str) -> Iterator[int]:
    # The parser has read as far as the first of them, so up to there braces match and every key is a sound string.
    open_objects: list[set[str]] = []
    for token in _KEYS.finditer(text):
        if token[0] == "{":
            open_objects.append(set())
        elif token[0] == "}":
            open_objects.pop()
        elif token[2]:
            key = json.loads(token[1]) if "\\" in token[1] else token[1][1:-1]
            if key in open_objects[-1]:
                yield token.start()
            open_objects[-1].add(key)


def _exact_form(value: float) -> bool:
    """Whether the canonical form of the integral `value` reads back as the same number."""
    return abs(value) <= MAX_INTEGER or abs(value) >= _FIRST_EXPONENT


def _encoder_agrees(value: object, room: int) -> bool:
    """Refuse what has no canonical form; then tell whether the fast encoder writes the RFC 8785 bytes.

    It does for every string but a key beyond U+FFFF (UTF-16 order differs there), every integer, and floats with a
    fraction from 1e-4 on: both write the shortest digits that read back, and no exponent.
    """
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return True
    # The encoder takes exact types; what only descends from one is written by the slower way, with the same result.
    if isinstance(value, dict):
        return _object_agrees(value, room) and kind is dict
    if isinstance(value, list | tuple):
        return _array_agrees(value, room) and kind in _SEQUENCES
    if isinstance(value, int):
        if -MAX_INTEGER <= value <= MAX_INTEGER:
            return kind is int
        raise BadJson("an integer is beyond 2^53-1, use a string")
    if isinstance(value, float):
        return _float_agrees(value) and kind is float
    if isinstance(value, str):
        return False
    raise BadJson(f"a value of type `{kind.__name__}` has no JSON form")


def _array_agrees(value: list[object] | tuple[object, ...], room: int) -> bool:
    _refuse_no_room(room)
    agrees = True
    for item in value:
        agrees = _encoder_agrees(item, room - 1) and agrees
    return agrees


def _object_agrees(value: dict[object, object], room: int) -> bool:
    _refuse_no_room(room)
    agrees = True
    for key, item in value.items():
        # Exactly str: an enum member hashes by its own rule, so that one dict may hold the same key twice.
        if type(key) is not str:
            raise BadJson(f"a key of type `{type(key).__name__}` is not a string")
        agrees = (key.isascii() or max(key) <= "\uffff") and agrees
        agrees = _encoder_agrees(item, room - 1) and agrees
    return agrees


def _refuse_no_room(room: int) -> None:
    if room < 1:
        raise BadJson(f"nested deeper than {MAX_CANONICAL_DEPTH} levels")


def _float_agrees(value: float) -> bool:
    if value - value != 0:
        raise BadJson("NaN and infinities have no JSON form")
    if not value.is_integer():
        return abs(value) >= _PLAIN_FLOAT_MIN
    if not _exact_form(value):
        raise BadJson("a number is beyond 2^53-1, use a string")
    return False


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant, strict=True
)
_ENCODER = msgspec.json.Encoder(order="sorted")
