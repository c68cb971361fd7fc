"""`assent breakers drill`: the stop is tried out from Enter to the first denial, and the result filed as evidence.

Whatever happens in between, the breaker that the drill tripped is reset before the command ends.
"""

import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import typer

from assent.cli.client import Client, client_for, connect, operator_token, token_source
from assent.core.characters import visible

_REASON: Final = "the drill is over"
_STARTED_AT: Final = 19  # what stands behind the closing bracket of /proc/self/stat: `starttime`, in ticks since boot


def drill(scope: dict[str, str], replicas: list[str], *, as_json: bool) -> bool:
    """Do the drill and print what it found; return whether everything in scope was denied everywhere.

    Raises:
        Refused: the scope may not be drilled, or something is stopped there already.

    """
    spent = _since_enter()
    client = connect()
    tripped = client.post("v1", "breakers", "drill", body={"scope": {**scope}}).body
    acknowledged_ms, key = spent(), tripped["breaker"]["id"]
    answers: list[dict[str, Any]] = []
    try:
        answers.append(client.post("v1", "breakers", key, "probe", body={}).body)
        first_denial_ms = spent()
        answers += [_replica(url).post("v1", "breakers", key, "probe", body={}).body for url in replicas]
    finally:
        client.post("v1", "breakers", key, "reset", body={"reason": _REASON})
    measured = {"acknowledged_ms": acknowledged_ms, "first_denial_ms": first_denial_ms}
    denied = all(answer["denied"] for answer in answers)
    if denied:
        asked = [answer["replica"] for answer in answers]
        client.post("v1", "breakers", key, "drilled", body={**measured, "replicas": asked})
    _print(tripped, answers, measured, as_json=as_json)
    return denied


def _replica(url: str) -> Client:
    return client_for(url, operator_token(), source=token_source())


def _print(tripped: dict[str, Any], answers: list[dict[str, Any]], measured: dict[str, int], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"breaker": tripped["breaker"]["id"], **measured, "replicas": answers}))
        return
    covers = visible(tripped["breaker"]["covers"])
    typer.echo(f"drill over {covers}: acknowledged {measured['acknowledged_ms']} ms after Enter")
    typer.echo(f"first denial {measured['first_denial_ms']} ms after Enter")
    for answer in answers:
        said = f"denied ({answer['code']})" if answer["denied"] else "WOULD HAVE PASSED: the stop does not hold there"
        typer.echo(f"  {visible(answer['replica'])}: {said}")
    filed = "filed as a record" if all(answer["denied"] for answer in answers) else "not filed: it failed"
    typer.echo(f"reset; {filed}")


class _Spent:
    def __init__(self, before_ms: int) -> None:
        self._began = time.monotonic()
        self._before_ms = before_ms

    def __call__(self) -> int:
        return self._before_ms + round((time.monotonic() - self._began) * 1_000)


def _since_enter() -> _Spent:
    """Return a clock of milliseconds that began when this process was started, where the system tells when."""
    with suppress(OSError, ValueError, IndexError, AttributeError):
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        started = int(fields[_STARTED_AT]) / os.sysconf("SC_CLK_TCK")
        return _Spent(max(0, round((time.clock_gettime(time.CLOCK_BOOTTIME) - started) * 1_000)))
    return _Spent(0)
