"""The newest checkpoint in a file beside the ledger, so that a ledger which was put back by accident is not served.

It is no proof against whoever can write there: that needs a checkpoint elsewhere. It is one against the hand that
copies yesterday's file over today's: what happened since would be forgotten, and what ran could run again.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from assent.core.checkpoints import Checkpoint, open_checkpoint
from assent.core.errors import LedgerUnavailable, VerificationFailed
from assent.core.notes import MAX_NOTE_BYTES, NoteInvalid, VerifierKey
from assent.logs import EventLog
from assent.stores.keys import verifier
from assent.stores.ledger_tree import LedgerTree
from assent.stores.owners import leave_to_owner

log = EventLog("assent.kept_checkpoint")

_MODE: Final = 0o600


def file_of(ledger: Path) -> Path:
    """Return the file that keeps the newest checkpoint of `ledger`."""
    return ledger.with_name(f"{ledger.name}.checkpoint")


def sent_file_of(ledger: Path) -> Path:
    """Return the file that keeps the checkpoint which was last taken elsewhere."""
    return ledger.with_name(f"{ledger.name}.sent")


class KeptCheckpoint:
    """Keeps the newest checkpoint in its file; the broker goes on when that cannot be written."""

    def __init__(self, ledger: Path, *, name: str | None = None) -> None:
        self._ledger = ledger
        self._name = name or str(ledger)
        self._file = file_of(ledger)
        self._failing = False

    def refuse_missing(self) -> None:
        """Return only when the ledger is there, or never was: one that is gone is not made anew without a word.

        Raises:
            LedgerUnavailable: it is gone.

        """
        if self._file.exists() and not self._ledger.exists():
            raise LedgerUnavailable(
                f"there is no ledger `{self._ledger}`, and `{self._file.name}` keeps a checkpoint of one",
                hint="put it back, or put a backup in its place with `assent restore FILE`",
            )

    async def refuse_older(self, tree: LedgerTree, keys: Sequence[VerifierKey]) -> None:
        """Return only when the ledger holds what its kept checkpoint says; `keys` are those that the log ever had.

        Raises:
            VerificationFailed: it was put back to an older state, or another one was put in its place.

        """
        kept = self._kept(keys)
        if kept is None:
            return
        head = await tree.head()
        size = 0 if head is None else head.size
        if size < kept.size:
            raise VerificationFailed(
                f"`{self._name}` was put back to an older state: {size} of its records are signed, and"
                f" `{self._file.name}` keeps a checkpoint of {kept.size}",
                index=size,
                hint="put the newer ledger back, or say what happened: `assent restore FILE`",
            )
        if (await tree.frontier(kept.size)).root() != kept.root:
            raise VerificationFailed(
                f"`{self._name}` is not the ledger that `{self._file.name}` keeps a checkpoint of",
                hint=f"`assent audit verify --checkpoint {self._file}` says where they part: put the right ledger back;"
                " if this one is meant, move that file away and keep it",
            )

    def keep(self, note: bytes) -> None:
        """Put `note` in the place of what the file keeps, in one step."""
        try:
            write(self._file, note)
        except OSError as fault:
            if not self._failing:
                log.warning("checkpoint_not_kept", file=str(self._file), why=fault.strerror)
            self._failing = True
        else:
            self._failing = False

    def _kept(self, keys: Sequence[VerifierKey]) -> Checkpoint | None:
        try:
            raw = self._file.read_bytes()[:MAX_NOTE_BYTES]
        except FileNotFoundError:
            return None
        except OSError as fault:
            log.warning("kept_checkpoint_not_read", file=str(self._file), why=fault.strerror)
            return None
        with suppress(NoteInvalid):
            return open_checkpoint(raw, origin=keys[0].name, verifiers=map(verifier, keys))
        log.warning("kept_checkpoint_is_none", file=str(self._file))
        return None


def write(file: Path, note: bytes) -> None:
    """Write a checkpoint over what `file` keeps: whoever looks finds the old one or the new one."""
    making = file.with_name(f".{file.name}.new")
    descriptor = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, _MODE)
    with os.fdopen(descriptor, "wb") as opened:
        leave_to_owner(descriptor, file.parent)
        opened.write(note)
    making.replace(file)
