"""The way in from Slack: what somebody did becomes an act of an operator, or is refused with the exact reason.

    heeded = await callbacks.hear(heard)     # then acknowledge, if `heeded.taken`, with `heeded.payload`

Committed first, acknowledged then: a click that could not be stored is not acknowledged, and the person is told so.
"""

from collections.abc import Callable
from typing import Any, Final, assert_never

from assent.core.approvals import ApprovalState
from assent.core.breakers import Scope
from assent.core.errors import AssentError, Forbidden, HeldNotDurable, LedgerUnavailable, NotFound, PolicyBehind
from assent.core.operators import Assurance
from assent.core.reasons import Reason
from assent.flows.authenticate import OperatorCaller
from assent.flows.broker import Broker
from assent.flows.resolve_approval import Resolved, approve_action, deny_action, revoke_approval, show_approval
from assent.flows.trip_breaker import trip
from assent.slack import dialogs, stopped
from assent.slack.accounts import name_of
from assent.slack.commands import Commands
from assent.slack.heard import Carried, Heard, HomeOpened, Pressed, Submitted, Typed
from assent.slack.home_tabs import HomeTabs
from assent.slack.view import Form, Heeded, More, Press
from assent.slack.web import SlackFault, SlackWeb
from assent.slack.who import TOO_FAST, Acting, Door

NOT_RECORDED: Final = "Not recorded: the broker could not store it. Try again, or use `assent approvals`."
NOT_COUNTED: Final = "Not counted"
TAKING_UP: Final = "Not counted: this broker is taking up another policy. Press again in a moment."
HOW_TO_LINK: Final = (
    "To link this account, sign in at the console, ask for a code under your name, and type `/assent link CODE` here."
)


class Callbacks:
    """Hears what people do in one workspace; `app` is the id of our app there, `team` the workspace's.

    `runbook` is where people read what to do after a stop.
    """

    def __init__(
        self,
        broker: Broker,
        web: SlackWeb,
        *,
        team: str,
        app: str,
        now_seconds: Callable[[], float],
        runbook: str = "",
    ) -> None:
        self._broker = broker
        self._runbook = runbook
        self._web = web
        self._app = app
        self._door = Door(broker, web, team=team)
        self._commands = Commands(broker, web, self._door, runbook=runbook)
        self.home_tabs = HomeTabs(broker, web, self._door, now_seconds=now_seconds)

    async def hear(self, heard: Heard) -> Heeded:
        """Return what became of it. Never raises: what went wrong was not taken, and its person is told so."""
        try:
            return await self._heeded(heard)
        except HeldNotDurable as fault:
            return self._held(heard, f"{fault.message}; {fault.hint}.")
        except PolicyBehind:
            return Heeded(taken=False, said=TAKING_UP)
        except LedgerUnavailable:
            return Heeded(taken=False, said=NOT_RECORDED)
        except (NotFound, Forbidden) as fault:
            return Heeded(said=f"{NOT_COUNTED}: {fault.message}.")
        except AssentError as fault:
            return Heeded(taken=False, said=f"{NOT_RECORDED} ({fault.code})")

    async def _heeded(self, heard: Heard) -> Heeded:
        if heard.app != self._app:
            return Heeded(said="This does not come from a card of this broker.")
        if self._door.is_too_fast(heard.who):
            self._broker.unrecorded.count(name_of(heard.who))
            return Heeded(said=f"{NOT_COUNTED}: {TOO_FAST}.")
        match heard:
            case Pressed():
                return await self._pressed(heard)
            case Submitted():
                return await self._submitted(heard)
            case Typed():
                return await self._commands.typed(heard)
            case HomeOpened():
                await self.home_tabs.opened(heard.who)
                return Heeded()
        assert_never(heard)

    async def _pressed(self, pressed: Pressed) -> Heeded:
        carried = pressed.carried
        if carried is None:
            return Heeded()
        place = f"{pressed.channel}/{pressed.message_ts}"
        acting = await self._door.let_in(pressed.who, carried, act=_act_of(pressed), place=place)
        if isinstance(acting, Reason):
            return Heeded(said=f"{NOT_COUNTED}: {acting.message}.")
        if pressed.press is Press.APPROVE:
            return await self._approve(acting, carried)
        if pressed.more is More.WHY_NOT_ME:
            return await self._who_can(acting)
        return await self._open(pressed, acting, carried)

    async def _approve(self, acting: Acting, carried: Carried, comment: str = "") -> Heeded:
        resolved = await approve_action(
            self._broker, acting.caller, carried.approval, digest_prefix=carried.digest, comment=comment
        )
        how = _how_to_link(resolved, acting.caller)
        return Heeded(said=f"{_refusal(resolved)} {how}".strip() or _counted(resolved))

    async def _who_can(self, acting: Acting) -> Heeded:
        shown = await show_approval(self._broker, acting.caller, acting.about.approval.id)
        mine = "You can answer this." if shown.why_not_me is None else f"You cannot: {shown.why_not_me.message}."
        return Heeded(said=f"{mine} {_who(shown.who)}")

    async def _open(self, pressed: Pressed, acting: Acting, carried: Carried) -> Heeded:
        view = _dialog(pressed, acting, carried)
        try:
            await self._web.call("views.open", trigger_id=pressed.trigger, view=view)
        except SlackFault as fault:
            return Heeded(said=f"Slack did not open the dialog ({fault.said}). Press again, or use the command line.")
        return Heeded()

    async def _submitted(self, submitted: Submitted) -> Heeded:
        carried = submitted.carried
        if carried is None:
            return Heeded()
        act = submitted.form.value.rpartition(".")[2]
        acting = await self._door.let_in(submitted.who, carried, act=act, place=None)
        if isinstance(acting, Reason):
            return _in_dialog(dialogs.REASON, f"{NOT_COUNTED}: {acting.message}.")
        reason = submitted.answers.get(dialogs.REASON, "")
        match submitted.form:
            case Form.DENY:
                return await self._deny(acting, submitted.answers.get(dialogs.CATEGORY, ""), reason)
            case Form.TRIP:
                return await self._trip(acting, submitted.answers.get(dialogs.SCOPE, ""), reason)
            case Form.COMMENT:
                return _kept_open((await self._approve(acting, carried, reason)).said)
            case Form.REVOKE:
                approval = acting.about.approval.id
                return _kept_open(_refusal(await revoke_approval(self._broker, acting.caller, approval, reason=reason)))
        assert_never(submitted.form)

    async def _deny(self, acting: Acting, choice: str, reason: str) -> Heeded:
        try:
            category, and_trip = dialogs.category_chosen(choice)
        except ValueError:
            return _in_dialog(dialogs.CATEGORY, "choose one")
        approval = acting.about.approval
        resolved = await deny_action(self._broker, acting.caller, approval.id, category=category, comment=reason)
        if not and_trip:
            return _kept_open(_refusal(resolved))
        why = reason or f"{approval.code} was denied as malicious"
        tripped = await trip(self._broker, acting.caller, Scope(agent=approval.agent), reason=why)
        first = _refusal(resolved) or f"{approval.code} is denied, nothing was run."
        return self._told(f"{first}\n{stopped.text_of(tripped)}")

    async def _trip(self, acting: Acting, choice: str, reason: str) -> Heeded:
        action = acting.about.action
        scope = dialogs.scope_chosen(choice, agent=action.agent, tool=action.tool, environment=action.environment)
        if scope is None:
            return _in_dialog(dialogs.SCOPE, "choose one")
        return self._told(stopped.text_of(await trip(self._broker, acting.caller, scope, reason=reason)))

    def _held(self, heard: Heard, said: str) -> Heeded:
        if isinstance(heard, Submitted):
            return self._told(said)
        return Heeded(said=said, runbook=self._runbook)

    def _told(self, said: str) -> Heeded:
        """Say it in the place of the dialog that was sent: nobody reads what is said elsewhere."""
        view = stopped.dialog_of(said, self._runbook)
        return Heeded(payload={"response_action": "update", "view": view}, said=said)


def _dialog(pressed: Pressed, acting: Acting, carried: Carried) -> dict[str, Any]:
    code, private, action = acting.about.approval.code, carried.text, acting.about.action
    if pressed.press is Press.DENY:
        return dialogs.deny(code, private)
    if pressed.press is Press.REVOKE:
        return dialogs.revoke(code, private)
    if pressed.more is More.COMMENT:
        return dialogs.comment(code, private)
    return dialogs.trip(dialogs.scopes_of(action.agent, action.tool, action.environment), private)


def _act_of(pressed: Pressed) -> str:
    return pressed.more.value if pressed.more is not None else pressed.press.value.rpartition(".")[2]


def _refusal(resolved: Resolved) -> str:
    if resolved.refused is None:
        return ""
    return f"{NOT_COUNTED}: {resolved.refused.message}. {_who(resolved.who)}".strip()


def _how_to_link(resolved: Resolved, caller: OperatorCaller) -> str:
    """Return what somebody may do whose account counts for too little, as long as a link would be enough."""
    least = min(route.assurance for route in resolved.approval.routes)
    wants_more = resolved.refused is not None and resolved.refused.code == "step_up_required"
    return HOW_TO_LINK if wants_more and caller.assurance < Assurance.LINKED and least <= Assurance.LINKED else ""


def _counted(resolved: Resolved) -> str:
    approval = resolved.approval
    if approval.state is ApprovalState.PARTIAL:
        return f"Your yes counts; {approval.code} needs more. {_who(resolved.who)}"
    return ""


def _who(who: tuple[str, ...]) -> str:
    return f"Who can: {', '.join(who)}." if who else "Nobody can any more."


def _kept_open(said: str) -> Heeded:
    """Say a refusal inside the dialog, where it is read, and keep it open."""
    return _in_dialog(dialogs.REASON, said) if said.startswith(NOT_COUNTED) else Heeded(said=said)


def _in_dialog(question: str, said: str) -> Heeded:
    return Heeded(payload={"response_action": "errors", "errors": {question: said}}, said=said)
