"""Checkpoints, the signed heads of the log, and log proofs, which carry one record's inclusion to whoever doubts it.

Both are public text formats (C2SP tlog-checkpoint and tlog-proof), written in one spelling and read in that one only.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from assent.core.characters import visible
from assent.core.merkle import EMPTY_ROOT, HASH_BYTES, verify_inclusion
from assent.core.notes import MAX_NOTE_BYTES, NoteInvalid, Verifier, from_base64, note_text, open_note, to_base64

MAX_TREE_SIZE: Final = 2**63 - 1
MAX_PROOF_HASHES: Final = 63
MAX_PROOF_BYTES: Final = 2 * MAX_NOTE_BYTES

_PROOF_HEADER: Final = "c2sp.org/tlog-proof@v1"
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")
_CONTROLS = re.compile(r"[\x00-\x1f\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The head of a log: its origin, how many records it holds and their root; what `sign_note` signs is `text`."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if any(not line or _CONTROLS.search(line) for line in (self.origin, *self.extensions)):
            raise NoteInvalid("a checkpoint's origin and extensions are lines that are not empty")
        if not 0 <= self.size <= MAX_TREE_SIZE or len(self.root) != HASH_BYTES:
            raise NoteInvalid(f"no checkpoint has size {self.size} and a root of {len(self.root)} bytes")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise NoteInvalid("an empty log has one root, and this is another")

    @property
    def text(self) -> str:
        """The note text: origin, size, root in base64, extensions, one line each."""
        return "".join(f"{line}\n" for line in (self.origin, self.size, to_base64(self.root), *self.extensions))


@dataclass(frozen=True, slots=True, kw_only=True)
class LogProof:
    """One record's way to a signed checkpoint; `extra` is carried and vouched for by nobody."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes = b""

    def encode(self) -> bytes:
        """Return the text form, by custom in a file `*.tlog-proof`. Source: C2SP tlog-proof."""
        extra = [f"extra {to_base64(self.extra)}"] if self.extra else []
        lines = [_PROOF_HEADER, *extra, f"index {self.index}", *map(to_base64, self.hashes), "", ""]
        return "\n".join(lines).encode() + self.checkpoint


def parse_checkpoint(text: str) -> Checkpoint:
    """Return the checkpoint of a note's text, which must have been opened before. Raises NoteInvalid."""
    origin, size, root, *extensions = _lines(text, at_least=3)
    return Checkpoint(origin=origin, size=_decimal(size), root=from_base64(root), extensions=tuple(extensions))


def claimed_size(raw: bytes) -> int:
    """Return the size that a checkpoint claims, with nobody's word for it: it says which keys could vouch for it."""
    return parse_checkpoint(note_text(raw)).size


def open_checkpoint(raw: bytes, *, origin: str, verifiers: Iterable[Verifier]) -> Checkpoint:
    """Return the checkpoint that a key of `verifiers` signed for the log `origin`.

    The caller must still check that it is consistent with the one it kept from before. Raises NoteInvalid.
    """
    # (1) signature
    note = open_note(raw, verifiers)
    # (2) form
    checkpoint = parse_checkpoint(note.text)
    # (3) the log that was asked for: a key may sign for several
    if checkpoint.origin != origin:
        raise NoteInvalid(f"this is a checkpoint of `{visible(checkpoint.origin)}`, not of `{visible(origin)}`")
    return checkpoint


def parse_log_proof(raw: bytes) -> LogProof:
    """Return the proof of a text that is strictly of the form; nothing in it is verified yet. Raises NoteInvalid."""
    if len(raw) > MAX_PROOF_BYTES:
        raise NoteInvalid(f"the log proof is {len(raw)} bytes long, {MAX_PROOF_BYTES} are allowed")
    head, _, checkpoint = raw.partition(b"\n\n")
    try:
        header, *lines = head.decode().split("\n")
    except UnicodeDecodeError as fault:
        raise NoteInvalid(f"the log proof is not UTF-8 (byte {fault.start})") from None
    if header != _PROOF_HEADER or not checkpoint:
        raise NoteInvalid(f"a log proof starts with the line `{_PROOF_HEADER}` and ends with a checkpoint")
    extra = from_base64(lines.pop(0).removeprefix("extra ")) if lines and lines[0].startswith("extra ") else b""
    index, hashes = _index_line(lines), tuple(map(from_base64, lines[1:]))
    proof = LogProof(index=index, hashes=hashes, checkpoint=checkpoint, extra=extra)
    # What is written again must be what was read: an empty `extra` line is one more spelling.
    if len(hashes) > MAX_PROOF_HASHES or {len(value) for value in hashes} - {HASH_BYTES} or proof.encode() != raw:
        raise NoteInvalid("the log proof is malformed")
    return proof


def verify_log_proof(proof: LogProof, *, leaf: bytes, origin: str, verifiers: Iterable[Verifier]) -> Checkpoint:
    """Return the checkpoint under which the leaf hash `leaf` is proven to stand at `proof.index`.

    Raises NoteInvalid for the checkpoint, ProofInvalid for the path.
    """
    checkpoint = open_checkpoint(proof.checkpoint, origin=origin, verifiers=verifiers)
    verify_inclusion(leaf=leaf, index=proof.index, size=checkpoint.size, proof=proof.hashes, root=checkpoint.root)
    return checkpoint


def _index_line(lines: list[str]) -> int:
    if not lines or not lines[0].startswith("index "):
        raise NoteInvalid("the log proof has no `index` line")
    return _decimal(lines[0].removeprefix("index "))


def _lines(text: str, *, at_least: int) -> list[str]:
    lines = text.removesuffix("\n").split("\n")
    if len(lines) < at_least or not text.endswith("\n"):
        raise NoteInvalid(f"a checkpoint has at least {at_least} lines, each ending with a newline")
    return lines


def _decimal(text: str) -> int:
    if _DECIMAL.fullmatch(text) is None:
        raise NoteInvalid(f"`{visible(text[:64])}` is not a decimal number in its one spelling")
    return int(text)
