"""Slack's Web API through slack-sdk, with no retry of its own, and its many errors as the few that matter to us.

A call either took effect, did not, or nobody knows: a connection that breaks after the request was sent may have posted
a card. Only whoever keeps deliveries may repeat it then.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from assent.core.errors import AssentError

BASE_URL: Final = "https://slack.com/api/"
TIMEOUT_SECONDS: Final = 10
DEFAULT_RETRY_SECONDS: Final = 5.0
UNREACHABLE: Final = "unreachable"
_TOO_MANY: Final = 429
_SERVER_FAULT: Final = 500


class SlackFault(AssentError):
    """Slack did not do what was asked; `said` is its own word for why."""

    code = "slack_failed"

    def __init__(self, method: str, said: str) -> None:
        super().__init__(f"Slack refused `{method}`: {said}", hint=HINTS.get(said))
        self.method = method
        self.said = said


class NotNow(SlackFault):
    """Nothing was done; the same call may succeed after `retry_after_seconds`."""

    def __init__(self, method: str, said: str, retry_after_seconds: float) -> None:
        super().__init__(method, said)
        self.retry_after_seconds = retry_after_seconds


class NobodyKnows(SlackFault):
    """The call may have taken effect: no answer came, or none that says."""


class Gone(SlackFault):
    """The message or the place is not there any more, or cannot be changed any more."""


class TooLong(SlackFault):
    """The message is larger than Slack takes."""


class LockedOut(SlackFault):
    """The token is worth nothing, or lacks a scope: no call will succeed until somebody sees to it."""


# All others read forms only, and would not see what stands in JSON.
_TAKES_JSON: Final = frozenset(
    {
        "chat.postEphemeral",
        "chat.postMessage",
        "chat.update",
        "conversations.open",
        "files.completeUploadExternal",
        "views.open",
        "views.publish",
        "views.update",
    }
)
_GONE: Final = frozenset(
    {
        "message_not_found",
        "cant_update_message",
        "edit_window_closed",
        "channel_not_found",
        "is_archived",
        "not_in_channel",
        "restricted_action",
        "user_not_found",
        "user_disabled",
        "cannot_dm_bot",
    }
)
_TOO_LONG: Final = frozenset({"msg_blocks_too_long", "msg_too_long", "metadata_too_large"})
_LOCKED_OUT: Final = frozenset(
    {
        "account_inactive",
        "invalid_auth",
        "missing_scope",
        "no_permission",
        "not_allowed_token_type",
        "not_authed",
        "org_login_required",
        "team_access_not_granted",
        "token_expired",
        "token_revoked",
        "ekm_access_denied",
    }
)
_LATER: Final = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded", "internal_error", "fatal_error"})
_UNSURE: Final = frozenset({"request_timeout", "service_unavailable"})
HINTS: Final[Mapping[str, str]] = {
    "invalid_auth": "copy the bot token again: `assent slack doctor` says which one is wrong",
    "token_revoked": "install the app again and give the new bot token",
    "account_inactive": "the app was removed from the workspace: install it again",
    "missing_scope": "print the manifest with `assent slack manifest`, update the app with it and install it again",
    "channel_not_found": "invite the app to the channel, and name the channel by its id",
    "not_in_channel": "invite the app to the channel",
    "is_archived": "name another channel in routes.yaml",
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """Slack does not do its part: since when, in seconds of the clock, and its own word for why."""

    since: float
    said: str


class SlackWeb:
    """One bot token and its connections; made on a running loop, ended by `close`.

    `trouble` says that Slack is away: two calls in a row that nobody answered, or one that was locked out.
    """

    def __init__(
        self,
        token: str,
        *,
        base_url: str = BASE_URL,
        timeout_seconds: int = TIMEOUT_SECONDS,
        now_seconds: Callable[[], float] = time.time,
    ) -> None:
        self.trouble: Trouble | None = None
        self.asked_at = now_seconds()
        self._unanswered: Trouble | None = None
        self._now_seconds = now_seconds
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout_seconds))
        self._client = AsyncWebClient(
            token=token, base_url=base_url, timeout=timeout_seconds, session=self._session, retry_handlers=[]
        )

    @property
    def session(self) -> aiohttp.ClientSession:
        """The connections themselves, for answers to response addresses."""
        return self._session

    @property
    def client(self) -> AsyncWebClient:
        """The client itself, for Socket Mode, which opens its connections with it."""
        return self._client

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def call(self, method: str, **arguments: object) -> dict[str, Any]:
        """Return what Slack answers to `method`; arguments that are None are left out.

        Raises:
            NotNow, NobodyKnows, Gone, TooLong, LockedOut: see there. SlackFault: refused for another reason.

        """
        answered = await self._told(method, arguments)
        data: dict[str, Any] = answered.data if isinstance(answered.data, dict) else {}
        return data

    async def granted(self) -> frozenset[str]:
        """Return the scopes that this token carries, as Slack names them beside every answer. Raises as `call`."""
        answered = await self._told("auth.test", {})
        named = next((value for name, value in answered.headers.items() if name.lower() == "x-oauth-scopes"), "")
        return frozenset(scope.strip() for scope in str(named).split(",") if scope.strip())

    async def _told(self, method: str, arguments: Mapping[str, object]) -> AsyncSlackResponse:
        """Ask, and keep count of whether there is a Slack."""
        self.asked_at = self._now_seconds()
        try:
            answered = await self._asked(method, arguments)
        except SlackFault as fault:
            self._failed(fault)
            raise
        self.trouble = self._unanswered = None
        return answered

    def _failed(self, fault: SlackFault) -> None:
        is_silent = isinstance(fault, NobodyKnows) or (isinstance(fault, NotNow) and fault.said == UNREACHABLE)
        if not is_silent and not isinstance(fault, LockedOut):
            self.trouble = self._unanswered = None
            return
        first = self.trouble or self._unanswered or Trouble(self.asked_at, fault.said)
        if self._unanswered is not None or isinstance(fault, LockedOut):
            self.trouble = Trouble(first.since, fault.said)
        self._unanswered = first

    async def _asked(self, method: str, arguments: Mapping[str, object]) -> AsyncSlackResponse:
        given = {name: value for name, value in arguments.items() if value is not None}
        try:
            if method in _TAKES_JSON:
                return await self._client.api_call(method, json=given)
            return await self._client.api_call(method, data=given)
        except SlackApiError as error:
            raise fault_of(method, error) from error
        except (aiohttp.ClientConnectorError, aiohttp.ServerTimeoutError) as error:
            raise _unreached(method, error) from error
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError, AttributeError) as error:
            # AttributeError is what the client makes of an answer that is not JSON.
            raise NobodyKnows(method, type(error).__name__) from error

    async def upload(self, address: str, content: bytes) -> None:
        """Send the bytes of a file to where Slack wants them. Raises aiohttp.ClientError."""
        async with self._session.post(address, data=content) as answered:
            answered.raise_for_status()


def _unreached(method: str, error: Exception) -> SlackFault:
    # No connection, no request: only what broke later may have taken effect.
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return NotNow(method, UNREACHABLE, DEFAULT_RETRY_SECONDS)
    return NobodyKnows(method, type(error).__name__)


def fault_of(method: str, error: SlackApiError) -> SlackFault:
    """Return what an error of the client means to us."""
    response: Any = error.response
    status = getattr(response, "status_code", 0)
    said = _said(response)
    if status == _TOO_MANY or said in _LATER:
        return NotNow(method, said or "ratelimited", _retry_after(getattr(response, "headers", {})))
    if status >= _SERVER_FAULT or said in _UNSURE or not said:
        return NobodyKnows(method, said or f"status {status}")
    for kind, words in ((Gone, _GONE), (TooLong, _TOO_LONG), (LockedOut, _LOCKED_OUT)):
        if said in words:
            return kind(method, said)
    return SlackFault(method, said)


def _said(response: Any) -> str:  # noqa: ANN401  # a mapping, a response of the client, or text
    data = getattr(response, "data", response)
    return str(data.get("error", "")) if isinstance(data, dict) else ""


def _retry_after(headers: Mapping[str, str]) -> float:
    found = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    return float(found) if found.isdecimal() else DEFAULT_RETRY_SECONDS
