"""What tests of the demo share: running it as a reader does, and a broker that can be made to lie."""

import http.client
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

DEMO_SECONDS = 100
Told = tuple[int, dict[str, Any]]
# Gets the path that was asked and what asks the real broker for a path; returns what is told instead.
Lie = Callable[[str, Callable[[str], Told]], Told]


def demo_command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "assent", "demo", *arguments]


def demo_environment(folder: Path, **more: str) -> dict[str, str]:
    """Returns an environment in which the demo makes its folder below `folder`."""
    return {**os.environ, "TMPDIR": str(folder), **more}


def run_demo(folder: Path, *arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        demo_command(*arguments),
        env=demo_environment(folder, **more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEMO_SECONDS,
    )


def processes_of(folder: Path) -> list[str]:
    """Returns the command lines of living processes that name `folder`."""
    found = subprocess.run(["ps", "-eww", "-o", "stat=,args="], capture_output=True, text=True, check=True, timeout=30)  # noqa: S607  # POSIX
    return [line for line in found.stdout.splitlines() if str(folder) in line and not line.startswith("Z")]


@dataclass
class Keyboard(io.StringIO):
    """An output that presses the next key on the terminal `writer` when it sees the question."""

    keys: list[str]
    writer: int
    pressed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def write(self, text: str) -> int:
        if "press a" in text and self.keys:
            self.pressed.append(self.keys.pop(0))
            os.write(self.writer, self.pressed[-1].encode())
        return super().write(text)


@dataclass
class LyingProxy:
    """Stands between somebody and the broker and changes answers: (method, part of the path) → lie."""

    upstream: str
    lies: dict[tuple[str, str], Lie]

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Told:
        def ask(path: str) -> Told:
            connection = http.client.HTTPConnection(urlsplit(self.upstream).netloc, timeout=60)
            try:
                connection.request(method, path, body or None, headers)
                heard = connection.getresponse()
                return heard.status, json.loads(heard.read())
            finally:
                connection.close()

        for (lied_method, part), lie in self.lies.items():
            if lied_method == method and part in path:
                return lie(path, ask)
        return ask(path)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: LyingProxy

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kept = {name: value for name, value in self.headers.items() if name.lower() not in {"host", "connection"}}
        status, value = self.proxy.answer(self.command, self.path, kept, body)
        raw = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        with suppress(ConnectionError):  # whoever asked may have been ended meanwhile
            self.wfile.write(raw)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
        """Stay silent."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True


@contextmanager
def lying(proxy: LyingProxy) -> Iterator[str]:
    """Serves the proxy on a free loopback port; yields its url."""
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": proxy}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)
