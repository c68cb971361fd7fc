"""A collector of OpenTelemetry of the tests' own: takes spans over OTLP/HTTP, or hangs, or refuses."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

PATIENCE_SECONDS = 30.0


class Collector(ThreadingHTTPServer):
    """Keeps what it was sent, as bytes and as spans; `mode` is `take`, `hang` or `refuse`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taking)
        self.mode = "take"
        self.raw: list[bytes] = []
        self.spans: list[Any] = []
        self.paths: set[str] = set()
        self.moved = threading.Condition()
        self.over = threading.Event()
        self.asked = 0

    @property
    def url(self) -> str:
        """Its endpoint."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def until(self, count: int) -> list[Any]:
        """Return the spans, once there are so many."""
        with self.moved:
            assert self.moved.wait_for(lambda: len(self.spans) >= count, PATIENCE_SECONDS), len(self.spans)
            return list(self.spans)

    def until_asked(self) -> None:
        """Return once somebody has come."""
        with self.moved:
            assert self.moved.wait_for(lambda: self.asked > 0, PATIENCE_SECONDS)


class _Taking(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        raw = gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body
        with self.server.moved:
            self.server.asked += 1
            self.server.moved.notify_all()
        if self.server.mode == "hang":
            self.server.over.wait(PATIENCE_SECONDS)
            return
        if self.server.mode == "take":
            self._take(raw)
        self.send_response(200 if self.server.mode == "take" else 400)
        self.send_header("content-length", "0")
        self.end_headers()

    def _take(self, raw: bytes) -> None:
        read = ExportTraceServiceRequest.FromString(raw)
        with self.server.moved:
            self.server.raw.append(raw)
            self.server.paths.add(self.path)
            self.server.spans += [
                span for one in read.resource_spans for scope in one.scope_spans for span in scope.spans
            ]
            self.server.moved.notify_all()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name that is inherited
        """Say nothing."""


def facts(span: Any) -> dict[str, str]:
    """Return the attributes of a span that came."""
    return {one.key: one.value.string_value for one in span.attributes}


@contextmanager
def collecting() -> Iterator[Collector]:
    """Lend a collector that serves in a thread of its own."""
    server = Collector()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE_SECONDS)
