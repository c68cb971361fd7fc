"""Accounts: which operator an account stands for, and whether it is one that may act at all, asked of Slack now.

An operator is found by the ids that operators.yaml declares, never by a name or an e-mail address. An account that is
deactivated, a guest's, a bot's or of another workspace decides nothing; nor, in production, does one about which Slack
does not answer.
"""

import asyncio
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from assent.core.deliveries import SLACK
from assent.core.operators import Operator
from assent.ports import Policy
from assent.slack.heard import Who
from assent.slack.web import SlackFault, SlackWeb


class Standing(Enum):
    """What Slack says of an account."""

    LIVE = "live"
    NOT_LIVE = "not_live"
    UNHEARD = "unheard"


@dataclass(frozen=True, slots=True)
class Looked:
    """What Slack says of an account, and in words why it is not live."""

    standing: Standing
    why: str = ""


# Slack waits three seconds for an acknowledgement: what takes longer is told as what it is.
LOOK_SECONDS: Final = 1.5
_UNHEARD: Final = "could not be looked up: Slack does not answer"
_NEVER: Final = (
    ("deleted", "is deactivated"),
    ("is_bot", "is a bot's"),
    ("is_app_user", "is an app's"),
    ("is_ultra_restricted", "is a guest's"),
    ("is_restricted", "is a guest's"),
    ("is_stranger", "belongs to another workspace"),
)


def name_of(who: Who) -> str:
    """Return how an account is named in records and in operators.yaml."""
    return f"{who.team}/{who.user}"


def operator_of(policy: Policy, who: Who) -> Operator | None:
    """Return the operator of the loaded policy who is declared with this account, or None."""
    name = name_of(who)
    return next((operator for operator in policy.operators() if operator.identities.get(SLACK) == name), None)


async def look_at(web: SlackWeb, who: Who, *, team: str) -> Looked:
    """Return what Slack says of an account now; only an account of `team` can be live."""
    if who.team != team:
        return Looked(Standing.NOT_LIVE, "belongs to another workspace")
    try:
        answered = await asyncio.wait_for(web.call("users.info", user=who.user), LOOK_SECONDS)
    except TimeoutError:
        return Looked(Standing.UNHEARD, _UNHEARD)
    except SlackFault as fault:
        if fault.said in {"user_not_found", "user_not_visible"}:
            return Looked(Standing.NOT_LIVE, "is not known to Slack")
        return Looked(Standing.UNHEARD, _UNHEARD)
    return _judged(answered.get("user") or {}, team)


def _judged(user: dict[str, Any], team: str) -> Looked:
    for flag, why in _NEVER:
        if user.get(flag) is not False and flag in user:
            return Looked(Standing.NOT_LIVE, why)
    if user.get("team_id") != team or "deleted" not in user:
        return Looked(Standing.NOT_LIVE, "belongs to another workspace")
    return Looked(Standing.LIVE)
