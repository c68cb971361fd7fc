"""Patterns over dotted tool names and slashed resources: anchored, case-sensitive, linear in practice.

`*` stands for any run of characters within one segment, a whole segment `**` for one or more segments. Nothing else is
special, so that a pattern reads as what it matches.
"""

from collections.abc import Callable
from functools import lru_cache

TOOL_SEPARATOR = "."
RESOURCE_SEPARATOR = "/"


def fault(pattern: str, separator: str) -> str | None:
    """Return what is wrong with `pattern`, or None when it is well-formed."""
    segments = pattern.split(separator)
    if any(not segment for segment in segments):
        return "a segment is empty"
    if any("**" in segment and segment != "**" for segment in segments):
        return "`**` must stand for whole segments"
    return None


def matches(pattern: str, value: str, separator: str) -> bool:
    """Whether `pattern` matches all of `value`, segment by segment."""
    return _segments_match(_split(pattern, separator), tuple(value.split(separator)))


def matcher(pattern: str, separator: str) -> Callable[[str], bool]:
    """Return what `matches` does for one pattern, prepared for many values."""
    if pattern == "**":
        return lambda _: True
    if "*" not in pattern:
        return pattern.__eq__
    head = pattern.removesuffix("**")
    if head != pattern and "*" not in head:
        return lambda value: value.startswith(head)
    head = pattern.removesuffix("*")
    if head != pattern and "*" not in head:
        length = len(head)
        return lambda value: value.startswith(head) and separator not in value[length:]
    segments = _split(pattern, separator)
    return lambda value: _segments_match(segments, tuple(value.split(separator)))


@lru_cache(maxsize=4096)
def _split(pattern: str, separator: str) -> tuple[str, ...]:
    return tuple(pattern.split(separator))


def _segments_match(pattern: tuple[str, ...], value: tuple[str, ...]) -> bool:
    # Greedy with one fallback point: the latest `**` takes one segment more whenever the rest does not fit. That is
    # complete for such patterns and needs at most len(pattern) * len(value) steps: nothing here can be made to hang.
    p = v = 0
    star, resume = -1, 0
    while v < len(value):
        if p < len(pattern) and pattern[p] == "**":
            star, resume = p, v + 1
            p, v = p + 1, v + 1
        elif p < len(pattern) and _segment_matches(pattern[p], value[v]):
            p, v = p + 1, v + 1
        elif star >= 0:
            p, v, resume = star + 1, resume + 1, resume + 1
        else:
            return False
    return p == len(pattern)


def _segment_matches(pattern: str, value: str) -> bool:
    if "*" not in pattern:
        return pattern == value
    first, *middle, last = pattern.split("*")
    if len(value) < len(first) + len(last) or not value.startswith(first) or not value.endswith(last):
        return False
    at, end = len(first), len(value) - len(last)
    for part in middle:
        found = value.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True
