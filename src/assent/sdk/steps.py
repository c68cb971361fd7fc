"""The steps of a call, without doing them: generators yield a step, a driver does it and sends the answer in.

The whole protocol is written once in this form; `drive` and `drive_async` differ only in who waits. An exception of
the driver (a cancellation, a Ctrl-C) comes out at the `yield`, so that a call can clean up after itself.
"""

import time
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

from assent.core.errors import AssentError
from assent.sdk.checkpoints import HEADER, CheckpointMemory
from assent.sdk.decisions import NOT_NOW, refusal
from assent.sdk.endpoint import Limits
from assent.sdk.errors import BrokerUnavailable
from assent.sdk.http import Lost, Request, Response

if TYPE_CHECKING:
    from concurrent.futures import Future

_AGAIN = NOT_NOW | {500, 502, 503, 504}
_SLOWER_EACH_TIME = 10  # 0.2 s, then 2 s: three tries outlive the restart of a broker


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait before the next try."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Turn:
    """Wait until another ask of the same content has been answered, at most so long."""

    comes: "Future[None]"
    seconds: float


Step: TypeAlias = Request | Pause | Turn
Answer: TypeAlias = Response | Lost | None
T = TypeVar("T")
# What comes back depends on the step: a Response or Lost for a Request, nothing for the others.
Steps: TypeAlias = Generator[Step, Any, T]


class Terms(Protocol):
    """What an exchange needs to know of its client."""

    limits: Limits
    checkpoints: CheckpointMemory


def drive(steps: Steps[T], perform: Callable[[Step], Answer]) -> T:
    """Do every step with `perform` and return what the call comes to."""
    try:
        step = next(steps)
        while True:
            try:
                answer = perform(step)
            except BaseException as fault:  # noqa: BLE001  # the call decides what an interruption means to it
                step = steps.throw(fault)
            else:
                step = steps.send(answer)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]  # StopIteration does not know its generator's type


async def drive_async(steps: Steps[T], perform: Callable[[Step], Awaitable[Answer]]) -> T:
    """Do every step with `perform` and return what the call comes to."""
    try:
        step = next(steps)
        while True:
            try:
                answer = await perform(step)
            except BaseException as fault:  # noqa: BLE001  # the call decides what an interruption means to it
                step = steps.throw(fault)
            else:
                step = steps.send(answer)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]  # StopIteration does not know its generator's type


def exchange(
    terms: Terms, request: Request, *, tries: int | None = None, within_seconds: float | None = None
) -> Steps[Response]:
    """Send `request` until it is answered, a bounded number of times; an answer that was lost is found by the repeat.

    Every request carries what makes it safe to repeat (idempotency key, attempt). Answers that mean "not now" are
    repeated too.

    Raises:
        BrokerUnavailable: no answer within the limits; UntrustedAnswer when the log went back.

    """
    limits = terms.limits
    patience = limits.exchange_seconds if within_seconds is None else within_seconds
    until = time.monotonic() + patience + request.waits_seconds
    left = tries or limits.tries
    pause = limits.first_pause_seconds
    while True:
        before = terms.checkpoints.newest
        answer: Response | Lost = yield request if before is None else replace(request, seen=before.size)
        if isinstance(answer, Response):
            terms.checkpoints.see(answer.headers.get(HEADER), before=before)
            if answer.status not in _AGAIN:
                return answer
        left -= 1
        rest = max(pause, _retry_after(answer))
        if left <= 0 or time.monotonic() + rest >= until:
            raise unanswered(answer)
        yield Pause(rest)
        pause = min(pause * _SLOWER_EACH_TIME, limits.longest_pause_seconds)


def unanswered(answer: Response | Lost) -> AssentError:
    """Return the error for a request that never got an answer to act on."""
    if isinstance(answer, Response):
        return refusal(answer)
    return BrokerUnavailable(answer.why, hint="see whether the broker runs and its url is right")


def _retry_after(answer: Response | Lost) -> float:
    asked = answer.headers.get("retry-after", "") if isinstance(answer, Response) else ""
    return float(asked) if asked.isascii() and asked.isdigit() and len(asked) < 6 else 0.0  # noqa: PLR2004  # seconds
