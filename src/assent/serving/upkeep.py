"""What a broker does by itself while it serves: timers, checkpoints, policies that changed.

Each loop goes on whatever happens: a fault is logged and the next round tries again. What decides is always read in
the ledger; a loop that lags delays a no, never a yes.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from assent.core.errors import AssentError, IllegalMove, KeysInvalid, PolicyInvalid, VerificationFailed
from assent.core.privileges import widening
from assent.core.work_leases import Work
from assent.flows.activate_policy import TakenUp, Uptake
from assent.flows.active_policy import POLICY
from assent.flows.broker import Broker
from assent.flows.follow_policy import Followed, follow_policy
from assent.flows.keep_presence import Watched, keep_presence
from assent.flows.reload_policy import read_policy_again
from assent.flows.tick import tick
from assent.logs import EventLog
from assent.policy.current import PolicyHolder
from assent.ports import Subscription, View
from assent.serving.leases import Leases
from assent.stores.tree import MAX_STEP
from assent.wiring.published import PublishedLog

log = EventLog("assent.upkeep")

MAX_LOGGED_FINDINGS: Final = 20
PRESENCE_EACH_SECONDS: Final = 2.0
FOLLOW_EACH_SECONDS: Final = 1.0
AFTER_FAILED_LOAD_SECONDS: Final = 3.0
Fingerprint = tuple[tuple[str, int, int], ...]


async def for_ever(name: str, once: Callable[[], Awaitable[float]], *, after_fault_seconds: float) -> None:
    """Do `once` again and again, after as many seconds as it returned; a fault is logged and waited out."""
    while True:
        try:
            seconds = await once()
        except AssentError as fault:
            log.exception("upkeep_failed", work=name, code=fault.code, said=fault.message)
            seconds = after_fault_seconds
        except Exception:
            log.exception("upkeep_failed", work=name)
            seconds = after_fault_seconds
        await asyncio.sleep(seconds)


async def keep_time(broker: Broker, *, at_most_seconds: float) -> float:
    """Move what has fallen due; return the seconds until something may fall due, at most `at_most_seconds`."""

    async def work(view: View) -> float:
        due = await view.next_due()
        return at_most_seconds if due is None else (due - view.now).total_seconds()

    left = await broker.ledger.read(work)
    if left > 0:
        return min(left, at_most_seconds)
    ticked = await tick(broker)
    if ticked.moved:
        log.info("fell_due", actions=[action.id for action in ticked.moved])
    return 0.0 if ticked.more else min(0.05, at_most_seconds)


class PresenceWatch:
    """Looks whether agents that wait are still there, every few seconds."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._watched = Watched()

    async def look(self) -> float:
        """Do one round; return when to do the next, at once while there is more."""
        kept = await keep_presence(self._broker, self._watched)
        if kept.gone:
            log.info("agents_gone", actions=[action.id for action in kept.gone])
        return 0.0 if kept.more else PRESENCE_EACH_SECONDS


async def keep_log(published: PublishedLog, *, each_seconds: float) -> float:
    """Put what is new under a signed checkpoint; return when to do it again, at once while there is more."""
    count = await published.integrate()
    return 0.0 if count >= MAX_STEP else each_seconds


async def keep_shared_log(published: PublishedLog, leases: Leases, *, each_seconds: float) -> float:
    """Do the same as one of several brokers; where it cannot be signed here, another one is let at it."""
    try:
        return await keep_log(published, each_seconds=each_seconds)
    except (VerificationFailed, KeysInvalid) as fault:
        await leases.step_aside(Work.LOG, why=fault.message)
        raise


async def follow_log(published: PublishedLog, *, each_seconds: float) -> float:
    """Take in the checkpoints of whoever signs them; return when to look again."""
    await published.follow()
    return each_seconds


class PolicyWatch:
    """Reloads the policy when somebody asks (SIGHUP) or, where that is wanted, when a file of it changed."""

    def __init__(
        self, broker: Broker, policies: PolicyHolder, directory: Path, *, look_each_seconds: float | None
    ) -> None:
        self._broker = broker
        self._policies = policies
        self._directory = directory
        self._look_each_seconds = look_each_seconds
        self._asked = asyncio.Event()
        self._seen = fingerprint(directory)

    def ask(self) -> None:
        """Ask for a reload; it happens at once, off the event loop."""
        self._asked.set()

    async def look(self) -> float:
        """Wait until there is a reason to reload, and do it; return 0, there is nothing to wait for then."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._asked.wait(), self._look_each_seconds)
        found = await asyncio.to_thread(fingerprint, self._directory)
        if self._asked.is_set() or found != self._seen:
            self._asked.clear()
            try:
                await self._reload()
            except BaseException:
                # What was asked for and could not be done is asked for still.
                self._asked.set()
                raise
            self._seen = found
        return 0.0

    async def _reload(self) -> None:
        try:
            tell_of(await read_policy_again(self._broker))
        except PolicyInvalid as refused:
            serving = self._policies.current.version
            log.exception("policy_refused", findings=refused.findings[:MAX_LOGGED_FINDINGS], serving=serving)
        except IllegalMove as fault:
            log.warning("policy_directory_not_read", said=fault.message, hint=fault.hint)


class PolicyFollow:
    """Takes up the version that is active in the ledger: each second, and at once when somebody was refused for it."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._said: set[str] = set()

    async def look(self) -> float:
        """Look, then wait for a reason to look again; return how long to pause, where a version could not be loaded."""
        subscription = self._broker.signals.subscribe((POLICY,))
        try:
            pause = self._tell(await follow_policy(self._broker))
            if not pause:
                await self._wait(subscription)
        finally:
            subscription.close()
        return pause

    async def _wait(self, subscription: Subscription) -> None:
        reasons = [
            asyncio.create_task(self._broker.following.kicked(FOLLOW_EACH_SECONDS)),
            asyncio.create_task(subscription.wait(FOLLOW_EACH_SECONDS)),
        ]
        try:
            await asyncio.wait(reasons, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for reason in reasons:
                reason.cancel()
            await asyncio.gather(*reasons, return_exceptions=True)

    def _tell(self, found: Followed) -> float:
        if found.taken_up is not None:
            log.info("policy_taken_up", policy=found.taken_up)
        if found.held is not None:
            hint = f"an operator confirms it with `assent policy activate {found.held[:12]}`"
            log.info("policy_held", policy=found.held, hint=hint)
        wrong = {why for why in (found.why_not, found.why_not_held) if why is not None}
        for why in wrong - self._said:
            reads_only = why == found.why_not
            log.error("policy_not_loaded", why=why, decides="reads only" if reads_only else "by the active policy")
        self._said = wrong
        return AFTER_FAILED_LOAD_SECONDS if wrong else 0.0


def tell_of(taken: TakenUp) -> None:
    """Log what became of a policy version, and what it widens."""
    widens = [str(change) for change in widening(taken.changes)[:MAX_LOGGED_FINDINGS]]
    if taken.passed_over is not None:
        hint = "publish what it holds with `assent policy publish DIR`"
        log.warning("policy_directory_not_read", directory=taken.passed_over, serving=taken.serving, hint=hint)
    if taken.uptake is Uptake.WAITING:
        hint = f"an operator confirms it with `assent policy activate {taken.version[:12]}`"
        more = {} if taken.unvouched is None else {"unvouched": taken.unvouched}
        log.warning("policy_waits", policy=taken.version, serving=taken.serving, widens=widens, hint=hint, **more)
        return
    changed = taken.uptake is Uptake.ACTIVATED
    vouched = {} if taken.vouched is None else {"vouched_by": list(taken.vouched.keys)}
    log.info("policy_loaded", policy=taken.version, changed=changed, widens=widens, ended=len(taken.ended), **vouched)


def fingerprint(directory: Path) -> Fingerprint:
    """Return what tells that some file below `directory` changed; what cannot be looked at counts as gone."""
    found = []
    for path in sorted(directory.rglob("*")):
        with contextlib.suppress(OSError):
            state = path.stat()
            found.append((str(path), state.st_mtime_ns, state.st_size))
    return tuple(found)
