"""One action from the ask to its outcome, as a context manager: the body runs inside or not at all.

Rules kept here: only a normal exit is `succeeded`; an exception is `failed` with its type's name and nothing it says;
what interrupts from outside (Ctrl-C, exit, cancellation, a closed generator) is `unknown`. Reporting never hides the
body's own result or exception. The process that began an action is the one that reports it.
"""

import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, cast

from assent.core.canonical import BadJson, Json, Jsonable, canonical, load, sha256_hex
from assent.sdk import calls
from assent.sdk.decisions import Decision
from assent.sdk.errors import ActionDenied, AlreadyExecuted, ConfigurationError
from assent.sdk.messages import Ask, OutcomeReport
from assent.sdk.state import ClientState, new_secret
from assent.sdk.steps import Answer, Step, Steps, drive, drive_async
from assent.sdk.tracing import ToolSpan, traceparent
from assent.sdk.trouble import log_event

if TYPE_CHECKING:
    from assent.sdk.stopping import AsyncListener, Listener, OnStop, Stopped

NOT_RUN: Final = "not_run"
LAST_WORD_TRIES: Final = 1  # an interrupted process does not wait long to say so


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What an action is to be: an ask of its own, or a decision that was made before (`ask` is None then)."""

    ask: Ask | None = None
    decision: Decision | None = None
    wait: float | None = None
    on_stop: "OnStop | None" = None

    @property
    def tool(self) -> str | None:
        """The tool, where it is known."""
        return self.ask.tool if self.ask is not None else self.decision.tool if self.decision is not None else None


class _AnyAction:
    """What the sync and the async action share; everything but who waits."""

    def __init__(self, state: ClientState, plan: Plan) -> None:
        self._state = state
        self._plan = plan
        self._claimed: calls.Claimed | None = None
        self._began = 0.0
        self._pid = 0
        self._result_digest: str | None = None
        self._span = ToolSpan()

    @property
    def id(self) -> str:
        """The action's id at the broker."""
        return self._running().action_id

    @property
    def arguments(self) -> dict[str, Json]:
        """A fresh copy of the frozen arguments: what was judged, and shown to whoever approved."""
        # An object: `_frozen` or `freeze` made it, or the redemption was compared with it.
        return cast("dict[str, Json]", load(self._running().arguments))

    @property
    def command(self) -> tuple[str, ...]:
        """The argument vector that the catalogue made of the arguments; empty where the tool is no program."""
        return self._running().command

    @property
    def token(self) -> str | None:
        """The grant for the tool's own service to redeem, None when this process runs the action itself."""
        return self._running().token

    def set_result(self, value: Jsonable) -> None:
        """Report the SHA-256 of the canonical `value` with the outcome; the value itself stays here.

        A value without a JSON form has no digest, which is logged: raising here would call a run failed that was not.
        """
        try:
            self._result_digest = sha256_hex(canonical(value))
        except BadJson as fault:
            log_event("result_without_digest", action=self.id, why=fault.message)

    def _running(self) -> calls.Claimed:
        if self._claimed is None:
            raise ConfigurationError("the action has not begun", hint="use it inside `with`")
        return self._claimed

    def _begin(self) -> Steps[None]:
        if self._claimed is not None or self._pid:
            raise ConfigurationError("an action runs once", hint="ask for a new one")
        self._pid = os.getpid()
        # Attempt and idempotency key are born here, in the process and try that uses them.
        ask = self._plan.ask
        self._span.begin(self._plan.tool, None if ask is None else ask.call_id)
        try:
            self._claimed = yield from self._claim(new_secret())
        except BaseException as refused:
            if isinstance(refused, (ActionDenied, AlreadyExecuted)):
                refused.tool = refused.tool or (None if ask is None else ask.tool)
            self._span.end(refused, NOT_RUN)
            raise
        self._span.claimed(self._claimed.action_id)
        self._began = time.monotonic()

    def _claim(self, attempt: str) -> Steps[calls.Claimed]:
        plan, state = self._plan, self._state
        if plan.ask is not None:
            asked = replace(plan.ask, attempt=attempt, idempotency_key=new_secret(), trace=traceparent())
            return (yield from calls.begin(state, asked, wait=plan.wait))
        if plan.decision is None:
            raise AssertionError("a plan has an ask or a decision")
        decision = yield from calls.wait_for(state, plan.decision, wait=plan.wait)
        return (yield from calls.claim(state, decision, attempt=attempt, asked=None, waited=plan.wait != 0))

    def _end(self, fault: BaseException | None) -> Steps[None]:
        try:
            yield from self._report(fault)
        finally:
            self._span.end(fault, status_of(fault))

    def _report(self, fault: BaseException | None) -> Steps[None]:
        outcome = self._outcome(fault)
        if outcome is None:
            return
        try:
            tries = LAST_WORD_TRIES if outcome.status == "unknown" else None
            yield from calls.report(self._state, outcome, tries=tries)
        finally:
            self._release()

    def _outcome(self, fault: BaseException | None) -> OutcomeReport | None:
        """Return what to report; None when that is for somebody else to do: a parent process, the tool's service."""
        claimed = self._running()
        if claimed.attempt is None or self._pid != os.getpid():
            self._release()
            return None
        return OutcomeReport(
            action_id=claimed.action_id,
            attempt=claimed.attempt,
            status=status_of(fault),
            duration_ms=round((time.monotonic() - self._began) * 1000),
            error=None if fault is None else type(fault).__name__,
            result_digest=self._result_digest if fault is None else None,
        )

    def _release(self) -> None:
        calls.release(self._state, self._plan.ask, self._running().action_id)


class Action(_AnyAction):
    """An action for `with`: entering asks, waits and redeems; leaving reports."""

    def __init__(self, state: ClientState, plan: Plan, perform: Callable[[Step], Answer]) -> None:
        super().__init__(state, plan)
        self._perform = perform
        self._listener: Listener | None = None

    @property
    def stopped(self) -> "Stopped":
        """Whether a breaker opened over this action while it runs; asking for it begins to listen."""
        if self._listener is None:
            from assent.sdk.stopping import Listener

            self._listener = Listener(self.id, self._plan.tool, self._perform, self._plan.on_stop)
        return self._listener.stopped

    def __enter__(self) -> Self:
        drive(self._begin(), self._perform)
        if self._plan.on_stop is not None:
            _ = self.stopped
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        if self._listener is not None:
            self._listener.end()
        drive(self._end(fault), self._perform)


class AsyncAction(_AnyAction):
    """An action for `async with`: entering asks, waits and redeems; leaving reports."""

    def __init__(self, state: ClientState, plan: Plan, perform: Callable[[Step], Awaitable[Answer]]) -> None:
        super().__init__(state, plan)
        self._perform = perform
        self._listener: AsyncListener | None = None

    @property
    def stopped(self) -> "Stopped":
        """Whether a breaker opened over this action while it runs; asking for it begins to listen."""
        if self._listener is None:
            from assent.sdk.stopping import AsyncListener

            self._listener = AsyncListener(self.id, self._plan.tool, self._perform, self._plan.on_stop)
        return self._listener.stopped

    async def __aenter__(self) -> Self:
        await drive_async(self._begin(), self._perform)
        if self._plan.on_stop is not None:
            _ = self.stopped
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None
    ) -> None:
        if self._listener is not None:
            self._listener.end()
        if isinstance(fault, GeneratorExit):
            # A coroutine that is being closed may not wait for anything: the outcome goes with the next ask.
            self._leave_to_spool(fault)
            return
        await drive_async(self._end(fault), self._perform)

    def _leave_to_spool(self, fault: BaseException) -> None:
        self._span.end(fault, status_of(fault))
        outcome = self._outcome(fault)
        if outcome is not None:
            self._state.spool.add(outcome)
            self._release()


def status_of(fault: BaseException | None) -> str:
    """Return what a body's end means: only `Exception` says that the tool itself failed."""
    if fault is None:
        return "succeeded"
    # CancelledError, KeyboardInterrupt, SystemExit and GeneratorExit come from outside: nobody knows how far it got.
    return "failed" if isinstance(fault, Exception) else "unknown"
