"""Random bytes from the system, fetched many at a time.

Asking the system for each salt lets other threads in each time, and getting the turn back costs more than the bytes.
Bytes are handed out once: under a lock, and a process that forked starts anew.
"""

import os
from threading import Lock
from typing import Final

POOL_BYTES: Final = 131_072


class Randomness:
    """Hands out random bytes, each byte once."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._pool = b""
        self._at = 0
        self._process = 0

    def __call__(self, count: int) -> bytes:
        """Return `count` fresh random bytes."""
        with self._lock:
            if self._at + count > len(self._pool) or self._process != os.getpid():
                self._pool = os.urandom(max(POOL_BYTES, count))
                self._at = 0
                self._process = os.getpid()
            taken = self._pool[self._at : self._at + count]
            self._at += count
            return taken
