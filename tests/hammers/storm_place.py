"""Where the broker of the storm lives, and everything that can be done to it there from outside.

Where the machine gives namespaces to ordinary users, its folder is a disk of its own that can be made full and roomy
again; elsewhere it is a plain folder and is never full.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from tests.hammers import broker, small_disk
from tests.hammers.broker import DidNotStart, Installation, Running

ROOM: Final = "1g"
UP_SECONDS: Final = 10.0
HOGS: Final = 40
_MOUNT: Final = (
    'mount -t tmpfs -o size={room} none "{disk}" && cp -a "{staged}/." "{disk}/" && chmod 700 "{disk}" && echo up'
    " && exec sleep 1000000"
)
# Holds the ledger's write lock for as long as its input is open.
_LOCK: Final = (
    "import sqlite3, sys\n"
    "other = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=5)\n"
    "other.execute('BEGIN IMMEDIATE')\n"
    "print('held', flush=True)\n"
    "sys.stdin.read()\n"
)


class Place:
    """A broker's folder, and the life that it has there at the moment."""

    def __init__(self, at: Installation, folder: Path) -> None:
        self.at = at
        self.can_be_full = small_disk.is_possible()
        self._inside: tuple[str, ...] = ()
        self._disk = at.folder
        self._holder: subprocess.Popen[bytes] | None = None
        self.running: Running | None = None
        if self.can_be_full:
            self._disk = folder / "disk"
            self._disk.mkdir(mode=0o700)
            self._mount()

    def _mount(self) -> None:
        script = _MOUNT.format(room=ROOM, disk=self._disk, staged=self.at.folder)
        command = ["unshare", "-rm", "sh", "-c", script]
        self._holder = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        if self._holder.stdout is None or self._holder.stdout.readline() != b"up\n":
            raise DidNotStart("the disk of the storm could not be mounted")
        pid = str(self._holder.pid)
        self._inside = ("nsenter", "-t", pid, "-U", "-m", "--preserve-credentials")

    @property
    def folder(self) -> Path:
        """The broker's folder as it is seen from outside."""
        return self._disk if self._holder is None else Path(f"/proc/{self._holder.pid}/root{self._disk}")

    @property
    def ledger(self) -> Path:
        """The ledger as it is seen from outside: to be copied, not opened."""
        return self.folder / self.at.ledger.name

    def start(self, environment: Mapping[str, str] | None = None) -> float:
        """Start a broker and return how many seconds it took. Raises DidNotStart."""
        self.running = broker.start(self.at, environment, around=self._inside, folder=self._disk)
        return self.running.started_seconds

    def is_alive(self) -> bool:
        """Whether the broker has not ended."""
        return self.running is not None and self.running.is_alive

    def signal(self, number: int) -> None:
        """Send the broker a signal, if it is there."""
        if self.running is not None and self.running.is_alive:
            self.running.process.send_signal(number)

    def ended(self) -> int:
        """Wait until the broker is gone and return its code."""
        return -1 if self.running is None else self.running.gone()

    def fill(self) -> None:
        """Leave no room on the disk: it becomes as small as what is on it."""
        used = os.statvfs(self.folder)
        self._remount(f"{(used.f_blocks - used.f_bfree) * used.f_frsize // 1024 + 4}k")

    def clear(self) -> None:
        """Give the room back."""
        if self.can_be_full:
            self._remount(ROOM)

    def _remount(self, size: str) -> None:
        command = [*self._inside, "mount", "-o", f"remount,size={size}", str(self._disk)]
        # It may have grown since it was looked at: then it is not full this time.
        subprocess.run(command, capture_output=True, timeout=UP_SECONDS, check=False)

    def hold_ledger(self, seconds: float) -> None:
        """Let another process hold the ledger's write lock for so long."""
        ledger = str(self._disk / self.at.ledger.name)
        holder = subprocess.Popen(
            [*self._inside, sys.executable, "-c", _LOCK, ledger], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            if holder.stdout is not None and holder.stdout.readline() == b"held\n":
                time.sleep(seconds)
        finally:
            holder.communicate(timeout=UP_SECONDS)

    def hog(self, seconds: float) -> None:
        """Open many connections that say only half of what they want, and hold on to them for so long."""
        ends = time.monotonic() + seconds
        with ExitStack() as held:
            lines: list[socket.socket] = []
            while time.monotonic() < ends:
                with suppress(OSError):
                    if len(lines) < HOGS:
                        lines.append(held.enter_context(socket.create_connection(("127.0.0.1", self.at.port), 1.0)))
                        lines[-1].sendall(b"POST /v1/actions HTTP/1.1\r\nhost: 127.0.0.1\r\n")
                    for line in lines:
                        line.sendall(b"x")
                time.sleep(0.02)

    def write_policy(self, name: str, text: str) -> None:
        """Put a policy file in place of another in one step, and tell the broker."""
        file = self.folder / "policies" / name
        fresh = file.with_name(f".{file.name}")
        fresh.write_text(text)
        fresh.chmod(0o644)
        fresh.rename(file)
        self.signal(signal.SIGHUP)

    def leave(self) -> None:
        """End whatever is still there."""
        if self.running is not None:
            broker.end(self.running)
        if self._holder is not None:
            with suppress(ProcessLookupError):
                self._holder.kill()
            self._holder.communicate()
