"""Tripped means stopped: while breakers trip and close under load, nothing in scope passes after a trip's answer.

Seen from outside: no success was asked for after a trip was answered and heard before its reset was sent. Seen in the
log: between the record of a trip and that of its reset there is no allow and no redemption.
"""

import json
import subprocess
import sys
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from time import monotonic_ns
from typing import Any, Final

from tests.hammers import broker, policy, records
from tests.hammers.broker import Installation
from tests.hammers.budget import Budget, Report, expect
from tests.hammers.calls import Caller

PROCESSES: Final = 2
WORKERS: Final = 12
FULL_TRIPS: Final = 500
LIMIT_SECONDS: Final = 300.0
# Every one of them covers all that the workers ask for.
SCOPES: Final[tuple[dict[str, Any], ...]] = (
    {"scope": {"environment": "staging"}},
    {"scope": {"tool": "notes.*"}},
    {"scope": {"agent": policy.AGENT}},
    {"all": True},
    {"scope": {"agent": policy.AGENT, "tool": "notes.write", "environment": "staging"}},
)


@dataclass(frozen=True, slots=True)
class Stopped:
    """A time in which nothing may pass: from the answer of a trip to the sending of the reset that closes it."""

    since: int
    until: int


def run(folder: Path, budget: Budget) -> Report:
    """Trip and reset until the budget is spent while workers ask, redeem and ask again."""
    at = broker.install(folder / "trips")
    with broker.serving(at):
        processes = [_asker(at, number) for number in range(PROCESSES)]
        try:
            for process in processes:
                expect(process.stdout and process.stdout.readline() == "working\n", "workers did not come up")
            stopped = _trip_and_reset(at, budget)
            found = [_finish(process) for process in processes]
        finally:
            for process in processes:
                process.kill()
                process.wait()
    successes = [one for part in found for one in part["successes"]]
    refusals: Counter[str] = sum((Counter(part["refusals"]) for part in found), Counter())
    check_heard(successes, stopped, refusals)
    _check_log(at)
    return Report(
        counts={
            "trips": len(stopped),
            "workers": PROCESSES * WORKERS,
            "passed while closed": len(successes),
            "refused while open": refusals.total(),
            "passed while open": 0,
        },
    )


def _asker(at: Installation, number: int) -> "subprocess.Popen[str]":
    plan = {"port": at.port, "keys": at.agent_keys, "workers": WORKERS, "first_worker": number * WORKERS}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.hammers.askers"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=broker.ROOT,
    )
    if process.stdin is not None:
        process.stdin.write(json.dumps(plan) + "\n")
        process.stdin.flush()
    return process


def _finish(process: "subprocess.Popen[str]") -> dict[str, Any]:
    output, _ = process.communicate(timeout=LIMIT_SECONDS)
    expect(process.returncode == 0, "a process of workers ended with an error, its message is above")
    found: dict[str, Any] = json.loads(output)
    return found


def _trip_and_reset(at: Installation, budget: Budget) -> list[Stopped]:
    eve, omar = Caller(at.port, at.eve), Caller(at.port, at.omar)
    rng = budget.random()
    stopped: list[Stopped] = []
    while budget.goes_on(len(stopped)):
        _let_time_pass(eve, rng.randrange(1, 8))
        tripped = eve.post("/v1/breakers/trip", rng.choice(SCOPES))
        since = monotonic_ns()
        expect(tripped.status == 200, f"a trip was answered {tripped}")
        _let_time_pass(eve, rng.randrange(1, 8))
        stopped.append(Stopped(since, _reset(eve, omar, tripped.body["breaker"]["id"])))
    eve.close()
    omar.close()
    return stopped


def _let_time_pass(caller: Caller, looks: int) -> None:
    """Let the broker serve others meanwhile; each look waits behind what is asked already."""
    for _ in range(looks):
        expect(caller.get("/v1/breakers").status == 200, "breakers cannot be listed")


def _reset(eve: Caller, omar: Caller, breaker: str) -> int:
    """Close a breaker, by two people where it takes two; return when the closing one was sent."""
    until = monotonic_ns()
    answer = eve.post(f"/v1/breakers/{breaker}/reset", {"reason": "tried enough"})
    if answer.status == 202:
        until = monotonic_ns()
        answer = omar.post(f"/v1/breakers/{breaker}/reset", {"reason": "agreed"})
    expect(answer.status == 200, f"two people could not close a breaker: {answer}")
    return until


def check_heard(successes: list[list[Any]], stopped: list[Stopped], refusals: Counter[str]) -> None:
    """Look that no success lies inside a stopped time, and that both sides were hit. Raises Disproved."""
    begins = [one.since for one in stopped]
    for what, sent, heard in successes:
        place = bisect_right(begins, sent) - 1
        inside = place >= 0 and heard <= stopped[place].until
        expect(not inside, f"`{what}` passed {sent - stopped[place].since} ns after a trip had been answered")
    expect(successes, "nothing passed while breakers were closed: the hammer hit nothing")
    expect(any("breaker_open" in refusal for refusal in refusals), "nothing was refused for an open breaker")
    strange = {refusal: count for refusal, count in refusals.items() if "breaker_open" not in refusal}
    # A grant that a trip cut off is dead; an ask that found it so says why.
    strange = {refusal: count for refusal, count in strange.items() if not refusal.startswith(("409", "200"))}
    expect(not strange, f"asks were answered with something else than a refusal: {strange}")


def _check_log(at: Installation) -> None:
    is_open: set[str] = set()
    for leaf in records.read(at.ledger):
        if leaf["kind"] == "breaker.tripped":
            is_open.add(leaf["breaker"])
        elif leaf["kind"] == "breaker.reset":
            is_open.discard(leaf["breaker"])
        elif leaf["kind"] == "grant.redeemed" or leaf.get("decision") == "allow":
            expect(not is_open, f"the log holds {leaf} while {is_open} is open")
