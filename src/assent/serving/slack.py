"""Slack, where it is wanted: made from the settings, with a clear word where the extra is not installed."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from assent.config import Settings
from assent.core.errors import ConfigInvalid
from assent.core.work_leases import Work
from assent.flows.broker import Broker
from assent.serving.leases import STEPS_ASIDE_AFTER_SECONDS, Leases

if TYPE_CHECKING:
    from assent.slack.service import SlackService

_NEEDS: Final = ("slack_sdk", "aiohttp")


def slack_of(
    broker: Broker, settings: Settings, *, page: str | None = None, listens: Callable[[], bool] = lambda: True
) -> "SlackService | None":
    """Return the broker's Slack, or None where no bot token is set; cards point to `page` and the approval's id.

    Its socket is open while it `listens`.

    Raises:
        ConfigInvalid: a secret cannot be read safely, tokens are mixed up, nothing could come in, the extra is missing.

    """
    bot_token = settings.secret("slack_bot_token")
    app_token, signing = settings.secret("slack_app_token"), settings.secret("slack_signing_secret")
    if bot_token is None:
        if settings.slack_alert_channel is not None:
            raise ConfigInvalid(
                "`slack_alert_channel` is set, and nobody could be told there: `slack_bot_token` is missing",
                hint="set `slack_bot_token`, or unset `slack_alert_channel`",
            )
        if app_token or signing:
            raise ConfigInvalid(
                "`slack_bot_token` is missing: no card could be posted", hint="set it, or unset the others"
            )
        return None
    _refuse_mixed_up(bot_token, app_token, signing)
    if any(find_spec(name) is None for name in _NEEDS):
        raise ConfigInvalid("Slack needs more than is installed", hint="run `pip install 'assent[slack]'`")
    from assent.slack.service import SlackKeys, SlackService  # noqa: PLC0415  # a broker without Slack does not load it

    secrets = tuple(part.strip().encode() for part in (signing or "").split(",") if part.strip())
    keys = SlackKeys(bot_token=bot_token, app_token=app_token, signing_secrets=secrets, api_url=settings.slack_api_url)
    return SlackService(broker, keys, now_seconds=time.time, page=page, runbook=settings.runbook_url, listens=listens)


async def slack_round(slack: "SlackService", leases: Leases) -> float:
    """Keep the connection to Slack; where that does not come about here, let another broker try to reach people."""
    seconds = await slack.round()
    down = slack.down
    if down is not None and (datetime.now(UTC) - down.since).total_seconds() >= STEPS_ASIDE_AFTER_SECONDS:
        await leases.step_aside(Work.PEOPLE, why=f"Slack is away here ({down.said})")
    return seconds


def _refuse_mixed_up(bot_token: str, app_token: str | None, signing: str | None) -> None:
    if not bot_token.startswith("xoxb-"):
        raise ConfigInvalid("`slack_bot_token` does not begin with `xoxb-`", hint="copy the Bot User OAuth Token")
    if app_token is not None and not app_token.startswith("xapp-"):
        raise ConfigInvalid("`slack_app_token` does not begin with `xapp-`", hint="copy the App-Level Token")
    if app_token is None and signing is None:
        hint = "set `slack_app_token` (Socket Mode), or `slack_signing_secret` (HTTP)"
        raise ConfigInvalid("clicks could not come in: neither a socket nor a signing secret is set", hint=hint)
