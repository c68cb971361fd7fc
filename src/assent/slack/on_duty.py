"""Who is on duty: the members of the user groups that routes name, asked of Slack now and then.

It chooses who is told, never who may answer. A group about which Slack does not answer is forgotten at once, and then
everybody of the group in operators.yaml is told.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from assent.core.deliveries import user_groups
from assent.flows.broker import Broker
from assent.logs import EventLog
from assent.slack.web import SlackFault, SlackWeb

log = EventLog("assent.slack")

LOOK_EACH_SECONDS: Final = 60.0
# Sockets and the token are looked after in the same round, so this is short.
LOOK_SECONDS: Final = 1.5


class DutyWatch:
    """Keeps a broker's `on_duty` current while Slack answers."""

    def __init__(self, broker: Broker, *, now_seconds: Callable[[], float]) -> None:
        self._broker = broker
        self._now_seconds = now_seconds
        self._looked_at: float | None = None
        self._looked_for: frozenset[str] = frozenset()

    async def look(self, web: SlackWeb) -> None:
        """Ask Slack once a minute, and at once for a group that nobody asked about before."""
        named = user_groups(self._broker.policy().all_routes())
        self._broker.on_duty.only(named)
        now = self._now_seconds()
        is_due = self._looked_at is None or now - self._looked_at >= LOOK_EACH_SECONDS
        wanted = named if is_due else named - self._looked_for
        if is_due:
            self._looked_at = now
        self._looked_for = named
        for group in sorted(wanted):
            await self._ask(web, group)

    def forget(self) -> None:
        """Forget everybody, because Slack is away."""
        self._broker.on_duty.only(())
        self._looked_at = None

    async def _ask(self, web: SlackWeb, group: str) -> None:
        try:
            self._broker.on_duty.heard(group, await members_of(web, group))
        except SlackFault as fault:
            self._broker.on_duty.unheard(group)
            log.warning("slack_group_unheard", group=group, said=fault.said)


async def members_of(web: SlackWeb, group: str) -> frozenset[str]:
    """Return the accounts in a user group now. Raises SlackFault, also when Slack takes too long."""
    try:
        answered = await asyncio.wait_for(web.call("usergroups.users.list", usergroup=group), LOOK_SECONDS)
    except TimeoutError:
        raise SlackFault("usergroups.users.list", "no answer in time") from None
    users = answered.get("users")
    if not isinstance(users, list) or not all(isinstance(user, str) for user in users):
        raise SlackFault("usergroups.users.list", "an answer that is none")
    return frozenset(users)
