"""Handovers of signing keys: both keys sign, the chain has one order, and a replaced key vouches for nothing newer."""

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from assent.core.errors import VerificationFailed
from assent.core.handovers import Handover, KeyChain, KeyUse, chain_of, open_handover, sign_handover
from assent.core.notes import NoteInvalid, VerifierKey, sign_note
from assent.stores.key_files import public_half
from assent.stores.keys import verifier

pytestmark = pytest.mark.requirement("P8")

PRIVATE = [Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in range(4)]
KEYS = [VerifierKey(name="assent/x", public_key=public_half(private)) for private in PRIVATE]


def handover(old: int, new: int, use: KeyUse = KeyUse.LOG) -> Handover:
    return Handover(use=use, old=KEYS[old], new=KEYS[new])


def note(old: int, new: int, use: KeyUse = KeyUse.LOG) -> bytes:
    return sign_handover(handover(old, new, use), old=PRIVATE[old].sign, new=PRIVATE[new].sign)


@pytest.mark.parametrize("use", KeyUse)
def test_a_handover_that_both_keys_signed_opens_as_it_was_made(use: KeyUse) -> None:
    assert open_handover(note(0, 1, use), verifier) == handover(0, 1, use)


@pytest.mark.parametrize("only", [0, 1])
def test_one_signature_is_not_enough(only: int) -> None:
    text = handover(0, 1).text
    raw = sign_note(text, KEYS[only].name, KEYS[only].key_id, PRIVATE[only].sign)
    with pytest.raises(NoteInvalid):
        open_handover(raw, verifier)


def test_a_signature_by_somebody_else_is_none() -> None:
    forged = sign_handover(handover(0, 1), old=PRIVATE[2].sign, new=PRIVATE[1].sign)
    with pytest.raises(NoteInvalid):
        open_handover(forged, verifier)


CHANGES: list[Callable[[bytes], bytes]] = [
    lambda raw: raw.replace(b"\nlog\n", b"\ngrant\n"),
    lambda raw: raw.replace(b"v1", b"v2"),
    lambda raw: raw.replace(b"\nlog\n", b"\nledger\n"),
    lambda raw: raw.replace(KEYS[1].encode().encode(), KEYS[2].encode().encode()),
    lambda raw: raw.replace(KEYS[0].encode().encode(), KEYS[2].encode().encode()),
    lambda raw: raw.replace(b"\n\n", b"\nmore\n\n"),
    lambda raw: raw[:-1],
    lambda raw: b"",
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_handover_is_none(change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(NoteInvalid):
        open_handover(change(note(0, 1)), verifier)


def test_a_key_hands_over_to_another_one_of_the_same_name() -> None:
    with pytest.raises(NoteInvalid):
        handover(0, 0)
    with pytest.raises(NoteInvalid):
        Handover(use=KeyUse.LOG, old=KEYS[0], new=VerifierKey(name="assent/y", public_key=KEYS[1].public_key))


def test_a_handover_cannot_be_taken_for_a_checkpoint() -> None:
    origin, size, *_ = handover(0, 1).text.split("\n")
    assert (origin, size.isdecimal()) == ("assent/key-handover/v1", False)


CHAIN = chain_of(KEYS[0], [(5, handover(0, 1)), (9, handover(1, 2))])


def test_any_key_of_a_log_leads_to_all_of_them() -> None:
    links = [(5, handover(0, 1)), (9, handover(1, 2))]
    assert {chain_of(key, links) for key in KEYS[:3]} == {CHAIN}
    assert CHAIN.newest == KEYS[2]
    with pytest.raises(NoteInvalid, match="none of its keys"):
        chain_of(KEYS[3], links)
    assert chain_of(KEYS[3], ()).keys == (KEYS[3],)


@pytest.mark.parametrize(("size", "first"), [(0, 0), (5, 0), (6, 1), (9, 1), (10, 2), (2**40, 2)], ids=str)
def test_the_key_in_force_and_every_later_one_may_vouch_and_no_earlier_one(size: int, first: int) -> None:
    assert CHAIN.may_vouch(size) == tuple(KEYS[first:3])
    assert CHAIN.replaced_before(size) == tuple(KEYS[:first])


@pytest.mark.parametrize("links", [[(0, 1), (0, 2)], [(0, 1), (2, 3)], [(0, 1), (1, 0)], [(0, 1), (1, 2), (2, 0)]])
def test_handovers_that_do_not_follow_each_other_are_refused_at_the_record(links: list[tuple[int, int]]) -> None:
    with pytest.raises(VerificationFailed) as failed:
        chain_of(KEYS[0], [(at, handover(*link)) for at, link in enumerate(links)])
    assert failed.value.index == len(links) - 1


def test_a_log_that_never_rotated_has_one_key_for_every_size() -> None:
    assert KeyChain((KEYS[0],)).may_vouch(2**60) == (KEYS[0],)
