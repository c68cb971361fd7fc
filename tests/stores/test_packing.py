"""The byte form of stored values says exactly one thing, and what is sealed opens only where it was sealed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.core.errors import Forged
from assent.stores.packing import pack, unpack
from assent.stores.sealing import LedgerKeys

KEYS = LedgerKeys(ledger_key=b"l" * 32, payload_key=b"p" * 32)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.lists(st.none() | st.integers(-(2**63), 2**63) | TEXT | st.binary()).map(tuple)


@given(VALUES)
def test_values_come_back_as_they_were_packed_in_type_too(values: tuple[None | int | str | bytes, ...]) -> None:
    found = unpack(pack(values))
    assert found == values
    assert [type(value) for value in found] == [type(value) for value in values]


@given(VALUES, VALUES)
def test_different_values_never_share_a_form(
    one: tuple[None | int | str | bytes, ...], two: tuple[None | int | str | bytes, ...]
) -> None:
    assert (pack(one) == pack(two)) == (one == two)


@pytest.mark.parametrize(
    ("one", "two"), [((1,), ("1",)), (("1",), (b"1",)), ((None,), ("",)), (("ab", "c"), ("a", "bc")), ((), (None,))]
)
def test_values_that_look_alike_are_told_apart(one: tuple[object, ...], two: tuple[object, ...]) -> None:
    assert pack(one) != pack(two)  # type: ignore[arg-type]  # any of the storable types
    assert KEYS.mac("t", one) != KEYS.mac("t", two)  # type: ignore[arg-type]  # any of the storable types


@pytest.mark.parametrize("packed", [b"s9;", b"x", b"i;", b"s1;\xff", b"i1", b"sx;"])
def test_what_was_never_packed_is_refused_or_read_as_less(packed: bytes) -> None:
    try:
        assert pack(unpack(packed)) != packed
    except Forged:
        return


@pytest.mark.requirement("P9", "T24")
@given(VALUES, st.integers(0, 10_000), st.integers(0, 7))
def test_a_sealed_payload_with_any_bit_changed_does_not_open(
    values: tuple[None | int | str | bytes, ...], at: int, bit: int
) -> None:
    sealed = bytearray(KEYS.seal("action", "act_1", values))
    assert KEYS.unseal("action", "act_1", bytes(sealed)) == values
    sealed[at % len(sealed)] ^= 1 << bit
    with pytest.raises(Forged):
        KEYS.unseal("action", "act_1", bytes(sealed))


def test_the_same_payload_is_never_sealed_alike() -> None:
    assert len({KEYS.seal("action", "act_1", ("x",)) for _ in range(1_000)}) == 1_000


def test_every_use_of_a_key_has_a_subkey_of_its_own() -> None:
    same = LedgerKeys(ledger_key=b"k" * 32, payload_key=b"k" * 32)
    assert len({same.mac("a", ()), same.blind("a", b""), same.blind("rows", b"")}) == 3
