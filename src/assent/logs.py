"""The operational log: one structlog pipeline to standard error, JSON lines or, on a terminal, lines for people.

Events have names and carry ids. Payloads never pass: a key that names one is removed wherever it stands, a credential
inside any text is cut, and an exception is told by its type and places, not by its message.

structlog is loaded at the first event: with what it brings along that takes longer than beginning to serve.
"""

import logging
import re
import sys
import traceback
from collections.abc import Callable, Mapping, MutableMapping
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TextIO

from assent.core.characters import visible

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor

MAX_TEXT_CHARACTERS: Final = 2_000
MAX_FRAMES: Final = 20
# Any word of a key, split at `_`: `operator_token` is a token. What is public has another name (`reasons`, `key_id`).
PAYLOAD_WORDS: Final = frozenset(
    {
        "arguments",
        "authorization",
        "body",
        "comment",
        "context",
        "cookie",
        "nonce",
        "password",
        "payload",
        "reason",
        "resource",
        "result",
        "secret",
        "token",
    }
)
_CREDENTIAL = re.compile(r"as[nso]_[0-9A-Za-z]+_[!-~]+|ey[\w-]+\.[\w-]+\.[\w-]+")
_CUT: Final = "[cut]"


# What the process asked for and no event has needed yet.
_asked_for: Final[list[Callable[[], None]]] = []


class EventLog:
    """Writes events by their names; `about` says which part of the program speaks."""

    __slots__ = ("_about",)

    def __init__(self, about: str) -> None:
        self._about = about

    def info(self, event: str, **facts: object) -> None:
        """Write an event of ordinary work."""
        self._log().info(event, **facts)

    def warning(self, event: str, **facts: object) -> None:
        """Write an event that somebody should look at."""
        self._log().warning(event, **facts)

    def error(self, event: str, **facts: object) -> None:
        """Write an event that somebody must look at."""
        self._log().error(event, **facts)

    def exception(self, event: str, **facts: object) -> None:
        """Write an error with where the exception that is being handled came from."""
        self._log().exception(event, **facts)

    def _log(self) -> Any:  # noqa: ANN401  # structlog's own loggers are as open
        import structlog  # noqa: PLC0415  # see above

        while _asked_for:
            _asked_for.pop()()
        return structlog.get_logger(self._about, about=self._about)


def set_up_at_first_event(stream: TextIO, *, as_json: bool, least: int) -> None:
    """Do what `set_up` does as soon as there is something to write."""
    _asked_for[:] = [partial(set_up, stream, as_json=as_json, least=least)]
    _take_in_libraries()


def set_up(stream: TextIO, *, as_json: bool, least: int = logging.INFO) -> None:
    """Let every event of at least `least` (a level of `logging`) go to `stream`; called once, by the process itself."""
    import structlog  # noqa: PLC0415  # see above

    render: Processor = structlog.processors.JSONRenderer(sort_keys=True)
    if not as_json:
        render = structlog.dev.ConsoleRenderer(colors=stream.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _where_it_failed,
            drop_payloads,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    _take_in_libraries()


def _take_in_libraries() -> None:
    library = logging.getLogger()
    library.handlers[:] = [LibraryLog()]
    library.setLevel(logging.WARNING)


def drop_payloads(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Return the event without whatever names a payload and without the text of any credential."""
    return {key: _clean(value) for key, value in event.items() if not _names_payload(key)}


def _names_payload(key: str) -> bool:
    return not PAYLOAD_WORDS.isdisjoint(key.lower().replace("-", "_").split("_"))


def _clean(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _clean(inner) for key, inner in value.items() if not _names_payload(str(key))}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(inner) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return _CREDENTIAL.sub(_CUT, visible(str(value)[:MAX_TEXT_CHARACTERS]))


def _where_it_failed(_logger: object, _method: str, event: "EventDict") -> "EventDict":
    fault = _fault_of(event.pop("exc_info", None))
    if fault is not None:
        event["fault"] = type(fault).__name__
        event["at"] = _places(fault.__traceback__)
    return event


def _fault_of(exc_info: object) -> BaseException | None:
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        _, fault, _ = exc_info
        return fault if isinstance(fault, BaseException) else None
    return sys.exception() if exc_info else None


def _places(where: TracebackType | None) -> list[str]:
    frames = traceback.extract_tb(where)[-MAX_FRAMES:]
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]


class LibraryLog(logging.Handler):
    """Takes what libraries say to `logging` into the one log."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record of a library; an exception in it is told by type and place."""
        log = EventLog(record.name)
        write = log.error if record.levelno >= logging.ERROR else log.warning
        write("library_said", said=record.getMessage(), exc_info=record.exc_info)
