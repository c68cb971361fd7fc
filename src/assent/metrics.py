"""Metrics: what a scraper reads of a broker, in the text form of Prometheus; `FAMILIES` is the whole list.

    tally.decided("deny", "no_rule"); durations.took(0.002)      # on the hot path: one addition each
    render(tally, measured)                                      # when somebody asks, and only then

Rules kept here:
- No payload and no name: a label takes its values from the refusals table or from a list that is written down here, so
  that agents, tools and people neither show nor multiply what is stored.
- What could not be found out is left out; it is never reported as zero.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from assent.core.refusals import REFUSALS

if TYPE_CHECKING:
    from prometheus_client.core import Metric

CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"
BUCKETS_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
REDEEMED: Final = "redeemed"
OTHER: Final = "other"
NONE: Final = "none"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: its name, what kind it is, one sentence, and its labels."""

    name: str
    kind: str
    sentence: str
    labels: tuple[str, ...] = ()


FAMILIES: Final = (
    Family("assent_ready", "gauge", "1 when the ledger takes writes and the active policy is loaded, else 0"),
    Family("assent_decisions_total", "counter", "asks answered, by answer and first reason", ("answer", "reason")),
    Family("assent_decision_seconds", "histogram", "from an ask that was read to its answer, its record durable"),
    Family("assent_redemptions_total", "counter", "grants presented, by what came of it", ("result",)),
    Family("assent_approvals_open", "gauge", "approvals that wait for a person"),
    Family("assent_approvals_oldest_seconds", "gauge", "how long the oldest open approval has waited"),
    Family("assent_approvals_day_asked", "gauge", "questions to people within the last day"),
    Family("assent_approvals_day_expired", "gauge", "questions of the last day that nobody answered in time"),
    Family("assent_approvals_day_median_seconds", "gauge", "median time to an answer within the last day"),
    Family("assent_approvals_day_quick_ratio", "gauge", "share of the last day's answers within three seconds"),
    Family("assent_breakers_open", "gauge", "breakers that stop something"),
    Family("assent_ledger_seconds", "histogram", "from handing work to the ledger until it is durable or refused"),
    Family("assent_ledger_waiting", "gauge", "transactions that wait for the writer"),
    Family("assent_log_records", "gauge", "records that the newest checkpoint covers"),
    Family("assent_log_unsigned_records", "gauge", "records that no checkpoint covers yet"),
    Family("assent_deliveries_due", "gauge", "messages to people that are due and not on their way", ("channel",)),
    Family("assent_signals_up", "gauge", "1 while the counters of breakers can be read, else 0"),
    Family("assent_leases_held", "gauge", "1 where this broker does that work for all, else 0", ("work",)),
    Family("assent_policy_behind", "gauge", "1 while another policy is active than the one loaded here, else 0"),
    Family("assent_policy_published", "gauge", "1 when the active policy was published, 0 when a directory holds it"),
    Family("assent_spans_total", "counter", "spans for a collector, by what became of them", ("result",)),
    Family("assent_policy_age_seconds", "gauge", "since when the policy version that serves has been in force"),
    Family("assent_clock_behind_seconds", "gauge", "how far the machine's clock stands behind the last record"),
    Family("assent_slack_up", "gauge", "1 while Slack does its part, 0 while it is away"),
    Family("assent_slack_socket_age_seconds", "gauge", "how long the socket to Slack has been there"),
    Family("assent_slack_socket_silent_seconds", "gauge", "for how long no socket to Slack has answered"),
)


class Durations:
    """How long something took, counted in buckets; `took` is called by one thread."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BUCKETS_SECONDS) + 1)
        self._seconds = 0.0

    def took(self, seconds: float) -> None:
        """Count one duration."""
        self._counts[bisect_left(BUCKETS_SECONDS, seconds)] += 1
        self._seconds += seconds

    def copy(self) -> "Durations":
        """Return what was counted until now."""
        copied = Durations()
        copied._counts, copied._seconds = self._counts.copy(), self._seconds
        return copied

    def read(self) -> tuple[tuple[int, ...], float]:
        """Return the count of each bucket, the last for whatever took longer, and all seconds together."""
        return tuple(self._counts), self._seconds


@dataclass(slots=True)
class Tally:
    """What is counted while it happens."""

    decisions: Counter[tuple[str, ...]] = field(default_factory=Counter)
    redemptions: Counter[str] = field(default_factory=Counter)
    durations: Durations = field(default_factory=Durations)

    def decided(self, answer: str, reason: str | None, seconds: float) -> None:
        """Count the answer to one ask; `reason` is the code of its first reason, None when it has none."""
        self.decisions[answer, _known(reason)] += 1
        self.durations.took(seconds)

    def redeemed(self, refused: str | None) -> None:
        """Count one presented grant; `refused` is the code of the refusal, None when it was redeemed."""
        self.redemptions[REDEEMED if refused is None else _known(refused)] += 1

    def copy(self) -> "Tally":
        """Return the counts of this moment, for another thread to read."""
        return Tally(self.decisions.copy(), self.redemptions.copy(), self.durations.copy())


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was found when somebody asked; None where it could not be found out. Times in seconds."""

    ready: bool
    approvals_open: int | None = None
    approvals_oldest_seconds: float | None = None
    approvals_day_asked: int | None = None
    approvals_day_expired: int | None = None
    approvals_day_median_seconds: float | None = None
    approvals_day_quick_ratio: float | None = None
    breakers_open: int | None = None
    ledger_seconds: tuple[tuple[int, ...], float] | None = None
    ledger_waiting: int | None = None
    log_records: int | None = None
    log_unsigned_records: int | None = None
    deliveries_due: Mapping[str, int] | None = None
    signals_up: bool | None = None
    leases_held: Mapping[str, int] | None = None
    policy_behind: bool | None = None
    policy_published: bool | None = None
    spans: Mapping[str, int] | None = None
    policy_age_seconds: float | None = None
    clock_behind_seconds: float | None = None
    slack_up: bool | None = None
    slack_socket_age_seconds: float | None = None
    slack_socket_silent_seconds: float | None = None


def render(tally: Tally, measured: Measured) -> bytes:
    """Return all metrics as text; loads the library on first use, so not on the event loop."""
    from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415  # longer to load than to start

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Look(tally, measured))
    return generate_latest(registry)


class _Look:
    """One look at everything, in the form that the library collects."""

    def __init__(self, tally: Tally, measured: Measured) -> None:
        self._counted: dict[str, dict[tuple[str, ...], int]] = {
            "assent_decisions_total": {**tally.decisions},
            "assent_redemptions_total": {(result,): count for result, count in tally.redemptions.items()},
            "assent_spans_total": {(result,): count for result, count in (measured.spans or {}).items()},
        }
        self._measured = measured
        self._durations = tally.durations.read()

    def collect(self) -> "Iterator[Metric]":
        """Yield every family of which something is known, in the order of the table."""
        for family in FAMILIES:
            if family.kind == "counter":
                yield _counter(family, self._counted[family.name])
                continue
            if family.name == "assent_decision_seconds":
                yield _histogram(family, *self._durations)
                continue
            found = getattr(self._measured, family.name.removeprefix("assent_"))
            if found is not None:
                yield _histogram(family, *found) if family.kind == "histogram" else _gauge(family, found)


def _counter(family: Family, counts: Mapping[tuple[str, ...], int]) -> "Metric":
    from prometheus_client.core import CounterMetricFamily  # noqa: PLC0415  # loaded with the first look

    made = CounterMetricFamily(family.name, family.sentence, labels=family.labels)
    for labels, count in sorted(counts.items()):
        made.add_metric(list(labels), count)
    return made


def _gauge(family: Family, value: float | Mapping[str, int]) -> "Metric":
    from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415  # same

    if not isinstance(value, Mapping):
        return GaugeMetricFamily(family.name, family.sentence, value=float(value))
    made = GaugeMetricFamily(family.name, family.sentence, labels=family.labels)
    for label, number in sorted(value.items()):
        made.add_metric([label], float(number))
    return made


def _histogram(family: Family, counts: Sequence[int], seconds: float) -> "Metric":
    from prometheus_client.core import HistogramMetricFamily  # noqa: PLC0415  # same

    ends = (*map(str, BUCKETS_SECONDS), "+Inf")
    buckets = [(end, sum(counts[: place + 1])) for place, end in enumerate(ends)]
    return HistogramMetricFamily(family.name, family.sentence, buckets=buckets, sum_value=seconds)


def _known(code: str | None) -> str:
    if code is None:
        return NONE
    return code if code in REFUSALS else OTHER
