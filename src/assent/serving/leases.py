"""Which work this broker does for all that serve the same ledger; a broker that serves alone does all of it.

Whoever holds a lease works under it, everybody else looks every second whether it is their turn. A lease that was not
renewed is not believed in, so a broker that hung stops by itself before another one begins.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from assent.core.errors import LedgerUnavailable
from assent.core.work_leases import RENEW_EACH_SECONDS, Work
from assent.flows.broker import Broker
from assent.flows.keep_lease import Kept, LeaseHold, keep_lease, leave
from assent.logs import EventLog

log = EventLog("assent.leases")

Round = Callable[[], Awaitable[float]]
LOOK_EACH_SECONDS: Final = 1.0
STEPS_ASIDE_AFTER_SECONDS: Final = 20.0
"""So long Slack has to be away here before somebody else is let at it."""
STEPS_ASIDE_EACH_SECONDS: Final = 120.0


class Leases:
    """What one life of a broker holds; `is_alone` where no other may serve the ledger beside it."""

    def __init__(self, broker: Broker, steady: Callable[[], float], *, is_alone: bool) -> None:
        self._broker = broker
        self._steady = steady
        self._is_alone = is_alone
        holder = broker.new_id("life")
        self._holds = {work: LeaseHold(work, holder, steady) for work in Work}
        self._stepped_aside_at: dict[Work, float] = {}

    def holds(self, work: Work) -> bool:
        """Whether this broker is to do it now."""
        return self._is_alone or self._holds[work].is_held

    def told(self) -> dict[str, int]:
        """Return for each work whether this broker does it, 1 or 0."""
        return {work.value: int(self.holds(work)) for work in Work}

    def under(self, work: Work, once: Round, otherwise: Round | None = None) -> Round:
        """Return the round that does `once` while this broker holds the lease, and else `otherwise`, if anything."""

        async def done() -> float:
            if self.holds(work):
                return await once()
            return LOOK_EACH_SECONDS if otherwise is None else await otherwise()

        return once if self._is_alone else done

    def rounds(self) -> dict[str, Round]:
        """Return what keeps the leases, each by the name of its loop."""
        if self._is_alone:
            return {}
        return {f"lease: {work}": self._keeper(hold) for work, hold in self._holds.items()}

    def _keeper(self, hold: LeaseHold) -> Round:
        async def keep() -> float:
            had = hold.is_held
            kept = await keep_lease(self._broker, hold)
            if kept is Kept.TAKEN:
                log.info("lease_taken", work=hold.work.value)
            elif had and kept is Kept.OTHERS:
                log.info("lease_lost", work=hold.work.value)
            return RENEW_EACH_SECONDS if hold.is_held else LOOK_EACH_SECONDS

        return keep

    async def step_aside(self, work: Work, *, why: str) -> None:
        """Let another broker try what does not work here, now and then; where there is none, it soon comes back."""
        hold, now = self._holds[work], self._steady()
        lately = now - self._stepped_aside_at.get(work, -STEPS_ASIDE_EACH_SECONDS) < STEPS_ASIDE_EACH_SECONDS
        if self._is_alone or lately or not hold.is_held:
            return
        self._stepped_aside_at[work] = now
        log.warning("lease_left", work=work.value, why=why)
        await leave(self._broker, hold)

    async def close(self) -> None:
        """Let go of everything, so that others need not wait; whoever cannot is waited for."""
        if self._is_alone:
            return
        for hold in self._holds.values():
            with suppress(LedgerUnavailable, asyncio.TimeoutError):
                await leave(self._broker, hold)
