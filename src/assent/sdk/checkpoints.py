"""The newest log head that the broker showed, kept in memory, so that its log cannot go back unnoticed.

A checkpoint is a signed note (C2SP tlog-checkpoint): origin, size and root on a line each. The signature is left to
whoever verifies the log with the public key; here only memory is needed: the size never shrinks, one size has one
root, the origin stays.
"""

import base64
import binascii
import threading
from dataclasses import dataclass
from typing import Final

from assent.sdk.errors import UntrustedAnswer

HEADER: Final = "assent-checkpoint"
_MAX_HEADER_CHARACTERS: Final = 16_384
_ROOT_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """One head of the log as the broker showed it; `note` is the whole signed text."""

    note: str
    origin: str
    size: int
    root: bytes


class CheckpointMemory:
    """Keeps the newest checkpoint and refuses answers from a log that went back. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: Checkpoint | None = None
        self._newest_header: str | None = None

    @property
    def newest(self) -> Checkpoint | None:
        return self._newest

    def see(self, header: str | None, *, before: Checkpoint | None) -> None:
        """Take in the checkpoint of one answer; `before` is the newest that was known when its request left.

        Answers overtake one another, so only what was known before the request can be held against its answer.

        Raises:
            UntrustedAnswer: malformed, or the log went back or is another one.

        """
        if header is None or header == self._newest_header:
            return
        seen = parse_checkpoint(header)
        with self._lock:
            newest = self._newest
            for known in (before, newest):
                if known is not None:
                    _refuse_other_log(known, seen)
            if before is not None and seen.size < before.size:
                raise _went_back(f"from {before.size} records to {seen.size}")
            if newest is None or seen.size > newest.size:
                self._newest, self._newest_header = seen, header


def parse_checkpoint(header: str) -> Checkpoint:
    """Return the checkpoint of a header value: the base64 of a signed note. Raises UntrustedAnswer when it is none."""
    malformed = UntrustedAnswer("the checkpoint in the broker's answer is malformed")
    if len(header) > _MAX_HEADER_CHARACTERS:
        raise malformed
    try:
        note = base64.b64decode(header, validate=True).decode()
        origin, size, root, *_ = note.split("\n")
        checkpoint = Checkpoint(note=note, origin=origin, size=_size(size), root=base64.b64decode(root, validate=True))
    except (ValueError, binascii.Error):
        raise malformed from None
    if not origin or len(checkpoint.root) != _ROOT_BYTES:
        raise malformed
    return checkpoint


def _size(digits: str) -> int:
    if not digits.isascii() or not digits.isdigit() or (digits != "0" and digits.startswith("0")):
        raise ValueError(digits)
    return int(digits)


def _refuse_other_log(known: Checkpoint, seen: Checkpoint) -> None:
    if seen.origin != known.origin:
        raise _went_back("it is another log now")
    if seen.size == known.size and seen.root != known.root:
        raise _went_back(f"{seen.size} records now have another root")


def _went_back(how: str) -> UntrustedAnswer:
    return UntrustedAnswer(
        f"the broker's log was rewritten: {how}",
        hint="keep `latest_checkpoint` and run `assent audit verify --checkpoint`; restarting this process forgets it",
    )
