"""Strict JSON and its one canonical form: what is refused, what is kept, and that it is RFC 8785 to the byte."""

import hashlib
import json
from enum import Enum, StrEnum

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from assent.core.canonical import (
    MAX_CANONICAL_DEPTH,
    MAX_INTEGER,
    BadJson,
    Json,
    canonical,
    commitment,
    digest,
    load,
    parse,
    sha256_hex,
)

# Text of every kind but lone surrogates, with much of what encoders treat apart.
SPECIAL = '\x00\x08\t\n\x0c\r\x1f"\\/\x7f\x80\u2028\ud7ff\ue000\uffff\U00010000\U0010ffff'
TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(SPECIAL), max_size=12)
INTEGERS = st.integers(-MAX_INTEGER, MAX_INTEGER)
FLOATS = st.floats(allow_nan=False, allow_infinity=False).filter(
    lambda number: not MAX_INTEGER < abs(number) < 1e21
) | st.decimals(-1000, 1000, places=4).map(float)
SCALARS = st.none() | st.booleans() | INTEGERS | FLOATS | TEXT
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=5))


def refused(raw: bytes) -> BadJson:
    with pytest.raises(BadJson) as refusal:
        parse(raw)
    assert refusal.value.code == "bad_json"
    return refusal.value


def plain(value: object) -> str:
    """A picture of a value that tells 1, 1.0 and true apart."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key!r}:{plain(item)}" for key, item in sorted(value.items())) + "}"
    if isinstance(value, list):
        return "[" + ",".join(plain(item) for item in value) + "]"
    return f"{type(value).__name__} {value!r}"


REFUSED = [
    (b'{"a":1,"b":2,"a":3}', 13),
    (b'{"a":1,"\\u0061":3}', 7),
    (b'[{"x":{"k":1,"\xc3\xa9":2,"\xc3\xa9":3}}]', 20),
    (b'{"a":{"a":"a"},"b":[{}],"a":1}', 24),
    (b"NaN", 0),
    (b'{"a":NaN}', 5),
    (b"[Infinity]", 1),
    (b'["Infinity",-Infinity]', 12),
    (b"[1e999]", 1),
    (b"[-1e999]", 1),
    (b'{"1e400":["1e400",1e400]}', 18),
    (b"9007199254740992", 0),
    (b"-9007199254740992", 0),
    (b"[9007199254740991,9007199254740992]", 18),
    (b"[" + b"9" * 5000 + b"]", 1),
    (b"1e16", 0),
    (b"9007199254740992.0", 0),
    (b"100000000000000000000e-1", 0),
    (b'"\\ud800"', 1),
    (b'"\\udc00\\ud800"', 1),
    (b'"\\ud800\\ud800\\udc00"', 1),
    (b'"\\\\\\udfff"', 3),
    (b'{"\\uD8aa":1}', 2),
    (b'"\xed\xa0\x80"', 1),
    (b'"\xff"', 1),
    (b'"\xc0\xaf"', 1),
    (b'"\xf4\x90\x80\x80"', 1),
    (b'"\xc3', 1),
    (b"\xef\xbb\xbf{}", 0),
    ('{"a":1}'.encode("utf-16-le"), 1),
    (b"", 0),
    (b" ", 1),
    (b"{}x", 2),
    (b"{} {}", 3),
    (b"{}\x00", 2),
    (b'"a\nb"', 2),
    (b'"a\x00b"', 2),
    (b'"a\tb"', 2),
    (b"\x0b1", 0),
    (b"\xc2\xa01", 0),
    (b"[1,]", 3),
    (b"{'a':1}", 1),
    (b"{a:1}", 1),
    (b"[01]", 2),
    (b"[+1]", 1),
    (b"[.5]", 1),
    (b"[1.]", 2),
    (b"[1e]", 2),
    (b"[-]", 1),
    ("[１]".encode(), 1),
    (b"[tru]", 1),
    (b"[1 2]", 3),
    (b'"\\x41"', 1),
    (b'"\\u00g0"', 3),
    (b'{"a" "b"}', 5),
    (b"//\n1", 0),
]


@pytest.mark.parametrize(("raw", "at"), REFUSED)
def test_hostile_json_is_refused_and_the_byte_is_named(raw: bytes, at: int) -> None:
    refusal = refused(raw)
    if refusal.message.startswith("not JSON"):  # the parser's own positions move a little between Pythons
        assert refusal.at is not None
        assert abs(refusal.at - at) <= 2
    else:
        assert refusal.at == at


def test_refusals_say_what_to_do_and_print_hostile_text_escaped() -> None:
    assert refused(b'{"a\\u202e":1,"a\\u202e":1}').message == r"key `a\u{202e}` stands twice in one object (byte 13)"
    assert (
        refused(b"[9007199254740993]").message
        == "number `9007199254740993` is beyond 2^53-1, send it as a string (byte 1)"
    )
    assert len(refused(b"1" * 200_000).message) < 120


def test_position_counts_bytes_not_characters() -> None:
    assert refused('["é€😀",1e999]'.encode()).at == 13


def test_size_and_depth_are_limited_and_the_limits_themselves_pass() -> None:
    assert parse(b" " * 6 + b"[]", max_bytes=8) == []
    with pytest.raises(BadJson, match="9 bytes long, 8 are allowed"):
        parse(b" " * 7 + b"[]", max_bytes=8)
    assert parse(b"[" * 64 + b"]" * 64) is not None
    assert refused(b"[" * 65 + b"]" * 65).at == 64
    assert refused(b'{"a":' * 65 + b"1" + b"}" * 65).at == 64 * 5


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"":', b'[[],{"a":'])
def test_no_depth_exhausts_the_stack(opening: bytes) -> None:
    raw = opening * (262_144 // len(opening))
    assert "deeper than 64" in refused(raw).message
    with pytest.raises(BadJson):
        parse(b"]" * 200 + raw[:200_000])


def test_brackets_inside_strings_are_no_depth() -> None:
    assert parse(b'["' + b"[{" * 1000 + b'","\\"[",[]]') == ["[{" * 1000, '"[', []]


def test_a_wide_value_is_not_deep() -> None:
    assert parse(b"[" + b"[]," * 1000 + b"{}]") == [[]] * 1000 + [{}]


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b" [ 1 , 2 ]\r\n\t", [1, 2]),
        (b'"\\ud83d\\ude00"', "😀"),
        (b'"\\\\ud800"', "\\ud800"),
        (b'"\\u0000\\u001f\\u2028"', "\x00\x1f\u2028"),
        (b'"\xef\xbb\xbf"', "\ufeff"),
        (b"-0", 0),
        (b"-0.0", 0),
        (b"1.0", 1),
        (b"1E2", 100),
        (b"9007199254740991", MAX_INTEGER),
        (b"-9007199254740991.0", -MAX_INTEGER),
        (b"0.1", 0.1),
        (b"1e21", 1e21),
        (b"1e300", 1e300),
        (b"1e-400", 0),
        (b"5e-324", 5e-324),
        (b'{"":{"":null}}', {"": {"": None}}),
    ],
)
def test_sound_json_is_read_and_equals_what_is_stored(raw: bytes, value: Json) -> None:
    assert plain(parse(raw)) == plain(value) == plain(load(canonical(parse(raw))))


@given(JSON)
@example({SPECIAL: 1, "\ue000": 2, "\U00010000": 3, "\uffff": [0.5, -0.0, 1e300, 5e-324, 0.00001]})
def test_canonical_form_is_rfc_8785_to_the_byte(value: Json) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@given(JSON, st.booleans(), st.sampled_from([None, 1]))
def test_every_spelling_has_one_canonical_form_and_reads_back_as_it_is_stored(
    value: Json, ascii_only: bool, indent: int | None
) -> None:
    spelt = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    stored = canonical(parse(spelt))
    assert stored == canonical(value)
    assert plain(load(stored)) == plain(parse(spelt))
    assert canonical(load(stored)) == stored


@given(JSON, JSON)
def test_different_values_have_different_canonical_bytes(left: Json, right: Json) -> None:
    same = plain(parse(json.dumps(left).encode())) == plain(parse(json.dumps(right).encode()))
    assert (canonical(left) == canonical(right)) == same


@given(
    st.binary(max_size=40)
    | st.text('[]{}",:\\u\ud8001e+-.0naNtrfsl ', max_size=30).map(lambda t: t.encode("utf-8", "surrogatepass"))
)
def test_any_bytes_are_read_or_refused_and_nothing_else_happens(raw: bytes) -> None:
    try:
        value = parse(raw)
    except BadJson as refusal:
        position = -1 if refusal.at is None else refusal.at
    else:
        position = 0
        assert plain(load(canonical(value))) == plain(value)
    assert 0 <= position <= len(raw)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_written_as_ecmascript_writes_them(number: float) -> None:
    assert rfc8785.dumps(number).decode() == ecmascript(number)


def ecmascript(number: float) -> str:
    """ECMA-262 Number::toString, from the shortest digits: an independent second opinion."""
    if number == 0:
        return "0"
    sign, number = ("-", -number) if number < 0 else ("", number)
    mantissa, exponent = f"{number!r}e0".split("e")[:2]
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    n = len(whole) + int(exponent) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    k = len(digits)
    if k <= n <= 21:
        return sign + digits + "0" * (n - k)
    if 0 < n <= 21:
        return f"{sign}{digits[:n]}.{digits[n:]}"
    if -6 < n <= 0:
        return f"{sign}0.{'0' * -n}{digits}"
    return f"{sign}{digits[0]}{'.' + digits[1:] if k > 1 else ''}e{'+' if n > 0 else '-'}{abs(n - 1)}"


def test_keys_sort_by_utf_16_code_units() -> None:
    # RFC 8785 section 3.2.3: U+FB33 sorts behind the surrogate pair of U+1F600.
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    assert list(json.loads(canonical(dict.fromkeys(keys, 0)))) == [
        "\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33",
    ]  # fmt: skip


class Kind(StrEnum):
    DECIDED = "decided"


class Loose(str, Enum):  # noqa: UP042  # the older kind, which hashes unlike its string
    A = "a"


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (float("nan"), "no JSON form"),
        ([float("inf")], "no JSON form"),
        ({"a": -float("inf")}, "no JSON form"),
        (2**53, "beyond 2\\^53-1"),
        (-(2**53), "beyond 2\\^53-1"),
        (1e16, "beyond 2\\^53-1"),
        (b"bytes", "type `bytes`"),
        ({1, 2}, "type `set`"),
        ({1: 2}, "key of type `int`"),
        ({None: 2}, "key of type `NoneType`"),
        ({Loose.A: 1, "a": 2}, "key of type `Loose`"),
        ("\ud800", "lone surrogate"),
        ({"\udfff": 1}, "lone surrogate"),
        ({"\udfff": 0.00001}, "lone surrogate"),
        ({"\U0001f600": "\ud800"}, "lone surrogate"),
        (object(), "type `object`"),
    ],
)
def test_what_has_no_canonical_form_is_refused(value: object, why: str) -> None:
    with pytest.raises(BadJson, match=why):
        canonical([value, "sound"])  # type: ignore[list-item]  # that is the point


def test_a_fault_after_a_float_or_an_astral_key_is_still_seen() -> None:
    with pytest.raises(BadJson):
        canonical([1e-7, {"\U0001f600": 1}, float("nan")])


def test_tuples_are_arrays_and_enum_values_are_their_strings() -> None:
    assert canonical({"kind": Kind.DECIDED, "of": (1, (True, None))}) == b'{"kind":"decided","of":[1,[true,null]]}'


def test_canonical_depth_is_limited_so_that_a_cycle_ends() -> None:
    cycle: list[Json] = []
    cycle.append({"again": cycle})
    with pytest.raises(BadJson, match="deeper than 128"):
        canonical(cycle)
    deep: Json = 1
    for _ in range(MAX_CANONICAL_DEPTH):
        deep = [deep]
    assert load(canonical(deep)) == deep


def test_loading_gives_a_fresh_copy_each_time() -> None:
    stored = canonical({"list": [1]})
    first = load(stored)
    assert isinstance(first, dict)
    first["list"] = "changed"
    assert load(stored) == {"list": [1]}


def test_damaged_stored_bytes_are_refused() -> None:
    with pytest.raises(BadJson):
        load(b'{"list":[1}')


def test_a_digest_is_sha_256_over_domain_and_length_prefixed_parts() -> None:
    expected = hashlib.sha256(b"assent/x/v1\x00" + bytes(7) + b"\x02ab" + bytes(8)).digest()
    assert digest("assent/x/v1", b"ab", b"") == expected


PARTS = st.lists(st.binary(max_size=3), max_size=4)


@given(st.sampled_from(["a", "b", "ab"]), PARTS, st.sampled_from(["a", "b", "ab"]), PARTS)
def test_no_two_lists_of_parts_share_a_digest(d1: str, p1: list[bytes], d2: str, p2: list[bytes]) -> None:
    assert (digest(d1, *p1) == digest(d2, *p2)) == ((d1, p1) == (d2, p2))


@pytest.mark.parametrize("name", ["", "a\x00b", "é"])
def test_a_name_that_blurs_the_boundary_labels_no_digest(name: str) -> None:
    with pytest.raises(ValueError, match="cannot label a digest"):
        digest(name, b"")
    with pytest.raises(ValueError, match="cannot label a digest"):
        commitment(name, bytes(32), 1)


def test_a_commitment_binds_field_salt_and_value() -> None:
    salt = bytes(range(32))
    made = commitment("arguments", salt, {"b": 1, "a": "x"})
    assert made == sha256_hex(b"assent/commit/v1" + b"arguments\x00" + salt + b'{"a":"x","b":1}')
    others = {
        commitment("reason", salt, {"b": 1, "a": "x"}),
        commitment("arguments", bytes(32), {"b": 1, "a": "x"}),
        commitment("arguments", salt, {"b": "1", "a": "x"}),
    }
    assert len(others | {made}) == 4


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_salt_of_another_length_commits_to_nothing(length: int) -> None:
    with pytest.raises(ValueError, match="salt is 32 bytes"):
        commitment("arguments", bytes(length), 1)
