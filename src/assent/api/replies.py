"""Replies: a status, fixed headers and bytes, written the same way by the FastAPI routes and the hot route."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import TypeAdapter
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from assent.wire.problems import Problem

Header = tuple[bytes, bytes]

JSON = b"application/json"
PROBLEM_JSON = b"application/problem+json"
# What is decided is never kept by anything between, and never guessed to be something else.
_ALWAYS: tuple[Header, ...] = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
_CHALLENGE: Header = (b"www-authenticate", b'Bearer realm="assent"')
_UNAUTHORIZED = 401


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer, whole: nothing is streamed."""

    status: int
    body: bytes
    headers: tuple[Header, ...] = ()
    media_type: bytes = JSON

    def head(self) -> list[Header]:
        """Return all headers in the order they are sent."""
        return [
            (b"content-type", self.media_type),
            (b"content-length", b"%d" % len(self.body)),
            *_ALWAYS,
            *self.headers,
        ]


class Replied(Response):
    """A reply as Starlette sends it."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.status_code = reply.status
        self.body = reply.body
        self.background = None
        self.raw_headers = reply.head()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # Starlette's signature
        """Send the reply."""
        await send_reply(send, self.reply)


async def send_reply(send: Send, reply: Reply) -> None:
    """Send a reply as two ASGI messages."""
    await send({"type": "http.response.start", "status": reply.status, "headers": reply.head()})
    await send({"type": "http.response.body", "body": reply.body})


# One adapter for each shape, made when it is first used.
_adapter: Callable[[type], TypeAdapter[Any]] = cache(TypeAdapter)


def encoded(value: object) -> bytes:
    """Return the JSON of one of the wire's answers; what is None is left out, but not inside an agent's own JSON."""
    return _adapter(type(value)).dump_json(value, exclude_none=True)


def with_raw(body: bytes, raw: Mapping[str, bytes]) -> bytes:
    """Return the JSON object `body` with further members whose JSON is given as bytes.

    Canonical bytes go out as they were judged and stored: reading and writing them again could only change them.
    """
    members = b"".join(b',"%s":%s' % (name.encode(), value) for name, value in raw.items())
    return body[:-1] + members + b"}"


def page(items: list[bytes], next_cursor: str | None) -> bytes:
    """Return a list answer, `{items, next_cursor}`, of items that are JSON already."""
    cursor = b"null" if next_cursor is None else _adapter(str).dump_json(next_cursor)
    return b'{"items":[%s],"next_cursor":%s}' % (b",".join(items), cursor)


def of_problem(problem: Problem) -> Reply:
    """Return the reply that carries a problem document, with the headers that its status asks for."""
    headers: tuple[Header, ...] = ()
    if problem.status == _UNAUTHORIZED:
        headers = (_CHALLENGE,)
    elif problem.retry_after is not None:
        headers = ((b"retry-after", b"%d" % problem.retry_after),)
    return Reply(problem.status, encoded(problem), headers, PROBLEM_JSON)
