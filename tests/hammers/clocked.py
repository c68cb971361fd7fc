"""A broker under a clock that somebody else sets: `python -m tests.hammers.clocked --config FILE`.

It is the broker of the product; only what tells it the time is another callable. Its clock is the machine's steady one,
ten times as fast, so that the shortest life an approval can have lasts a second, plus what a file says at the moment.
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

VARIABLE: Final = "HAMMER_CLOCK"
SPEED: Final = 10
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SET: Final = struct.Struct("<q")


class SetClock:
    """A clock in a file of eight bytes: how many microseconds since the epoch it was when the steady clock began."""

    def __init__(self, file: Path) -> None:
        with file.open("r+b") as opened:
            self._shared = mmap.mmap(opened.fileno(), _SET.size)

    @classmethod
    def create(cls, file: Path) -> "SetClock":
        """Return a clock in a new file, which shows the machine's time."""
        file.write_bytes(_SET.pack(time.time_ns() // 1_000 - SPEED * time.monotonic_ns() // 1_000))
        return cls(file)

    def step(self, seconds: float) -> None:
        """Set the clock forward, or back."""
        (before,) = _SET.unpack(self._shared[: _SET.size])
        self._shared[: _SET.size] = _SET.pack(before + round(seconds * 1_000_000))

    def microseconds(self) -> int:
        """Return what it shows, in microseconds since the epoch."""
        (began,) = _SET.unpack(self._shared[: _SET.size])
        return int(began) + SPEED * time.monotonic_ns() // 1_000

    def nanoseconds(self) -> int:
        """Return the same in nanoseconds, as `time.time_ns` does."""
        return self.microseconds() * 1_000

    def wall(self) -> datetime:
        """Return the same as an aware moment."""
        return _EPOCH + timedelta(microseconds=self.microseconds())


def steady() -> float:
    """Return seconds that go on as fast as the clock does, whatever it is set to."""
    return SPEED * time.monotonic()


def main() -> None:
    """Serve until asked to stop."""
    clock = SetClock(Path(os.environ[VARIABLE]))
    time.time_ns = clock.nanoseconds  # the ids of this process sort by its clock
    settings = load_settings(Path(sys.argv[sys.argv.index("--config") + 1]))
    serve(settings, on_ready=lambda url: print(url, flush=True), clocks=Clocks(wall=clock.wall, steady=steady))


if __name__ == "__main__":
    main()
