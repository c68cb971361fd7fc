"""Strict YAML with positions: every node knows its file, line and column, and every text has one reading.

Refused: duplicate and merge keys, anchors, aliases, tags, directives, several documents, characters that a reader
cannot see, and plain words that YAML versions read differently (`yes`, `0x1F`, `1_000`, `12:30`). There is nothing to
expand, so a file costs no more than its size.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, NoReturn

import yaml

from assent.core.canonical import MAX_INTEGER, Json
from assent.core.characters import hidden_characters, visible
from assent.policy.findings import Findings, Place, quoted

MAX_DEPTH: Final = 32
ITEM: Final = "[]"
"""Stands among the keys for being one item of a list."""

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,15})")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,15})\.[0-9]{1,17}")
_WORDS: Final[dict[str, bool | None]] = {"true": True, "false": False, "null": None, "~": None, "": None}
_AMBIGUOUS = re.compile(
    r"(?i:yes|no|on|off|y|n|true|false|null|\.nan|[-+]?\.inf)"
    r"|[-+]?(0[0-9xXoObB_][0-9a-fA-F_]*|[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?|\.[0-9_]+|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)"
)
# The C parser of libyaml reads some forty times faster; where a platform has none, the same events come from Python.
_LOADER: Final = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value as written; `plain` means without quotes."""

    place: Place
    text: str
    plain: bool


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list of nodes."""

    place: Place
    items: list["Node"] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Mapping:
    """Nodes by key, in the order of the file, with the place of every key."""

    place: Place
    entries: dict[str, "Node"] = field(default_factory=dict)
    keys: dict[str, Place] = field(default_factory=dict)


Node = Scalar | Sequence | Mapping
Consume = Callable[[tuple[str, ...], Node], bool]
"""Takes the keys that lead to a list and one finished item of it; true means it was dealt with and need not be kept."""


class _Stop(Exception):
    """The rest of the file cannot be read; the finding says why."""


def keep(_keys: tuple[str, ...], _item: Node) -> bool:
    """Keep every item in the tree."""
    return False


def read_document(name: str, content: bytes, findings: Findings, consume: Consume = keep) -> Node | None:
    """Return the one document of a file, or None when it cannot be read at all; hidden characters are findings."""
    text = _decoded(name, content, findings)
    if text is None or not _is_visible(name, text, findings):
        return None
    return _Reader(name, findings, consume, is_prose=False).read(text)


def read_data(name: str, content: bytes, findings: Findings) -> Node | None:
    """Return the document of a file whose quoted texts may hold any character by escape: cases are made of such."""
    text = _decoded(name, content, findings)
    if text is None or not _is_visible(name, text, findings):
        return None
    return _Reader(name, findings, keep, is_prose=True).read(text)


def plain(node: Node) -> Json:
    """Return what a node means as JSON: quoted texts are strings, plain ones may be numbers, booleans or null."""
    if isinstance(node, Mapping):
        return {key: plain(value) for key, value in node.entries.items()}
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return resolve(node)


def resolve(node: Scalar) -> bool | int | float | str | None:
    """Return what a scalar means; `1.0` is the integer 1, as everywhere in the broker."""
    text = node.text
    if not node.plain:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text):
        number = float(text)
        return int(number) if number.is_integer() else number
    return text


def _decoded(name: str, content: bytes, findings: Findings) -> str | None:
    try:
        return content.decode()
    except UnicodeDecodeError as fault:
        findings.add(Place(name, content.count(b"\n", 0, fault.start) + 1), "is not UTF-8 here")
        return None


def _is_visible(name: str, text: str, findings: Findings) -> bool:
    if not hidden_characters(text.replace("\n", "")):
        return True
    for number, line in enumerate(text.split("\n"), start=1):
        column = next((at for at, character in enumerate(line, start=1) if hidden_characters(character)), None)
        if column is not None:
            message = f"{quoted(line[column - 1])} is a character that a reader cannot see, remove it"
            findings.add(Place(name, number, column), message)
    return False


class _Reader:
    """Builds the tree from parser events; stops at the first thing that makes the rest unreadable."""

    def __init__(self, name: str, findings: Findings, consume: Consume, *, is_prose: bool) -> None:
        self._name = name
        self._findings = findings
        self._consume = consume
        self._is_prose = is_prose
        self._events: Iterator[yaml.Event] = iter(())

    def read(self, text: str) -> Node | None:
        self._events = yaml.parse(text, Loader=_LOADER)
        try:
            return self._document()
        except _Stop:
            return None
        except yaml.MarkedYAMLError as fault:
            problem = (fault.problem or "cannot be read").replace("\n", " ")
            mark = fault.problem_mark or fault.context_mark
            self._findings.add(self._place(mark) if mark else Place(self._name), f"not YAML: {visible(problem)}")
        except yaml.YAMLError:
            self._findings.add(Place(self._name), "not YAML: a character is not allowed")
        return None

    def _document(self) -> Node | None:
        self._next()  # the stream begins
        event = self._next()
        if not isinstance(event, yaml.DocumentStartEvent):
            self._findings.add(Place(self._name), "is empty")
            return None
        if event.version or event.tags:
            self._stop(event, "a directive (`%…`) is not allowed")
        node = self._node(self._next(), (), 1)
        self._next()  # the document ends
        event = self._next()
        if not isinstance(event, yaml.StreamEndEvent):
            self._stop(event, "a second document (`---`) is not allowed")
        return node

    def _node(self, event: yaml.Event, keys: tuple[str, ...], depth: int) -> Node:
        self._refuse_marked(event)
        if depth > MAX_DEPTH:
            self._stop(event, f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(event, keys, depth)
        return self._mapping(event, keys, depth)

    def _refuse_marked(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.AliasEvent) or (isinstance(event, yaml.NodeEvent) and event.anchor is not None):
            self._stop(event, "anchors (`&`) and aliases (`*`) are not allowed, quote a text that begins so")
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag is not None:
            self._stop(event, "tags (`!`) are not allowed, quote a text that begins so")

    def _scalar(self, event: yaml.ScalarEvent) -> Scalar:
        node = Scalar(self._place(event.start_mark), event.value, event.implicit[0])
        if node.plain:
            self._refuse_ambiguous(node)
        elif not self._is_prose and hidden_characters(node.text):
            self._findings.add(
                node.place, "this text holds a character that a reader cannot see, or more than one line"
            )
        return node

    def _refuse_ambiguous(self, node: Scalar) -> None:
        text = node.text
        if text in _WORDS or (text[0].isalpha() and len(text) > len("false")):
            return
        if _AMBIGUOUS.fullmatch(text) and isinstance(value := resolve(node), str | int | float):
            if isinstance(value, str):
                self._findings.add(
                    node.place, f"{quoted(text)} is read in different ways, quote it or write true or false"
                )
            elif abs(value) > MAX_INTEGER:
                self._findings.add(node.place, f"{quoted(text)} is beyond 2^53-1")

    def _sequence(self, event: yaml.Event, keys: tuple[str, ...], depth: int) -> Sequence:
        node = Sequence(self._place(event.start_mark))
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            item = self._node(event, (*keys, ITEM), depth + 1)
            if not self._consume(keys, item):
                node.items.append(item)
        return node

    def _mapping(self, event: yaml.Event, keys: tuple[str, ...], depth: int) -> Mapping:
        node = Mapping(self._place(event.start_mark))
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._key(event)
            if key.text in node.entries:
                self._findings.add(key.place, f"{quoted(key.text)} stands twice here")
            node.keys[key.text] = key.place
            node.entries[key.text] = self._node(self._next(), (*keys, key.text), depth + 1)
        return node

    def _key(self, event: yaml.Event) -> Scalar:
        if not isinstance(event, yaml.ScalarEvent):
            self._stop(event, "a key must be a text")
        self._refuse_marked(event)
        key = self._scalar(event)
        if key.plain and not isinstance(resolve(key), str):
            self._findings.add(key.place, f"{quoted(key.text)} is not a text, quote it")
        if key.plain and key.text == "<<":
            self._findings.add(key.place, "merge keys (`<<`) are not allowed")
        return key

    def _next(self) -> yaml.Event:
        return next(self._events)

    def _place(self, mark: yaml.Mark) -> Place:
        return Place(self._name, mark.line + 1, mark.column + 1)

    def _stop(self, event: yaml.Event, message: str) -> NoReturn:
        self._findings.add(self._place(event.start_mark), message)
        raise _Stop
