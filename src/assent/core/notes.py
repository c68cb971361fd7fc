"""Signed notes: a text and the signatures under it, as C2SP signed-note defines them, and the keys that verify them.

Keys are names and callables here: what signs and what verifies comes in from outside. A note is opened strictly: one
spelling, limits on size and number, and a bad signature by a known key refuses the whole note. What a note says counts
only once a known key has vouched for it.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from assent.core.characters import visible
from assent.core.errors import VerificationFailed

MAX_NOTE_BYTES: Final = 262_144
MAX_SIGNATURES: Final = 64
KEY_ID_BYTES: Final = 4

_ED25519: Final = b"\x01"
_PUBLIC_KEY_BYTES: Final = 32
_MARK: Final = "\u2014 "
# Surrogates too: they have no UTF-8, so no note can carry them.
_CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\ud800-\udfff]")
_SIGNATURE_LINE = re.compile(rf"{_MARK}([^ ]+) ([^ ]+)")


class NoteInvalid(VerificationFailed):
    """A note, a checkpoint or a verifier key is malformed, or no key that we know signed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierKey:
    """A public Ed25519 key under a name: what an auditor is given to check a log with."""

    name: str
    public_key: bytes

    def __post_init__(self) -> None:
        _require_name(self.name)
        if len(self.public_key) != _PUBLIC_KEY_BYTES:
            raise NoteInvalid(f"an Ed25519 public key is {_PUBLIC_KEY_BYTES} bytes, not {len(self.public_key)}")

    @property
    def key_id(self) -> bytes:
        """SHA-256(name ‖ newline ‖ 0x01 ‖ public key), the first 4 bytes."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public_key).digest()[:KEY_ID_BYTES]

    def encode(self) -> str:
        """Return the vkey, `name+hex key id+base64(0x01 ‖ public key)`."""
        return f"{self.name}+{self.key_id.hex()}+{to_base64(_ED25519 + self.public_key)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifier:
    """A key we know: `verify(message, signature)` tells whether it made that signature."""

    name: str
    key_id: bytes
    verify: Callable[[bytes, bytes], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A text, and the known keys that signed it, in the order of their signatures: by name, and as `name+id`."""

    text: str
    signed_by: tuple[str, ...]
    keys: tuple[str, ...] = ()


def parse_verifier_key(vkey: str) -> VerifierKey:
    """Return the key of a vkey. Raises NoteInvalid when malformed, not Ed25519, or its id does not fit."""
    name, _, rest = vkey.partition("+")
    material = from_base64(rest.partition("+")[2])
    if material[:1] != _ED25519:
        raise NoteInvalid("the verifier key is not an Ed25519 key")
    key = VerifierKey(name=name, public_key=material[1:])
    if key.encode() != vkey:
        raise NoteInvalid("the key id of the verifier key does not fit its name and key")
    return key


def sign_note(text: str, name: str, key_id: bytes, sign: Callable[[bytes], bytes]) -> bytes:
    """Return `text` with one signature under it. Raises NoteInvalid for a text or a name that no note can carry."""
    _require_text(text)
    return f"{text}\n{_signature_line(text, name, key_id, sign)}".encode()


def cosign_note(raw: bytes, name: str, key_id: bytes, sign: Callable[[bytes], bytes]) -> bytes:
    """Return the note with one more signature, for key rotation and witnesses; the others are kept and not verified."""
    text, lines = _split(raw)
    if len(lines) >= MAX_SIGNATURES:
        raise NoteInvalid(f"a note carries at most {MAX_SIGNATURES} signatures")
    return raw + _signature_line(text, name, key_id, sign).encode()


def open_note(raw: bytes, verifiers: Iterable[Verifier]) -> Note:
    """Return the text that at least one of `verifiers` signed.

    Signatures by other keys are ignored. The caller must still check what the text says, and who of `signed_by` may
    say it. Raises NoteInvalid. Source: C2SP signed-note.
    """
    # (1) one known key per name and id, or a signature would have two meanings
    known = _by_identity(verifiers)
    # (2) the form, before any signature is looked at
    text, lines = _split(raw)
    # (3) every signature that claims a known key must be good
    vouched = [one for line in lines for one in _vouched(text, line, known)]
    # (4) somebody we know must have signed
    if not vouched:
        raise NoteInvalid("no known key signed this note, check which verifier key belongs to it")
    names, keys = (one.name for one in vouched), (f"{one.name}+{one.key_id.hex()}" for one in vouched)
    return Note(text=text, signed_by=tuple(dict.fromkeys(names)), keys=tuple(dict.fromkeys(keys)))


def note_text(raw: bytes) -> str:
    """Return what a note claims to say, with nobody's word for it: only to find out whose keys to open it with."""
    return _split(raw)[0]


def claimed_keys(raw: bytes, name: str) -> frozenset[bytes]:
    """Return the ids of the keys of `name` that a note claims to be signed with, with nobody's word for it."""
    return frozenset(key_id for signer, key_id, _ in _split(raw)[1] if signer == name)


def to_base64(data: bytes) -> str:
    """Return standard base64 with padding (RFC 4648 section 4)."""
    return base64.b64encode(data).decode()


def from_base64(text: str) -> bytes:
    """Return the bytes of standard base64 in its one canonical spelling. Raises NoteInvalid for any other."""
    try:
        data = base64.b64decode(text.encode(), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise NoteInvalid(f"`{visible(text[:64])}` is not base64") from None
    if to_base64(data) != text:
        raise NoteInvalid(f"`{visible(text[:64])}` is not the canonical base64 of its bytes")
    return data


def _signature_line(text: str, name: str, key_id: bytes, sign: Callable[[bytes], bytes]) -> str:
    _require_name(name)
    if len(key_id) != KEY_ID_BYTES:
        raise NoteInvalid(f"a key id is {KEY_ID_BYTES} bytes, not {len(key_id)}")
    return f"{_MARK}{name} {to_base64(key_id + sign(text.encode()))}\n"


def _by_identity(verifiers: Iterable[Verifier]) -> dict[tuple[str, bytes], Verifier]:
    known: dict[tuple[str, bytes], Verifier] = {}
    for verifier in verifiers:
        if (verifier.name, verifier.key_id) in known:
            raise NoteInvalid(f"two known keys share the name `{visible(verifier.name)}` and their id")
        known[verifier.name, verifier.key_id] = verifier
    return known


def _split(raw: bytes) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    """Return the text and the signatures (name, key id, signature) of a well-formed note."""
    if len(raw) > MAX_NOTE_BYTES:
        raise NoteInvalid(f"the note is {len(raw)} bytes long, {MAX_NOTE_BYTES} are allowed")
    try:
        note = raw.decode()
    except UnicodeDecodeError as fault:
        raise NoteInvalid(f"the note is not UTF-8 (byte {fault.start})") from None
    text, gap, signatures = note.rpartition("\n\n")
    if not gap or not signatures.endswith("\n"):
        raise NoteInvalid("the note has no signatures behind a blank line, or does not end with a newline")
    _require_text(text + "\n")
    lines = signatures[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise NoteInvalid(f"a note carries at most {MAX_SIGNATURES} signatures")
    return text + "\n", [_signature(line) for line in lines]


def _signature(line: str) -> tuple[str, bytes, bytes]:
    match = _SIGNATURE_LINE.fullmatch(line)
    if match is None:
        raise NoteInvalid(f"`{visible(line[:64])}` is not a signature line")
    _require_name(match[1])
    data = from_base64(match[2])
    if len(data) <= KEY_ID_BYTES:
        raise NoteInvalid("a signature is too short")
    return match[1], data[:KEY_ID_BYTES], data[KEY_ID_BYTES:]


def _vouched(text: str, line: tuple[str, bytes, bytes], known: dict[tuple[str, bytes], Verifier]) -> Iterable[Verifier]:
    name, key_id, signature = line
    verifier = known.get((name, key_id))
    if verifier is None:
        return
    if verifier.verify(text.encode(), signature) is not True:
        raise NoteInvalid(f"the signature by `{visible(name)}` is wrong: the note was changed or forged")
    yield verifier


def _require_text(text: str) -> None:
    if not text.endswith("\n") or _CONTROLS.search(text) is not None:
        raise NoteInvalid("a note's text ends with a newline and holds no other control character")


def _require_name(name: str) -> None:
    if not name or "+" in name or any(character.isspace() for character in name) or _CONTROLS.search(name):
        raise NoteInvalid(f"`{visible(name[:64])}` cannot name a key: it is empty or holds a space or a plus")
