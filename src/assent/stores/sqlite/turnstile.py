"""Locks beside the ledger: a turnstile that lets a second process have its turn, and the one lock of who serves.

SQLite's write lock is not fair: a saturated writer takes it again before a waiting process wakes. So whoever begins a
transaction first passes the turnstile (`<ledger>.knock`) and holds it only until it has the write lock; a process that
waits for the write lock therefore stops everybody else from beginning. It is manners, not safety: nobody waits longer
than `PATIENCE_SECONDS` for it, who hangs in it is passed by for `IGNORE_SECONDS`, and a ledger in memory has none.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from assent.core.errors import LedgerUnavailable
from assent.stores.owners import leave_to_owner

PATIENCE_SECONDS: Final = 0.25
IGNORE_SECONDS: Final = 10.0
_LOOK_AGAIN_SECONDS: Final = 0.001
_MODE: Final = 0o600


class Turnstile:
    """A file lock that is held while waiting for the write lock."""

    def __init__(self, ledger: Path) -> None:
        self._file = _open_beside(ledger, ".knock")
        self._ignored_until = 0.0

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Hold the turnstile, or go on without it when somebody stands in it for too long."""
        now = time.monotonic()
        held = _acquire(self._file, until=now + (PATIENCE_SECONDS if now >= self._ignored_until else 0.0))
        if not held:
            self._ignored_until = time.monotonic() + IGNORE_SECONDS
        try:
            yield
        finally:
            if held:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


class ServingLock:
    """Held by the one process that serves a ledger; the kernel lets go of it when that process ends, however.

    Processes that write beside it (`--direct`) do not take it.
    """

    def __init__(self, ledger: Path) -> None:
        self._file = _open_beside(ledger, ".lock")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise LedgerUnavailable(
                f"another broker serves `{ledger}` already", hint="stop it first, or serve another ledger"
            ) from None

    def release(self) -> None:
        """Let another process serve."""
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()


def _open_beside(ledger: Path, suffix: str) -> int:
    path = ledger.with_name(ledger.name + suffix)
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
    except OSError as error:
        raise LedgerUnavailable(
            f"the folder of the ledger cannot be used, `{path}`: {(error.strerror or 'it cannot be opened').lower()}",
            hint=f"`{ledger.parent}` must be there, writable by who runs the broker, and have space left",
        ) from error
    leave_to_owner(file, ledger.parent)
    return file


def _acquire(file: int, *, until: float) -> bool:
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(_LOOK_AGAIN_SECONDS)
        else:
            return True
