r"""Diffs: two texts side by side, or a patch, line by line. Lossless: the lines lead back to the same texts.

A rendering of arguments alone: what really stands in the system nobody here has looked at. Every line is there, also
what is equal on both sides. What a reader cannot see is written as an escape; so are spaces at the end of a line, and
runs of them but for an indentation. A text that ends without a line feed says so.

However alike or unlike the texts are, the work is bounded: what would be too much to compare stands there as removed
and added whole.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import Match, SequenceMatcher
from enum import StrEnum
from itertools import accumulate, takewhile
from operator import eq
from typing import Final

from assent.core.canonical import Json
from assent.core.characters import visible

MAX_LINES: Final = 10_000
"""Both sides together; more are read as they stand."""
MAX_STEPS: Final = 3_000_000
"""What comparing may cost, counted as difflib's steps: a third of a second at worst."""
_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")
# An indentation says something; anything else that is wide moves what follows out of sight.
_WIDE: Final = re.compile(r"^ {41,}|(?<=[^ ]) {3,}| +$")
_TOKEN: Final = re.compile(r"\\u\{[0-9a-f*]+\}|.", re.DOTALL)
_HUNK: Final = re.compile(r"@@ -[0-9]{1,9}(?:,([0-9]{1,9}))? \+[0-9]{1,9}(?:,([0-9]{1,9}))? @@.*", re.DOTALL)
_ALIKE: Final = 3


class Side(StrEnum):
    """Where a line stands: on both sides, before only, after only, or between hunks of a patch."""

    BOTH = "both"
    BEFORE = "before"
    AFTER = "after"
    NEITHER = "neither"


SIGN: Final[Mapping[Side, str]] = {Side.BOTH: " ", Side.BEFORE: "-", Side.AFTER: "+", Side.NEITHER: ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffOf:
    """Which arguments of a tool are read as a diff: texts `before` and `after`, or a unified `patch`, never both."""

    before: str = ""
    after: str = ""
    patch: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The arguments."""
        return (self.patch,) if self.patch else (self.before, self.after)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line: its `pieces` are (differs from the line beside it, spelled text); `ends` with a line feed or not."""

    side: Side
    pieces: tuple[tuple[bool, str], ...]
    ends: bool

    @property
    def sign(self) -> str:
        """What stands in front of it in a patch."""
        return SIGN[self.side]


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """Lines in order; `is_coarse` where some were too much to compare and stand there as removed and added whole.

    `steps` is what comparing cost.
    """

    names: tuple[str, ...]
    lines: tuple[Line, ...]
    is_coarse: bool = False
    steps: int = 0

    @property
    def removed(self) -> int:
        """How many lines stand before only."""
        return sum(line.side is Side.BEFORE for line in self.lines)

    @property
    def added(self) -> int:
        """How many lines stand after only."""
        return sum(line.side is Side.AFTER for line in self.lines)


def diff_of(said: DiffOf, arguments: Json) -> Diff | str:
    """Return the diff that `arguments` are, or why they are read as they stand, in words."""
    values = [arguments.get(name) if isinstance(arguments, dict) else None for name in said.names]
    texts = [value for value in values if isinstance(value, str)]
    if len(texts) < len(values):
        return "one of the texts is not there"
    split = [_LINE.findall(text) for text in texts]
    if sum(map(len, split)) > MAX_LINES:
        return f"there are more than {MAX_LINES} lines"
    if said.patch:
        lines = _patch(split[0])
        return "this is no unified diff whose lines add up" if lines is None else Diff(names=said.names, lines=lines)
    compared = _Compared(*split)
    lines = tuple(compared.lines())
    return Diff(names=said.names, lines=lines, is_coarse=compared.is_coarse, steps=compared.steps)


def _line(side: Side, text: str, pieces: tuple[tuple[bool, str], ...] | None = None) -> Line:
    return Line(side=side, pieces=((False, _spelled(text)),) if pieces is None else pieces, ends=text.endswith("\n"))


def _spelled(text: str) -> str:
    return _WIDE.sub(lambda run: f"\\u{{20*{len(run[0])}}}", visible(text.removesuffix("\n")))


class _Compared:
    """Two texts as lines; comparing spends a budget, and says when it was not enough."""

    def __init__(self, before: Sequence[str], after: Sequence[str]) -> None:
        self._before = before
        self._after = after
        self.steps = 0
        self.is_coarse = False

    def lines(self) -> Iterator[Line]:
        """Yield every line of both."""
        one, other = 0, 0
        for begins, begins_after, length in (*self._equal(), (len(self._before), len(self._after), 0)):
            yield from _changed(self._before[one:begins], self._after[other:begins_after])
            one, other = begins + length, begins_after + length
            yield from (_line(Side.BOTH, text) for text in self._before[begins:one])

    def _equal(self) -> Iterator[tuple[int, int, int]]:
        """Yield (begins before, begins after, how many) of what is equal, rising."""
        head = _common(self._before, self._after)
        yield 0, 0, head
        tail = _common(self._before[head:][::-1], self._after[head:][::-1])
        ends, ends_after = len(self._before) - tail, len(self._after) - tail
        one, other = head, head
        # Lines that stand once on each side, in one order, divide the rest into parts that are compared alone.
        for found, found_after in (*self._anchors(head, ends, ends_after), (ends, ends_after)):
            yield from self._between(one, found, other, found_after)
            one, other = found, found_after
        yield ends, ends_after, tail

    def _anchors(self, head: int, ends: int, ends_after: int) -> list[tuple[int, int]]:
        before, after = self._before[head:ends], self._after[head:ends_after]
        often, often_after = Counter(before), Counter(after)
        places = {text: head + place for place, text in enumerate(before) if often[text] == 1}
        pairs = [
            (places[text], head + place)
            for place, text in enumerate(after)
            if often_after[text] == 1 and text in places
        ]
        return _rising(pairs)

    def _between(self, one: int, ends: int, other: int, ends_after: int) -> Iterator[tuple[int, int, int]]:
        before, after = self._before[one:ends], self._after[other:ends_after]
        if not before or not after:
            return
        search = _Search(before, after, MAX_STEPS - self.steps)
        try:
            found = search.get_matching_blocks()
        except _TooMuch:
            self.is_coarse = True
            # An anchor begins a part: it is equal whatever else is.
            found = [Match(0, 0, _common(before, after))]
        self.steps = MAX_STEPS - search.left
        yield from ((one + begins, other + begins_after, length) for begins, begins_after, length in found)


class _TooMuch(Exception):
    """Comparing would cost more than is left."""


class _Search(SequenceMatcher[str]):
    """Difflib's search, which counts what it is about to look at: it is quadratic and worse on lines that repeat."""

    def __init__(self, before: Sequence[str], after: Sequence[str], left: int) -> None:
        super().__init__(None, before, after, autojunk=False)
        self.left = left
        self._ends = len(before)
        often = Counter(after)
        self._costs = (0, *accumulate(1 + often[text] for text in before))

    def find_longest_match(self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None) -> Match:
        ends = self._ends if ahi is None else ahi
        costs = self._costs[ends] - self._costs[alo]
        if costs > self.left:
            raise _TooMuch
        self.left -= costs
        return super().find_longest_match(alo, ends, blo, bhi)


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    return sum(1 for _ in takewhile(bool, map(eq, one, other)))


def _rising(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the longest part of `pairs`, which rise in their second place, that rises in its first place too."""
    lasts: list[int] = []
    ends: list[int] = []
    earlier: list[int] = []
    for number, (place, _) in enumerate(pairs):
        length = bisect_left(lasts, place)
        earlier.append(ends[length - 1] if length else -1)
        lasts[length:] = [place, *lasts[length + 1 :]] if length < len(lasts) else [place]
        ends[length:] = [number, *ends[length + 1 :]] if length < len(ends) else [number]
    found, number = [], ends[-1] if ends else -1
    while number >= 0:
        found.append(pairs[number])
        number = earlier[number]
    return found[::-1]


def _changed(before: Sequence[str], after: Sequence[str]) -> Iterator[Line]:
    if len(before) != len(after):
        yield from (_line(Side.BEFORE, text) for text in before)
        yield from (_line(Side.AFTER, text) for text in after)
        return
    pairs = [_beside(one, other) for one, other in zip(before, after, strict=True)]
    yield from (_line(Side.BEFORE, text, pair[0]) for text, pair in zip(before, pairs, strict=True))
    yield from (_line(Side.AFTER, text, pair[1]) for text, pair in zip(after, pairs, strict=True))


def _beside(one: str, other: str) -> tuple[tuple[tuple[bool, str], ...], tuple[tuple[bool, str], ...]]:
    """Return both lines in pieces, where what differs in the middle is told from what is alike around it."""
    left, right = _TOKEN.findall(_spelled(one)), _TOKEN.findall(_spelled(other))
    head = _common(left, right)
    tail = _common(left[head:][::-1], right[head:][::-1])
    if (head + tail) * _ALIKE < min(len(left), len(right)):
        head = tail = 0
    return _pieces(left, head, tail), _pieces(right, head, tail)


def _pieces(tokens: Sequence[str], head: int, tail: int) -> tuple[tuple[bool, str], ...]:
    ends = len(tokens) - tail
    if head == tail == 0:
        return ((False, "".join(tokens)),)
    parts = ((False, tokens[:head]), (True, tokens[head:ends]), (False, tokens[ends:]))
    return tuple((differs, "".join(part)) for differs, part in parts if part)


def _patch(lines: Sequence[str]) -> tuple[Line, ...] | None:
    """Return the lines of a unified diff, or None where a line could be read in two ways."""
    found: list[Line] = []
    before = after = hunks = 0
    for text in lines:
        side: Side | None = Side.NEITHER
        if before or after:
            side = _in_hunk(text)
            before -= side in {Side.BOTH, Side.BEFORE}
            after -= side in {Side.BOTH, Side.AFTER}
        elif (hunk := _HUNK.fullmatch(text.removesuffix("\n"))) is not None:
            before, after = (1 if count is None else int(count) for count in hunk.groups())
            hunks += 1
        elif text.startswith(("+", "-", "@", " ")) and not text.startswith(("+++ ", "--- ")):
            return None
        if side is None or before < 0 or after < 0:
            return None
        found.append(_line(side, text[len(SIGN[side]) :]))
    return tuple(found) if hunks and not before and not after else None


def _in_hunk(text: str) -> Side | None:
    if text.startswith("\\"):
        return Side.NEITHER
    return next((side for side in (Side.BOTH, Side.BEFORE, Side.AFTER) if text.startswith(SIGN[side])), None)
