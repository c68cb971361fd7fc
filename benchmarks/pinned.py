"""Runs a program on one core: `python -m benchmarks.pinned CORE PROGRAM …`; without cores to choose from, just runs it.

The server has one core and the load has the other, so neither takes time from the other.
"""

import os
import sys
from typing import Final

SERVER_CORE: Final = 0
LOAD_CORE: Final = 1


def pin(core: int) -> bool:
    """Keep this process on `core`; return whether that was possible."""
    if not hasattr(os, "sched_setaffinity") or core not in os.sched_getaffinity(0):
        return False
    os.sched_setaffinity(0, {core})
    return True


def on_core(core: int, *command: str) -> list[str]:
    """Return the command line that runs `command` on `core`."""
    return [sys.executable, "-m", "benchmarks.pinned", str(core), *command]


if __name__ == "__main__":
    pin(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606  # a shell would stand between us and its process id
