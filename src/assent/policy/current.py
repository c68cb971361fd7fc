"""The version that serves, and how it is replaced: a new one is built beside it, then one reference is swapped.

A directory that is refused changes nothing: the last good version goes on serving. There is no moment without a
version, and nobody sees half of two.
"""

from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from assent.policy import LoadedPolicy, load
from assent.ports import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Reloaded:
    """Which version served before and which serves now."""

    old: str
    new: str

    @property
    def changed(self) -> bool:
        """Whether any file differs."""
        return self.old != self.new


class PolicyHolder:
    """Holds the version in force; read `current` once for everything that belongs to one decision."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self._reloading = Lock()
        self._current = load(directory, clock)

    @property
    def current(self) -> LoadedPolicy:
        return self._current

    def reload(self) -> Reloaded:
        """Load the directory again and let it serve; slow with many rules, so call it off the event loop.

        Raises:
            PolicyInvalid: the directory was refused; the old version goes on serving.

        """
        with self._reloading:
            old = self._current.version
            loaded = load(self._directory, self._clock)
            self._current = loaded
            return Reloaded(old=old, new=loaded.version)
