"""Home tabs: drawn when somebody opens theirs, and again while they may still look at what stands otherwise by now.

Nothing can be pressed there, so an old one misleads and does no more; it says as of when it is. Who opened theirs
lately is remembered by this process alone.
"""

import contextlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from assent.core.approvals import OPEN
from assent.core.breakers import denies
from assent.core.errors import AssentError
from assent.core.operators import Assurance, Permission
from assent.flows.authenticate import OperatorCaller
from assent.flows.broker import Broker
from assent.flows.resolve_approval import list_mine
from assent.flows.trip_breaker import list_breakers
from assent.ports import View
from assent.slack.heard import Who
from assent.slack.home import MAX_LISTED, Inbox, home
from assent.slack.web import SlackFault, SlackWeb
from assent.slack.who import Door

REMEMBERED: Final = 30
REMEMBERED_SECONDS: Final = 3_600.0
LOOK_EACH_SECONDS: Final = 10.0
_NO_TIME: Final = datetime.fromtimestamp(0, UTC)
_STATES: Final = tuple(sorted(OPEN))


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What stands on somebody's tab, and until when it is kept current."""

    shown: dict[str, Any]
    until: float


class HomeTabs:
    """The home tabs of one workspace."""

    def __init__(self, broker: Broker, web: SlackWeb, door: Door, *, now_seconds: Callable[[], float]) -> None:
        self._broker = broker
        self._web = web
        self._door = door
        self._now_seconds = now_seconds
        self._drawn: OrderedDict[Who, _Drawn] = OrderedDict()
        self._looked_at = 0.0

    async def opened(self, who: Who) -> None:
        """Draw the tab of somebody who looks at it, and keep it current for an hour."""
        await self._draw(who, until=self._now_seconds() + REMEMBERED_SECONDS)

    async def look(self) -> None:
        """Draw anew what stands otherwise by now, looking every ten seconds. Never raises."""
        now = self._now_seconds()
        if now - self._looked_at < LOOK_EACH_SECONDS:
            return
        self._looked_at = now
        for who, drawn in list(self._drawn.items()):
            if now >= drawn.until:
                del self._drawn[who]
                continue
            with contextlib.suppress(AssentError):
                if await self._is_old(who, drawn):
                    await self._draw(who, until=drawn.until)

    async def _is_old(self, who: Who, drawn: _Drawn) -> bool:
        # Slack is asked about the account when there is something to draw, not before.
        caller = await self._door.declared(who)
        return _shown(await self._inbox(caller if isinstance(caller, OperatorCaller) else None)) != drawn.shown

    async def _draw(self, who: Who, *, until: float) -> None:
        caller = await self._door.operator(who)
        inbox = await self._inbox(caller if isinstance(caller, OperatorCaller) else None)
        try:
            await self._web.call("views.publish", user_id=who.user, view=home(inbox))
        except SlackFault:
            return  # it is drawn again when it is opened again, or at the next look
        self._drawn.pop(who, None)
        if inbox.operator is not None:
            self._drawn[who] = _Drawn(_shown(inbox), until)
        while len(self._drawn) > REMEMBERED:
            self._drawn.popitem(last=False)

    async def _inbox(self, caller: OperatorCaller | None) -> Inbox:
        if caller is None or not caller.operator.may(Permission.APPROVALS_READ):
            return Inbox(
                operator=None if caller is None else caller.operator.id,
                is_linked=caller is not None and caller.assurance >= Assurance.LINKED,
                waiting=(),
                stopped=(),
                now=await self._now(),
            )
        listed = await list_mine(self._broker, caller, _STATES, limit=MAX_LISTED)
        may_look = caller.operator.may(Permission.BREAKERS_TRIP) or caller.operator.may(Permission.AUDIT_READ)
        breakers = await list_breakers(self._broker, caller) if may_look else ()
        return Inbox(
            operator=caller.operator.id,
            is_linked=caller.assurance >= Assurance.LINKED,
            waiting=[seen.approval for seen in listed.items],
            stopped=[breaker for breaker in breakers if denies(breaker)],
            now=await self._now(),
        )

    async def _now(self) -> datetime:
        async def work(view: View) -> datetime:
            return view.now

        return await self._broker.ledger.read(work)


def _shown(inbox: Inbox) -> dict[str, Any]:
    return home(replace(inbox, now=_NO_TIME))
