"""One approval run twice: every grant is tried by many workers in several processes, and one of them gets it.

Checked twice: by what the workers heard, and by a log that is read without the broker.
"""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final

from tests.hammers import broker, records
from tests.hammers.broker import Installation
from tests.hammers.budget import Budget, Report, expect
from tests.hammers.calls import Caller
from tests.hammers.grants import Granted, approved, routine

PROCESSES: Final = 4
WORKERS: Final = 64
ATTEMPTS_PER_GRANT: Final = 51
SPREAD: Final = 8.0
FULL_GRANTS: Final = 2_000
FULL_ATTEMPTS: Final = 100_000
# No agent may leave more than a hundred grants unspent, so they come in batches.
BATCH: Final = 100
SHORT_BATCH: Final = 24
LIMIT_SECONDS: Final = 1_800.0
SPENT: Final = (409, "grant_spent")

Heard = list[list[Any]]


def run(folder: Path, budget: Budget) -> Report:
    """Spend 2,000 grants in batches, or small batches for as long as the budget says."""
    at = broker.install(folder / "double-spend")
    batch = budget.choose(by_hits=BATCH, by_seconds=SHORT_BATCH)
    heard: Heard = []
    grants: list[Granted] = []
    with broker.serving(at):
        while budget.goes_on(len(grants)):
            fresh = [_grant(at, len(grants) + number) for number in range(batch)]
            heard += _race(at, fresh, budget.seed + len(grants))
            _repeat(at, fresh, heard)
            grants += fresh
    check_heard(grants, heard)
    _check_log(at, grants, heard)
    if len(grants) >= FULL_GRANTS:
        expect(len(heard) >= FULL_ATTEMPTS, f"only {len(heard)} attempts were made on {len(grants)} grants")
    return Report(
        counts={
            "grants": len(grants),
            "attempts": len(heard),
            "processes": PROCESSES,
            "workers in each": WORKERS,
            "redeemed": len(grants),
            "refused with `grant_spent`": len(heard) - len(grants),
        },
    )


def _grant(at: Installation, number: int) -> Granted:
    """Return a fresh grant; every second one was approved by a person."""
    if number % 2:
        return approved(at, "notes.write", {"path": f"prod/{number}.txt", "content": "once"})
    return routine(at, "notes.write", {"path": f"stg/{number}.txt", "content": "once"})


def _race(at: Installation, grants: list[Granted], seed: int) -> Heard:
    processes = [_redeemer(at, grants, seed, number) for number in range(PROCESSES)]
    try:
        for process in processes:
            expect(_line(process) == "ready\n", "a process of workers did not come up")
        for process in processes:
            _tell(process, "go\n")
        heard: Heard = []
        for process in processes:
            output, _ = process.communicate(timeout=LIMIT_SECONDS)
            heard += json.loads(output)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    return heard


def _redeemer(at: Installation, grants: list[Granted], seed: int, number: int) -> "subprocess.Popen[str]":
    plan = {
        "port": at.port,
        "keys": at.agent_keys,
        "grants": [(grant.id, grant.digest) for grant in grants],
        "workers": WORKERS,
        "first_worker": number * WORKERS,
        "share": ATTEMPTS_PER_GRANT / (PROCESSES * WORKERS),
        "spread": SPREAD,
        "seed": seed,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.hammers.redeemers"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=broker.ROOT,
    )
    _tell(process, json.dumps(plan) + "\n")
    return process


def _tell(process: "subprocess.Popen[str]", text: str) -> None:
    if process.stdin is not None:
        process.stdin.write(text)
        process.stdin.flush()


def _line(process: "subprocess.Popen[str]") -> str:
    return "" if process.stdout is None else process.stdout.readline()


def _repeat(at: Installation, grants: list[Granted], heard: Heard) -> None:
    """Let each winner ask once more, as after a lost answer: it hears the same, and nothing happens twice."""
    digests = {grant.id: grant.digest for grant in grants}
    caller = Caller(at.port, at.agent_keys[0])
    for grant, attempt, status, _ in heard:
        if status == 200 and grant in digests:
            again = caller.post(f"/v1/grants/{grant}/redeem", {"attempt": attempt, "digest": digests[grant]})
            expect(again.status == 200, f"the winner of {grant} heard {again} when it asked again")
    caller.close()


def check_heard(grants: list[Granted], heard: Heard) -> None:
    """Look that one attempt on each grant was let through and every other one refused. Raises Disproved."""
    winners = Counter(grant for grant, _, status, _ in heard if status == 200)
    others = Counter((status, code) for _, _, status, code in heard if status != 200)
    expect(set(others) <= {SPENT}, f"attempts were answered with something else than a refusal: {others}")
    missing = [grant.id for grant in grants if winners[grant.id] != 1]
    expect(not missing, f"grants not redeemed exactly once: {[(one, winners[one]) for one in missing][:10]}")


def _check_log(at: Installation, grants: list[Granted], heard: Heard) -> None:
    log = records.read(at.ledger)
    redeemed = Counter(leaf["grant"] for leaf in records.of_kind(log, "grant.redeemed"))
    expect(redeemed == Counter(grant.id for grant in grants), "the log does not hold each redemption exactly once")
    refused = len(records.of_kind(log, "grant.replayed"))
    losers = sum(status == 409 for _, _, status, _ in heard)
    expect(refused == losers, f"{losers} attempts were refused and {refused} refusals recorded")
