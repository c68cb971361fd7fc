"""HTTP/1.1 without a socket: requests to bytes, bytes to answers. Sync and async clients share it.

Deliberately narrow, because the peer is one known broker: no redirects, no content encodings, no cookies, no upgrade.
An answer is complete and unambiguous or it is refused; whoever reads it decides that a refused one means no.
Source: RFC 9112.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from assent.core.errors import AssentError
from assent.sdk.endpoint import Endpoint

MAX_HEAD_BYTES: Final = 65_536
FIRST_FINAL_STATUS: Final = 200  # 1xx only announce the answer

_REDIRECTION: Final = 3
_CLIENT_ERROR: Final = 4
_SERVER_ERROR: Final = 5

_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5]\d\d)(?: [^\r\n]*)?")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*?)[ \t]*")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?")
_DIGITS = re.compile(r"\d{1,12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request; safe to send again, because every call of the contract is made so.

    `waits_seconds` is how long the broker may hold it on purpose (a long-poll). `seen` is how many records the newest
    checkpoint covers that was shown: a broker that knows of fewer asks its ledger before it answers.
    """

    method: str
    path: str
    body: bytes = field(default=b"", repr=False)
    idempotency_key: str | None = None
    waits_seconds: float = 0.0
    seen: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One complete answer; header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes = field(default=b"", repr=False)

    @property
    def is_redirection(self) -> bool:
        return self.status // 100 == _REDIRECTION

    @property
    def is_client_error(self) -> bool:
        return self.status // 100 == _CLIENT_ERROR

    @property
    def is_server_error(self) -> bool:
        return self.status // 100 == _SERVER_ERROR


@dataclass(frozen=True, slots=True)
class Lost:
    """No complete answer came: the request may or may not have been carried out."""

    why: str


class BadAnswer(AssentError):
    """The bytes are not one complete HTTP answer within the limits."""

    code = "bad_answer"


def encode(request: Request, endpoint: Endpoint) -> bytes:
    """Return the bytes of `request`, with the key of `endpoint`."""
    key = f"idempotency-key: {request.idempotency_key}\r\n" if request.idempotency_key else ""
    seen = f"assent-seen: {request.seen}\r\n" if request.seen else ""
    media = f"content-type: application/json\r\ncontent-length: {len(request.body)}\r\n" if request.body else ""
    head = (
        f"{request.method} {endpoint.prefix}{request.path} HTTP/1.1\r\nhost: {endpoint.authority}\r\n"
        f"authorization: Bearer {endpoint.key}\r\naccept: application/json\r\naccept-encoding: identity\r\n"
        f"user-agent: assent-python\r\n{key}{seen}{media}\r\n"
    )
    return head.encode("ascii") + request.body


class AnswerReader:
    """Reads one answer from bytes as they come. `reusable` tells, once it is complete, whether another may follow."""

    def __init__(self, limit_bytes: int) -> None:
        self.reusable = False
        self._limit = limit_bytes
        self._buffer = bytearray()
        self._head: _Head | None = None
        self._body = bytearray()
        self._left: int | None = None  # bytes of the chunk that are still to come, with its line end

    def feed(self, data: bytes) -> Response | None:
        """Return the answer once it is complete; no bytes mean that the peer closed.

        Raises:
            BadAnswer: malformed, ambiguous, too large, or cut off.

        """
        if not data:
            raise BadAnswer("the connection closed before the answer was complete")
        self._buffer += data
        self._head = head = self._head or self._read_head()
        if head is None:
            return None
        if len(self._body) + len(self._buffer) > self._limit:
            raise BadAnswer(f"the answer is larger than {self._limit} bytes")
        complete = self._read_chunks() if head.length is None else self._read_length(head.length)
        return self._finish(head) if complete else None

    def _read_head(self) -> "_Head | None":
        while True:
            end = self._buffer.find(b"\r\n\r\n")
            if max(end, 0 if end >= 0 else len(self._buffer)) > MAX_HEAD_BYTES:
                raise BadAnswer(f"the head of the answer is larger than {MAX_HEAD_BYTES} bytes")
            if end < 0:
                return None
            head = _parse_head(bytes(self._buffer[:end]))
            del self._buffer[: end + 4]
            if head.status >= FIRST_FINAL_STATUS:
                return head

    def _read_length(self, length: int) -> bool:
        if length > self._limit:
            raise BadAnswer(f"the answer is larger than {self._limit} bytes")
        if len(self._buffer) < length:
            return False
        self._body += self._buffer[:length]
        del self._buffer[:length]
        return True

    def _read_chunks(self) -> bool:
        while True:
            if self._left is None:
                end = self._buffer.find(b"\r\n")
                if end < 0:
                    return False
                size = _chunk_size(bytes(self._buffer[:end]))
                if size == 0:
                    return self._read_trailers(end)
                del self._buffer[: end + 2]
                self._left = size
            if len(self._buffer) < self._left + 2:
                return False
            if self._buffer[self._left : self._left + 2] != b"\r\n":
                raise BadAnswer("a chunk of the answer does not end where it says")
            self._body += self._buffer[: self._left]
            del self._buffer[: self._left + 2]
            self._left = None

    def _read_trailers(self, start: int) -> bool:
        end = self._buffer.find(b"\r\n\r\n", start)
        if end < 0:
            return False
        del self._buffer[: end + 4]
        return True

    def _finish(self, head: "_Head") -> Response:
        # Bytes behind the answer belong to nobody: whatever they are, nothing more is read from this connection.
        self.reusable = head.keeps_alive and not self._buffer
        return Response(status=head.status, headers=head.fields, body=bytes(self._body))


@dataclass(frozen=True, slots=True)
class _Head:
    status: int
    fields: dict[str, str]
    length: int | None  # None: chunked
    keeps_alive: bool


def _parse_head(raw: bytes) -> _Head:
    first, *lines = raw.split(b"\r\n")
    status_line = _STATUS_LINE.fullmatch(first)
    if status_line is None:
        raise BadAnswer("the peer does not speak HTTP/1.1")
    fields: dict[str, str] = {}
    for line in lines:
        named = _FIELD.fullmatch(line)
        if named is None:
            raise BadAnswer("a header line of the answer is malformed")
        name, value = named[1].decode("ascii").lower(), named[2].decode("latin-1")
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    status = int(status_line[2])
    closes = status_line[1] == b"0" or "close" in fields.get("connection", "").lower()
    return _Head(status, fields, _length(status, fields), not closes)


def _length(status: int, fields: dict[str, str]) -> int | None:
    """Return the length of the body, None when it is chunked; two answers to that question are none."""
    length, coding = fields.get("content-length"), fields.get("transfer-encoding")
    if fields.get("content-encoding", "identity").lower() != "identity":
        raise BadAnswer("the answer is compressed, which nobody asked for")
    if status < FIRST_FINAL_STATUS or status in {204, 304}:  # RFC 9112 §6.3: never a body
        return 0
    if coding is not None and length is None and coding.lower() == "chunked":
        return None
    if coding is None and length is not None and _DIGITS.fullmatch(length):
        return int(length)
    raise BadAnswer("the answer does not say where it ends")


def _chunk_size(line: bytes) -> int:
    match = _CHUNK.fullmatch(line)
    if match is None:
        raise BadAnswer("a chunk of the answer is malformed")
    return int(match[1], 16)
