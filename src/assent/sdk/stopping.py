"""Hearing that an action which runs should stop: a breaker opened over it, or its agent was suspended.

A breaker stops what has not begun. What runs goes on, unless its own code listens here and ends it. It is a courtesy of
that code: told within moments over a long poll, late or never when the broker is away, and no part of the stop itself.
Nobody listens until `on_stop` is given or `action.stopped` is asked for.
"""

import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from assent.core.errors import AssentError
from assent.sdk.decisions import Decision, parse_decision
from assent.sdk.errors import ActionDenied, BreakerOpen
from assent.sdk.http import Response
from assent.sdk.messages import build_look
from assent.sdk.steps import Answer, Pause, Step, Steps, drive, drive_async
from assent.sdk.trouble import log_event

if TYPE_CHECKING:
    import asyncio

OnStop: TypeAlias = Callable[[ActionDenied], Any]
"""Called once, with what stopped the action (mostly a BreakerOpen); what it raises is logged."""

POLL_SECONDS: Final = 5  # how long a listener outlives the action that it listened for, at most
_AWAY_SECONDS: Final = 1.0
_NOTHING_ELSE: Final = 2_000_000_000  # no revision is so high: only a stop, or the end of the wait, is answered
_STOPS: Final = frozenset({BreakerOpen.code, "agent_suspended"})


class Stopped:
    """Whether this action should stop, and why; like a `threading.Event` that only the broker sets."""

    def __init__(self) -> None:
        self.why: ActionDenied | None = None
        self._event = threading.Event()

    def is_set(self) -> bool:
        """Whether the action should stop."""
        return self._event.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the action should stop, at most `timeout` seconds; return whether it should."""
        return self._event.wait(timeout)

    def tell(self, why: ActionDenied) -> None:
        """Set it; for the SDK's own parts."""
        self.why = why
        self._event.set()


def listening(action_id: str, tool: str | None, is_over: Callable[[], bool]) -> Steps[ActionDenied | None]:
    """Return what stopped the action, or None once it is over; a broker that is away is asked again."""
    while not is_over():
        answer = yield build_look(action_id, wait_seconds=POLL_SECONDS, after=_NOTHING_ELSE)
        if isinstance(answer, Response) and not is_over():
            try:
                stopped = _stopped(parse_decision(answer), tool)
            except AssentError:
                stopped = None
            if stopped is not None:
                return stopped
        elif not is_over():
            yield Pause(_AWAY_SECONDS)
    return None


def _stopped(decision: Decision, tool: str | None) -> ActionDenied | None:
    reason = next((reason for reason in decision.reasons if reason.code in _STOPS), None)
    if reason is None:
        return None
    told = decision.breaker
    if told is not None:
        return BreakerOpen(
            reason.message, breaker=told, reasons=decision.reasons, tool=tool, action_id=decision.action_id
        )
    return ActionDenied(
        reason.message, code=reason.code, reasons=decision.reasons, tool=tool, action_id=decision.action_id
    )


class Listener:
    """Listens in a thread of its own until the action is over; a short action is over before it asks anything."""

    def __init__(
        self, action_id: str, tool: str | None, perform: Callable[[Step], Answer], on_stop: OnStop | None
    ) -> None:
        self.stopped = Stopped()
        self._over = threading.Event()
        self._perform = perform
        self._on_stop = on_stop
        self._steps = listening(action_id, tool, self._over.is_set)
        self._thread = threading.Thread(target=self._listen, name=f"assent-stop-{action_id}", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Listen no more; the thread ends with its poll, which is nobody's business any more."""
        self._over.set()

    def _listen(self) -> None:
        why = drive(self._steps, self._perform)
        if why is not None and not self._over.is_set():
            self.stopped.tell(why)
            call(self._on_stop, why)


class AsyncListener:
    """Listens in a task of the loop that runs the action."""

    def __init__(
        self, action_id: str, tool: str | None, perform: Callable[[Step], Awaitable[Answer]], on_stop: OnStop | None
    ) -> None:
        from asyncio import get_running_loop

        self.stopped = Stopped()
        self._perform = perform
        self._on_stop = on_stop
        self._over = False
        steps = listening(action_id, tool, lambda: self._over)
        self._task: asyncio.Task[None] = get_running_loop().create_task(self._listen(steps))

    def end(self) -> None:
        """Listen no more."""
        self._over = True
        self._task.cancel()

    async def _listen(self, steps: Steps[ActionDenied | None]) -> None:
        why = await drive_async(steps, self._perform)
        if why is not None and not self._over:
            self.stopped.tell(why)
            call(self._on_stop, why)


def call(on_stop: OnStop | None, why: ActionDenied) -> None:
    """Call `on_stop`; an error in it ends nothing but itself."""
    if on_stop is None:
        return
    try:
        on_stop(why)
    except Exception as fault:  # noqa: BLE001  # it is somebody else's code, and the action goes on whatever it does
        log_event("on_stop_failed", error=type(fault).__name__)
