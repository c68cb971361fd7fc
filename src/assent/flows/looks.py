"""Looks: how often whoever waits may look again by themselves, so that many who wait do not keep the ledger busy.

Everybody is woken when something moves here; looking again finds what another process wrote, which wakes nobody here.
"""

from collections.abc import Iterator
from contextlib import contextmanager

LOOK_AGAIN_SECONDS = 2.0
LOOKS_PER_SECOND = 100.0


class Looks:
    """Counts who waits in this process; all of them together look again at most a hundred times a second."""

    def __init__(self) -> None:
        self._waiting = 0

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """Count as somebody who waits."""
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    @property
    def each_seconds(self) -> float:
        """After how many seconds one of those who wait looks again."""
        return max(LOOK_AGAIN_SECONDS, self._waiting / LOOKS_PER_SECOND)
