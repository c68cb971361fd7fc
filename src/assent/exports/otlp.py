"""Spans to a collector of OpenTelemetry, over OTLP/HTTP: from a bounded queue, by a thread of its own.

Rules kept here:
- `tell` never waits. When the queue is full, what comes is dropped and counted; a collector that hangs costs spans.
- Nothing of OpenTelemetry's SDK is loaded before the first batch, and never on the event loop.
- A batch that is not taken in time is given up and counted; nothing is kept for later, the audit log has it all.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from assent.core.errors import ConfigInvalid
from assent.core.tracing import DECIDE, Span
from assent.logs import EventLog

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

log = EventLog("assent.otlp")

CAPACITY: Final = 8_192
BATCH: Final = 512
EACH_SECONDS: Final = 1.0
ANSWER_SECONDS: Final = 5.0
LAST_WORD_SECONDS: Final = 1.0
SENT, DROPPED, FAILED = "sent", "dropped", "failed"
_PATH: Final = "/v1/traces"

Send = Callable[[Sequence[Span]], bool]


class OtlpSpans:
    """Spans on their way to the collector at `endpoint`, such as `http://127.0.0.1:4318`."""

    def __init__(
        self,
        endpoint: str,
        *,
        version: str,
        capacity: int = CAPACITY,
        each_seconds: float = EACH_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        if find_spec("opentelemetry.exporter") is None or find_spec("opentelemetry.sdk") is None:
            raise ConfigInvalid("`otel_endpoint` needs more than is installed", hint="run `pip install 'assent[otel]'`")
        self._endpoint = endpoint.rstrip("/")
        self._version = version
        self._capacity = capacity
        self._each_seconds = each_seconds
        self._answer_seconds = answer_seconds
        self._waiting: deque[Span] = deque()
        self._wake = threading.Event()
        self._is_closing = False
        self._is_taken = True
        self._counts = {SENT: 0, DROPPED: 0, FAILED: 0}
        self._stop: Callable[[], None] = lambda: None
        # A process that ends does not wait for a collector.
        self._thread = threading.Thread(target=self._run, name="assent-otlp", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def tell(self, span: Span) -> None:
        """Take a span, or count it as dropped when too many wait."""
        if len(self._waiting) >= self._capacity:
            self._counts[DROPPED] += 1
            return
        self._waiting.append(span)
        if len(self._waiting) >= BATCH:
            self._wake.set()

    def counts(self) -> Mapping[str, int]:
        """Return how many spans were sent, dropped because too many waited, and not taken."""
        return dict(self._counts)

    def close(self) -> None:
        """Send what waits, for a moment at most, and end."""
        self._is_closing = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(LAST_WORD_SECONDS)
            self._waiting.clear()
            self._stop()

    def _run(self) -> None:
        send: Send | None = None
        while not self._is_closing or self._waiting:
            if len(self._waiting) < BATCH and not self._is_closing:
                self._wake.wait(self._each_seconds)
            self._wake.clear()
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            if not batch:
                continue
            send = send or self._sender()
            self._count(batch, send)

    def _count(self, batch: Sequence[Span], send: Send) -> None:
        try:
            is_taken = send(batch)
        except Exception:  # noqa: BLE001  # whatever a collector answers, the thread goes on; it is logged below
            is_taken = False
        self._counts[SENT if is_taken else FAILED] += len(batch)
        if is_taken is not self._is_taken:
            self._is_taken = is_taken
            if is_taken:
                log.info("spans_taken", endpoint=self._endpoint)
            else:
                log.warning("spans_not_taken", endpoint=self._endpoint)

    def _sender(self) -> Send:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415  # an extra, and slow to load
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.trace.export import SpanExportResult  # noqa: PLC0415  # same

        # It says on standard error what is counted here.
        quiet = logging.getLogger("opentelemetry")
        quiet.addHandler(logging.NullHandler())
        quiet.propagate = False
        exporter = OTLPSpanExporter(endpoint=f"{self._endpoint}{_PATH}", timeout=self._answer_seconds)
        self._stop = exporter.shutdown
        as_theirs = _converter(self._version)
        return lambda batch: exporter.export([as_theirs(span) for span in batch]) is SpanExportResult.SUCCESS


def _converter(version: str) -> "Callable[[Span], ReadableSpan]":
    """Return what makes a span of theirs out of one of ours."""
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415  # an extra, and slow to load
    from opentelemetry.sdk.trace import ReadableSpan  # noqa: PLC0415  # same
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope  # noqa: PLC0415  # same
    from opentelemetry.trace import (  # noqa: PLC0415  # same
        Link,
        SpanContext,
        SpanKind,
        Status,
        StatusCode,
        TraceFlags,
    )

    resource = Resource({"service.name": "assent", "service.version": version})
    scope = InstrumentationScope("assent", version)

    def context(span: Span, which: str) -> SpanContext:
        flags = TraceFlags(TraceFlags.SAMPLED)
        return SpanContext(int(span.trace, 16), int(which, 16), is_remote=False, trace_flags=flags)

    def as_theirs(span: Span) -> ReadableSpan:
        return ReadableSpan(
            name=span.name,
            context=context(span, span.span),
            parent=context(span, span.parent) if span.parent else None,
            resource=resource,
            attributes=dict(span.facts),
            links=[Link(context(span, span.link))] if span.link else [],
            kind=SpanKind.SERVER if span.name == DECIDE else SpanKind.INTERNAL,
            status=Status(StatusCode.ERROR) if span.failed else Status(StatusCode.UNSET),
            start_time=span.began,
            end_time=span.ended,
            instrumentation_scope=scope,
        )

    return as_theirs
