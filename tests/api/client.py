"""A client that speaks ASGI itself: what goes in and comes out is exact to the byte, and hanging up is one call."""

import asyncio
import json
from collections import deque
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

from starlette.types import ASGIApp, Message, Scope

Headers = list[tuple[bytes, bytes]]

PATIENCE_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Heard:
    """One answer as it came over the wire."""

    status: int
    raw_headers: Headers
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode("latin-1") for name, value in self.raw_headers}

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        assert self.headers["content-type"] == "application/problem+json", self.body
        return str(self.json["code"])


@dataclass(slots=True)
class Exchange:
    """One request on its way; `hang_up` closes the connection before the answer."""

    chunks: deque[bytes]
    sent: list[Message] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def receive(self) -> MutableMapping[str, Any]:
        if self.chunks:
            body = self.chunks.popleft()
            return {"type": "http.request", "body": body, "more_body": bool(self.chunks)}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    def hang_up(self) -> None:
        self.gone.set()

    def heard(self) -> Heard:
        start, *parts = self.sent
        return Heard(start["status"], list(start["headers"]), b"".join(part.get("body", b"") for part in parts))


def http_scope(method: str, target: str, headers: Iterable[tuple[bytes, bytes]], *, peer: str = "192.0.2.1") -> Scope:
    path, _, query = target.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": quote(path, safe="/%:").encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": list(headers),
        "client": (peer, 50_000),
        "server": ("broker", 80),
    }


async def call(
    app: ASGIApp,
    method: str,
    target: str,
    *,
    headers: Iterable[tuple[bytes, bytes]] = (),
    chunks: Iterable[bytes] = (b"",),
    peer: str = "192.0.2.1",
) -> Heard:
    """Return the answer to one request whose body comes in these chunks."""
    exchange = Exchange(deque(chunks))
    scope = http_scope(method, target, headers, peer=peer)
    await asyncio.wait_for(app(scope, exchange.receive, exchange.send), PATIENCE_SECONDS)
    return exchange.heard()


def bearer(token: str) -> tuple[bytes, bytes]:
    return (b"authorization", b"Bearer " + token.encode())


JSON_TYPE = (b"content-type", b"application/json")
