"""What will run, as a page shows it: every character of it, as lines to read and as the canonical bytes themselves.

Pure. A value that the reader may not see is told by its kind and length, in both forms.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from assent.core.actions import Action, frozen_arguments
from assent.core.canonical import Json, canonical
from assent.core.characters import invisible_count, visible
from assent.core.rendering import argument_lines, kind_and_length

DIGEST_SENT: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The arguments of an action: `lines` to read, `raw` canonical, both with nothing invisible in them.

    `withheld` names what only kind and length are told of, `to_reveal` those of them that must be seen before a yes;
    `unseen` counts characters that are written as escapes because nobody would see them.
    """

    lines: tuple[str, ...]
    raw: str
    bytes: int
    unseen: int
    withheld: tuple[str, ...]
    to_reveal: tuple[str, ...]


def shown_of(action: Action, *, values: bool, revealed: bool) -> Shown:
    """Return the arguments for somebody who is shown `values` or not, after the sensitive ones were `revealed` or not.

    `revealed` never shows what is declared opaque: nobody has to see it.
    """
    arguments = frozen_arguments(action)
    withheld = _withheld(arguments, action, values=values, revealed=revealed)
    return Shown(
        lines=tuple(argument_lines(action.arguments, sensitive=withheld)),
        raw=visible(canonical(_without(arguments, withheld)).decode()),
        bytes=len(action.arguments),
        unseen=invisible_count(action.arguments.decode()) + invisible_count(action.reason.replace("\n", "")),
        withheld=withheld,
        to_reveal=tuple(name for name in action.to_be_revealed if name in withheld),
    )


def _withheld(arguments: Json, action: Action, *, values: bool, revealed: bool) -> tuple[str, ...]:
    if not isinstance(arguments, dict):
        return ()
    if not values:
        return tuple(sorted(arguments))
    hidden = set(action.sensitive) - (set(action.to_be_revealed) if revealed else set())
    return tuple(sorted(hidden & set(arguments)))


def _without(arguments: Json, withheld: Collection[str]) -> Json:
    if not isinstance(arguments, dict):
        return arguments
    return {
        name: {"not shown": kind_and_length(value)} if name in withheld else value for name, value in arguments.items()
    }
