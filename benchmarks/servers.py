"""Server processes on a core of their own: started, measured and always ended."""

import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.pinned import SERVER_CORE, on_core

READY_SECONDS: Final = 120.0
STOP_SECONDS: Final = 20.0
_ADDRESS: Final = re.compile(rb"http://127\.0\.0\.1:(\d+)")


class ServerFailed(Exception):
    """A server did not come up or did not stay up."""


@dataclass(frozen=True, slots=True)
class Server:
    """A process that listens on `port` of the loopback address; `started` is the clock before it was made."""

    process: subprocess.Popen[bytes]
    port: int
    started: float

    def cpu_seconds(self) -> float | None:
        """Return the processor time it has used so far, or None where that cannot be read."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self, name: str = "VmRSS") -> float | None:
        """Return its resident memory (or `VmHWM`, the most it ever was) in megabytes of 10^6 bytes, or None."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return None
        found = re.search(rf"^{name}:\s+(\d+) kB", status, re.MULTILINE)
        return int(found[1]) * 1_024 / 1e6 if found else None


@contextmanager
def serving(
    command: list[str], log: Path, *, core: int = SERVER_CORE, environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Run `command` on `core` until the block ends; it must print its address. What it says on stderr goes to `log`."""
    with log.open("ab") as errors:
        started = time.perf_counter()
        process = subprocess.Popen(
            on_core(core, *command), stdout=subprocess.PIPE, stderr=errors, env={**os.environ, **(environment or {})}
        )
    try:
        yield Server(process, _port(process, log), started)
        if process.poll() is not None:
            raise ServerFailed(f"the server ended by itself, see {log}")
    finally:
        _stop(process)


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    if process.stdout is None:
        raise ServerFailed("the server has no standard output")
    seen = b""
    deadline = time.monotonic() + READY_SECONDS
    with selectors.DefaultSelector() as ready:
        ready.register(process.stdout, selectors.EVENT_READ)
        while time.monotonic() < deadline:
            if not ready.select(1.0):
                continue
            chunk = os.read(process.stdout.fileno(), 4_096)
            seen += chunk
            if (found := _ADDRESS.search(seen)) is not None:
                return int(found[1])
            if not chunk:
                break
    raise ServerFailed(f"the server did not print its address, see {log}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.communicate(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
