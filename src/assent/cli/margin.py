"""Text of others at a terminal: wrapped here and not by the terminal, so that none of it stands at the left edge.

Whoever writes an argument chooses its length and its spaces. Wrapped by the terminal, padding would move the rest of it
to column 0, where it reads like a line of ours. So every line after the first begins with the margin, a run of spaces
is written as their number, and a character whose width terminals disagree about counts as wide.
"""

import os
import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from assent.core.characters import visible

MARGIN: Final = "  | "
DEFAULT_COLUMNS: Final = 80
WIDE: Final = 2
_RUN = re.compile(" {3,}")
_ESCAPE = re.compile(r"(\\u\{[0-9a-f]{1,6}\})")
_STANDARD_STREAMS: Final = (1, 2, 0)


def shown(text: str) -> str:
    r"""Return `text` as `visible` writes it, and three or more spaces in a row as `\u{20*N}`; still reversible."""
    return _counted(visible(text))


def shown_again(text: str) -> str:
    """Return as `shown` a sentence in which the broker has escaped the values already: no escape is escaped twice."""
    pieces = _ESCAPE.split(text)
    return _counted("".join(piece if index % 2 else visible(piece) for index, piece in enumerate(pieces)))


def _counted(text: str) -> str:
    return _RUN.sub(lambda run: f"\\u{{20*{len(run[0])}}}", text)


def lines(lead: str, text: str, columns: int | None = None) -> list[str]:
    """Return `lead` and the shown `text` in lines that fit; all but the first begin with the margin.

    What stands behind lead and margins, put together, is `text`: nothing is added and no space is dropped.
    """
    # One column stays free: some terminals wrap as soon as the last one is written.
    room = (columns or terminal_columns()) - 1
    if not text or cells(lead) + WIDE > room:
        return [lead.rstrip(), *(MARGIN + piece for piece in _pieces(text, room, room))]
    first, *others = _pieces(text, room - cells(lead), room)
    return [lead + first, *(MARGIN + piece for piece in others)]


def show(lead: str, text: str) -> None:
    """Print `lead` and the shown `text` with a margin on every further line."""
    print("\n".join(lines(lead, text)))


def terminal_columns() -> int:
    """Return how wide the reader's terminal is; behind a pipe that of the other streams, for a pager."""
    widths = [int(os.environ["COLUMNS"])] if os.environ.get("COLUMNS", "").isdecimal() else []
    for stream in _STANDARD_STREAMS:
        try:
            widths.append(os.get_terminal_size(stream).columns)
        except OSError:
            continue
        break
    # A size of 0 is that of a terminal which does not know it.
    return min(filter(None, widths), default=DEFAULT_COLUMNS)


def _pieces(text: str, first: int, columns: int) -> Iterator[str]:
    room, later = first, max(WIDE, columns - len(MARGIN))
    start = 0
    while start < len(text):
        end = _fitting(text, start, room)
        yield text[start:end]
        start, room = end, later


def _fitting(text: str, start: int, room: int) -> int:
    """Return where a line of `room` cells that begins at `start` ends: behind a space in its second half, if there."""
    end, used = start, 0
    while end < len(text) and (used := used + _cell(text[end])) <= room:
        end += 1
    if end == len(text):
        return end
    space = text.rfind(" ", start + (end - start) // 2, end)
    return end if space < 0 else space + 1


def cells(text: str) -> int:
    """Return the most cells that a terminal may give to a line of text."""
    return sum(map(_cell, text))


def _cell(sign: str) -> int:
    """Return the most cells that a terminal may give to a character: too many only wraps early."""
    if sign.isascii():
        return 1
    from rich.cells import get_character_cell_size

    # Its tables may be newer than those of this Python.
    narrow = unicodedata.east_asian_width(sign) in {"N", "Na", "H"} and get_character_cell_size(sign) < WIDE
    return 1 if narrow and unicodedata.category(sign)[0] in "LMNP" else WIDE
