"""Waiting for what a process does by itself, and says nothing of: as long as it takes, and not for ever."""

from collections.abc import Callable

from tests.postgres_server import with_patience

ROUNDS = 1_000


def until(holds: Callable[[], bool]) -> None:
    """Return once it holds."""
    for _ in range(ROUNDS):
        if holds():
            return
        with_patience(0.02)
    raise AssertionError("it did not come about")
