r"""Rendering: the exact arguments of an action as lines for people. Lossless: the lines lead back to the same value.

One argument begins on one line, `name = ` and its JSON; a line of text inside a value ends after its `\n` and goes on
below, two columns to the right. What a reader cannot see is written as an escape, and so is a run of spaces.
"""

import json
import re
from collections.abc import Collection
from typing import Final

from assent.core.canonical import Json, load
from assent.core.characters import visible

GOES_ON: Final = "  "
_RUN_OF_SPACES = re.compile(" {3,}")
# Up to an escaped line feed, which is not a backslash before an `n`: escapes are read in pairs from the left.
_LINE_OF_TEXT = re.compile(r"(?:[^\\]|\\[^n])*(?:\\n)?")


def spelled_out(text: str) -> str:
    r"""Return `text` as `visible` writes it, and three or more spaces in a row as `\u{20*N}`; still reversible."""
    return _RUN_OF_SPACES.sub(lambda run: f"\\u{{20*{len(run[0])}}}", visible(text))


def argument_lines(arguments: bytes, *, sensitive: Collection[str] = (), elsewhere: Collection[str] = ()) -> list[str]:
    """Return canonical `arguments` as lines; of a sensitive one only its kind and length are told.

    What stands `elsewhere` on the same page, as a diff, is named and not repeated.

    Raises:
        BadJson: these are no canonical bytes.

    """
    value = load(arguments)
    if not isinstance(value, dict):
        return _lines("", value)
    hidden = dict.fromkeys(elsewhere, "below, as a diff") | dict.fromkeys(sensitive, "sensitive, not shown")
    return [line for name in sorted(value) for line in _argument(name, value[name], hidden.get(name))]


def _argument(name: str, value: Json, instead: str | None) -> list[str]:
    lead = f"{spelled_out(name)} = "
    if instead is not None:
        return [lead + f"({instead}: {kind_and_length(value)})"]
    return _lines(lead, value)


def _lines(lead: str, value: Json) -> list[str]:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    pieces = list(filter(None, _LINE_OF_TEXT.findall(text)))
    if pieces[-1] == '"' and pieces[1:]:
        pieces[-2:] = [pieces[-2] + pieces[-1]]
    first, *others = pieces
    return [lead + spelled_out(first), *(GOES_ON + spelled_out(piece) for piece in others)]


def kind_and_length(value: Json) -> str:
    """Return what may be told of a value that may not be shown: `text of 24 characters`."""
    if isinstance(value, str):
        return f"text of {len(value)} characters"
    if isinstance(value, list):
        return f"list of {len(value)} items"
    if isinstance(value, dict):
        return f"object of {len(value)} fields"
    if value is None or isinstance(value, bool):
        return "a truth value" if isinstance(value, bool) else "nothing"
    return "a number"
