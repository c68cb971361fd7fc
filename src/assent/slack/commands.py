"""What somebody types. No yes is given here, because nothing is in sight here."""

from typing import Final

from assent.core import patterns
from assent.core.approvals import OPEN
from assent.core.breakers import Scope
from assent.core.reasons import Reason
from assent.core.rendering import spelled_out
from assent.flows.authenticate import OperatorCaller
from assent.flows.broker import Broker
from assent.flows.link_account import type_code
from assent.flows.resolve_approval import list_mine, show_approval
from assent.flows.trip_breaker import trip
from assent.slack import dialogs, stopped
from assent.slack.accounts import Standing, name_of
from assent.slack.cards import carried
from assent.slack.heard import Typed, Who
from assent.slack.view import Heeded
from assent.slack.web import SlackFault, SlackWeb
from assent.slack.who import Door, why_not_live

HELP: Final = (
    "pending: what waits for you · show CODE: one of them · deny CODE: say no, and why · trip agent:NAME, tool:NAME"
    " or env:NAME, and why: stop it now · link CODE: confirm that this account is yours, with a code from the console."
    " To approve, press the button of the card: what will run must be in sight."
)
MOST_LISTED: Final = 15
LINKING: Final = 2
_STATES: Final = tuple(sorted(OPEN))
_DIMENSIONS: Final = {"agent": "agent", "tool": "tool", "env": "environment", "environment": "environment"}


class Commands:
    """The slash command."""

    def __init__(self, broker: Broker, web: SlackWeb, door: Door, *, runbook: str = "") -> None:
        self._broker = broker
        self._runbook = runbook
        self._web = web
        self._door = door

    async def typed(self, typed: Typed) -> Heeded:
        """Return what is said to who typed."""
        if len(typed.words) == LINKING and typed.words[0] == "link":
            return await self._link(typed.who, typed.words[1])
        caller = await self._door.operator(typed.who)
        if isinstance(caller, Reason):
            return Heeded(said=f"{caller.message}.")
        match typed.words:
            case ("pending",):
                return await self._pending(caller)
            case ("show", code):
                return await self._show(caller, code)
            case ("deny", code):
                return await self._deny(caller, code, typed.trigger)
            case ("trip", what, *why):
                return await self._trip(caller, what, " ".join(why))
        return Heeded(said=HELP)

    async def _link(self, who: Who, code: str) -> Heeded:
        """Link the account at which a code was typed; what a stranger types is on record too."""
        looked = await self._door.looked_at(who)
        if looked.standing is Standing.UNHEARD:
            return Heeded(said=f"Not linked: this account {looked.why}. The code stays good: type it again.")
        linked = await type_code(self._broker, account=name_of(who), code=code, barred=why_not_live(looked))
        if isinstance(linked, Reason):
            return Heeded(said=f"Not linked: {linked.message}.")
        return Heeded(said=f"Linked: what you press here counts as `linked` for {spelled_out(linked.id)} from now on.")

    async def _pending(self, caller: OperatorCaller) -> Heeded:
        listed = await list_mine(self._broker, caller, _STATES, limit=MOST_LISTED)
        lines = [
            f"{seen.approval.code}  {seen.approval.agent}: {seen.approval.tool} in {seen.approval.environment}"
            for seen in listed.items
        ]
        return Heeded(said="\n".join(lines) or "Nothing waits for you.")

    async def _show(self, caller: OperatorCaller, code: str) -> Heeded:
        seen = await show_approval(self._broker, caller, code)
        approval, action = seen.approval, seen.action
        mine = "you can answer it on its card" if seen.why_not_me is None else f"you cannot: {seen.why_not_me.message}"
        what = f"{approval.code} ({approval.state}): {approval.agent} wants {approval.tool} at {action.resource}"
        return Heeded(said=f"{spelled_out(what)}; {mine}.")

    async def _deny(self, caller: OperatorCaller, code: str, trigger: str) -> Heeded:
        """Open the dialog of a denial; what is sent with it is looked at like that of a card."""
        approval = (await show_approval(self._broker, caller, code)).approval
        try:
            await self._web.call("views.open", trigger_id=trigger, view=dialogs.deny(approval.code, carried(approval)))
        except SlackFault as fault:
            return Heeded(said=f"Slack did not open the dialog ({fault.said}). Type it again, or use the command line.")
        return Heeded()

    async def _trip(self, caller: OperatorCaller, what: str, why: str) -> Heeded:
        dimension, _, name = what.partition(":")
        if dimension not in _DIMENSIONS or not name:
            return Heeded(said=f"Name what to stop. {HELP}")
        if dimension == "tool" and (wrong := patterns.fault(name, patterns.TOOL_SEPARATOR)) is not None:
            return Heeded(said=f"{spelled_out(name)} is no pattern of tools: {wrong}.")
        scope = Scope(**{_DIMENSIONS[dimension]: name})
        tripped = await trip(self._broker, caller, scope, reason=why)
        return Heeded(said=stopped.text_of(tripped), runbook=self._runbook)
