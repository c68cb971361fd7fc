"""Policy: a directory of files becomes one immutable version that says what every agent may do.

`load` builds a version, off the event loop and without touching anything global; `PolicyHolder` swaps versions.
"""

from pathlib import Path

from assent.policy.loaded import LoadedPolicy
from assent.policy.loading import read_declared
from assent.ports import Clock

__all__ = ["LoadedPolicy", "load"]


def load(directory: Path, clock: Clock) -> LoadedPolicy:
    """Return the policy of `directory`; `clock` tells the aware UTC time at which rules and agents expire.

    Raises:
        PolicyInvalid: the directory was refused; `findings` name every place.

    """
    return LoadedPolicy(read_declared(directory), clock)
