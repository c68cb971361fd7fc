# What this project uses of PyYAML, which ships no types: parser events with positions.
from collections.abc import Iterator
from typing import Any


class BaseLoader:
    def __init__(self, stream: str) -> None: ...
    def get_event(self) -> Event: ...
    def dispose(self) -> None: ...

class Mark:
    line: int
    column: int

class YAMLError(Exception): ...

class MarkedYAMLError(YAMLError):
    context_mark: Mark | None
    problem: str | None
    problem_mark: Mark | None

class Event:
    start_mark: Mark

class StreamEndEvent(Event): ...

class DocumentStartEvent(Event):
    version: tuple[int, int] | None
    tags: dict[str, str] | None

class NodeEvent(Event):
    anchor: str | None

class AliasEvent(NodeEvent): ...

class ScalarEvent(NodeEvent):
    tag: str | None
    value: str
    implicit: tuple[bool, bool]

class CollectionStartEvent(NodeEvent):
    tag: str | None

class SequenceStartEvent(CollectionStartEvent): ...
class MappingStartEvent(CollectionStartEvent): ...
class SequenceEndEvent(Event): ...
class MappingEndEvent(Event): ...

def safe_load(stream: str) -> Any: ...
def safe_load_all(stream: str) -> Iterator[Any]: ...
def safe_dump(data: Any, *, sort_keys: bool = ..., allow_unicode: bool = ...) -> str: ...
