"""A broker whose ledger lies on a disk of a few megabytes, in a mount namespace of its own; Linux, no privileges.

The disk lives as long as the broker does, and is seen from outside through the process.
"""

import errno
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Final

from tests.hammers import broker
from tests.hammers.broker import Installation, Running

SIZE: Final = "6m"
BLOCK: Final = b"\0" * 65_536
PROBE_SECONDS: Final = 10.0
_SERVE: Final = (
    'mount -t tmpfs -o size={size} none "{disk}" && cp -a "{staged}/." "{disk}/" && chmod 700 "{disk}" && exec "$@"'
)


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """A running broker and its ledger's folder as it is seen from outside."""

    at: Installation
    running: Running
    folder: Path

    @property
    def ledger(self) -> Path:
        """The ledger on the small disk."""
        return self.folder / "ledger.db"

    def fill(self) -> None:
        """Take all the room that is left."""
        with (self.folder / "filler").open("ab", buffering=0) as filler:
            for block in (BLOCK, b"\0"):
                write_until_full(filler, block)

    def clear(self) -> None:
        """Give the room back."""
        (self.folder / "filler").unlink()


def write_until_full(filler: FileIO, block: bytes) -> None:
    """Write as many blocks as there is room for."""
    try:
        while True:
            filler.write(block)
    except OSError as fault:
        if fault.errno != errno.ENOSPC:
            raise


def is_possible() -> bool:
    """Whether this machine lets an ordinary user have a mount namespace."""
    if shutil.which("unshare") is None or sys.platform != "linux":
        return False
    command = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"]
    done = subprocess.run(command, capture_output=True, timeout=PROBE_SECONDS, check=False)
    return done.returncode == 0


@contextmanager
def serving(folder: Path) -> Iterator[SmallDisk]:
    """Serve a fresh broker from a small disk until the block ends."""
    at = broker.install(folder / "staged")
    disk = folder / "disk"
    disk.mkdir(mode=0o700)
    script = _SERVE.format(size=SIZE, disk=disk, staged=at.folder)
    running = broker.start(at, around=("unshare", "-rm", "sh", "-c", script, "sh"), folder=disk)
    try:
        yield SmallDisk(at, running, Path(f"/proc/{running.process.pid}/root{disk}"))
    finally:
        broker.end(running)
