"""A broker whose machine's clock somebody else sets: `python -m tests.replicas.clocked --config FILE`.

It is the broker of the product; only its wall clock stands off the machine's by what a file says at the moment.
"""

import mmap
import os
import struct
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from assent.config import load_settings
from assent.serving import serve
from assent.wiring import Clocks

VARIABLE: Final = "REPLICA_CLOCK"
MODULE: Final = ("tests.replicas.clocked",)
_OFF: Final = struct.Struct("<d")


class OffClock:
    """A clock in a file of eight bytes: by how many seconds it is ahead of the machine's."""

    def __init__(self, file: Path) -> None:
        with file.open("r+b") as opened:
            self._shared = mmap.mmap(opened.fileno(), _OFF.size)

    @classmethod
    def create(cls, file: Path) -> "OffClock":
        """Return a clock in a new file, which shows the machine's time."""
        file.write_bytes(_OFF.pack(0.0))
        return cls(file)

    def set(self, seconds: float) -> None:
        """Set it ahead by so much, or behind."""
        self._shared[: _OFF.size] = _OFF.pack(seconds)

    def nanoseconds(self) -> int:
        """Return what it shows, as `time.time_ns` does."""
        (seconds,) = _OFF.unpack(self._shared[: _OFF.size])
        return _MACHINE_NS() + int(seconds * 1e9)

    def wall(self) -> datetime:
        """Return the same as an aware moment."""
        return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=self.nanoseconds() // 1_000)


_MACHINE_NS: Final = time.time_ns


def main() -> None:
    """Serve until asked to stop."""
    clock = OffClock(Path(os.environ[VARIABLE]))
    time.time_ns = clock.nanoseconds  # the ids of this process sort by its clock
    settings = load_settings(Path(sys.argv[sys.argv.index("--config") + 1]))
    serve(settings, on_ready=lambda url: print(url, flush=True), clocks=Clocks(wall=clock.wall))


if __name__ == "__main__":
    main()
