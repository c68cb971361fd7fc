"""What the reader sees: a line for each promise, at most 100 columns, colour only on a terminal."""

import os
import shutil
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TextIO

from assent.core.characters import visible

MOST_COLUMNS: Final = 100
LEAST_COLUMNS: Final = 60
_HANGING: Final = 9
_CARD: Final = 8
_NAMES: Final = 14


class Ink(StrEnum):
    """How something stands out, as ANSI select-graphic-rendition parameters."""

    TITLE = "1"
    GOOD = "32"
    BAD = "1;31"
    QUIET = "2"
    ASK = "1;33"


@dataclass(frozen=True, slots=True)
class Narrator:
    """Writes the story to one stream; what comes from others is escaped before it gets here or by `card`."""

    out: TextIO
    colour: bool
    columns: int = MOST_COLUMNS

    def open(self, text: str) -> None:
        """Say what this is."""
        self._write(textwrap.fill(text, self.columns, break_on_hyphens=False))

    def title(self, number: int, text: str) -> None:
        """Open a chapter."""
        self._write("\n" + self._ink(Ink.TITLE, f"{number:>2}. {text}"))

    def say(self, text: str) -> None:
        """Tell what happens now."""
        self._write(self._ink(Ink.QUIET, self._wrapped(text, first=" " * 3, rest=" " * 3)))

    def kept(self, promise: str, text: str) -> None:
        """Tell that a promise was kept, checked a moment ago."""
        plain = self._wrapped(text, first=f"    ok {promise:<2}", rest=" " * _HANGING)
        self._write(plain.replace("ok", self._ink(Ink.GOOD, "ok"), 1))

    def card(self, facts: Iterable[tuple[str, str]]) -> None:
        """Show what a person is asked, whole: each fact on lines of its own, nothing cut."""
        for name, value in facts:
            # Folded by characters, because wrapping by words would drop blanks of a value that has to be seen whole.
            text, width = visible(value), self.columns - _CARD - _NAMES
            for at in range(0, len(text) or 1, width):
                self._write(f"      | {'' if at else name:<{_NAMES}}{text[at : at + width]}")

    def ask(self, text: str) -> None:
        """Show a question on a line that the next call writes over."""
        self.out.write("\r" + self._ink(Ink.ASK, f"    {text}".ljust(self.columns - 1)))
        self.out.flush()

    def answered(self, text: str) -> None:
        """Write the answer over the question."""
        self.out.write("\r" + f"    {text}".ljust(self.columns - 1) + "\n")
        self.out.flush()

    def wrong(self, text: str) -> None:
        """Tell that something did not come out as told."""
        lines = (self._wrapped(line, first="   ", rest="   ") for line in text.splitlines())
        self._write("\n" + self._ink(Ink.BAD, "\n".join(lines)))

    def plain(self, text: str = "") -> None:
        """Write a line as it is."""
        self._write(text)

    def _ink(self, ink: Ink, text: str) -> str:
        return f"\033[{ink}m{text}\033[0m" if self.colour else text

    def _write(self, text: str) -> None:
        self.out.write(text + "\n")
        self.out.flush()

    def _wrapped(self, text: str, *, first: str, rest: str) -> str:
        wrapper = textwrap.TextWrapper(self.columns, f"{first} ", f"{rest} ", break_on_hyphens=False)
        return wrapper.fill(text)


def narrator_for(out: TextIO) -> Narrator:
    """Return a narrator that uses colour when `out` is a terminal and nobody asked for none (https://no-color.org)."""
    if not out.isatty():
        return Narrator(out, colour=False)
    columns = max(LEAST_COLUMNS, min(MOST_COLUMNS, shutil.get_terminal_size().columns))
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return Narrator(out, colour=not plain, columns=columns)
