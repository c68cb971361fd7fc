"""Spans to a real receiver: they arrive as OpenTelemetry has them; one that hangs, refuses or is away costs spans."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from assent.core.tracing import DECIDE, Span
from assent.exports.otlp import DROPPED, FAILED, SENT, OtlpSpans
from tests.exports.collector import PATIENCE_SECONDS, Collector, collecting, facts
from tests.valkey_server import free_port

CAPACITY = 16


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


def a_span(number: int = 1, **changes: object) -> Span:
    given = {"parent": "", "link": "", "began": 1_000, "ended": 2_000, "facts": {"assent.action.id": f"act_{number}"}}
    return Span(name=DECIDE, trace=f"{number:032x}", span=f"{number:016x}", **{**given, **changes})  # type: ignore[arg-type]  # a builder


def spans_to(url: str) -> OtlpSpans:
    return OtlpSpans(url, version="1.2.3", capacity=CAPACITY, each_seconds=0.01, answer_seconds=0.5)


def until(holds: Callable[[], bool]) -> None:
    waiting, end = threading.Event(), time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < end
        waiting.wait(0.01)


def test_a_span_arrives_with_its_ids_times_facts_and_link(collector: Collector) -> None:
    spans = spans_to(collector.url)
    spans.start()
    spans.tell(a_span(7, parent="b7ad6b7169203331", link="00000000000000ff", failed=True))
    (came,) = collector.until(1)
    assert (came.trace_id.hex(), came.span_id.hex(), came.parent_span_id.hex()) == (
        f"{7:032x}",
        f"{7:016x}",
        "b7ad6b7169203331",
    )
    assert (came.name, came.start_time_unix_nano, came.end_time_unix_nano) == (DECIDE, 1_000, 2_000)
    assert [link.span_id.hex() for link in came.links] == ["00000000000000ff"]
    assert facts(came) == {"assent.action.id": "act_7"}
    assert collector.paths == {"/v1/traces"}
    assert b"service.name" in collector.raw[0]
    spans.close()
    assert spans.counts() == {SENT: 1, DROPPED: 0, FAILED: 0}


@pytest.mark.requirement("P2")
def test_a_collector_that_hangs_holds_nobody_up_and_costs_spans_that_are_counted(collector: Collector) -> None:
    collector.mode = "hang"
    spans = OtlpSpans(collector.url, version="1", capacity=CAPACITY, each_seconds=0.01)
    spans.start()
    spans.tell(a_span())
    collector.until_asked()
    began = time.perf_counter()
    for number in range(10_000):
        spans.tell(a_span(number))
    assert time.perf_counter() - began < 5  # far less: nothing of it waits
    assert spans.counts() == {SENT: 0, DROPPED: 10_000 - CAPACITY, FAILED: 0}
    began = time.perf_counter()
    spans.close()
    assert time.perf_counter() - began < 4


@pytest.mark.parametrize("how", ["refuse", "away"])
def test_what_is_not_taken_is_given_up_and_told_again_once_it_is(collector: Collector, how: str) -> None:
    collector.mode = how
    spans = spans_to(collector.url if how == "refuse" else f"http://127.0.0.1:{free_port()}")
    spans.start()
    spans.tell(a_span(1))
    until(lambda: spans.counts()[FAILED] == 1)
    if how == "refuse":
        collector.mode = "take"
        spans.tell(a_span(2))
        (came,) = collector.until(1)
        assert facts(came) == {"assent.action.id": "act_2"}
        until(lambda: spans.counts()[SENT] == 1)
    spans.close()


def test_what_waits_is_sent_before_the_end(collector: Collector) -> None:
    spans = OtlpSpans(collector.url, version="1", each_seconds=3_600)
    spans.start()
    for number in range(1, 6):
        spans.tell(a_span(number))
    spans.close()
    assert len(collector.until(5)) == 5
