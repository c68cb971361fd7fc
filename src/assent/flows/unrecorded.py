"""Acts that were refused and not recorded one by one, because they came too fast: how many, and whose."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

# Whoever is counted holds a credential or an account of a workspace, so there are not many; more than these are one.
MOST_ACCOUNTS: Final = 1_000
OTHERS: Final = "others"


class Unrecorded:
    """The count of one process; all calls come from the event loop's thread."""

    def __init__(self) -> None:
        self._times: Counter[str] = Counter()

    def count(self, who: str) -> None:
        """Count one act of `who`."""
        self._times[who if who in self._times or len(self._times) < MOST_ACCOUNTS else OTHERS] += 1

    def gather(self) -> Mapping[str, int]:
        """Return what was counted since the last time, and begin anew."""
        gathered, self._times = self._times, Counter()
        return gathered

    def put_back(self, gathered: Mapping[str, int]) -> None:
        """Take back what could not be recorded."""
        self._times.update(gathered)
