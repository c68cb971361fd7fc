"""Signed notes: what is signed opens, and nothing else does."""

import base64
from collections.abc import Callable

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from assent.core.notes import (
    MAX_NOTE_BYTES,
    MAX_SIGNATURES,
    Note,
    NoteInvalid,
    Verifier,
    VerifierKey,
    cosign_note,
    from_base64,
    open_note,
    parse_verifier_key,
    sign_note,
    to_base64,
)

NAME = "log.example/assent"
TEXT = "a line\n\nbehind a blank one, süß\n"


def private(seed: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)


def public(seed: int, name: str = NAME) -> VerifierKey:
    return VerifierKey(name=name, public_key=private(seed).public_key().public_bytes_raw())


def checks(key: bytes) -> Callable[[bytes, bytes], bool]:
    def verify(message: bytes, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
        except InvalidSignature:
            return False
        return True

    return verify


def verifier(seed: int, name: str = NAME) -> Verifier:
    key = public(seed, name)
    return Verifier(name=name, key_id=key.key_id, verify=checks(key.public_key))


def signed(text: str = TEXT, seed: int = 1, name: str = NAME) -> bytes:
    return sign_note(text, name, public(seed, name).key_id, private(seed).sign)


def cosigned(raw: bytes, seed: int, name: str = NAME) -> bytes:
    return cosign_note(raw, name, public(seed, name).key_id, private(seed).sign)


SIGNED = signed()


def refused(raw: bytes, why: str | None = None) -> None:
    with pytest.raises(NoteInvalid, match=why) as refusal:
        open_note(raw, [verifier(1)])
    assert refusal.value.code == "verification_failed"


def test_a_signed_note_opens_with_its_key() -> None:
    assert open_note(SIGNED, [verifier(1)]) == Note(
        text=TEXT, signed_by=(NAME,), keys=(f"{NAME}+{public(1).key_id.hex()}",)
    )
    assert SIGNED.decode().startswith(TEXT + "\n\u2014 log.example/assent ")


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.just("\n"), max_size=30))
def test_every_text_that_can_be_signed_comes_back_as_it_was(text: str) -> None:
    assert open_note(signed(text + "\n"), [verifier(1)]).text == text + "\n"


def test_every_flipped_bit_of_a_note_is_seen() -> None:
    for bit in range(len(SIGNED) * 8):
        changed = bytearray(SIGNED)
        changed[bit // 8] ^= 1 << bit % 8
        refused(bytes(changed))


def test_every_cut_of_a_note_is_seen() -> None:
    for end in range(len(SIGNED)):
        refused(SIGNED[:end])
        refused(SIGNED[end + 1 :])


@pytest.mark.parametrize("text", ["", "no newline", "a\rb\n", "a\tb\n", "a\x00\n", "a\ud800\n"])
def test_a_text_that_no_note_can_carry_is_not_signed(text: str) -> None:
    with pytest.raises(NoteInvalid, match="text ends with a newline"):
        signed(text)


@pytest.mark.parametrize("name", ["", "two words", "a+b", "no\u00a0break", "line\n", "a\x00", "\ud800"])
def test_a_name_that_would_blur_a_line_names_no_key(name: str) -> None:
    with pytest.raises(NoteInvalid, match="cannot name a key"):
        VerifierKey(name=name, public_key=bytes(32))
    with pytest.raises(NoteInvalid, match="cannot name a key"):
        sign_note(TEXT, name, bytes(4), private(1).sign)


def test_a_key_id_has_four_bytes() -> None:
    with pytest.raises(NoteInvalid, match="key id is 4 bytes"):
        sign_note(TEXT, NAME, bytes(5), private(1).sign)


LINE = SIGNED.decode().splitlines()[-1]
BODY = TEXT + "\n"
UNPADDED = LINE.rstrip("=")


@pytest.mark.parametrize(
    "raw",
    [
        BODY,
        BODY + LINE,
        BODY + LINE + "\n\n",
        TEXT + LINE + "\n",
        BODY + LINE.replace("\u2014", "-") + "\n",
        BODY + LINE.replace("\u2014 ", "\u2014  ") + "\n",
        BODY + LINE + " \n",
        BODY + LINE + " extra\n",
        BODY + UNPADDED + "\n",
        BODY + LINE.replace("+", "-").replace("/", "_") + "\n",
        BODY + LINE + "\r\n",
        BODY + LINE + "\nnot a signature line\n",
        BODY + LINE + "\n\u2014 other AAAA\n",
        BODY + LINE + "\n\u2014 other AAAAAA==\n",
        BODY + LINE + "\n\u2014 o+ther AAAAAAA=\n",
        BODY + LINE + "\n\u2014 other AAAAAAB=\n",
        "\ufeff" + BODY + LINE + "\n",
        "a\tb\n\n" + LINE + "\n",
    ],
)
def test_a_malformed_note_is_refused(raw: str) -> None:
    refused(raw.encode())


def test_a_note_that_is_not_utf_8_is_refused() -> None:
    refused(b"\xff" + SIGNED, r"not UTF-8 \(byte 0\)")


def test_a_note_without_a_known_key_is_refused() -> None:
    refused(signed(seed=2), "no known key signed")
    refused(signed(name="other.example"), "no known key signed")
    with pytest.raises(NoteInvalid, match="no known key signed"):
        open_note(SIGNED, [])


def test_unknown_signatures_are_ignored_and_a_wrong_one_by_a_known_key_is_not() -> None:
    both = cosigned(SIGNED, 2, "witness.example")
    assert open_note(both, [verifier(1)]).signed_by == (NAME,)
    assert open_note(both, [verifier(2, "witness.example"), verifier(1)]).signed_by == (NAME, "witness.example")
    forged = cosign_note(SIGNED, "witness.example", public(2, "witness.example").key_id, private(3).sign)
    assert open_note(forged, [verifier(1)]).signed_by == (NAME,)
    with pytest.raises(NoteInvalid, match=r"`witness.example` is wrong"):
        open_note(forged, [verifier(1), verifier(2, "witness.example")])


def test_a_rotated_key_signs_beside_the_old_one_under_the_same_name() -> None:
    both = cosigned(SIGNED, 2)
    for known in ([verifier(1)], [verifier(2)], [verifier(1), verifier(2)]):
        assert open_note(both, known).signed_by == (NAME,)


def test_two_known_keys_of_one_identity_are_refused() -> None:
    with pytest.raises(NoteInvalid, match="two known keys share"):
        open_note(SIGNED, [verifier(1), verifier(1)])


def test_a_verifier_that_does_not_say_true_has_not_vouched() -> None:
    evasive = Verifier(name=NAME, key_id=public(1).key_id, verify=lambda *_: 1)  # type: ignore[arg-type]  # that is the point
    with pytest.raises(NoteInvalid, match="is wrong"):
        open_note(SIGNED, [evasive])


def test_size_and_number_of_signatures_are_limited() -> None:
    refused(b"a" * MAX_NOTE_BYTES + SIGNED, "bytes long")
    many = SIGNED
    for _ in range(MAX_SIGNATURES - 1):
        many = cosigned(many, 2, "witness.example")
    assert open_note(many, [verifier(1)]).text == TEXT
    refused(many + many.splitlines(keepends=True)[-1], "at most 64")
    with pytest.raises(NoteInvalid, match="at most 64"):
        cosigned(many, 3)


def test_a_verifier_key_is_written_and_read() -> None:
    vkey = public(1).encode()
    assert vkey.startswith(f"{NAME}+{public(1).key_id.hex()}+A")
    assert parse_verifier_key(vkey) == public(1)


@pytest.mark.parametrize(
    "damage",
    [
        lambda vkey: "",
        lambda vkey: "x" + vkey,
        lambda vkey: vkey + "\n",
        lambda vkey: vkey[:-1],
        lambda vkey: vkey.replace("+", " ", 1),
        lambda vkey: vkey.upper(),
        lambda vkey: vkey.replace(public(1).key_id.hex(), "00000000"),
        lambda vkey: "+".join([*vkey.split("+")[:2], to_base64(b"\x02" + bytes(32))]),
        lambda vkey: "+".join([*vkey.split("+")[:2], to_base64(b"\x01" + bytes(31))]),
        lambda vkey: vkey + "\ud800",
        lambda vkey: "é" + vkey,
    ],
)
def test_a_damaged_verifier_key_is_refused(damage: Callable[[str], str]) -> None:
    with pytest.raises(NoteInvalid):
        parse_verifier_key(damage(public(1).encode()))


@given(st.binary(max_size=10), st.text("AB+/=\n -_é\ud800", max_size=8))
def test_base64_has_one_spelling(data: bytes, text: str) -> None:
    assert from_base64(to_base64(data)) == data
    try:
        read = from_base64(text)
    except NoteInvalid:
        return
    assert base64.b64encode(read).decode() == text
