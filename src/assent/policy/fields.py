"""Reads declared fields out of document nodes: required, optional, unknown, each mistake a finding with its place.

A reader takes a node and returns a value of its type, always: after a finding the value is a harmless stand-in, so
that reading goes on and names the next mistake too. Nothing read so is ever served.
"""

import collections.abc
import re
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from typing import Final, TypeVar

from assent.policy.documents import Mapping, Node, Scalar, Sequence, resolve
from assent.policy.findings import Findings, Place, did_you_mean, quoted

T = TypeVar("T")
E = TypeVar("E", bound=Enum)
Read = Callable[[Node, Findings], T]

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
MAX_TEXT: Final = 2_000
_SHOWN: Final = 8
NO_NAMES: Final[tuple[str, ...]] = ()
EPOCH: Final = datetime.fromtimestamp(0, UTC)

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})")
_DURATION = re.compile(r"([0-9]{1,6})(s|m|h|d)")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Fields:
    """The fields of one mapping; `close` reports those that nobody asked for."""

    def __init__(self, node: Node, findings: Findings, what: str) -> None:
        self._findings = findings
        self._what = what
        self._asked: set[str] = set()
        self._is_mapping = isinstance(node, Mapping)
        self._node = node if isinstance(node, Mapping) else node.empty()
        self._entries = self._node.entries
        if not self._is_mapping:
            findings.add(node.place, f"{what} must be a mapping of fields")

    @property
    def place(self) -> Place:
        """Where the mapping begins."""
        return self._node.place

    def need(self, key: str, read: Read[T], stand_in: T) -> T:
        """Return a required field."""
        self._asked.add(key)
        node = self._entries.get(key)
        if node is not None:
            return read(node, self._findings)
        if self._is_mapping:
            self._findings.add(self.place, f"{self._what} lacks `{key}`")
        return stand_in

    def take(self, key: str, read: Read[T], default: T) -> T:
        """Return an optional field, or `default`."""
        self._asked.add(key)
        node = self._entries.get(key)
        return default if node is None else read(node, self._findings)

    def has(self, key: str) -> bool:
        """Whether the field is written."""
        return key in self._entries

    def at(self, key: str) -> Node:
        """Return the node of a field for the place of a finding; the whole mapping when it is not written."""
        return self._entries.get(key, self._node)

    def refuse(self, key: str, message: str) -> None:
        """Note a finding at a field."""
        self._findings.add(self.at(key).place, message)

    def close(self) -> None:
        """Report every field that nobody asked for."""
        if self._entries.keys() <= self._asked:
            return
        for key in self._entries:
            if key not in self._asked:
                hint = did_you_mean(key, self._asked) or f", it has {listed(self._asked)}"
                message = f"{self._what} has no field {quoted(key)}{hint}"
                self._findings.add(self._node.key_place(key), message)


def entries(node: Node, findings: Findings, what: str) -> Iterator[tuple[str, Node]]:
    """Yield the named things of one mapping whose names are well-formed."""
    if not isinstance(node, Mapping):
        findings.add(node.place, f"{what} must be a mapping of names")
        return
    for key, value in node.entries.items():
        if NAME.fullmatch(key):
            yield key, value
        else:
            findings.add(node.key_place(key), f"{quoted(key)} is no name: use letters, digits, `_`, `.` and `-`")


def text(node: Node, findings: Findings) -> str:
    """Read one line of text that is not empty."""
    if not isinstance(node, Scalar) or not isinstance(resolve(node), str):
        findings.add(node.place, "this must be a text" + (", quote it" if isinstance(node, Scalar) else ""))
        return ""
    if not node.text.strip() or len(node.text) > MAX_TEXT:
        findings.add(node.place, f"this text must have between 1 and {MAX_TEXT} characters")
    return node.text


def name(node: Node, findings: Findings) -> str:
    """Read one name."""
    value = text(node, findings)
    if value and not NAME.fullmatch(value):
        findings.add(node.place, f"{quoted(value)} is no name: use letters, digits, `_`, `.` and `-`")
    return value


def names(node: Node, findings: Findings) -> tuple[str, ...]:
    """Read a list of names without repetition."""
    return many(node, findings, name)


def texts(node: Node, findings: Findings) -> tuple[str, ...]:
    """Read a list of texts without repetition."""
    return many(node, findings, text)


def many(node: Node, findings: Findings, read: Read[str]) -> tuple[str, ...]:
    """Read a list with `read`; a repeated item is a finding."""
    if not isinstance(node, Sequence):
        one = node.text if isinstance(node, Scalar) and NAME.fullmatch(node.text) else "…"
        findings.add(node.place, f"this must be a list (`[{one}]`)")
        return ()
    values = tuple(read(item, findings) for item in node.items)
    for index, value in enumerate(values):
        if value and value in values[:index]:
            findings.add(node.items[index].place, f"{quoted(value)} stands twice in this list")
    return values


def boolean(node: Node, findings: Findings) -> bool:
    """Read true or false."""
    value = resolve(node) if isinstance(node, Scalar) else None
    if isinstance(value, bool):
        return value
    findings.add(node.place, "this must be true or false")
    return False


def integer(node: Node, findings: Findings) -> int:
    """Read an integer."""
    value = resolve(node) if isinstance(node, Scalar) else None
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    findings.add(node.place, "this must be an integer")
    return 0


def number(node: Node, findings: Findings) -> int | float:
    """Read an integer or a number with a fraction."""
    value = resolve(node) if isinstance(node, Scalar) else None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    findings.add(node.place, "this must be a number")
    return 0


def moment(node: Node, findings: Findings) -> datetime:
    """Read a date, meaning its first moment in UTC, or an RFC 3339 time with its offset; aware UTC."""
    value = node.text if isinstance(node, Scalar) else ""
    try:
        if _DATE.fullmatch(value):
            return datetime.combine(date.fromisoformat(value), time(), UTC)
        if _MOMENT.fullmatch(value):
            return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        pass  # such a day does not exist: the same finding
    findings.add(node.place, "this must be a date such as 2027-03-31, or a time such as 2027-03-31T12:00:00Z")
    return EPOCH


def duration(node: Node, findings: Findings) -> timedelta:
    """Read a whole number of s, m, h or d, between 10 seconds and 30 days."""
    found = _DURATION.fullmatch(node.text if isinstance(node, Scalar) else "")
    value = timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else timedelta()
    if not timedelta(seconds=10) <= value <= timedelta(days=30):
        findings.add(node.place, "this must be a duration from 10s to 30d, such as 15m")
    return value


def choice(kind: type[E], stand_in: E, other_words: collections.abc.Mapping[str, E] | None = None) -> Read[E]:
    """Return a reader of one member of an enum with text values, case-sensitive.

    `other_words` are what people write instead; they are refused like any other, with the one that they mean.
    """
    known = {str(member.value): member for member in kind}
    meant = {word: str(member.value) for word, member in (other_words or {}).items()}

    def read(node: Node, findings: Findings) -> E:
        value = node.text if isinstance(node, Scalar) else ""
        if value in known:
            return known[value]
        findings.add(node.place, f"{quoted(value)} is not one of {listed(known)}{_meaning(value, known, meant)}")
        return stand_in

    return read


def _meaning(value: str, known: Collection[str], meant: collections.abc.Mapping[str, str]) -> str:
    word = meant.get(value.lower())
    return f", did you mean `{word}`" if word else did_you_mean(value, known)


def known(value: str, among: Collection[str], node: Node, findings: Findings, what: str) -> None:
    """Report `value` when it is not among the known names."""
    if value and value not in among:
        hint = did_you_mean(value, among) or _all_there_are(among)
        findings.add(node.place, f"there is no {what} {quoted(value)}{hint}")


def _all_there_are(among: Collection[str]) -> str:
    if not 0 < len(among) <= _SHOWN:
        return ""
    return f", there {'is' if len(among) == 1 else 'are'} {listed(among)}"


def listed(words: Collection[str]) -> str:
    """Return words in back-ticks with commas, at most twenty."""
    shown = [f"`{word}`" for word in sorted(words)[:20]]
    return ", ".join(shown) + (", …" if len(words) > len(shown) else "")
