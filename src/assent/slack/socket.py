"""Socket Mode: Slack sends over a connection that we opened, so that nothing needs to reach the broker from outside.

An envelope is acknowledged when what it asks for is stored, and not before; Slack tells the person when it is not.
Slack closes sockets when it likes, and some fall silent without closing. The client pings and opens anew; a watchdog
above it replaces a socket that stays silent all the same, and each one after half an hour, the new one first.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse

from assent.logs import EventLog
from assent.slack.hearing import Hearing
from assent.slack.web import SlackWeb

log = EventLog("assent.slack")

PING_SECONDS: Final = 5.0
# The client itself notices after four pings; whoever is silent for longer than this is given up.
SILENT_SECONDS: Final = 30.0
OPEN_SECONDS: Final = 10.0
RENEW_SECONDS: Final = 1_800.0


class Socket:
    """One connection to Slack. Made on a running loop; one that was given up is replaced by another `Socket`."""

    def __init__(self, hearing: Hearing, web: SlackWeb, *, app_token: str, ping_seconds: float = PING_SECONDS) -> None:
        self._hearing = hearing
        self._client = SocketModeClient(
            app_token=app_token, web_client=web.client, ping_interval=ping_seconds, auto_reconnect_enabled=True
        )
        self._client.socket_mode_request_listeners.append(self._heard)

    async def open(self) -> None:
        """Connect; the client tries until it can, so whoever cannot wait sets a limit."""
        await self._client.connect()  # type: ignore[no-untyped-call]  # the client has no types there

    async def close(self) -> None:
        """Disconnect for good."""
        client = self._client
        client.closed = True
        # Its own tasks would read the answer to our goodbye, and the goodbye would wait for it in vain.
        for task in (client.message_receiver, client.current_session_monitor):
            if task is not None:
                task.cancel()
        with contextlib.suppress(Exception):  # it is given up, whatever it says
            await client.close()  # type: ignore[no-untyped-call]  # the client has no types there
        await client.aiohttp_client_session.close()

    async def is_open(self) -> bool:
        """Whether the connection answers."""
        return bool(await self._client.is_connected())

    async def _heard(self, client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        heeded = await self._hearing.hear(request.type, request.payload)
        if not heeded.taken:
            log.error("slack_not_taken", kind=request.type)
            return
        answer: Mapping[str, Any] | None = heeded.payload or None
        await client.send_socket_mode_response(
            SocketModeResponse(envelope_id=request.envelope_id, payload=None if answer is None else dict(answer))
        )


class SocketKeeper:
    """Keeps one socket open: `look` again and again, which never waits; `steady` are seconds that only go forward."""

    def __init__(
        self, make: Callable[[], Socket], *, steady: Callable[[], float], renew_seconds: float = RENEW_SECONDS
    ) -> None:
        self._make = make
        self._steady = steady
        self._renew_seconds = renew_seconds
        self._socket: Socket | None = None
        self._opened_at = 0.0
        self._answered_at = steady()
        self._opening: asyncio.Task[None] | None = None

    @property
    def age_seconds(self) -> float | None:
        """How long the socket in use has been there, None while there is none."""
        return None if self._socket is None else self._steady() - self._opened_at

    @property
    def silent_seconds(self) -> float:
        """For how long no socket has answered."""
        return max(0.0, self._steady() - self._answered_at)

    async def look(self) -> None:
        """See whether the socket answers, and have another one opened when it should be replaced."""
        now = self._steady()
        if self._socket is not None and await self._socket.is_open():
            self._answered_at = now
        if self._opening is not None and not self._opening.done():
            return
        is_silent = now - self._answered_at >= SILENT_SECONDS
        if self._socket is None or is_silent or now - self._opened_at >= self._renew_seconds:
            if self._socket is not None and is_silent:
                log.warning("slack_socket_silent", seconds=int(now - self._answered_at))
            self._opening = asyncio.create_task(self._replace())

    async def _replace(self) -> None:
        fresh = self._make()
        try:
            await asyncio.wait_for(fresh.open(), OPEN_SECONDS)
        except Exception as fault:  # noqa: BLE001  # whatever it was, it is tried again at the next look
            log.warning("slack_socket_not_opened", said=str(fault) or type(fault).__name__)
            await fresh.close()
            return
        except asyncio.CancelledError:
            await fresh.close()
            raise
        old, self._socket = self._socket, fresh
        self._opened_at = self._answered_at = self._steady()
        if old is not None:
            await old.close()

    async def rest(self) -> None:
        """Let go of the socket until somebody looks again; nobody is missed meanwhile."""
        await self.close()
        self._socket, self._opening, self._answered_at = None, None, self._steady()

    async def settle(self) -> None:
        """Wait until nothing is being opened."""
        if self._opening is not None:
            await asyncio.gather(self._opening, return_exceptions=True)

    async def close(self) -> None:
        """Let go of it."""
        if self._opening is not None:
            self._opening.cancel()
            await self.settle()
        if self._socket is not None:
            await self._socket.close()
