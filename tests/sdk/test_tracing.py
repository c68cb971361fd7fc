"""Spans of the agent's program: one for each action where OpenTelemetry is set up, and nothing where it is not."""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from assent import ActionDenied, Assent, AsyncAssent
from assent.core.tracing import caller_of
from tests.sdk.standin import StandIn
from tests.sdk.test_import import loaded_after

SECRET = "canary"
NAMES = {
    "gen_ai.operation.name",
    "gen_ai.tool.name",
    "gen_ai.tool.call.id",
    "assent.action.id",
    "assent.outcome",
    "error.type",
}


class Moody(SpanProcessor):
    """Fails when it is told to."""

    fails = False

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        if self.fails:
            raise RuntimeError(SECRET)

    def on_end(self, span: ReadableSpan) -> None:
        if self.fails:
            raise RuntimeError(SECRET)


MOODY, KEPT = Moody(), InMemorySpanExporter()


@pytest.fixture(scope="module", autouse=True)
def _set_up() -> None:
    """Set OpenTelemetry up as a program does, once: it can be done once in a process."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(KEPT))
    provider.add_span_processor(MOODY)
    trace.set_tracer_provider(provider)


@pytest.fixture(autouse=True)
def _afresh() -> Iterator[None]:
    KEPT.clear()
    MOODY.fails = False
    yield
    MOODY.fails = False


def kept() -> Sequence[ReadableSpan]:
    return KEPT.get_finished_spans()


def traces(standin: StandIn) -> list[Any]:
    return [(seen.body or {}).get("context", {}).get("trace") for seen in standin.asks()]


def test_an_action_is_a_span_that_the_broker_hears_of_and_what_its_body_does_stands_below(
    broker: Assent, standin: StandIn
) -> None:
    tracer = trace.get_tracer("agent")
    with tracer.start_as_current_span("work"), broker.action("files.read", {"path": SECRET}, call_id="c1") as action:
        tracer.start_span("inside").end()
    inside, tool, work = kept()
    assert (tool.name, tool.parent) == ("execute_tool files.read", work.get_span_context())
    assert inside.parent == tool.get_span_context()
    assert tool.attributes == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "files.read",
        "gen_ai.tool.call.id": "c1",
        "assent.action.id": action.id,
        "assent.outcome": "succeeded",
    }
    (said,) = traces(standin)
    caller, context = caller_of(said), tool.get_span_context()
    assert context is not None
    assert caller is not None
    assert (caller.trace, caller.span, caller.sampled) == (f"{context.trace_id:032x}", f"{context.span_id:016x}", True)


async def test_the_same_without_blocking(async_broker: AsyncAssent, standin: StandIn) -> None:
    with async_broker.run("r"):
        async with async_broker.action("files.read", {"path": "a"}):
            pass
    (tool,) = kept()
    assert (tool.attributes or {})["assent.outcome"] == "succeeded"
    assert trace.get_current_span().get_span_context().is_valid is False


@pytest.mark.requirement("P9")
def test_of_a_body_that_fails_the_type_is_told_and_nothing_that_it_says(broker: Assent, standin: StandIn) -> None:
    with pytest.raises(ValueError, match=SECRET), broker.action("files.read", {"path": SECRET}, reason=SECRET):
        raise ValueError(SECRET)
    (tool,) = kept()
    assert (tool.attributes or {})["error.type"] == "ValueError"
    assert (tool.attributes or {})["assent.outcome"] == "failed"
    assert SECRET not in tool.to_json()
    assert set(tool.attributes or {}) <= NAMES
    assert standin.outcomes() == ["failed"]


def test_what_is_denied_is_a_span_of_what_did_not_run(broker: Assent, standin: StandIn) -> None:
    with pytest.raises(ActionDenied), broker.action("files.delete", {"path": "a"}):
        pytest.fail("the body ran")
    (tool,) = kept()
    assert (tool.attributes or {})["assent.outcome"] == "not_run"
    assert trace.get_current_span().get_span_context().is_valid is False


def test_a_program_whose_spans_fail_runs_what_it_may_and_reports_it(broker: Assent, standin: StandIn) -> None:
    MOODY.fails = True
    with broker.action("files.read", {"path": "a"}):
        pass
    assert standin.outcomes() == ["succeeded"]


def test_who_only_asks_names_the_span_that_is_open(broker: Assent, standin: StandIn) -> None:
    broker.request("files.read", {"path": "a"})
    with trace.get_tracer("agent").start_as_current_span("work"):
        broker.request("files.read", {"path": "b"})
    first, second = traces(standin)
    assert first is None
    assert caller_of(second) is not None


def test_a_program_without_opentelemetry_loads_nothing_of_it() -> None:
    asks = "import assent, assent.sdk.client, assent.sdk.action, assent.sdk.tracing as t; t.ToolSpan().begin('x', None)"
    assert not any(name.startswith("opentelemetry") for name in loaded_after(f"{asks}; assert t.traceparent() is None"))
    assert "opentelemetry.trace" in sys.modules
