"""`assent breakers watch`: one line for each change of a breaker, until Ctrl-C."""

import json
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeAlias

from assent.cli import margin, output
from assent.cli.client import Client, Refused, Unreachable
from assent.cli.exits import Exit, exit_of
from assent.core.breakers import BreakerState
from assent.core.characters import visible

POLL_SECONDS: Final = 1.0
MAX_OUTAGE_SECONDS: Final = 600.0

Breaker: TypeAlias = dict[str, Any]


def watch(client: Client, *, as_json: bool) -> None:
    """Print what is stopped, then each change.

    Raises:
        Unreachable: nobody answered at first, or for ten minutes.
        Refused: the caller may not see breakers.

    """
    known = _breakers(client)
    opened = [breaker for breaker in known.values() if breaker["state"] != BreakerState.CLOSED]
    _print(opened, as_json=as_json)
    if not as_json:
        print(f"{len(opened)} open; each change is shown here (Ctrl-C ends this)", flush=True)
    silent_since: float | None = None
    while True:
        time.sleep(POLL_SECONDS)
        try:
            now = _breakers(client)
        except (Refused, Unreachable) as fault:
            if exit_of(fault.code) is not Exit.UNREACHABLE:
                raise
            silent_since = _still_silent(fault, silent_since)
            continue
        silent_since = None
        _print(changes(known, now), as_json=as_json)
        known = now


def _still_silent(fault: Refused | Unreachable, since: float | None) -> float:
    if since is None:
        print(f"assent: {visible(fault.message)}; trying again", file=sys.stderr)
        return time.monotonic()
    if time.monotonic() - since > MAX_OUTAGE_SECONDS:
        raise fault
    return since


def _breakers(client: Client) -> dict[str, Breaker]:
    return {breaker["id"]: breaker for breaker in client.get("v1", "breakers").body["items"]}


def changes(known: dict[str, Breaker], now: dict[str, Breaker]) -> Iterator[Breaker]:
    """Yield the breakers that are new, or another revision, oldest change first."""
    for breaker in sorted(now.values(), key=lambda one: (one["changed_at"], one["id"])):
        before = known.get(breaker["id"])
        if before is None or before["revision"] != breaker["revision"]:
            yield breaker


def _print(breakers: Iterable[Breaker], *, as_json: bool) -> None:
    for breaker in breakers:
        print(json.dumps(breaker) if as_json else line(breaker))
    sys.stdout.flush()


def line(breaker: Breaker) -> str:
    """Return one breaker as one line: when, what, how it is now, by whom and why."""
    asked = breaker.get("reset_asked")
    parts = [
        breaker["changed_at"][:19],
        breaker["id"],
        breaker["state"],
        breaker["covers"],
        f"by {breaker['changed_by']}",
        breaker["reason"],
        f"{len(breaker['probes'])} probes" if breaker.get("probes") else "",
        f"{asked['by']} wants to reset it, for another {output.time_left(asked['expires_at'])}" if asked else "",
    ]
    return "  ".join(margin.shown(part) for part in parts if part)
