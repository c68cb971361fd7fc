"""What metrics show beside what routes count: looked up when somebody scrapes, at most once a second."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from assent.api import Readiness
from assent.core.asking import Numbers
from assent.core.errors import AssentError
from assent.core.looking import RecordFilter
from assent.core.records import RecordKind
from assent.flows.active_policy import active_policy
from assent.metrics import Measured
from assent.ports import Clock, OpenApprovals, Signals, View
from assent.stores.ledger import StoredLedger
from assent.wiring.published import PublishedLog

if TYPE_CHECKING:
    from assent.slack.service import SlackService

LOOK_AGAIN_SECONDS: Final = 1.0
COUNT_AGAIN_SECONDS: Final = 60.0
# More than so many that are due are told as so many: what matters is that it does not go down.
MOST_COUNTED: Final = 1_000
LEAST_BEHIND: Final = timedelta(seconds=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    now: datetime
    approvals: OpenApprovals
    breakers: int
    policy_since: datetime | None
    is_published: bool | None
    deliveries: Mapping[str, int]


class Gauges:
    """Looks at ledger, log and clock; what the ledger does not answer is left out."""

    def __init__(
        self,
        ledger: StoredLedger,
        log: PublishedLog,
        clock: Clock,
        readiness: Callable[[], Awaitable[Readiness]],
        *,
        slack: Callable[[], "SlackService | None"] = lambda: None,
        asking: Callable[[], Awaitable[Numbers]] | None = None,
        signals: Signals | None = None,
        channels: Sequence[str] = (),
        leases: Callable[[], Mapping[str, int]] | None = None,
        spans: Callable[[], Mapping[str, int]] | None = None,
    ) -> None:
        self._spans = spans
        self._leases = leases
        self._signals = signals
        self._channels = channels
        self._asking = asking
        self._numbers: Numbers | None = None
        self._counted_at = 0.0
        self._slack = slack
        self._ledger = ledger
        self._log = log
        self._clock = clock
        self._readiness = readiness
        self._lock = asyncio.Lock()
        self._found: Measured | None = None
        self._found_at = 0.0

    async def look(self) -> Measured:
        """Return what was found within the last second."""
        async with self._lock:
            if self._found is None or time.monotonic() - self._found_at > LOOK_AGAIN_SECONDS:
                self._found, self._found_at = await self._with_asking(await self._look()), time.monotonic()
            return self._found

    async def _with_asking(self, found: Measured) -> Measured:
        """Add how people are asked, which reads much and changes slowly."""
        if self._asking is not None and (
            self._numbers is None or time.monotonic() - self._counted_at > COUNT_AGAIN_SECONDS
        ):
            try:
                self._numbers, self._counted_at = await self._asking(), time.monotonic()
            except AssentError:
                self._numbers = None
        if self._numbers is None:
            return self._with_own(found)
        everybody = self._numbers.all
        counted = replace(
            found,
            approvals_day_asked=everybody.asked,
            approvals_day_expired=everybody.expired,
            approvals_day_median_seconds=everybody.median_seconds,
            approvals_day_quick_ratio=everybody.quick_share,
        )
        return self._with_own(counted)

    def _with_own(self, found: Measured) -> Measured:
        """Add what this process knows without asking."""
        slack = self._slack()
        leases, spans = (None if own is None else own() for own in (self._leases, self._spans))
        found = replace(found, leases_held=leases, spans=spans)
        if slack is None:
            return found
        return replace(
            found,
            slack_up=slack.down is None,
            slack_socket_age_seconds=slack.socket_age_seconds,
            slack_socket_silent_seconds=slack.socket_silent_seconds,
        )

    async def _look(self) -> Measured:
        readiness = await self._readiness()
        ready, behind = readiness.ready, not readiness.policy_loaded
        signals_up = None if self._signals is None else await self._signals.readable()
        durations, waiting = self._ledger.durations.read(), self._ledger.waiting
        try:
            clock = self._clock()
            seen = await self._ledger.read(self._see)
            unsigned = await self._log.unsigned()
        except AssentError:
            return Measured(ready=ready, ledger_seconds=durations, ledger_waiting=waiting, signals_up=signals_up)
        return Measured(
            ready=ready,
            approvals_open=seen.approvals.count,
            approvals_oldest_seconds=_seconds(seen.now, seen.approvals.oldest_asked_at),
            breakers_open=seen.breakers,
            ledger_seconds=durations,
            ledger_waiting=waiting,
            log_records=self._log.size,
            log_unsigned_records=unsigned,
            deliveries_due=seen.deliveries,
            signals_up=signals_up,
            policy_behind=behind,
            policy_published=seen.is_published,
            policy_age_seconds=_seconds(seen.now, seen.policy_since),
            clock_behind_seconds=_behind(seen.now, clock).total_seconds(),
        )

    async def _see(self, view: View) -> _Seen:
        taken_up = (await view.records(RecordFilter(kind=RecordKind.POLICY_ACTIVATED), limit=1)).records
        active = await active_policy(view)
        return _Seen(
            now=view.now,
            approvals=await view.open_approvals(),
            breakers=len(await view.open_breakers()),
            policy_since=taken_up[0].time if taken_up else None,
            is_published=None if active is None else active.publication is not None,
            deliveries={name: len(await view.deliveries_due(name, MOST_COUNTED)) for name in self._channels},
        )


async def clock_behind(ledger: StoredLedger, clock: Clock) -> timedelta:
    """Return how far the machine's clock stands behind the ledger's time; nothing when it does not."""
    now = clock()

    async def work(view: View) -> datetime:
        return view.now

    return _behind(await ledger.read(work), now)


def _seconds(now: datetime, since: datetime | None) -> float | None:
    return None if since is None else max(0.0, (now - since).total_seconds())


def _behind(ledger: datetime, clock: datetime) -> timedelta:
    # The ledger is asked after the clock, so a little behind is only the time between the two.
    behind = ledger - clock
    return behind if behind > LEAST_BEHIND else timedelta()
