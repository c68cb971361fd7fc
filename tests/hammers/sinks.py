"""No record, no effect: whatever happens to the ledger, nobody hears a yes meanwhile, and nothing is lost by it."""

import http.client
import secrets
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.hammers import broker, records, small_disk
from tests.hammers.broker import DidNotStart, Installation, Running
from tests.hammers.budget import Budget, Report, expect
from tests.hammers.calls import Answer, Caller
from tests.hammers.faults import ON_LINUX, WHEN_STARTING, WHILE_SERVING, ServingFault, StoppedFault
from tests.hammers.grants import Granted, routine

ROUNDS: Final = 3
AT_ONCE: Final = 24
PATIENCE_SECONDS: Final = 4.0
# The broker gives up after two seconds; the rest is a busy machine between it and the one who measures.
ANSWER_WITHIN_SECONDS: Final = 3.0
FAULTS: Final[tuple[ServingFault | StoppedFault, ...]] = (*WHILE_SERVING, *ON_LINUX, *WHEN_STARTING)
FULL_DISK: Final = ServingFault(name="the disk is full", done=lambda _at, _running: nullcontext())
FULL_HITS: Final = ROUNDS * len(FAULTS)
NO_ANSWER: Final = 0
RECOVERY_SECONDS: Final = 30.0


@dataclass(slots=True)
class Seen:
    """What happened under all faults: answers by status, the slowest refusal, and all records acknowledged before."""

    answers: Counter[str] = field(default_factory=Counter)
    slowest_seconds: float = 0.0
    acknowledged: set[str] = field(default_factory=set)
    ended: int = 0
    faults: int = 0


def run(folder: Path, budget: Budget) -> Report:
    """Do faults in a random order until the budget is spent; in full all of them, three times."""
    at = broker.install(folder / "sinks")
    rng = budget.random()
    seen = Seen()
    full_disk = _on_a_full_disk(folder / "full", seen)
    order: list[ServingFault | StoppedFault] = []
    while budget.goes_on(seen.faults):
        order = order or rng.sample(FAULTS, len(FAULTS))
        fault = order.pop()
        if isinstance(fault, ServingFault):
            _under_service(at, fault, seen)
        else:
            _at_start(at, fault, seen)
        seen.faults += 1
    if budget.hits is not None:
        slow = f"the slowest refusal took {seen.slowest_seconds:.2f} s"
        expect(seen.slowest_seconds <= ANSWER_WITHIN_SECONDS, slow)
    return Report(
        counts={
            "faults": seen.faults,
            "kinds of faults": min(seen.faults, len(FAULTS)),
            "a disk that is really full": full_disk,
            **dict(sorted(seen.answers.items())),
            "heard a yes meanwhile": 0,
            "brokers that ended by themselves": seen.ended,
            "slowest refusal, seconds": round(seen.slowest_seconds, 2),
            "records acknowledged before and found after": len(seen.acknowledged),
        },
    )


def _under_service(at: Installation, fault: ServingFault, seen: Seen) -> None:
    running = broker.start(at)
    try:
        grants = _work(at, seen)
        said_before = at.log.stat().st_size
        with fault.done(at, running):
            _ask_all(at, fault, grants, seen)
            log = at.log if at.log.exists() else at.folder.with_name(at.folder.name + "-moved") / at.log.name
            if not fault.silences:
                _check_says_so(at, running, log, said_before, fault.name)
            if fault.ends:
                expect(running.gone() > 0, f"{fault.name}: the broker ended as if nothing had been")
                seen.ended += 1
        if not fault.ends:
            _wait_until_allowed(at, fault.name)
    finally:
        broker.end(running)
    with broker.serving(at):
        _work(at, seen)
    _check_nothing_lost(at.ledger, seen, fault.name)


def _wait_until_allowed(at: Installation, name: str) -> None:
    """Ask until a broker whose fault is over allows again, without a restart."""
    deadline = time.monotonic() + RECOVERY_SECONDS
    while time.monotonic() < deadline:
        if _one(at, "/v1/actions", _ask(2))[0].body.get("decision") == "allow":
            return
    expect(holds=False, seen=f"{name}: the fault is over and the broker still refuses")


def _on_a_full_disk(folder: Path, seen: Seen) -> str:
    """Fill the disk under a broker, look that it refuses, give the room back and look that it goes on."""
    if not small_disk.is_possible():
        return "not tried: this machine gives no mount namespaces"
    folder.mkdir()
    with small_disk.serving(folder) as disk:
        here = Seen()
        grants = _work(disk.at, here)
        disk.fill()
        _ask_all(disk.at, FULL_DISK, grants, here)
        _check_says_so(disk.at, disk.running, disk.at.log, 0, FULL_DISK.name)
        disk.clear()
        _wait_until_allowed(disk.at, FULL_DISK.name)
        _check_nothing_lost(disk.ledger, here, FULL_DISK.name)
    seen.answers += here.answers
    seen.slowest_seconds = max(seen.slowest_seconds, here.slowest_seconds)
    return f"refused {here.answers.total()} asks, and went on without a restart when there was room"


def _at_start(at: Installation, fault: StoppedFault, seen: Seen) -> None:
    if not at.log.exists():
        with broker.serving(at):
            _work(at, seen)
    with fault.done(at):
        try:
            broker.end(broker.start(at))
        except DidNotStart as refused:
            expect(str(refused), f"{fault.name}: the broker did not start and did not say why")
            seen.answers["refused to start and said why"] += 1
        else:
            expect(holds=False, seen=f"{fault.name}: the broker started all the same")
    with broker.serving(at):
        _work(at, seen)
    _check_nothing_lost(at.ledger, seen, fault.name)


def _work(at: Installation, seen: Seen) -> list[Granted]:
    """Let a healthy broker allow, and return grants that nobody has redeemed."""
    with closing(Caller(at.port, at.agent_keys[1])) as agent:
        answer = agent.post("/v1/actions", _ask(1))
        expect(answer.body.get("decision") == "allow", f"a healthy broker does not allow: {answer}")
        seen.acknowledged.add(answer.body["record_id"])
    return [routine(at, "notes.write", {"path": f"stg/{number}.txt", "content": ""}) for number in range(AT_ONCE // 3)]


def _ask(number: int) -> dict[str, Any]:
    tool = ("notes.read", "notes.write")[number % 2]
    arguments = {"path": f"stg/{number}.txt"} | ({"content": "x"} if number % 2 else {})
    return {"tool": tool, "arguments": arguments, "attempt": secrets.token_urlsafe(24)}


def _ask_all(at: Installation, fault: ServingFault, grants: list[Granted], seen: Seen) -> None:
    """Ask and redeem from many sides at once; nobody may hear a yes."""
    calls: list[tuple[str, dict[str, Any]]] = [("/v1/actions", _ask(number)) for number in range(AT_ONCE)]
    for grant in grants:
        redeem = {"attempt": secrets.token_urlsafe(24), "digest": grant.digest}
        calls.append((f"/v1/grants/{grant.id}/redeem", redeem))
    with ThreadPoolExecutor(len(calls)) as pool:
        heard = list(pool.map(lambda call: _one(at, *call), calls))
    for answer, seconds in heard:
        refused = answer.status == NO_ANSWER or (answer.status == 503 and answer.code == "broker_unavailable")
        expect(refused, f"{fault.name}: somebody heard {answer}")
        seen.answers["refused with 503" if answer.status else "got no answer"] += 1
        if answer.status:
            seen.slowest_seconds = max(seen.slowest_seconds, seconds)


def _one(at: Installation, path: str, body: dict[str, Any]) -> tuple[Answer, float]:
    began = time.monotonic()
    with closing(Caller(at.port, at.agent_keys[0], seconds=PATIENCE_SECONDS)) as agent:
        try:
            answer = agent.post(path, body)
        except (OSError, http.client.HTTPException):
            answer = Answer(NO_ANSWER, {})
    return answer, time.monotonic() - began


def _check_says_so(at: Installation, running: Running, log: Path, said_before: int, name: str) -> None:
    """Either it ends and its last words name the ledger, or it tells whoever asks that it is not ready."""
    status = NO_ANSWER
    anybody = Caller(at.port, at.agent_keys[0], seconds=PATIENCE_SECONDS)
    with closing(anybody), suppress(OSError, http.client.HTTPException):
        status = anybody.get("/readyz").status
    if status == 503:
        return
    code = running.gone()
    said = log.read_bytes()[said_before:].decode(errors="replace")
    expect(code > 0 and "ledger" in said, f"{name}: /readyz answered {status}, the broker ended with {code}: {said}")


def _check_nothing_lost(ledger: Path, seen: Seen, name: str) -> None:
    missing = seen.acknowledged - {leaf["id"] for leaf in records.read(ledger)}
    expect(not missing, f"{name}: acknowledged records are gone: {missing}")
