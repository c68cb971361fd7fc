"""A small server in the place of a broker: it notes what it was asked, and answers, hangs up, hangs or says 503."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PATIENCE_SECONDS = 30.0  # longer than those who ask have


class StandIn(ThreadingHTTPServer):
    """Answers as `mode` says: `answer`, `hang up`, `hang`, `503`, or `stream` (an event, then one when `go_on`)."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Answering)
        self.mode = "answer"
        self.asked: list[tuple[str, str]] = []
        self.headers: dict[str, str] = {}
        self.go_on = threading.Event()
        self.over = threading.Event()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def methods(self) -> list[str]:
        """Return the methods of what it was asked."""
        return [method for method, _ in self.asked]


class _Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: StandIn

    def _any(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.asked.append((self.command, self.path))
        self.server.headers = {name.lower(): value for name, value in self.headers.items()}
        mode = self.server.mode
        if mode == "hang up":
            self.close_connection = True
        elif mode == "hang":
            self.server.over.wait(PATIENCE_SECONDS)
            self.close_connection = True
        elif mode == "stream":
            self._stream()
        else:
            self._say(503 if mode == "503" else 200, str(self.server.port).encode())

    do_GET = do_POST = do_DELETE = _any  # noqa: N815  # the names that http.server calls

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(b"data: 1\n\n")
        self.wfile.flush()
        self.server.go_on.wait(PATIENCE_SECONDS)
        self.wfile.write(b"data: 2\n\n")
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name that is inherited
        """Say nothing."""


@contextmanager
def standing_in(port: int = 0) -> Iterator[StandIn]:
    """Lend a server that serves in a thread of its own."""
    server = StandIn(port)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.go_on.set()
        server.over.set()
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE_SECONDS)
