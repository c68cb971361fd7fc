"""Socket Mode: Slack sends over a connection that we opened, so that nothing needs to reach the broker from outside.

An envelope is acknowledged when what it asks for is stored, and not before; Slack tells the person when it is not.
Slack closes sockets when it likes, and some fall silent without closing: the client pings, and a socket that does not
answer is replaced.
"""

from collections.abc import Mapping
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


class Socket:
    """One connection to Slack, opened anew whenever it is lost."""

    def __init__(self, hearing: Hearing, web: SlackWeb, *, app_token: str) -> None:
        self._hearing = hearing
        self._client = SocketModeClient(
            app_token=app_token, web_client=web.client, ping_interval=PING_SECONDS, auto_reconnect_enabled=True
        )
        self._client.socket_mode_request_listeners.append(self._heard)

    async def open(self) -> None:
        """Connect. Raises what the client raises; call it again later then."""
        await self._client.connect()  # type: ignore[no-untyped-call]  # the client has no types there

    async def close(self) -> None:
        """Disconnect for good."""
        await self._client.close()  # type: ignore[no-untyped-call]  # the client has no types there

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
