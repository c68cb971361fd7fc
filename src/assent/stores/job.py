"""One caller's wish: run `work` in a transaction and hear its value on the caller's own event loop.

Either the caller gives up or the writer takes the job, never both: whoever acquires the claim first decides whether
it runs at all. What a job came to is told only when the ledger says so, by `settle`.
"""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Iterable
from threading import Event, Lock
from typing import Final, Generic, TypeVar

from assent.core.errors import ForeignAwait, LedgerUnavailable
from assent.ports import Gate

T = TypeVar("T")
X_contra = TypeVar("X_contra", contravariant=True)

TOLD_AT_ONCE: Final = 32
LOOP_HELD_SECONDS: Final = 0.05
PAUSE_SECONDS: Final = 0.005


def drive(work: Callable[[X_contra], Awaitable[T]], argument: X_contra) -> T:
    """Return the value of `work(argument)`, which must come without ever waiting.

    Raises:
        ForeignAwait: it awaited something that is not ready at once.

    """
    steps = work(argument).__await__()
    try:
        next(steps)
    except StopIteration as stop:
        value: T = stop.value
        return value
    close = getattr(steps, "close", None)
    if close is not None:
        close()
    raise ForeignAwait("a transaction's work may await only its transaction")


class _Held:
    """A loop that is held until its job is settled, 50 ms at most, and the thread that settles it.

    That thread pauses until the loop has begun to go on: it would else keep the interpreter to itself for the next
    batch, and whoever waits for the answer would wait for that.
    """

    def __init__(self) -> None:
        self._settled, self._goes_on = Event(), Event()

    def until_settled(self) -> bool:
        """Hold the loop; return whether the job was settled meanwhile."""
        is_settled = self._settled.wait(LOOP_HELD_SECONDS)
        self._goes_on.set()
        return is_settled

    def let_go(self) -> None:
        """Let the loop go on, and see it do so."""
        self._settled.set()
        self._goes_on.wait(PAUSE_SECONDS)


class Job(Generic[X_contra, T]):
    """A work on its way from a caller's loop to a ledger's thread and back."""

    def __init__(
        self,
        work: Callable[[X_contra], Awaitable[T]],
        *,
        within_seconds: float,
        gate: Gate = Gate.SHARED,
        is_urgent: bool = False,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.within_seconds = within_seconds
        self.gate = gate
        self.is_urgent = is_urgent
        self._held = _Held() if is_urgent else None
        self.error: BaseException | None = None
        self.value: T
        self._work = work
        self._context = contextvars.copy_context()
        self._answer: asyncio.Future[T] = self.loop.create_future()
        self._claim = Lock()

    def claim(self) -> bool:
        """Take the job, or learn that it was taken or given up before."""
        return self._claim.acquire(blocking=False)

    @property
    def is_waiting(self) -> bool:
        """Whether nobody has taken it and its caller still waits."""
        return not self._claim.locked()

    def run(self, argument: X_contra) -> None:
        """Run the work and keep what came of it, an error too."""
        try:
            self.value = self._context.run(drive, self._work, argument)
        except BaseException as error:  # noqa: BLE001  # whatever it is, it is the caller's, and this thread goes on
            self.error = error

    async def heard(self) -> T:
        """Return the value or raise the error once it is settled.

        What is urgent holds the caller's loop for a moment: neither what is ready there nor whoever is answered
        meanwhile takes the processor from the thread that stores it, and nothing stands before its answer.

        Raises:
            LedgerUnavailable: no answer within the caller's seconds.

        """
        if self._held is not None and self._held.until_settled():
            self.tell()
        timer = self.loop.call_later(self.within_seconds, self._give_up)
        try:
            return await self._answer
        finally:
            self.claim()
            timer.cancel()

    def _give_up(self) -> None:
        self.claim()
        if not self._answer.done():
            self._answer.set_exception(
                LedgerUnavailable(
                    f"the ledger gave no durable answer within {self.within_seconds:g} seconds",
                    hint="the disk hangs or another process holds the ledger",
                )
            )

    def let_go(self) -> None:
        """Let a loop that is held for this job go on, and go on oneself when it does: what came of it is known."""
        if self._held is not None:
            self._held.let_go()

    def tell(self) -> None:
        """Let the caller hear what came of it; on the caller's loop. A caller who went away hears nothing."""
        if self._answer.done():
            return
        if self.error is None:
            self._answer.set_result(self.value)
        else:
            self._answer.set_exception(self.error)


def settle(jobs: Iterable[Job[X_contra, T]]) -> None:
    """Tell all callers, each loop woken once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Job[X_contra, T]]] = {}
    for job in jobs:
        by_loop.setdefault(job.loop, []).append(job)
        job.let_go()
    for loop, mine in by_loop.items():
        try:
            loop.call_soon_threadsafe(_tell_all, mine)
        except RuntimeError:
            # The loop is closed: everybody who waited on it is gone, and asking again finds what was stored.
            continue


def _tell_all(jobs: list[Job[X_contra, T]]) -> None:
    # A few at a time: whatever else becomes ready waits behind these, and not behind a whole batch.
    for job in jobs[:TOLD_AT_ONCE]:
        job.tell()
    if rest := jobs[TOLD_AT_ONCE:]:
        rest[0].loop.call_soon(_tell_all, rest)
