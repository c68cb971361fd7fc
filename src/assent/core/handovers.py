"""Handovers: the note by which a signing key names the one that takes its place, and the chain that they make.

A handover is a signed note (C2SP signed-note) under both keys: the old one vouches for the new one, so that whoever
holds the old one can follow, and the new one for the old one, so that old checkpoints verify for ever. It is recorded;
from its record on only the new key may vouch for the log, and the old one is worth nothing to whoever stole it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from assent.core.errors import VerificationFailed
from assent.core.notes import NoteInvalid, Verifier, VerifierKey, cosign_note, note_text, open_note, parse_verifier_key
from assent.core.notes import sign_note as sign

_HEADER: Final = "assent/key-handover/v1"
_LINES: Final = 4

Sign = Callable[[bytes], bytes]
ToVerifier = Callable[[VerifierKey], Verifier]


class KeyUse(StrEnum):
    """What a signing key signs."""

    LOG = "log"
    GRANT = "grant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """One key of `use` takes the place of another."""

    use: KeyUse
    old: VerifierKey
    new: VerifierKey

    def __post_init__(self) -> None:
        if self.old.name != self.new.name or self.old.public_key == self.new.public_key:
            raise NoteInvalid("a key hands over to another one of the same name")

    @property
    def text(self) -> str:
        """What both keys sign: a line each for what this is, what the keys are for, the old one and the new one."""
        return "".join(f"{line}\n" for line in (_HEADER, self.use, self.old.encode(), self.new.encode()))


def sign_handover(handover: Handover, *, old: Sign, new: Sign) -> bytes:
    """Return the note of `handover`, signed by both keys."""
    note = sign(handover.text, handover.old.name, handover.old.key_id, old)
    return cosign_note(note, handover.new.name, handover.new.key_id, new)


def open_handover(raw: bytes, to_verifier: ToVerifier) -> Handover:
    """Return the handover that both of its keys signed; whose keys they are is for the caller to say.

    Raises:
        NoteInvalid: it is malformed, or one of the two did not sign it.

    """
    handover = _parse(note_text(raw))
    for key in (handover.old, handover.new):
        open_note(raw, (to_verifier(key),))
    return handover


def _parse(text: str) -> Handover:
    lines = text.removesuffix("\n").split("\n")
    if len(lines) != _LINES or lines[0] != _HEADER or lines[1] not in list(KeyUse):
        raise NoteInvalid("this is no handover of a key")
    return Handover(use=KeyUse(lines[1]), old=parse_verifier_key(lines[2]), new=parse_verifier_key(lines[3]))


@dataclass(frozen=True, slots=True)
class KeyChain:
    """The keys of one log, oldest first; `since[n]` is the index of the record that handed over to `keys[n + 1]`."""

    keys: tuple[VerifierKey, ...]
    since: tuple[int, ...] = ()

    @property
    def newest(self) -> VerifierKey:
        """The key that signs now."""
        return self.keys[-1]

    def after(self, handover: Handover, index: int) -> "KeyChain":
        """Return the chain with the handover that record `index` holds.

        Raises:
            VerificationFailed: it does not begin at the newest key, or goes back to one that was replaced.

        """
        if handover.old != self.newest or handover.new in self.keys:
            raise VerificationFailed(f"record {index} hands the log over between keys that do not follow", index=index)
        return replace(self, keys=(*self.keys, handover.new), since=(*self.since, index))

    def may_vouch(self, size: int) -> tuple[VerifierKey, ...]:
        """Return the keys that may vouch for the first `size` records: the one in force there, and every later one."""
        return self.keys[sum(index < size for index in self.since) :]

    def replaced_before(self, size: int) -> tuple[VerifierKey, ...]:
        """Return the keys that were replaced by a record below `size`: their word on it is worth nothing."""
        return self.keys[: sum(index < size for index in self.since)]


def chain_of(given: VerifierKey, recorded: Iterable[tuple[int, Handover]]) -> KeyChain:
    """Return the chain that `given` is a link of, from the handovers of the log that a log has on record, in order.

    Raises:
        VerificationFailed: they do not follow each other.
        NoteInvalid: `given` is none of the log's keys.

    """
    links = list(recorded)
    chain = KeyChain((links[0][1].old if links else given,))
    for index, handover in links:
        chain = chain.after(handover, index)
    if given not in chain.keys:
        raise NoteInvalid("no known key signed this log: the one given is none of its keys")
    return chain
