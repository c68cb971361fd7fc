"""Collects changes in words; each kind of thing is compared by a module of its own."""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from assent.core.privileges import Change, Direction

T = TypeVar("T")


class Noted:
    """The changes found so far."""

    def __init__(self) -> None:
        self._found: list[Change] = []

    def widens(self, about: str, what: str) -> None:
        """Note something that may let more pass."""
        self._found.append(Change(direction=Direction.WIDENS, about=about, what=what))

    def narrows(self, about: str, what: str) -> None:
        """Note something that lets less pass and nothing more."""
        self._found.append(Change(direction=Direction.NARROWS, about=about, what=what))

    def rewords(self, about: str, what: str) -> None:
        """Note something that changes no privilege."""
        self._found.append(Change(direction=Direction.REWORDS, about=about, what=what))

    def changes(self) -> tuple[Change, ...]:
        """Return them all, what widens first."""
        order = {Direction.WIDENS: 0, Direction.NARROWS: 1, Direction.REWORDS: 2}
        return tuple(sorted(set(self._found), key=lambda change: (order[change.direction], change.about, change.what)))


def pairs(
    old: Mapping[str, T],
    new: Mapping[str, T],
    *,
    added: Callable[[str, T], None],
    removed: Callable[[str, T], None],
    changed: Callable[[str, T, T], None],
) -> None:
    """Call back for every name that is new, gone, or stands for something else."""
    for key, value in new.items():
        if key not in old:
            added(key, value)
        elif old[key] != value:
            changed(key, old[key], value)
    for key, value in old.items():
        if key not in new:
            removed(key, value)


def listed(names: Iterable[str]) -> str:
    """Return names in back-ticks, in order."""
    return ", ".join(f"`{name}`" for name in sorted(names))
