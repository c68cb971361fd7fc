"""Findings: what is wrong with policy files, each with the place where it stands.

Reading goes on after a finding, so that one run names all of them; a directory with a finding is never served.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Final

from assent.core.characters import visible
from assent.core.errors import PolicyInvalid

MAX_FINDINGS: Final = 200
_QUOTED_CHARACTERS: Final = 80


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something stands in the policy directory; line and column count from 1."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


NOWHERE: Final = Place("")
"""Where something stands that no file declares."""


class Severity(StrEnum):
    """What a finding means: with an error nothing serves, advice is for whoever reviews."""

    ERROR = "error"
    ADVICE = "advice"


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing that was found, and where it stands."""

    place: Place
    message: str
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        return f"{visible(str(self.place))}: {self.message}"


class Findings:
    """Collects what is wrong, and advice apart from it; keeps the first 200 of each and counts the rest."""

    def __init__(self) -> None:
        self._found: set[tuple[Place, str]] = set()
        self._more = 0
        self._advice: set[tuple[Place, str]] = set()
        self._more_advice = 0

    def add(self, place: Place, message: str) -> None:
        """Note one finding, once; whatever it quotes went through `quoted`."""
        if len(self._found) < MAX_FINDINGS:
            self._found.add((place, message))
        else:
            self._more += 1

    def advise(self, place: Place, message: str) -> None:
        """Note something that is sound and that somebody should look at."""
        if len(self._advice) < MAX_FINDINGS:
            self._advice.add((place, message))
        else:
            self._more_advice += 1

    def all(self) -> tuple[Finding, ...]:
        """Return errors and advice in the order of the files; `left_out` says how many more there are."""
        errors = [Finding(place, message) for place, message in self._found]
        return tuple(sorted([*errors, *(Finding(place, message, Severity.ADVICE) for place, message in self._advice)]))

    @property
    def left_out(self) -> int:
        """How many were not kept."""
        return self._more + self._more_advice

    def __bool__(self) -> bool:
        return bool(self._found)

    def __len__(self) -> int:
        return len(self._found) + self._more

    def lines(self) -> tuple[str, ...]:
        """Return `file:line:column: message`, in the order of the files."""
        lines = tuple(str(Finding(place, message)) for place, message in sorted(self._found))
        return (*lines, f"… and {self._more} more") if self._more else lines

    def raise_if_any(self, directory: str) -> None:
        """Refuse the directory when anything was found.

        Raises:
            PolicyInvalid: with all findings.

        """
        if not self._found:
            return
        lines = self.lines()
        raise PolicyInvalid(
            f"the policy in `{visible(directory)}` was refused: {lines[0]}"
            + (f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""),
            findings=lines,
            hint="correct what the findings name; until then the last good version serves, or nothing does",
        )


def quoted(text: str) -> str:
    """Return `text` in back-ticks, shortened, with what a reader cannot see made visible."""
    short = text if len(text) <= _QUOTED_CHARACTERS else text[:_QUOTED_CHARACTERS] + "…"
    return f"`{visible(short)}`"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `, did you mean …` when a known word is close to `word`, else nothing."""
    close = get_close_matches(word, sorted(known), n=1, cutoff=0.6) or [k for k in known if k.lower() == word.lower()]
    return f", did you mean `{close[0]}`" if close else ""
