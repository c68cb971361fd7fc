"""Requests as they come in: the headers that matter, a body with a bound, strict JSON, then the shape.

In this order, each step before the next looks at anything: length, media type, `core.canonical.parse`, the shape. What
is sent twice (a credential, an idempotency key) is refused, because two readers could take different ones.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.types import Message, Receive, Scope

from assent.api.problems import RequestRefused
from assent.core.canonical import Json, parse
from assent.core.characters import visible
from assent.core.values import made_quickly
from assent.wire.problems import FieldFault
from assent.wire.shapes import Body

B = TypeVar("B", bound=Body)

BEARER: Final = b"bearer "
MAX_FAULTS: Final = 20
MAX_SHOWN_CHARACTERS: Final = 80

_IDEMPOTENCY_KEY = re.compile(rb"[\x20-\x7e]{1,255}")
_ATTEMPT = re.compile(rb"[A-Za-z0-9_-]{22,128}")
_SEEN = re.compile(rb"[0-9]{1,15}")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_JSON_MEDIA = re.compile(rb"application/json[ \t]*(;[ \t]*charset=\"?utf-8\"?[ \t]*)?", re.IGNORECASE)
_ONCE: Final = frozenset(
    {b"authorization", b"idempotency-key", b"assent-attempt", b"assent-seen", b"content-type", b"content-length"}
)


@made_quickly
@dataclass(frozen=True, slots=True)
class Head:
    """The headers that the API reads; a header that is not there is None."""

    authorization: bytes | None = None
    idempotency_key: bytes | None = None
    attempt: bytes | None = None
    content_type: bytes | None = None
    content_length: bytes | None = None
    seen: bytes | None = None


def head_of(scope: Scope) -> Head:
    """Return the headers of a request.

    Raises:
        RequestRefused: one of them stands there twice.

    """
    found: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name in _ONCE:
            if name in found:
                raise RequestRefused("bad_request", f"header `{name.decode()}` stands there twice")
            found[name] = value
    return Head(
        found.get(b"authorization"),
        found.get(b"idempotency-key"),
        found.get(b"assent-attempt"),
        found.get(b"content-type"),
        found.get(b"content-length"),
        found.get(b"assent-seen"),
    )


def bearer(head: Head) -> str | None:
    """Return the bearer token of a request, or None. Source: RFC 6750."""
    value = head.authorization
    if value is None or value[:7].lower() != BEARER:
        return None
    return value[7:].strip().decode("latin-1")


def idempotency_key(head: Head) -> str | None:
    """Return the idempotency key.

    Raises:
        RequestRefused: it is empty, longer than 255 characters or not printable ASCII.

    """
    if head.idempotency_key is None:
        return None
    if _IDEMPOTENCY_KEY.fullmatch(head.idempotency_key) is None:
        raise RequestRefused("bad_request", "header `Idempotency-Key` must be 1 to 255 printable ASCII characters")
    return head.idempotency_key.decode("ascii")


def attempt(head: Head) -> str | None:
    """Return the attempt that a reader puts forward, which stays out of URLs and so out of access logs.

    Raises:
        RequestRefused: it is not of the form of an attempt.

    """
    if head.attempt is None:
        return None
    if _ATTEMPT.fullmatch(head.attempt) is None:
        raise RequestRefused("bad_request", "header `Assent-Attempt` must be 22 to 128 of `A-Z a-z 0-9 _ -`")
    return head.attempt.decode("ascii")


def seen(head: Head) -> int:
    """Return how many records the newest checkpoint covers that the caller was shown; 0 where it does not say.

    Raises:
        RequestRefused: it is no number of records.

    """
    if head.seen is None:
        return 0
    if _SEEN.fullmatch(head.seen) is None:
        raise RequestRefused("bad_request", "header `Assent-Seen` must be a number of records, up to 15 digits")
    return int(head.seen)


async def read_json(receive: Receive, head: Head, shape: type[B], *, max_bytes: int) -> B:
    """Return the body of a request in its shape.

    Raises:
        RequestRefused: too large, not JSON by its media type, or not of the shape.
        BadJson: not JSON with one meaning.

    """
    # (1) media type, before a byte is read
    _refuse_media(head)
    # (2) size, announced or not
    raw = await _read(receive, head, max_bytes)
    # (3) one meaning, (4) the shape
    return shaped(shape, parse(raw, max_bytes=max_bytes))


def _refuse_media(head: Head) -> None:
    if head.content_type is None or _JSON_MEDIA.fullmatch(head.content_type.strip()) is None:
        raise RequestRefused("unsupported_media_type", "send the body as `content-type: application/json`")


async def read_bytes(receive: Receive, head: Head, *, max_bytes: int) -> bytes:
    """Return the body of a request as it came.

    Raises:
        RequestRefused: too large, or it ended before it was complete.

    """
    return await _read(receive, head, max_bytes)


async def _read(receive: Receive, head: Head, max_bytes: int) -> bytes:
    if head.content_length is not None and (
        _LENGTH.fullmatch(head.content_length) is None or int(head.content_length) > max_bytes
    ):
        raise _too_large(max_bytes)
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False) and len(body) <= max_bytes and message["type"] == "http.request":
        return body
    return await _read_on(receive, message, max_bytes)


async def _read_on(receive: Receive, message: Message, max_bytes: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        if message["type"] != "http.request":
            raise RequestRefused("bad_request", "the request ended before its body was complete")
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > max_bytes:
            raise _too_large(max_bytes)
        if not message.get("more_body", False):
            return b"".join(chunks)
        message = await receive()


def _too_large(max_bytes: int) -> RequestRefused:
    return RequestRefused(
        "payload_too_large", f"the body is larger than {max_bytes} bytes", hint="ask for less at once"
    )


def shaped(shape: type[B], value: Json) -> B:
    """Return `value` in its shape; the message names the first fault, `errors` the first 20.

    Raises:
        RequestRefused: it does not have the shape.

    """
    try:
        return shape.model_validate(value)
    except ValidationError as fault:
        raise refused_shape(_plain(fault), shape) from None


def _plain(fault: ValidationError) -> list[Mapping[str, Any]]:
    return [dict(error) for error in fault.errors(include_url=False, include_context=False, include_input=False)]


def refused_shape(errors: Sequence[Mapping[str, Any]], shape: type[BaseModel] | None = None) -> RequestRefused:
    """Return what the caller hears about a shape that does not fit; never a value that was sent, it may be secret."""
    faults = [FieldFault(at=_pointer(error["loc"]), message=_message(error, shape)) for error in errors[:MAX_FAULTS]]
    first = faults[0]
    where = f"`{first.at}` " if first.at else ""
    return RequestRefused("bad_request", f"{where}{first.message}", faults=faults)


def _message(error: Mapping[str, Any], shape: type[BaseModel] | None) -> str:
    if error["type"] == "extra_forbidden":
        return f"is not a known field{_did_you_mean(str(error['loc'][-1]), error['loc'], shape)}"
    if error["type"] == "missing":
        return "is required"
    message = str(error["msg"]).removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _did_you_mean(name: str, where: Sequence[Any], shape: type[BaseModel] | None) -> str:
    # Only the top level: deeper objects have two or three fields each.
    if shape is None or len(where) != 1:
        return ""
    close = get_close_matches(name, shape.model_fields, n=1)
    return f"; did you mean `{close[0]}`?" if close else ""


def _pointer(where: Sequence[Any]) -> str:
    return "/".join(visible(str(part))[:MAX_SHOWN_CHARACTERS] for part in where)


def body_of(shape: type[B]) -> Callable[[Request], Awaitable[B]]:
    """Return a dependency that gives the body in `shape`; name it after the caller, who is checked first."""

    async def read(request: Request) -> B:
        limit = request.app.state.api.settings.max_body_bytes
        return await read_json(request.receive, head_of(request.scope), shape, max_bytes=limit)

    return read


def large_body_of(shape: type[B], *, max_bytes: int) -> Callable[[Request], Awaitable[B]]:
    """Return the same for a body that has a limit of its own, and is read beside the event loop for its size."""

    async def read(request: Request) -> B:
        head = head_of(request.scope)
        _refuse_media(head)
        raw = await _read(request.receive, head, max_bytes)
        return await asyncio.to_thread(lambda: shaped(shape, parse(raw, max_bytes=max_bytes)))

    return read


def idempotency_key_of(request: Request) -> str | None:
    """Return the idempotency key, as a dependency."""
    return idempotency_key(head_of(request.scope))


def attempt_of(request: Request) -> str | None:
    """Return the attempt that a reader puts forward, as a dependency."""
    return attempt(head_of(request.scope))
