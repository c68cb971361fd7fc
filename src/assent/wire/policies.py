"""Shapes of what operators hear of policies."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyReloaded:
    """What became of the policy directory: `version` is what it holds, `serving` what decides now.

    `uptake` is `unchanged`, `activated`, or `waiting` until an operator confirms what it widens. `widens` are the first
    100 changes that widen, in words; `ended` counts actions that waited and would not be granted like this any more.
    """

    version: str
    serving: str
    uptake: Literal["unchanged", "activated", "waiting"]
    widens: tuple[str, ...]
    changes: int
    ended: int
