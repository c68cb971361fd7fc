"""What will run, as a page shows it: every character of it, as lines to read and as the canonical bytes themselves.

Pure. A value that the reader may not see is told by its kind and length, in both forms.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from assent.core.actions import Action, frozen_arguments
from assent.core.canonical import Json, canonical
from assent.core.characters import invisible_count, visible
from assent.core.diffs import Diff, DiffOf, diff_of
from assent.core.rendering import argument_lines, kind_and_length

DIGEST_SENT: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The arguments of an action: `lines` to read, `raw` canonical, both with nothing invisible in them.

    `withheld` names what only kind and length are told of, `to_reveal` those of them that must be seen before a yes;
    `unseen` counts characters that are written as escapes because nobody would see them. `diff` is how the catalogue
    shows some of them, which `lines` then only name; `why_no_diff` says why they stand there as they are instead.
    """

    lines: tuple[str, ...]
    raw: str
    bytes: int
    unseen: int
    withheld: tuple[str, ...]
    to_reveal: tuple[str, ...]
    diff: Diff | None = None
    why_no_diff: str = ""


def shown_of(action: Action, *, values: bool, revealed: bool, diff: DiffOf | None = None) -> Shown:
    """Return the arguments for somebody who is shown `values` or not, after the sensitive ones were `revealed` or not.

    `diff` is what the tool's entry says about reading them, if it is the entry that was judged.

    `revealed` never shows what is declared opaque: nobody has to see it.
    """
    arguments = frozen_arguments(action)
    withheld = _withheld(arguments, action, values=values, revealed=revealed)
    found: Diff | str = "" if diff is None else _diff(diff, arguments, withheld)
    elsewhere = found.names if isinstance(found, Diff) else ()
    return Shown(
        lines=tuple(argument_lines(action.arguments, sensitive=withheld, elsewhere=elsewhere)),
        raw=visible(canonical(_without(arguments, withheld)).decode()),
        bytes=len(action.arguments),
        unseen=_unseen(action, arguments, elsewhere),
        withheld=withheld,
        to_reveal=tuple(name for name in action.to_be_revealed if name in withheld),
        diff=found if isinstance(found, Diff) else None,
        why_no_diff=found if isinstance(found, str) else "",
    )


def _diff(diff: DiffOf, arguments: Json, withheld: Collection[str]) -> Diff | str:
    return "not all of it is shown to you" if any(name in withheld for name in diff.names) else diff_of(diff, arguments)


def _unseen(action: Action, arguments: Json, elsewhere: Collection[str]) -> int:
    found = invisible_count(action.arguments.decode()) + invisible_count(action.reason.replace("\n", ""))
    # The canonical form writes controls as JSON does; a diff has the text itself. Tabs are shown, and no alarm.
    texts = [str(arguments.get(name)) for name in elsewhere] if isinstance(arguments, dict) else []
    return found + sum(character < " " and character not in "\n\t" for text in texts for character in text)


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
