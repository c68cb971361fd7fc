"""The version that serves, and how it is replaced: a new one is built beside it, then one reference is swapped.

A directory that is refused changes nothing: the last good version goes on serving. There is no moment without a
version, and nobody sees half of two. Reading and serving are two steps: what serves is on record before it does.
"""

from pathlib import Path

from assent.policy import LoadedPolicy, load
from assent.ports import Clock


class PolicyHolder:
    """Holds the version in force; read `current` once for everything that belongs to one decision."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self._current = load(directory, clock)

    @property
    def current(self) -> LoadedPolicy:
        return self._current

    def read_again(self) -> LoadedPolicy:
        """Return what the directory holds now, serving nothing of it; slow with many rules: call it off the event loop.

        Raises:
            PolicyInvalid: the directory was refused.

        """
        return load(self._directory, self._clock)

    def serve(self, version: LoadedPolicy) -> None:
        """Let `version` serve from now on; record that first."""
        self._current = version
