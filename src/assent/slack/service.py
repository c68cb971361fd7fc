"""The broker's life with Slack: connect, listen, and begin again whenever one of these fails.

    service = SlackService(broker, SlackKeys(...), now_seconds=time.time)
    seconds = await service.round()      # again and again
    service.channel                      # where cards are told, as long as there is a connection

Nothing is decided here. While Slack is away, approvals stay open, other ways to answer stay open, and nothing passes.
"""

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from assent.core.deliveries import NotNow, Showing, Told
from assent.flows.broker import Broker
from assent.logs import EventLog
from assent.slack.alerts import SlackAlerts, Workspace
from assent.slack.callbacks import Callbacks
from assent.slack.channel import SlackChannel
from assent.slack.hearing import Hearing
from assent.slack.home_tabs import HomeTabs
from assent.slack.on_duty import DutyWatch
from assent.slack.receiving import Receiver
from assent.slack.socket import SILENT_SECONDS, Socket, SocketKeeper
from assent.slack.speaking import ADDRESS, Speaker
from assent.slack.web import BASE_URL, TIMEOUT_SECONDS, SlackFault, SlackWeb

log = EventLog("assent.slack")

LOOK_EACH_SECONDS: Final = 2.0
AFTER_FAULT_SECONDS: Final = 5.0
ASK_AFTER_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackKeys:
    """What opens Slack: a bot token, and for the way in an app token (a socket) or signing secrets (HTTP), or both."""

    bot_token: str
    app_token: str | None = None
    signing_secrets: tuple[bytes, ...] = ()
    api_url: str = BASE_URL

    def __repr__(self) -> str:
        """Tell none of it."""
        return "SlackKeys(…)"


@dataclass(frozen=True, slots=True)
class Connected:
    """Who we are in which workspace, as Slack said when we asked."""

    team: str
    app: str
    bot: str


@dataclass(frozen=True, slots=True)
class Down:
    """Slack is away: since when, and why."""

    since: datetime
    said: str


class WhenConnected:
    """A `Channel` that says `not now` as long as there is no connection, so that routes go on to their next step."""

    def __init__(self, connected: Callable[[], SlackChannel | None]) -> None:
        self._connected = connected

    async def announce(self, where: str, showing: Showing) -> Told:
        """Post the card."""
        return await self._now().announce(where, showing)

    async def update(self, where: str, place: str, showing: Showing) -> Told:
        """Change the card where it stands."""
        return await self._now().update(where, place, showing)

    async def find(self, where: str, showing: Showing, since: datetime) -> str | None:
        """Look for the card."""
        return await self._now().find(where, showing, since)

    def _now(self) -> SlackChannel:
        channel = self._connected()
        if channel is None:
            raise NotNow("Slack is not connected")
        return channel


class SlackService:
    """One workspace. `page` is where an approval can be opened in a browser, `runbook` what to read after a stop.

    No socket is open while it does not want to be one that `listens`: another broker's is.
    """

    def __init__(
        self,
        broker: Broker,
        keys: SlackKeys,
        *,
        now_seconds: Callable[[], float],
        steady: Callable[[], float] = time.monotonic,
        page: str | None = None,
        runbook: str = "",
        timeout_seconds: int = TIMEOUT_SECONDS,
        listens: Callable[[], bool] = lambda: True,
    ) -> None:
        self._listens = listens
        self._timeout_seconds = timeout_seconds
        self._duty = DutyWatch(broker, now_seconds=now_seconds)
        self._broker = broker
        self._steady = steady
        self._keys = keys
        self._now_seconds = now_seconds
        self._page = page
        self._runbook = runbook
        self.channel = WhenConnected(lambda: self._channel)
        self._web: SlackWeb | None = None
        self._channel: SlackChannel | None = None
        self._hearing: Hearing | None = None
        self._sockets: SocketKeeper | None = None
        self._receiver: Receiver | None = None
        self._home_tabs: HomeTabs | None = None
        self._is_down = False

    @property
    def down(self) -> Down | None:
        """Since when Slack is away, and why; None while it does its part."""
        trouble = None if self._web is None else self._web.trouble
        if trouble is not None:
            return Down(datetime.fromtimestamp(trouble.since, UTC), trouble.said)
        silent = 0.0 if self._sockets is None else self._sockets.silent_seconds
        if silent < SILENT_SECONDS:
            return None
        return Down(datetime.fromtimestamp(self._now_seconds() - silent, UTC), "no socket answers")

    @property
    def away(self) -> str | None:
        """That Slack is away, since when and why; None while it is not."""
        down = self.down
        return None if down is None else f"Slack is away since {down.since:%H:%M} UTC ({down.said})"

    @property
    def notice(self) -> str | None:
        """What people who look elsewhere should know, None while there is nothing."""
        return None if self.away is None else f"{self.away}: no card comes, answer here"

    @property
    def socket_age_seconds(self) -> float | None:
        """How long the socket in use has been there, None where there is none."""
        return None if self._sockets is None else self._sockets.age_seconds

    @property
    def socket_silent_seconds(self) -> float | None:
        """For how long no socket has answered, None where clicks come over HTTP."""
        return None if self._sockets is None else self._sockets.silent_seconds

    async def round(self) -> float:
        """Connect where there is no connection, and look whether it holds; return when to look again."""
        seconds = LOOK_EACH_SECONDS
        try:
            await self._connect()
            await self._ask_after()
            await self._see_who_is_on_duty()
            if self._home_tabs is not None:
                await self._home_tabs.look()
        except SlackFault:
            self._duty.forget()
            seconds = AFTER_FAULT_SECONDS
        self._say_how_it_is()
        return seconds

    async def _ask_after(self) -> None:
        """Ask Slack whether it is there, when nothing else was asked for a while: nobody else would notice."""
        if self._web is not None and self._now_seconds() - self._web.asked_at >= ASK_AFTER_SECONDS:
            with contextlib.suppress(SlackFault):
                await self._web.call("auth.test")

    async def _see_who_is_on_duty(self) -> None:
        if self._web is not None:
            await self._duty.look(self._web)

    def alerts(self, room: str, *, runbook: str) -> SlackAlerts:
        """Return what tells of breakers in the channel `room`, as long as there is a connection."""

        def workspace() -> Workspace | None:
            return None if self._channel is None or self._web is None else Workspace(self._web, self._channel.team)

        return SlackAlerts(workspace, lambda: self._broker.policy().operators(), room=room, runbook=runbook)

    async def receive(
        self, body: bytes, *, timestamp: bytes | None, signature: bytes | None, media_type: bytes | None
    ) -> tuple[int, Mapping[str, Any]]:
        """Return status and JSON for a request that claims to come from Slack."""
        if self._receiver is None:
            return (503, {}) if self._keys.signing_secrets else (401, {})
        received = await self._receiver.receive(body, timestamp=timestamp, signature=signature, media_type=media_type)
        return int(received.status), received.payload

    async def close(self) -> None:
        """Let go of Slack."""
        if self._sockets is not None:
            await self._sockets.close()
        if self._hearing is not None:
            await self._hearing.settle()
        if self._web is not None:
            await self._web.close()

    async def _connect(self) -> None:
        if self._channel is None:
            if self._web is None:
                self._web = SlackWeb(
                    self._keys.bot_token,
                    base_url=self._keys.api_url,
                    now_seconds=self._now_seconds,
                    timeout_seconds=self._timeout_seconds,
                )
            found = await who_we_are(self._web)
            self._channel = SlackChannel(self._web, team=found.team, page=self._page)
            self._hearing = self._listening(self._web, found)
            self._sockets = self._keeper(self._hearing, self._web)
            log.info("slack_connected", team=found.team, app=found.app)
        if self._sockets is None:
            return
        if self._listens():
            await self._sockets.look()
        else:
            await self._sockets.rest()

    def _listening(self, web: SlackWeb, found: Connected) -> Hearing:
        addresses = ADDRESS if self._keys.api_url == BASE_URL else self._keys.api_url.removesuffix("api/")
        callbacks = Callbacks(
            self._broker, web, team=found.team, app=found.app, now_seconds=self._now_seconds, runbook=self._runbook
        )
        self._home_tabs = callbacks.home_tabs
        hearing = Hearing(callbacks, Speaker(web.session, addresses=addresses))
        if self._keys.signing_secrets:
            self._receiver = Receiver(
                hearing, self._broker.signals, secrets=self._keys.signing_secrets, now_seconds=self._now_seconds
            )
        return hearing

    def _keeper(self, hearing: Hearing, web: SlackWeb) -> SocketKeeper | None:
        app_token = self._keys.app_token
        if app_token is None:
            return None
        return SocketKeeper(lambda: Socket(hearing, web, app_token=app_token), steady=self._steady)

    def _say_how_it_is(self) -> None:
        down = self.down
        if down is not None and not self._is_down:
            log.error("slack_down", since=down.since.isoformat(), said=down.said)
        if down is None and self._is_down:
            log.info("slack_up")
        self._is_down = down is not None


async def who_we_are(web: SlackWeb) -> Connected:
    """Return the workspace and the app behind a bot token. Raises SlackFault."""
    said = await web.call("auth.test")
    bot = await web.call("bots.info", bot=str(said["bot_id"]))
    return Connected(team=str(said["team_id"]), app=str(bot["bot"]["app_id"]), bot=str(said["user_id"]))
