"""Alerts of breakers in Slack: one message for each, inert as every card, and never a second one for the same record.

The message carries the id of the alert's record as metadata. Whenever nobody knows whether an alert arrived before
(this process has just begun, or the last post broke) it is looked for first. What may pass by every person on call, a
page or a trip by hand on the ledger, is told in person to everybody who may trip breakers as well.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from assent.core.alerts import Alert, Severity
from assent.core.operators import Operator, Permission
from assent.core.rendering import spelled_out
from assent.logs import EventLog
from assent.slack import blocks
from assent.slack.blocks import Block, Part, words
from assent.slack.channel import LOOK_BACK_SECONDS, MOST_LOOKED_AT, accounts
from assent.slack.stopped import runbook_lines
from assent.slack.web import SlackFault, SlackWeb

log = EventLog("assent.slack")

ANSWER_SECONDS: Final = 9.0
MAX_REASON_CHARACTERS: Final = 1_000
MAX_TOLD_IN_PERSON: Final = 50
EVENT: Final = "assent_alert"


@dataclass(frozen=True, slots=True)
class Workspace:
    """The workspace that the broker is connected to."""

    web: SlackWeb
    team: str


class SlackAlerts:
    """Tells alerts in one channel; `workspace` is None while there is no connection, `people` are all operators."""

    name: Final = "alerts:slack"

    def __init__(
        self,
        workspace: Callable[[], Workspace | None],
        people: Callable[[], Sequence[Operator]],
        *,
        room: str,
        runbook: str,
    ) -> None:
        self._workspace = workspace
        self._people = people
        self._room = room
        self._runbook = runbook
        self._is_sure = False

    async def alert(self, alert: Alert) -> bool:
        """Post `alert`, unless it stands there; return whether it does."""
        workspace = self._workspace()
        if workspace is None:
            return False
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._tell(workspace, alert)
        except SlackFault as fault:
            self._is_sure = False
            log.warning("alert_refused_by_slack", said=fault.said, method=fault.method, hint=fault.hint)
            return False
        except TimeoutError:
            self._is_sure = False
            return False
        self._is_sure = True
        return True

    async def _tell(self, workspace: Workspace, alert: Alert) -> None:
        if not self._is_sure and await self._is_there(workspace.web, alert):
            return
        message = message_of(alert, self._runbook)
        if alert.severity is Severity.PAGE or alert.by_hand:
            # First in person: whoever finds the alert in the channel need not ask who else knows.
            await self._tell_in_person(workspace, message)
        await workspace.web.call("chat.postMessage", channel=self._room, **message)

    async def _is_there(self, web: SlackWeb, alert: Alert) -> bool:
        oldest = f"{datetime.fromisoformat(alert.at).timestamp() - LOOK_BACK_SECONDS:.6f}"
        found = await web.call(
            "conversations.history",
            channel=self._room,
            oldest=oldest,
            limit=MOST_LOOKED_AT,
            include_all_metadata=True,
        )
        return any(_record_of(message) == alert.id for message in found["messages"])

    async def _tell_in_person(self, workspace: Workspace, message: dict[str, Any]) -> None:
        people = [person for person in self._people() if person.may(Permission.BREAKERS_TRIP)]
        users = list(accounts(people, workspace.team).values())[:MAX_TOLD_IN_PERSON]
        told = await asyncio.gather(*(_told(workspace.web, user, message) for user in users))
        if not all(told):
            log.warning("alert_not_told_in_person", told=sum(told), of=len(users))


async def _told(web: SlackWeb, user: str, message: dict[str, Any]) -> bool:
    try:
        opened = await web.call("conversations.open", users=user)
        await web.call("chat.postMessage", channel=str(opened["channel"]["id"]), **message)
    except SlackFault:
        return False
    return True


def _record_of(message: dict[str, Any]) -> object:
    metadata = message.get("metadata") or {}
    return (metadata.get("event_payload") or {}).get("record") if metadata.get("event_type") == EVENT else None


def message_of(alert: Alert, runbook: str) -> dict[str, Any]:
    """Return the message: what happened in one line, then who, why, what it cut off, and where the runbook is."""
    return {
        "text": blocks.inert(spelled_out(alert.text)),
        "blocks": _blocks(alert, runbook),
        "metadata": {"event_type": EVENT, "event_payload": {"record": alert.id, "breaker": alert.breaker}},
        "unfurl_links": False,
        "unfurl_media": False,
    }


def _blocks(alert: Alert, runbook: str) -> list[Block]:
    return [
        blocks.header(spelled_out(alert.headline)),
        blocks.facts(f"{alert.id}:facts", {name: spelled_out(value) for name, value in _facts(alert).items()}),
        blocks.rich(f"{alert.id}:why", *_why(alert, runbook)),
    ]


def _facts(alert: Alert) -> dict[str, str]:
    named = {
        "By": alert.by,
        "State": alert.state,
        "Cut off": str(alert.cancelled) if alert.tells_of_trip else "",
        "Still running": str(alert.running) if alert.tells_of_trip else "",
        "Done by hand": alert.by_hand,
        "Breaker": alert.breaker,
        "Policy": alert.policy,
    }
    return {name: value for name, value in named.items() if value}


def _why(alert: Alert, runbook: str) -> list[Part]:
    found: list[Part] = []
    if alert.severity is Severity.PAGE:
        found.append(
            blocks.line(blocks.everybody_here(), words(" many agents at once: this is one incident", bold=True))
        )
    if alert.reason:
        found.append(blocks.quote(blocks.cut(spelled_out(alert.reason), MAX_REASON_CHARACTERS)))
    if alert.cut_off_elsewhere:
        elsewhere = blocks.cut(spelled_out(alert.cut_off_elsewhere), MAX_REASON_CHARACTERS)
        found.append(blocks.line(words("Cut it off elsewhere: ", bold=True), words(elsewhere)))
    return found if alert.policy else [*found, *runbook_lines(runbook)]
