"""The load: one process, raw sockets kept alive, one request under way on each; every answer is kept and checked.

Spec as JSON on standard input, findings as JSON on standard output. Bounded in time and count, loopback only. What an
answer must be is checked twice: status and words while the clock runs, everything else when it has stopped.
"""

import gc
import json
import select
import socket
import sys
import time
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from benchmarks import checks
from benchmarks.pinned import LOAD_CORE, pin

READ_BYTES: Final = 65_536
STALL_SECONDS: Final = 10.0
NANOSECONDS: Final = 1_000_000_000
_LENGTH: Final = b"content-length: "


class LoadFailed(Exception):
    """The peer did something that makes the figures worthless."""


@dataclass(frozen=True, slots=True)
class Template:
    """One request around a counter that makes it unique; `must` stands in every right answer to it."""

    before: bytes
    between: bytes
    after: bytes
    must: bytes

    def filled(self, number: int) -> bytes:
        count = b"%012d" % number
        return self.before + count + self.between + count + self.after


@dataclass(slots=True)
class Tally:
    """What was seen: for each answer the template's number, the counter, the latency and the body."""

    templates: "array[int]" = field(default_factory=lambda: array("l"))
    counters: "array[int]" = field(default_factory=lambda: array("q"))
    nanoseconds: "array[int]" = field(default_factory=lambda: array("q"))
    bodies: list[bytes] = field(default_factory=list)


class Connection:
    """One kept-alive connection with at most one request under way."""

    __slots__ = ("_buffer", "_must", "counter", "due", "sent", "socket", "template")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=STALL_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self._must = b""
        self.template = self.counter = self.sent = self.due = 0

    def ask(self, template: Template, number: int, counter: int, due: int = 0) -> None:
        self.template, self.counter, self._must = number, counter, template.must
        request = template.filled(counter)
        self.sent = time.perf_counter_ns()
        self.due = due or self.sent
        self.socket.sendall(request)

    def take(self) -> bytes | None:
        """Return the body once the answer is whole, None while it is not. Raises LoadFailed."""
        data = self.socket.recv(READ_BYTES)
        if not data:
            raise LoadFailed("the server closed a connection")
        if self._buffer:
            data = self._buffer + data
        head = data.find(b"\r\n\r\n")
        at = data.find(_LENGTH, 0, head) if head >= 0 else -1
        if at < 0:
            self._buffer = data
            return None
        end = head + 4 + int(data[at + len(_LENGTH) : data.index(b"\r\n", at)])
        if len(data) < end:
            self._buffer = data
            return None
        self._buffer = b""
        if not data.startswith(b"HTTP/1.1 200") or self._must not in data or len(data) > end:
            raise LoadFailed(f"expected {self._must!r} in {data[:2_000]!r}")
        return data[head + 4 :]


class Load:
    """A run of load over `connections`."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self._templates = [Template(*(part.encode("latin-1") for part in parts)) for parts in spec["templates"]]
        self._connections = [Connection(spec["port"]) for _ in range(spec["connections"])]
        self._poll = select.epoll() if hasattr(select, "epoll") else select.poll()
        self._by_fd = {connection.socket.fileno(): connection for connection in self._connections}
        for fd in self._by_fd:
            self._poll.register(fd, select.POLLIN)
        self._next = spec["first_counter"]
        self._last = spec["first_counter"] + spec["max_requests"]
        self.tally = Tally()

    def _ask(self, connection: Connection, due: int = 0) -> None:
        number = self._next % len(self._templates)
        connection.ask(self._templates[number], number, self._next, due)
        self._next += 1

    def _keep(self, connection: Connection, body: bytes) -> None:
        tally = self.tally
        tally.nanoseconds.append(time.perf_counter_ns() - connection.due)
        tally.templates.append(connection.template)
        tally.counters.append(connection.counter)
        tally.bodies.append(body)

    def _ready(self, seconds: float) -> Iterator[Connection]:
        wait = seconds if hasattr(select, "epoll") else seconds * 1_000
        for fd, _ in self._poll.poll(wait):
            yield self._by_fd[fd]

    def as_fast_as_answered(self, seconds: float) -> float:
        """Ask again on each connection as soon as it answered; return the seconds until the last answer."""
        start = time.perf_counter_ns()
        stop = start + int(seconds * NANOSECONDS)
        for connection in self._connections:
            self._ask(connection)
        under_way = len(self._connections)
        while under_way:
            idle = True
            for connection in self._ready(STALL_SECONDS):
                idle = False
                body = connection.take()
                if body is None:
                    continue
                self._keep(connection, body)
                if time.perf_counter_ns() < stop and self._next < self._last:
                    self._ask(connection)
                else:
                    under_way -= 1
            if idle:
                raise LoadFailed(f"no answer for {STALL_SECONDS:g} seconds")
        return (time.perf_counter_ns() - start) / NANOSECONDS

    def one_after_the_other(self, seconds: float) -> float:
        """The same on a single connection, waiting in `recv`: no poll between client and server."""
        connection = self._connections[0]
        start = time.perf_counter_ns()
        stop = start + int(seconds * NANOSECONDS)
        while time.perf_counter_ns() < stop and self._next < self._last:
            self._ask(connection)
            while (body := connection.take()) is None:
                pass
            self._keep(connection, body)
        return (time.perf_counter_ns() - start) / NANOSECONDS

    def at_a_rate(self, seconds: float, per_second: float) -> float:
        """Ask when the schedule says; a latency counts from the scheduled moment, so that a stall is not hidden.

        A server that falls behind for 10 seconds gets no more asks.
        """
        idle = list(self._connections)
        start = time.perf_counter_ns()
        planned = min(int(seconds * per_second), self._last - self._next)
        gap = int(NANOSECONDS / per_second)
        asked = 0
        while asked < planned or len(idle) < len(self._connections):
            now = time.perf_counter_ns()
            while idle and asked < planned and (due := start + asked * gap) <= now:
                self._ask(idle.pop(), due)
                asked += 1
            if now - start > (seconds + STALL_SECONDS) * NANOSECONDS:
                # A server that cannot keep up has answered less than was planned: that is the finding.
                planned = asked
            for connection in self._ready(0):
                if (body := connection.take()) is not None:
                    self._keep(connection, body)
                    idle.append(connection)
        return (time.perf_counter_ns() - start) / NANOSECONDS


def _run(load: Load, spec: dict[str, Any]) -> float:
    if spec.get("per_second"):
        return load.at_a_rate(spec["seconds"], spec["per_second"])
    if spec["connections"] == 1:
        return load.one_after_the_other(spec["seconds"])
    return load.as_fast_as_answered(spec["seconds"])


def main() -> None:
    """Run the load of the spec on standard input and print what came of it."""
    spec = json.load(sys.stdin)
    pin(LOAD_CORE)
    load = Load(spec)
    gc.disable()
    cpu = time.process_time()
    seconds = _run(load, spec)
    cpu = time.process_time() - cpu
    tally = load.tally
    checks.CHECKS[spec["check"]](zip(tally.templates, tally.counters, tally.bodies, strict=True), spec)
    ordered = sorted(tally.nanoseconds)
    json.dump(
        {
            "answers": len(ordered),
            "seconds": seconds,
            "per_second": len(ordered) / seconds,
            "p50_us": ordered[len(ordered) // 2] / 1_000,
            "p99_us": ordered[len(ordered) * 99 // 100] / 1_000,
            "loader_busy": cpu / seconds,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
