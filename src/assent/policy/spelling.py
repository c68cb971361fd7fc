"""Canonical or refused: one spelling for every value that a rule looks at, so that no other spelling slips past it.

Nothing is normalised and used: a tool would run something else than was judged. A refusal names the form to use.
Case is part of a value; for systems that fold it, an argument is declared `case: lower`.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

from assent.core.characters import hidden_characters, visible

_BETWEEN_WORDS = re.compile(r"\W+")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_ASCII: Final = 0x80
_LONGEST_ADVICE: Final = 200
# Scripts whose letters pass for one another; a word of two of them is not what it looks like.
_CONFUSABLE: Final = frozenset(
    {"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "GEORGIAN", "LISU", "OLD", "DESERET", "GOTHIC"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """What is demanded of one value: any text, a path or one segment of it; ASCII or any script; any case or lower."""

    is_path: bool = False
    is_segment: bool = False
    is_unicode: bool = False
    is_lower: bool = False


PATTERN: Final = Spelling(is_path=True, is_unicode=True)


def stricter(one: Spelling, other: Spelling) -> Spelling:
    """Return what both demand."""
    return Spelling(
        is_path=one.is_path or other.is_path,
        is_segment=one.is_segment or other.is_segment,
        is_unicode=one.is_unicode and other.is_unicode,
        is_lower=one.is_lower or other.is_lower,
    )


def fault(value: str, spelling: Spelling) -> str | None:
    """Return what is not canonical about `value`, or None when it is."""
    if hidden_characters(value):
        return "it holds characters that a reader cannot see"
    if not value.isascii() and (wrong := _script_fault(value, spelling)) is not None:
        return wrong
    # What may stand as itself is never escaped, and a second decoder would turn `%2F` or `%25` into structure.
    if any(spelling.is_unicode or int(escape, 16) < _ASCII for escape in _ESCAPE.findall(value)):
        return "it holds a percent-encoding that is not needed"
    if value.startswith(" ") or value.endswith(" "):
        return "it begins or ends with a space"
    if spelling.is_lower and value != value.lower():
        return "it holds upper-case letters"
    if spelling.is_segment and "/" in value:
        return "it must be one segment, without `/`"
    return _path_fault(value) if spelling.is_path or spelling.is_segment else None


def form_to_use(value: str, spelling: Spelling) -> str | None:
    """Return the canonical spelling that `value` most likely meant, or None where guessing would mislead."""
    guess = "".join(c for c in unicodedata.normalize("NFKC", value) if not hidden_characters(c))
    guess = guess.strip(" ")
    guess = _ESCAPE.sub(lambda m: c if (c := chr(int(m[1], 16))).isascii() and c not in "%/" else m[0], guess)
    if spelling.is_lower:
        guess = guess.lower()
    if spelling.is_path:
        segments = (segment.strip(" ") for segment in guess.replace("\\", "/").split("/"))
        guess = "/".join(segment for segment in segments if segment not in {"", "."})
    return guess if guess and fault(guess, spelling) is None else None


def checker(how: Spelling) -> Callable[[str], str | None]:
    """Return `fault` for one spelling, which passes the common case, plain ASCII, in one step."""
    accept = _plain(how).fullmatch
    return lambda value: None if accept(value) else fault(value, how)


@lru_cache(maxsize=64)
def _plain(how: Spelling) -> re.Pattern[str]:
    """Return an expression that matches only what is canonical: printable ASCII without a percent sign."""
    capital = "" if how.is_lower else "A-Z"
    visible_ones = rf"!-$&-@{capital}\[-~"
    if not (how.is_path or how.is_segment):
        return re.compile(rf"(?! )[ {visible_ones}]*(?<! )")
    inside = rf" !-$&-.0-@{capital}\[\]-~"
    segment = rf"(?! )[{inside}]*[!-$&-\-0-@{capital}\[\]-~]"
    return re.compile(segment if how.is_segment else f"{segment}(?:/{segment})*")


def advice(value: str, spelling: Spelling) -> str:
    """Return what is wrong with a value that is not canonical, and the form to use where there is one."""
    wrong = fault(value, spelling) or "it is not canonical"
    form = form_to_use(value, spelling)
    return f"{wrong}, use `{visible(form)}`" if form and len(form) <= _LONGEST_ADVICE else wrong


def _script_fault(value: str, spelling: Spelling) -> str | None:
    if not spelling.is_unicode:
        return "it holds characters outside ASCII"
    if unicodedata.normalize("NFKC", value) != value:
        return "it is not in Unicode normal form"
    if any(_mixes_scripts(word) for word in _BETWEEN_WORDS.split(value)):
        return "it mixes letters of scripts that look alike"
    if any(unicodedata.combining(c) and before.isascii() for before, c in pairwise(f"/{value}")):
        return "it puts a mark on a letter that has none"
    return None


def _path_fault(value: str) -> str | None:
    if "\\" in value:
        return "it holds a backslash"
    segments = value.split("/")
    if "" in segments:
        return "it is empty" if not value else "it holds an empty segment, or begins or ends with `/`"
    if "." in segments or ".." in segments:
        return "it holds a segment `.` or `..`"
    if any(segment != segment.strip() for segment in segments):
        return "a segment begins or ends with a space"
    # Some systems drop it, and so take two names for one.
    if any(segment.endswith(".") for segment in segments):
        return "a segment ends with a dot"
    return None


def _mixes_scripts(word: str) -> bool:
    scripts = {unicodedata.name(c, "").partition(" ")[0] for c in word if c.isalpha()}
    return len(scripts & _CONFUSABLE) > 1
