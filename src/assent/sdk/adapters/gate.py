"""A framework's call of a tool as an action of the broker: what is asked, what runs, what the model reads instead.

The argument for calling a body, in order: (1) it is called in one place of this file, inside an action that began: the
broker allowed these arguments to this attempt, moments ago; (2) whatever a framework says about approval is not looked
at, so nobody can say it for the broker; (3) every error while asking ends as `NotRun`, and whatever is no `Exception`
(a cancellation, Ctrl-C) goes on as it is: neither reaches the body.
"""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, cast

from assent.core.canonical import Json
from assent.core.errors import AssentError
from assent.sdk import calls, given
from assent.sdk.action import Plan
from assent.sdk.asking import ask_of, frozen
from assent.sdk.client import Assent, AsyncAssent, link_of
from assent.sdk.decisions import Decision
from assent.sdk.errors import ApprovalPending, ConfigurationError
from assent.sdk.guard import complete, refuse_token
from assent.sdk.steps import drive_async
from assent.sdk.trouble import log_event

if TYPE_CHECKING:
    from assent.sdk.messages import Ask

T = TypeVar("T")
Arguments: TypeAlias = dict[str, Json]
_KEPT_CHARACTERS: Final = 160  # of a framework's own id; the broker takes 255 for the whole
_DIGEST_CHARACTERS: Final = 24
_AHEAD: Final = 50
_AHEAD_SECONDS: Final = 60.0  # a framework that has not begun a call by then may never do


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a tool by a model.

    `run_id` is the framework's own durable id (thread, session), None for the run that this context is in. `id` is the
    call's own id, given only where the framework keeps it while it pauses: it makes the call one action for ever.
    `arguments` is a mapping, or canonical bytes.
    """

    tool: str
    arguments: Mapping[str, Any] | bytes
    run_id: str | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class NotRun:
    """The body was not called. `message` is what the model reads; `pending` is there while a person is asked."""

    message: str
    pending: ApprovalPending | None = None

    @property
    def notice(self) -> dict[str, str | None]:
        """What a framework shows of a pause: plain values, for it to keep."""
        told = self.pending
        if told is None:
            return {}
        return {"action_id": told.action_id, "tool": told.tool, "code": told.approval_code, "url": told.url}


class Failed(Exception):
    """What a body raises where the tool failed and its framework has made of that what the model is to get: `told`."""

    def __init__(self, told: Any) -> None:
        super().__init__()
        self.told = told


class Gate:
    """The way of one set of tools through one client, sync or async as the framework calls them.

    `names` maps a tool's name in the framework to its name in the catalogue. `wait`: seconds that a call is held for a
    person, None until the approval ends, 0 not at all.
    """

    def __init__(
        self,
        broker: Assent | AsyncAssent,
        *,
        names: Mapping[str, str] | None = None,
        wait: float | None = None,
        reason: str | None = None,
    ) -> None:
        if not isinstance(broker, Assent | AsyncAssent):
            raise ConfigurationError("what should ask is no client", hint="give `Assent()` or `AsyncAssent()`")
        self._link = link_of(broker)
        self._names = dict(names or {})
        self._wait = given.seconds("wait", wait)
        self._reason = given.text_or_none("reason", reason)
        # What was asked ahead of its body, and when.
        self._ahead: dict[tuple[str | None, str | None], tuple[float, Decision | None]] = {}

    def name_of(self, tool: str) -> str:
        """Return a tool's name in the catalogue; one that is not mapped is asked for as it is."""
        return self._names.get(tool, tool)

    def run(self, call: Call, body: Callable[[Arguments], T]) -> T | NotRun:
        """Return what `body` makes of the frozen arguments, or why it was not called; what it raises comes out."""
        try:
            with ExitStack() as stack:
                try:
                    action = stack.enter_context(self._link.action(Plan(ask=self._ask(call), wait=self._wait)))
                    refuse_token(action.token, call.tool)
                    arguments = action.arguments
                except Exception as fault:  # noqa: BLE001  # (3) whatever kept us from asking keeps the body from running
                    return not_run(call.tool, fault)
                return complete(body(arguments), call.tool)
        except Failed as failed:
            return cast("T", failed.told)

    async def run_async(self, call: Call, body: Callable[[Arguments], Awaitable[T]]) -> T | NotRun:
        """Do the same on the event loop."""
        try:
            async with AsyncExitStack() as stack:
                try:
                    action = await stack.enter_async_context(self._link.async_action(self._plan(call)))
                    refuse_token(action.token, call.tool)
                    arguments = action.arguments
                except Exception as fault:  # noqa: BLE001  # (3) as above
                    return not_run(call.tool, fault)
                return complete(await body(arguments), call.tool)
        except Failed as failed:
            return cast("T", failed.told)

    async def waits(self, call: Call) -> bool:
        """Whether a person is asked about `call`, for frameworks that pause before they call a tool; runs nothing.

        False where nobody could say, or more calls are allowed and not begun than the broker keeps grants for: the body
        is asked for again, and that is what decides.
        """
        if self._is_far_ahead():
            return False
        try:
            asked = self._ask(call)
        except ConfigurationError:
            return False
        key = (asked.run_id, asked.call_id)
        self._ahead[key] = (time.monotonic(), None)
        try:
            steps = calls.request(self._link.state, asked, wait=self._wait)
            decision = await drive_async(steps, self._link.perform_async)
        except Exception as fault:  # noqa: BLE001  # the question before the body tells it
            log_event("could_not_ask_ahead", tool=call.tool, error=type(fault).__name__)
            decision = None
        if decision is not None and decision.grant is not None:
            self._ahead[key] = (time.monotonic(), decision)
        else:
            self._ahead.pop(key, None)
        return decision is not None and decision.is_pending

    def _is_far_ahead(self) -> bool:
        if len(self._ahead) >= _AHEAD:
            self._ahead = {key: one for key, one in self._ahead.items() if time.monotonic() - one[0] < _AHEAD_SECONDS}
        return len(self._ahead) >= _AHEAD

    def _plan(self, call: Call) -> Plan:
        asked = self._ask(call)
        _, ahead = self._ahead.pop((asked.run_id, asked.call_id), (0, None))
        if ahead is None or ahead.arguments != asked.arguments:
            return Plan(ask=asked, wait=self._wait)
        # What was allowed ahead has a grant: redeeming it asks again whether breakers let it, and spends it.
        return Plan(decision=ahead, wait=self._wait)

    def _ask(self, call: Call) -> "Ask":
        name = self.name_of(call.tool)
        arguments = call.arguments if isinstance(call.arguments, bytes) else frozen(name, call.arguments)
        call_id = call_id_of(call, arguments) if call.id else None
        return ask_of(name, arguments, reason=self._reason, run_id=call.run_id or None, call_id=call_id)


def call_id_of(call: Call, arguments: bytes) -> str:
    """Return what names one call with these arguments: the framework's id, and a digest of what is called with what.

    So the same id with other arguments is another action, which asks anew.
    """
    spelled = "\0".join((call.id or "", call.tool)).encode() + b"\0" + arguments
    return f"{(call.id or '')[:_KEPT_CHARACTERS]}.{sha256(spelled).hexdigest()[:_DIGEST_CHARACTERS]}"


def was_decided(framework_id: str, decided: Sequence[str | None]) -> bool:
    """Whether a call of the framework's id is among the `call_id`s of what was decided."""
    kept = framework_id[:_KEPT_CHARACTERS]
    return any(one is not None and one.rpartition(".")[0] == kept for one in decided)


def not_run(tool: str, fault: Exception) -> NotRun:
    """Return what the model reads about a call that ended in `fault` before its body."""
    message = getattr(fault, "model_message", None)
    if isinstance(message, str):
        return NotRun(message, fault if isinstance(fault, ApprovalPending) else None)
    # A mistake in the program, or in the arguments: whoever keeps the agent has to see it.
    log_event(
        "tool_not_run", tool=tool, error=type(fault).__name__, why=fault if isinstance(fault, AssentError) else ""
    )
    said = str(fault) if isinstance(fault, AssentError) else "the broker could not be asked"
    return NotRun(f"`{tool}` did not run: {said}; do not retry, tell who you work for")


def refuse_unguarded(what: str, how: str, *, strict: bool) -> None:
    """Refuse a tool that cannot be put behind the broker, or let it through unbrokered and say so in the log.

    Raises:
        ConfigurationError: in strict mode.

    """
    if strict:
        raise ConfigurationError(f"{what} cannot be put behind the broker", hint=f"{how}; or give strict=False")
    log_event("unbrokered_tool", tool=what)
