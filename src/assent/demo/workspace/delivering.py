"""Interactions on their way to the app: signed over HTTP, or in envelopes over one of its sockets. Never sent twice.

The app has three seconds to acknowledge; Slack does not repeat an interaction, so what was not acknowledged is lost and
the person is told so.
"""

import asyncio
import hashlib
import hmac
import itertools
import json
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

from assent.demo.workspace.state import APP, Delivered, Workspace

ACKNOWLEDGED_WITHIN_SECONDS: Final = 3.0
MAX_SOCKETS: Final = 10
_OK: Final = 200


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """Return the `v0` signature of a request, as Slack makes it."""
    signed = b"v0:%d:" % timestamp + body
    return "v0=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


@dataclass(slots=True, eq=False)
class Socket:
    """One connection of the app; a stalled one takes envelopes and gives no sign of life."""

    connection: web.WebSocketResponse
    is_stalled: bool = False
    waiting: dict[str, asyncio.Future[dict[str, Any]]] = field(default_factory=dict)

    async def say(self, message: dict[str, Any]) -> None:
        """Send one message."""
        await self.connection.send_str(json.dumps(message))


class Delivery:
    """Takes interactions to the app, wherever it listens."""

    def __init__(self, slack: Workspace, *, request_url: str | None, within_seconds: float) -> None:
        self.request_url = request_url
        self.sockets: list[Socket] = []
        self.log: list[Delivered] = []
        self._slack = slack
        self._within_seconds = within_seconds
        self._envelopes = itertools.count(1)
        self._turn = itertools.count()

    async def deliver(self, kind: str, person: str, payload: dict[str, Any]) -> Delivered:
        """Take one interaction to the app and return how that came out."""
        delivered = Delivered(kind=kind, person=person, payload=payload)
        self.log.append(delivered)
        try:
            delivered.answer = await asyncio.wait_for(self._send(kind, payload), self._within_seconds)
            delivered.outcome = "acknowledged"
        except (TimeoutError, aiohttp.ClientError, ConnectionError, _NotTaken) as error:
            delivered.outcome = f"lost: {str(error) or type(error).__name__}"
        self._slack.changed()
        return delivered

    async def _send(self, kind: str, payload: dict[str, Any]) -> dict[str, Any]:
        if self.request_url is not None:
            return await self._over_http(kind, payload)
        alive = [socket for socket in self.sockets if not socket.connection.closed]
        if not alive:
            raise _NotTaken("the app has no open socket")
        return await self._over(alive[next(self._turn) % len(alive)], kind, payload)

    async def _over_http(self, kind: str, payload: dict[str, Any]) -> dict[str, Any]:
        body, media = _body_of(kind, payload)
        status, answer = await self.post(body, media)
        if status != _OK:
            raise _NotTaken(f"the app answered {status}")
        return answer

    async def post(
        self, body: bytes, media: str, *, at: int | None = None, signed: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Send bytes to the app's address, signed now, or as a test wants it; return status and JSON."""
        timestamp = int(self._slack.clock()) if at is None else at
        headers = {
            "content-type": media,
            "x-slack-request-timestamp": str(timestamp),
            "x-slack-signature": signed or signature(self._slack.signing_secret, timestamp, body),
        }
        async with (
            aiohttp.ClientSession() as session,
            session.post(str(self.request_url), data=body, headers=headers) as response,
        ):
            text = await response.text()
        return response.status, json.loads(text) if text.startswith("{") else {}

    async def _over(self, socket: Socket, kind: str, payload: dict[str, Any]) -> dict[str, Any]:
        envelope = f"envelope-{next(self._envelopes)}"
        heard: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        socket.waiting[envelope] = heard
        try:
            if not socket.is_stalled:
                message = {"envelope_id": envelope, "type": kind, "payload": payload, "accepts_response_payload": True}
                await socket.say(message)
            return await heard
        finally:
            del socket.waiting[envelope]

    async def serve_socket(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one of the app's sockets until one side leaves."""
        connection = web.WebSocketResponse(autoping=False)
        await connection.prepare(request)
        socket = Socket(connection)
        if len(self.sockets) >= MAX_SOCKETS:
            await socket.say({"type": "disconnect", "reason": "too_many_websockets"})
            await connection.close()
            return connection
        self.sockets.append(socket)
        try:
            await socket.say(
                {"type": "hello", "num_connections": len(self.sockets), "connection_info": {"app_id": APP}}
            )
            await self._listen(socket)
        finally:
            self.sockets.remove(socket)
        return connection

    async def _listen(self, socket: Socket) -> None:
        async for message in socket.connection:
            if socket.is_stalled:
                continue
            if message.type is aiohttp.WSMsgType.PING:
                await socket.connection.pong(message.data)
            elif message.type is aiohttp.WSMsgType.TEXT:
                said = json.loads(message.data)
                heard = socket.waiting.get(said.get("envelope_id", ""))
                if heard is not None and not heard.done():
                    heard.set_result(said.get("payload") or {})

    async def refresh(self, reason: str = "refresh_requested") -> None:
        """Ask the app to come back with new sockets, as Slack does every few hours."""
        for socket in list(self.sockets):
            await socket.say({"type": "disconnect", "reason": reason})
            await socket.connection.close()

    def stall(self) -> None:
        """Let all sockets fall silent without closing."""
        for socket in self.sockets:
            socket.is_stalled = True

    async def close(self) -> None:
        """End all sockets."""
        for socket in list(self.sockets):
            await socket.connection.close()


class _NotTaken(Exception):
    """The app was there and did not take it, or was not there."""


def _body_of(kind: str, payload: dict[str, Any]) -> tuple[bytes, str]:
    if kind == "slash_commands":
        return urlencode(payload).encode(), "application/x-www-form-urlencoded"
    if kind == "events_api":
        return json.dumps(payload).encode(), "application/json"
    return urlencode({"payload": json.dumps(payload)}).encode(), "application/x-www-form-urlencoded"
