"""Privileges compared: what one policy version gives more, or less, than another.

A change widens when it could let anything pass that did not, or with fewer, other or less certain people asked. Where
that cannot be told, it counts as widening: a confirmation too many is better than one too few.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Activation(StrEnum):
    """What it takes for a policy version to serve."""

    AUTO = "auto"
    CONFIRM = "confirm"


class Direction(StrEnum):
    """Which way a change goes."""

    WIDENS = "widens"
    NARROWS = "narrows"
    REWORDS = "rewords"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Change:
    """One difference: about what (`rule scale-prod`), and what became of it, in words for a reviewer."""

    direction: Direction
    about: str
    what: str

    def __str__(self) -> str:
        return f"{self.about}: {self.what}"


def widening(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Return the changes that widen."""
    return tuple(change for change in changes if change.direction is Direction.WIDENS)
