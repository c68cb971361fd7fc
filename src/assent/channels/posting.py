"""One message to one address over HTTP: sent once, and taken where the answer is one from 200 to 299.

A redirection is not followed: the address that was configured is the one that was meant. Whoever answers byte by byte
is hung up on when the time for all of it is over.
"""

import http.client
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from threading import Timer
from typing import Final
from urllib.parse import urlsplit

TIMEOUT_SECONDS: Final = 4.0
ALL_OF_IT_SECONDS: Final = 8.0
LONGEST_WAIT_SECONDS: Final = 3_600.0
MAX_ANSWER_BYTES: Final = 1_048_576
_TAKEN: Final = range(200, 300)
_HTTPS: Final = "https"
_FAULTS: Final = (OSError, http.client.HTTPException, ValueError)


@dataclass(frozen=True, slots=True)
class Answered:
    """What the other side said: its status, 0 when nothing was heard, and for how long it wants to be left alone.

    `is_sent` says that something left: without an answer nobody knows then whether it was taken.
    """

    status: int = 0
    retry_after_seconds: float | None = None
    is_sent: bool = True

    @property
    def is_taken(self) -> bool:
        """Whether the other side took it."""
        return self.status in _TAKEN


def post(url: str, body: bytes, headers: Mapping[str, str]) -> bool:
    """Return whether the other side took `body`; what goes wrong on the way is a no."""
    return ask(url, body, headers).is_taken


def ask(url: str, body: bytes, headers: Mapping[str, str]) -> Answered:
    """Send `body` and return what the other side said; never raises, and is over within eight seconds."""
    is_sent = False
    try:
        with _connected(url) as (connection, path):
            is_sent = True
            connection.request("POST", path, body=body, headers=dict(headers))
            answer = connection.getresponse()
            return Answered(answer.status, _seconds(answer.getheader("retry-after")))
    except _FAULTS:
        return Answered(is_sent=is_sent)


def fetch(method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> bytes | None:
    """Return what is answered, at most a mebibyte; None where nothing is, or something else than 200 to 299."""
    try:
        with _connected(url) as (connection, path):
            connection.request(method, path, body=body, headers=dict(headers))
            answer = connection.getresponse()
            read = answer.read(MAX_ANSWER_BYTES + 1)
            return read if answer.status in _TAKEN and len(read) <= MAX_ANSWER_BYTES else None
    except _FAULTS:
        return None


@contextmanager
def hung_up_after(seconds: float, connected: Callable[[], socket.socket | None]) -> Iterator[None]:
    """Hang up on the other side when the time is over, whatever it still says; who reads there hears an OSError."""

    def hang_up() -> None:
        opened = connected()
        if opened is not None:
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)

    timer = Timer(seconds, hang_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def _connected(url: str) -> Iterator[tuple[http.client.HTTPConnection, str]]:
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    with closing(_connection(parts.scheme, parts.hostname or "", parts.port)) as connection:
        connection.connect()
        with hung_up_after(ALL_OF_IT_SECONDS - TIMEOUT_SECONDS, lambda: connection.sock):
            yield connection, path


def _seconds(said: str | None) -> float | None:
    # A date is allowed there too; whoever sends one is asked again as if nothing had been said.
    if said is None or not said.isascii() or not said.isdigit():
        return None
    return min(float(said), LONGEST_WAIT_SECONDS)


def _connection(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    if scheme == _HTTPS:
        verified = ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_SECONDS, context=verified)
    return http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
