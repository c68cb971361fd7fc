"""One message to one address over HTTP: sent once, and taken where the answer is one from 200 to 299.

A redirection is not followed: the address that was configured is the one that was meant.
"""

import http.client
import ssl
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

TIMEOUT_SECONDS: Final = 4.0
LONGEST_WAIT_SECONDS: Final = 3_600.0
MAX_ANSWER_BYTES: Final = 1_048_576
_TAKEN: Final = range(200, 300)
_HTTPS: Final = "https"


@dataclass(frozen=True, slots=True)
class Answered:
    """What the other side said: its status, 0 when nothing was heard, and for how long it wants to be left alone."""

    status: int = 0
    retry_after_seconds: float | None = None

    @property
    def is_taken(self) -> bool:
        """Whether the other side took it."""
        return self.status in _TAKEN


def post(url: str, body: bytes, headers: Mapping[str, str]) -> bool:
    """Return whether the other side took `body`; what goes wrong on the way is a no."""
    return ask(url, body, headers).is_taken


def ask(url: str, body: bytes, headers: Mapping[str, str]) -> Answered:
    """Send `body` and return what the other side said; never raises."""
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        with closing(_connection(parts.scheme, parts.hostname or "", parts.port)) as connection:
            connection.request("POST", path, body=body, headers=dict(headers))
            answer = connection.getresponse()
            return Answered(answer.status, _seconds(answer.getheader("retry-after")))
    except (OSError, http.client.HTTPException):
        return Answered()


def fetch(method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> bytes | None:
    """Return what is answered, at most a mebibyte; None where nothing is, or something else than 200 to 299."""
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        with closing(_connection(parts.scheme, parts.hostname or "", parts.port)) as connection:
            connection.request(method, path, body=body, headers=dict(headers))
            answer = connection.getresponse()
            read = answer.read(MAX_ANSWER_BYTES + 1)
            return read if answer.status in _TAKEN and len(read) <= MAX_ANSWER_BYTES else None
    except (OSError, http.client.HTTPException, ValueError):
        return None


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
