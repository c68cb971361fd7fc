"""One ledger takes the place of another: whenever the process is killed, the old one or the new one is served, or none.

While the exchange is under way the new one lies under `<ledger>.restoring`, and nobody opens the ledger; the last step
takes that name away and puts the new ledger in place at once.
"""

import os
import shutil
from pathlib import Path

from assent.core.errors import LedgerUnavailable
from assent.stores.owners import leave_to_owner
from assent.stores.sqlite.copies import sync


def refuse_interrupted(ledger: Path) -> None:
    """Return only when no exchange of `ledger` was interrupted. Raises LedgerUnavailable."""
    if os.path.lexists(_under_way(ledger)):
        raise LedgerUnavailable(
            f"a restore of `{ledger}` was interrupted, nothing is lost",
            hint="run the same `assent restore` again; what was there before has `.replaced-` in its name",
        )


def exchange(prepared: Path, ledger: Path, kept: Path) -> bool:
    """Put the ledger `prepared`, which nobody has open, in the place of `ledger`; return whether one was there.

    What was there is kept under the name `kept`, with its write-ahead log and the checkpoint that is kept beside it.
    The caller holds the lock of who serves.
    """
    # (1) from here on nobody opens this ledger
    prepared.replace(_under_way(ledger))
    sync(ledger.parent)
    # (2) what is there gets a second name; nothing is moved yet
    was_there = ledger.exists()
    for suffix in ("", "-wal", ".checkpoint"):
        _name_too(_beside(ledger, suffix), _beside(kept, suffix))
    sync(ledger.parent)
    # (3) the log of another ledger would be read into the new one, and its checkpoint held against it
    for suffix in ("-wal", "-shm", ".checkpoint"):
        _beside(ledger, suffix).unlink(missing_ok=True)
    sync(ledger.parent)
    # (4) one step
    _under_way(ledger).replace(ledger)
    sync(ledger.parent)
    return was_there


def _name_too(file: Path, name: Path) -> None:
    if not file.exists():
        return
    try:
        os.link(file, name)
    except FileExistsError:
        raise
    except OSError:  # a file system without second names
        shutil.copy2(file, name)
        with name.open("rb") as copy:
            leave_to_owner(copy.fileno(), name.parent)
            os.fsync(copy.fileno())


def _under_way(ledger: Path) -> Path:
    return _beside(ledger, ".restoring")


def _beside(ledger: Path, suffix: str) -> Path:
    return ledger.with_name(f"{ledger.name}{suffix}")
