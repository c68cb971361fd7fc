"""What a serving broker does for its breakers: counters kept readable, held trips stored, people told.

None of it decides. A loop that lags delays a trip's telling, a yes after counters were lost, or the moment at which the
ledger takes what memory holds; it never lets anything pass.
"""

from typing import Final

from assent.channels.webhook import Webhook
from assent.config import Settings
from assent.flows.broker import Broker
from assent.flows.raise_alerts import raise_alerts
from assent.flows.recount import recount
from assent.flows.too_fast import RECORDED_EACH_SECONDS, record_unrecorded
from assent.flows.trip_breaker import ALERTS, write_held
from assent.logs import EventLog
from assent.ports import AlertChannel, Clock

log = EventLog("assent.breakers")

LOOK_EACH_SECONDS: Final = 0.5
TELL_EACH_SECONDS: Final = 1.0
FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 30.0


class Counters:
    """Keeps the counters of breakers readable, and says once when they are not and once when they are again."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._are_lost = False

    async def round(self) -> float:
        """Begin the counters anew where they were lost; return when to look again."""
        if not await self._broker.signals.readable():
            if not self._are_lost:
                hint = "changes in production that a rule counts are denied meanwhile"
                log.warning("counters_unreadable", hint=hint)
            self._are_lost = True
            await recount(self._broker)
        if self._are_lost and await self._broker.signals.readable():
            self._are_lost = False
            log.info("counters_began")
        return LOOK_EACH_SECONDS


async def keep_held(broker: Broker) -> float:
    """Store what holds in memory only, as soon as the ledger takes it; return when to look again."""
    if broker.held.trips:
        stored = await write_held(broker)
        log.warning("held_trips_stored", count=stored)
    return LOOK_EACH_SECONDS


async def keep_unrecorded(broker: Broker) -> float:
    """Record how many acts were refused without a record each; return when to look again."""
    await record_unrecorded(broker)
    return RECORDED_EACH_SECONDS


def webhook_of(settings: Settings, now: Clock) -> Webhook | None:
    """Return where people are told of breakers, or None where nobody said.

    Raises:
        ConfigInvalid: the secret cannot be read safely.

    """
    secret = settings.secret("alert_webhook_secret")
    if settings.alert_webhook_url is None or secret is None:
        return None
    return Webhook(settings.alert_webhook_url, secret.encode(), runbook=settings.runbook_url, now=now)


class Telling:
    """Tells one destination of breakers, soon after it happened; what does not arrive is tried again, ever slower."""

    def __init__(self, broker: Broker, channel: AlertChannel) -> None:
        self._broker = broker
        self._channel = channel
        self._pause = FIRST_PAUSE_SECONDS

    async def round(self) -> float:
        """Tell what there is to tell, after waiting for something; return how long to pause."""
        subscription = self._broker.signals.subscribe((ALERTS,))
        try:
            again = await self._tell()
            if again is not None:
                return again
            # A trip by another process wakes nobody here: look again all the same.
            await subscription.wait(TELL_EACH_SECONDS)
        finally:
            subscription.close()
        return 0.0

    async def _tell(self) -> float | None:
        raised = await raise_alerts(self._broker, self._channel)
        for alert in raised.told:
            log.info("alert_told", channel=self._channel.name, record=alert.id, event_kind=alert.event)
        for alert in raised.given_up:
            log.error("alert_given_up", channel=self._channel.name, record=alert.id, event_kind=alert.event)
        if raised.failed:
            pause, self._pause = self._pause, min(self._pause * 2, LONGEST_PAUSE_SECONDS)
            log.warning("alert_not_told", channel=self._channel.name, again_in_seconds=pause)
            return pause
        self._pause = FIRST_PAUSE_SECONDS
        return 0.0 if raised.more else None
