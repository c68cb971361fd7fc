"""What the SDK adds: a guarded action's beginning beside a bare round trip to the same server plus one commit.

`python -m benchmarks.sdk_trips PORT KEY TOOL PATH SECONDS` measures both in a process on the load's core and prints
them as JSON.
"""

import http.client
import json
import os
import sys
import tempfile
import time
from itertools import count
from typing import Any

from benchmarks.checks import WrongAnswer
from benchmarks.pinned import LOAD_CORE, pin


def actions(port: int, key: str, tool: str, path: str, seconds: float) -> tuple[list[int], list[int]]:
    """Return the nanoseconds until each action may run, and until its outcome is reported, both durable."""
    from assent import Assent

    broker = Assent(f"http://127.0.0.1:{port}", key=key)
    begun: list[int] = []
    ended: list[int] = []
    stop = time.perf_counter() + seconds
    with broker.run("bench"):
        for number in count():
            if time.perf_counter() >= stop:
                break
            arguments = {"path": f"{path}-{number}.txt"}
            began = time.perf_counter_ns()
            with broker.action(tool, arguments) as action:
                begun.append(time.perf_counter_ns() - began)
                if action.arguments != arguments:
                    raise WrongAnswer(f"asked {arguments}, got {action.arguments}")
                began = time.perf_counter_ns()
            ended.append(time.perf_counter_ns() - began)
    return begun, ended


def bare(port: int, path: str, seconds: float) -> list[int]:
    """Return the nanoseconds of each GET with the standard library's client on one kept-alive connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    spent: list[int] = []
    stop = time.perf_counter() + seconds
    while time.perf_counter() < stop:
        began = time.perf_counter_ns()
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        spent.append(time.perf_counter_ns() - began)
        if answer.status != 200:
            raise WrongAnswer(f"{path} answered {answer.status}")
    connection.close()
    return spent


def _middle_us(spent: list[int]) -> float:
    return sorted(spent)[len(spent) // 2] / 1_000


def main() -> None:
    """Measure and print."""
    port, key, tool, path, seconds = sys.argv[1:6]
    pin(LOAD_CORE)
    with tempfile.TemporaryDirectory() as spool:
        os.environ["ASSENT_SPOOL"] = spool
        begun, ended = actions(int(port), key, tool, path, float(seconds))
    found: dict[str, Any] = {"begun_us": _middle_us(begun), "ended_us": _middle_us(ended), "actions": len(begun)}
    found["bare_us"] = _middle_us(bare(int(port), "/healthz", float(seconds) / 2))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
