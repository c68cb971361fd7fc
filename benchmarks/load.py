"""Orders load from the other process and brings home what it measured."""

import itertools
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from benchmarks.servers import Server

MAX_REQUESTS: Final = 400_000
GRACE_SECONDS: Final = 60.0


class LoadRefused(Exception):
    """The load process found a wrong answer or no answer; its last line says which."""


@dataclass(frozen=True, slots=True)
class Requests:
    """The templates to send in turn, each with the answer expected of it, and the check over all answers."""

    templates: tuple[tuple[bytes, bytes, bytes, bytes], ...]
    expected: tuple[str, ...]
    check: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one run of load came to; `cpu_us` is the server's processor time for each answer."""

    answers: int
    seconds: float
    per_second: float
    p50_us: float
    p99_us: float
    loader_busy: float
    cpu_us: float | None


@dataclass(slots=True)
class Counters:
    """Makes every request of a whole benchmark unique."""

    _next: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def first(self) -> int:
        """Return the first counter of a run; runs are far enough apart."""
        return next(self._next) * 10 * MAX_REQUESTS


def run(
    server: Server,
    requests: Requests,
    *,
    connections: int,
    seconds: float,
    first_counter: int,
    per_second: float | None = None,
    max_requests: int = MAX_REQUESTS,
) -> Measured:
    """Return what `connections` connections measured in `seconds`.

    Raises:
        LoadRefused: an answer was wrong or missing.

    """
    spec = {
        "port": server.port,
        "connections": connections,
        "seconds": seconds,
        "max_requests": max_requests,
        "first_counter": first_counter,
        "per_second": per_second,
        "templates": [[part.decode("latin-1") for part in parts] for parts in requests.templates],
        "expected": requests.expected,
        "check": requests.check,
    }
    before = server.cpu_seconds()
    found = _load(spec, seconds + GRACE_SECONDS)
    after = server.cpu_seconds()
    used = None if before is None or after is None else (after - before) * 1e6 / max(found["answers"], 1)
    return Measured(cpu_us=used, **found)


def _load(spec: dict[str, Any], limit_seconds: float) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.loader"],
        input=json.dumps(spec).encode(),
        capture_output=True,
        timeout=limit_seconds,
        check=False,
    )
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").splitlines()
        raise LoadRefused(lines[-1] if lines else f"the load ended with {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def post(path: str, key: str, before: bytes, after: bytes) -> tuple[bytes, bytes, bytes]:
    """Return a POST of JSON as the parts around its two counters: the idempotency key's and the body's.

    `before` and `after` are the body around twelve digits; the head is what the SDK sends.
    """
    length = len(before) + 12 + len(after)
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {key}\r\naccept: application/json\r\n"
        f"accept-encoding: identity\r\nuser-agent: assent-bench\r\ncontent-type: application/json\r\n"
        f"content-length: {length}\r\nidempotency-key: "
    )
    return head.encode(), b"\r\n\r\n" + before, after


def in_turn(
    parts: Sequence[tuple[bytes, bytes, bytes]], must: Sequence[bytes], expected: Sequence[str], check: str
) -> Requests:
    """Return requests from their parts, what must stand in each answer, and the decision expected of each."""
    templates = tuple((*each, word) for each, word in zip(parts, must, strict=True))
    return Requests(templates, tuple(expected), check)
