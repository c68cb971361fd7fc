"""Bytes that are no longer the JSON they were: corruptions of a request's body, pure and seeded."""

import random
from collections.abc import Callable
from typing import Final

PIECES: Final = (
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"1e999",
    b"9007199254740993",
    b"-0",
    b"0x10",
    b"01",
    b'"\\ud800"',
    b'"\\udfff\\ud800"',
    b'"\\u0000"',
    b"\x00",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"\xc0\xaf",
    b'{"a":1,"a":2}',
    b"//",
    b"/**/",
    b",",
    b"}",
    b"]",
    b'"',
    b"\\",
    b"'",
    b"null",
    b"true",
    b"[]",
    b"{}",
    b'{"$ref":"#"}',
    b'{"__proto__":{}}',
    "\u2028".encode(),
    "\u202e".encode(),
    b"1" * 400,
    b"-" * 20,
    b"1e-400",
    b"1.7976931348623159e308",
)
DEEP: Final = (60, 65, 200, 5_000, 100_000)
LONG: Final = (70_000, 262_145, 400_000)


def corrupted(body: bytes, rng: random.Random) -> bytes:
    """Return `body` after one to three corruptions."""
    for _ in range(rng.randint(1, 3)):
        body = rng.choice(_WAYS)(body, rng)
    return body


def _flip(body: bytes, rng: random.Random) -> bytes:
    if not body:
        return b"\x80"
    at = rng.randrange(len(body))
    return body[:at] + bytes([body[at] ^ (1 << rng.randrange(8))]) + body[at + 1 :]


def _cut(body: bytes, rng: random.Random) -> bytes:
    return body[: rng.randrange(len(body) + 1)]


def _drop(body: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(body) + 1)
    return body[:at] + body[at + rng.randint(1, 12) :]


def _insert(body: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(body) + 1)
    return body[:at] + rng.choice(PIECES) + body[at:]


def _replace_value(body: bytes, rng: random.Random) -> bytes:
    """Put a piece where a value begins, so that the rest still parses more often."""
    places = [at for at, byte in enumerate(body) if byte == 0x3A]
    if not places:
        return rng.choice(PIECES)
    at = rng.choice(places) + 1
    end = next((n for n in range(at, len(body)) if body[n] in b",}"), len(body))
    return body[:at] + rng.choice(PIECES) + body[end:]


def _repeat(body: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(body) + 1)
    return body[:at] + body[rng.randrange(at + 1) : at] + body[at:]


def _nest(body: bytes, rng: random.Random) -> bytes:
    depth = rng.choice(DEEP)
    left, right = rng.choice([(b"[", b"]"), (b'{"a":', b"}")])
    inside = left * depth + b"1" + right * (depth if rng.random() < 0.7 else 0)
    places = [at for at, byte in enumerate(body) if byte == 0x3A] or [0]
    at = rng.choice(places) + 1
    return body[:at] + inside + rng.choice([body[at:], b"}"])


def _lengthen(body: bytes, rng: random.Random) -> bytes:
    filler = rng.choice([b" ", b"a", b"0", b"[", b'"'])
    at = rng.randrange(len(body) + 1)
    return body[:at] + filler * rng.choice(LONG) + body[at:]


def _encode(body: bytes, rng: random.Random) -> bytes:
    text = body.decode("utf-8", errors="replace")
    return text.encode(rng.choice(["utf-16", "utf-16-le", "utf-32", "utf-8-sig", "cp037"]), errors="replace")


# Each as often as it stands here: the large ones cost more than they find.
_WAYS: Final[tuple[Callable[[bytes, random.Random], bytes], ...]] = (
    *(_flip, _flip, _cut, _drop, _insert, _insert, _replace_value, _replace_value, _replace_value, _repeat) * 2,
    _nest,
    _lengthen,
    _encode,
)
