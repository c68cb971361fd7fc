"""Where checkpoints are kept that whoever keeps the ledger cannot change: a file, a directory, or an address.

A file keeps the newest, and is never given one of a shorter log; a directory keeps each under its size; an address is
sent each. A note is signed, so that whoever gets it can believe it without a word of ours.
"""

import os
from pathlib import Path
from typing import Final

from assent.channels.posting import post
from assent.config import is_address
from assent.core.checkpoints import claimed_size
from assent.core.errors import AssentError
from assent.core.notes import MAX_NOTE_BYTES

_MODE: Final = 0o644
_NOTE: Final = {"content-type": "text/plain; charset=utf-8"}


class NotTaken(AssentError):
    """A checkpoint did not arrive where it is to be kept."""

    code = "checkpoint_not_taken"


def send(place: str, note: bytes) -> None:
    """Return once `note` is kept at `place`.

    Raises:
        NotTaken: it is not, or what is kept there is of another log than the note's.

    """
    if not is_address(place):
        _keep(Path(place), note)
    elif not post(place, note, _NOTE):
        raise NotTaken("the other side did not take it", hint="see that it answers with 200 to 299 within 4 seconds")


def _keep(place: Path, note: bytes) -> None:
    try:
        file = place / f"{claimed_size(note):012}.note" if place.is_dir() else place
        _refuse_other(file, note)
        _write(file, note)
    except OSError as fault:
        said = (fault.strerror or str(fault)).lower()
        raise NotTaken(f"`{place}` cannot be written: {said}", hint="let the broker's account write there") from None


def _refuse_other(file: Path, note: bytes) -> None:
    """Return only when `note` may follow on what `file` keeps."""
    try:
        kept = file.read_bytes()[:MAX_NOTE_BYTES]
    except FileNotFoundError:
        return
    try:
        there, here = claimed_size(kept), claimed_size(note)
    except (AssentError, ValueError):
        raise NotTaken(f"`{file}` keeps something that is no checkpoint", hint="name another file") from None
    if there > here or (there == here and _head(kept) != _head(note)):
        raise NotTaken(
            f"`{file}` keeps a checkpoint of {there} records that this log of {here} does not follow on",
            hint="the ledger was put back to an older state, or forked: keep both, and verify with `--checkpoint`",
        )


def _head(note: bytes) -> bytes:
    # The text is signed; signatures may be more or fewer while a key is replaced.
    return note.partition(b"\n\n")[0]


def _write(file: Path, note: bytes) -> None:
    making = file.with_name(f".{file.name}.new")
    descriptor = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, _MODE)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(note)
        opened.flush()
        os.fsync(descriptor)
    making.replace(file)
