"""Strict YAML with positions: every node knows its file, line and column, and every text has one reading.

Refused: duplicate and merge keys, anchors, aliases, tags, directives, several documents, characters that a reader
cannot see, and plain words that YAML versions read differently (`yes`, `0x1F`, `1_000`, `12:30`). There is nothing to
expand, so a file costs no more than its size.
"""

import json
import re
from collections.abc import Callable
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
_LOADER: Final[type[yaml.BaseLoader]] = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_ENCODE: Final = json.JSONEncoder(sort_keys=True, ensure_ascii=False).encode
_LONGEST_WORD: Final = len("false")
_PLAIN_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}")


class _Written:
    """Something that stands in a file; where it stands is worked out when somebody asks, which is when it is wrong."""

    __slots__ = ("_file", "_mark")

    def __init__(self, file: str, mark: yaml.Mark | None) -> None:
        self._file = file
        self._mark = mark

    @property
    def at(self) -> tuple[str, int, int]:
        """The file, line and column where it begins, counted from 1."""
        mark = self._mark
        return (self._file, 1, 1) if mark is None else (self._file, mark.line + 1, mark.column + 1)

    @property
    def place(self) -> Place:
        """Where it begins."""
        return Place(*self.at)

    def empty(self) -> "Mapping":
        """Return an empty mapping in the same place, for reading on after a finding."""
        return Mapping(self._file, self._mark)


class Scalar(_Written):
    """One value as written; `plain` means without quotes."""

    __slots__ = ("plain", "text")

    def __init__(self, file: str, mark: yaml.Mark, text: str, plain: bool) -> None:  # noqa: FBT001  # one per word of every file
        self._file = file
        self._mark = mark
        self.text = text
        self.plain = plain


class Sequence(_Written):
    """A list of nodes."""

    __slots__ = ("items",)

    def __init__(self, file: str, mark: yaml.Mark | None = None) -> None:
        super().__init__(file, mark)
        self.items: list[Node] = []


class Mapping(_Written):
    """Nodes by key, in the order of the file, and where each key stands."""

    __slots__ = ("entries", "marks")

    def __init__(self, file: str, mark: yaml.Mark | None = None) -> None:
        super().__init__(file, mark)
        self.entries: dict[str, Node] = {}
        self.marks: dict[str, yaml.Mark] = {}

    def key_place(self, key: str) -> Place:
        """Where a key stands."""
        return _Written(self._file, self.marks[key]).place


Node = Scalar | Sequence | Mapping
Consume = Callable[[tuple[str, ...], Node], bool]
"""Takes the two keys that lead to a list and one finished item of it; true means that it need not be kept."""

_LISTS_AT: Final = 2
"""How many keys lead to a list whose items may be given away."""


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


def as_json(node: Node) -> str:
    """Return what a node means as one line of JSON, the same for every way to write it."""
    return _ENCODE(plain(node))


def resolve(node: Scalar) -> bool | int | float | str | None:
    """Return what a scalar means; `1.0` is the integer 1, as everywhere in the broker."""
    text = node.text
    if not node.plain:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if text[0].isalpha():
        return text
    if _INTEGER.fullmatch(text):
        # Beyond that there is a finding, and this only stands in.
        return value if abs(value := int(text)) <= MAX_INTEGER else 0
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
    joined = text.replace("\n", "")
    if (joined.isascii() and joined.isprintable()) or not hidden_characters(joined):
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
        self._sound_keys: set[str] = set()
        self._next: Callable[[], yaml.Event] = _no_event

    def read(self, text: str) -> Node | None:
        loader = _LOADER(text)
        self._next = loader.get_event
        try:
            return self._document()
        except _Stop:
            return None
        except yaml.MarkedYAMLError as fault:
            problem = (fault.problem or "cannot be read").replace("\n", " ")
            mark = fault.problem_mark or fault.context_mark
            self._findings.add(_Written(self._name, mark).place, f"not YAML: {visible(problem)}")
        except yaml.YAMLError:
            self._findings.add(Place(self._name), "not YAML: a character is not allowed")
        finally:
            loader.dispose()
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
        if depth > MAX_DEPTH:
            self._stop(event, f"nested deeper than {MAX_DEPTH} levels")
        if type(event) is yaml.ScalarEvent:
            return self._scalar(event)
        if type(event) is yaml.SequenceStartEvent:
            return self._sequence(event, keys, depth)
        if type(event) is not yaml.MappingStartEvent:
            self._stop(event, "anchors (`&`) and aliases (`*`) are not allowed, quote a text that begins so")
        return self._mapping(event, keys, depth)

    def _refuse_marked(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        if event.anchor is not None:
            self._stop(event, "anchors (`&`) and aliases (`*`) are not allowed, quote a text that begins so")
        if event.tag is not None:
            self._stop(event, "tags (`!`) are not allowed, quote a text that begins so")

    def _scalar(self, event: yaml.ScalarEvent) -> Scalar:
        if event.anchor is not None or event.tag is not None:
            self._refuse_marked(event)
        text, plain = event.value, event.implicit[0]
        node = Scalar(self._name, event.start_mark, text, plain)
        if plain:
            if len(text) <= _LONGEST_WORD or not text[0].isalpha():
                self._refuse_ambiguous(node)
        elif not (self._is_prose or (text.isascii() and text.isprintable())) and hidden_characters(text):
            self._findings.add(
                node.place, "this text holds a character that a reader cannot see, or more than one line"
            )
        return node

    def _refuse_ambiguous(self, node: Scalar) -> None:
        text = node.text
        if text in _WORDS:
            return
        if _INTEGER.fullmatch(text) and abs(int(text)) > MAX_INTEGER:
            self._findings.add(node.place, f"{quoted(text)} is beyond 2^53-1")
        elif _AMBIGUOUS.fullmatch(text) and isinstance(resolve(node), str):
            self._findings.add(node.place, f"{quoted(text)} is read in different ways, quote it or write true or false")

    def _sequence(self, event: yaml.SequenceStartEvent, keys: tuple[str, ...], depth: int) -> Sequence:
        if event.anchor is not None or event.tag is not None:
            self._refuse_marked(event)
        node = Sequence(self._name, event.start_mark)
        may_give = len(keys) == _LISTS_AT
        inside = (*keys, ITEM) if len(keys) <= _LISTS_AT else keys
        following = self._next
        while type(item_event := following()) is not yaml.SequenceEndEvent:
            if type(item_event) is yaml.ScalarEvent:
                item: Node = self._scalar(item_event)
            else:
                item = self._node(item_event, inside, depth + 1)
            if not (may_give and self._consume(keys, item)):
                node.items.append(item)
        return node

    def _mapping(self, started: yaml.MappingStartEvent, keys: tuple[str, ...], depth: int) -> Mapping:
        if started.anchor is not None or started.tag is not None:
            self._refuse_marked(started)
        node = Mapping(self._name, started.start_mark)
        following, entries, marks, sound = self._next, node.entries, node.marks, self._sound_keys
        while type(key_event := following()) is not yaml.MappingEndEvent:
            if type(key_event) is not yaml.ScalarEvent:
                self._stop(key_event, "a key must be a text")
            key = key_event.value
            if key not in sound or key_event.anchor is not None or key_event.tag is not None:
                self._check_key(key_event)
            if key in entries:
                self._findings.add(_Written(self._name, key_event.start_mark).place, f"{quoted(key)} stands twice here")
            marks[key] = key_event.start_mark
            event = following()
            if type(event) is yaml.ScalarEvent:
                entries[key] = self._scalar(event)
            else:
                entries[key] = self._node(event, (*keys, key) if len(keys) < _LISTS_AT else keys, depth + 1)
        return node

    def _check_key(self, event: yaml.ScalarEvent) -> None:
        key = self._scalar(event)
        if key.plain and not isinstance(resolve(key), str):
            self._findings.add(key.place, f"{quoted(key.text)} is not a text, quote it")
        elif key.plain and key.text == "<<":
            self._findings.add(key.place, "merge keys (`<<`) are not allowed")
        elif _PLAIN_KEY.fullmatch(key.text) and not _AMBIGUOUS.fullmatch(key.text):
            # Only one that is sound with quotes and without: the same key is not looked at again.
            self._sound_keys.add(key.text)

    def _stop(self, event: yaml.Event, message: str) -> NoReturn:
        self._findings.add(_Written(self._name, event.start_mark).place, message)
        raise _Stop


def _no_event() -> NoReturn:
    raise _Stop
