"""The broker's life with Slack: connect, tell, listen, and begin again whenever one of these fails.

    service = SlackService(broker, SlackKeys(...), now_seconds=time.time)
    seconds = await service.round()      # again and again

Nothing is decided here. While Slack is away, approvals stay open, other ways to answer stay open, and nothing passes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from assent.core.deliveries import SLACK
from assent.flows.broker import Broker
from assent.flows.deliver import deliver
from assent.flows.watch_actions import CARDS
from assent.logs import EventLog
from assent.slack.callbacks import Callbacks
from assent.slack.channel import SlackChannel
from assent.slack.hearing import Hearing
from assent.slack.receiving import Receiver
from assent.slack.socket import Socket
from assent.slack.speaking import ADDRESS, Speaker
from assent.slack.web import BASE_URL, SlackFault, SlackWeb

log = EventLog("assent.slack")

LOOK_EACH_SECONDS: Final = 2.0
AFTER_FAULT_SECONDS: Final = 5.0


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


class SlackService:
    """One workspace. `page` is where an approval can be opened in a browser."""

    def __init__(
        self, broker: Broker, keys: SlackKeys, *, now_seconds: Callable[[], float], page: str | None = None
    ) -> None:
        self._broker = broker
        self._keys = keys
        self._now_seconds = now_seconds
        self._page = page
        self._cards = broker.signals.subscribe((CARDS,))
        self._web: SlackWeb | None = None
        self._channel: SlackChannel | None = None
        self._hearing: Hearing | None = None
        self._socket: Socket | None = None
        self._receiver: Receiver | None = None
        self.down_since: datetime | None = None

    async def round(self) -> float:
        """Connect where there is no connection, bring all cards up to date, and wait for the next reason to."""
        try:
            channel = await self._connected()
        except SlackFault as fault:
            self._went_down(fault.said)
            return AFTER_FAULT_SECONDS
        done = await deliver(self._broker, {SLACK: channel})
        if done.looked_at == 0:
            await self._cards.wait(self._until(done.next_due))
        return 0.0

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
        self._cards.close()
        if self._socket is not None:
            await self._socket.close()
        if self._web is not None:
            await self._web.close()

    async def _connected(self) -> SlackChannel:
        if self._channel is None:
            if self._web is None:
                self._web = SlackWeb(self._keys.bot_token, base_url=self._keys.api_url)
            found = await who_we_are(self._web)
            self._channel = SlackChannel(self._web, team=found.team, page=self._page)
            self._hearing = self._listening(self._web, found)
            log.info("slack_connected", team=found.team, app=found.app)
        await self._keep_socket()
        self._came_up()
        return self._channel

    def _listening(self, web: SlackWeb, found: Connected) -> Hearing:
        addresses = ADDRESS if self._keys.api_url == BASE_URL else self._keys.api_url.removesuffix("api/")
        callbacks = Callbacks(self._broker, web, team=found.team, app=found.app)
        hearing = Hearing(callbacks, Speaker(web.session, addresses=addresses))
        if self._keys.signing_secrets:
            self._receiver = Receiver(
                hearing, self._broker.signals, secrets=self._keys.signing_secrets, now_seconds=self._now_seconds
            )
        return hearing

    async def _keep_socket(self) -> None:
        if self._keys.app_token is None or self._hearing is None or self._web is None:
            return
        if self._socket is None:
            self._socket = Socket(self._hearing, self._web, app_token=self._keys.app_token)
            await self._socket.open()

    def _until(self, due: datetime | None) -> float:
        if due is None:
            return LOOK_EACH_SECONDS
        left = due.timestamp() - self._now_seconds()
        return min(max(left, 0.05), LOOK_EACH_SECONDS)

    def _went_down(self, said: str) -> None:
        if self.down_since is None:
            self.down_since = datetime.fromtimestamp(self._now_seconds(), UTC)
            log.error("slack_down", said=said)

    def _came_up(self) -> None:
        if self.down_since is not None:
            log.info("slack_up", since=self.down_since.isoformat())
            self.down_since = None


async def who_we_are(web: SlackWeb) -> Connected:
    """Return the workspace and the app behind a bot token. Raises SlackFault."""
    said = await web.call("auth.test")
    bot = await web.call("bots.info", bot=str(said["bot_id"]))
    return Connected(team=str(said["team_id"]), app=str(bot["bot"]["app_id"]), bot=str(said["user_id"]))
