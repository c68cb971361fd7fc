"""Tripped means stopped: while breakers trip and close under load, nothing in scope passes after a trip's answer.

Two processes decide on one ledger, with signals that fail all the time. Trips come through either of them, by
`--direct`, and by `--direct` while the broker that serves was killed. Seen from outside: no success was asked for after
a trip was answered and heard before its reset was sent. Seen in the log: between the record of a trip and that of its
reset there is no allow and no redemption, whoever heard of it or not.
"""

import json
import os
import random
import subprocess
import sys
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic_ns
from typing import Any, Final, Protocol

from tests.hammers import broker, moody_broker, policy, records
from tests.hammers.broker import Installation, Running
from tests.hammers.budget import Budget, Report, expect
from tests.hammers.calls import Answer, Caller

WORKERS: Final = 32  # in each of two processes, one beside each broker
FULL_TRIPS: Final = 1_000
LIMIT_SECONDS: Final = 300.0
DIRECT_SECONDS: Final = 60.0
LOOKS: Final = 5
HELD: Final = "held_not_durable"
# Every one of them covers all that the workers ask for.
SCOPES: Final[tuple[dict[str, str], ...]] = (
    {"environment": "staging"},
    {"tool": "notes.*"},
    {"agent": policy.AGENT},
    {},
    {"agent": policy.AGENT, "tool": "notes.write", "environment": "staging"},
)
FIRST, BESIDE, DIRECT, KILLED = "by the broker", "by the one beside it", "by --direct", "by --direct, broker killed"
# How often each way is taken; the last two start processes.
WAYS: Final = (FIRST,) * 22 + (BESIDE,) * 20 + (DIRECT,) * 6 + (KILLED,) * 2
# Everything that workers do is counted, and nothing is ever too much: what trips here is tripped by people.
RULES: Final = """rules:
  - {id: much, scope: {agent: "*"}, trip_on: {actions: 1000000, same_content: 1000000, denials: 1000000, window: 1d}}
  - {id: often, scope: {tool: "*"}, trip_on: {failure_rate: 1.0, slow_rate: {over: 1d, rate: 1.0}}}
"""
_DIRECTLY: Final = (sys.executable, "-m", "assent", "breakers", "trip", "--direct", "--json")
_BESIDE: Final = """host = "127.0.0.1"
port = {port}
ledger_file = "../ledger.db"
keys_directory = "../keys"
policy_directory = "../policies"
open_per_agent = 1000
open_per_run = 1000
open_per_route = 10000
asks_per_agent_per_hour = 100000
log_format = "json"
log_level = "warning"
"""


@dataclass(frozen=True, slots=True)
class Stopped:
    """A time in which nothing may pass: from the answer of a trip to the sending of the reset that closes it."""

    since: int
    until: int


class TwoBrokers(Protocol):
    """Two brokers on one ledger: the first may be killed and started again."""

    at: Installation
    beside_at: Installation

    @property
    def first(self) -> Running | None:
        """The life of the first, None while it is killed."""
        ...

    def start_first(self) -> None:
        """Start the first, for the first time or again."""
        ...

    def kill_first(self) -> None:
        """End it as a power cut would."""
        ...

    def serving(self) -> AbstractContextManager[None]:
        """Serve twice until the block ends."""
        ...

    def leaves(self) -> list[dict[str, Any]]:
        """Return the log."""
        ...


class Place:
    """Two brokers on a ledger in a file: the one that serves, which may be killed, and one beside it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.at = broker.install(folder)
        (folder / "policies" / "breakers.yaml").write_text(RULES)
        (folder / "policies" / "breakers.yaml").chmod(0o644)
        (folder / "beside").mkdir(mode=0o700)
        self.beside_at = replace(self.at, port=broker.free_port())
        (folder / "beside" / "assent.toml").write_text(_BESIDE.format(port=self.beside_at.port))
        self._seed = seed
        self.first: Running | None = None

    def start_first(self) -> None:
        """Start the broker that serves, for the first time or again."""
        self.first = self._started(moody_broker.FIRST, self.at.folder)

    def kill_first(self) -> None:
        """End it as a power cut would."""
        if self.first is not None:
            self.first.kill()
        self.first = None

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serve twice until the block ends; whatever happens, no process stays behind."""
        self.start_first()
        beside = None
        try:
            beside = self._started(moody_broker.BESIDE, self.at.folder / "beside")
            yield
        finally:
            for running in (self.first, beside):
                if running is not None:
                    broker.end(running)

    def leaves(self) -> list[dict[str, Any]]:
        """Return the log."""
        return records.read(self.at.ledger)

    def _started(self, role: str, folder: Path) -> Running:
        seed = {moody_broker.SEED_VARIABLE: str(self._seed)}
        return broker.start(self.at, seed, module=("tests.hammers.moody_broker", role), folder=folder)


def run(folder: Path, budget: Budget) -> Report:
    """Trip and reset until the budget is spent while workers ask, redeem and ask again, on a ledger in a file."""
    return trip(Place(folder / "trips", budget.seed), budget)


def trip(place: TwoBrokers, budget: Budget) -> Report:
    """Do so at these two brokers."""
    with place.serving():
        processes = [_asker(at, number) for number, at in enumerate((place.at, place.beside_at))]
        try:
            for process in processes:
                expect(process.stdout and process.stdout.readline() == "working\n", "workers did not come up")
            tripper = Tripper(place, budget)
            ways, stopped = tripper.trip_and_reset()
            found = [_finish(process) for process in processes]
        finally:
            for process in processes:
                process.kill()
                process.wait()
        _check_log(place.leaves())
    successes = [one for part in found for one in part["successes"]]
    refusals: Counter[str] = sum((Counter(part["refusals"]) for part in found), Counter())
    check_heard(successes, stopped, refusals)
    return Report(
        counts={
            "trips": len(stopped),
            **{way: ways[way] for way in (FIRST, BESIDE, DIRECT, KILLED)},
            "trips that were held first": tripper.held,
            "processes that decide on the ledger": len(found),
            "workers": len(found) * WORKERS,
            "passed while closed": len(successes),
            "refused while open": sum(count for refusal, count in refusals.items() if "breaker_open" in refusal),
            "without an answer, or not decided": sum(
                count for refusal, count in refusals.items() if is_undecided(refusal)
            ),
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


class Tripper:
    """Two people who trip and reset, each by whichever broker is there."""

    def __init__(self, place: TwoBrokers, budget: Budget) -> None:
        self._place = place
        self._budget = budget
        self.held = 0
        self._rng: random.Random = budget.random()
        self._first = {name: Caller(place.at.port, token) for name, token in _people(place.at)}
        self._beside = {name: Caller(place.beside_at.port, token) for name, token in _people(place.at)}

    def trip_and_reset(self) -> tuple[Counter[str], list[Stopped]]:
        """Do so until the budget is spent; return how often each way was taken, and when nothing was to pass."""
        ways: Counter[str] = Counter()
        stopped: list[Stopped] = []
        while self._budget.goes_on(len(stopped)):
            self._let_time_pass()
            self._close_what_was_stored_late()
            # Each way once, whatever the dice say, and each as often as it is to be.
            way = dict(enumerate((FIRST, BESIDE, DIRECT, KILLED))).get(len(stopped)) or self._rng.choice(WAYS)
            ways[way] += 1
            breaker = self._trip(way, self._rng.choice(SCOPES))
            since = monotonic_ns()
            self._let_time_pass()
            if way == KILLED:
                self._place.start_first()
                self._let_time_pass()
            stopped.append(Stopped(since, self._reset(breaker)))
        for caller in (*self._first.values(), *self._beside.values()):
            caller.close()
        return ways, stopped

    def _trip(self, way: str, scope: dict[str, str]) -> str:
        if way == KILLED:
            self._place.kill_first()
            for caller in self._first.values():
                caller.close()
        if way in {DIRECT, KILLED}:
            return self._trip_directly(scope)
        callers = self._first if way == FIRST else self._beside
        wish = {"scope": scope} if scope else {"all": True}
        tripped = callers["eve"].post("/v1/breakers/trip", wish)
        while tripped.code == HELD:
            # No acknowledgement: so much is going on that it was not stored in time. It is stored later, unasked.
            self.held += 1
            tripped = callers["eve"].post("/v1/breakers/trip", wish)
        expect(tripped.status == 200, f"a trip was answered {tripped}")
        return str(tripped.body["breaker"]["id"])

    def _trip_directly(self, scope: dict[str, str]) -> str:
        options = {"agent": "--agent", "tool": "--tool", "environment": "--env"}
        named = [part for name, value in scope.items() for part in (options[name], value)] or ["--all"]
        at = self._place.at
        done = subprocess.run(
            [*_DIRECTLY, *named, "--config", str(at.folder / "assent.toml")],
            env={**os.environ, "ASSENT_OPERATOR_TOKEN": at.eve},
            capture_output=True,
            text=True,
            check=False,
            timeout=DIRECT_SECONDS,
        )
        expect(done.returncode == 0, f"a trip on the ledger itself ended with {done.returncode}: {done.stderr}")
        return str(json.loads(done.stdout)["breaker"]["id"])

    def _let_time_pass(self) -> None:
        """Let others be served meanwhile; each look waits behind what is asked already."""
        for _ in range(self._rng.randrange(1, LOOKS)):
            answer = self._anywhere("eve", "/v1/breakers", None)
            expect(answer.status == 200, f"breakers cannot be listed: {answer}")

    def _close_what_was_stored_late(self) -> None:
        if self.held:
            listed = self._anywhere("eve", "/v1/breakers", None).body["items"]
            for breaker in [one["id"] for one in listed if one["state"] != "closed"]:
                self._reset(breaker)

    def _reset(self, breaker: str) -> int:
        """Close a breaker, by two people where it takes two; return when the closing one was sent."""
        path = f"/v1/breakers/{breaker}/reset"
        until = monotonic_ns()
        answer = self._anywhere("eve", path, {"reason": "tried enough"})
        if answer.status == 202:
            until = monotonic_ns()
            answer = self._anywhere("omar", path, {"reason": "agreed"})
        expect(answer.status == 200, f"two people could not close a breaker: {answer}")
        return until

    def _anywhere(self, who: str, path: str, body: object) -> Answer:
        """Ask one of the brokers; one that says that there is too much to do is asked again."""
        while True:
            first_is_there = self._place.first is not None and self._rng.random() < 0.5
            caller = (self._first if first_is_there else self._beside)[who]
            answer = caller.get(path) if body is None else caller.post(path, body)
            if answer.status != 429:
                return answer


def _people(at: Installation) -> tuple[tuple[str, str], ...]:
    return (("eve", at.eve), ("omar", at.omar))


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
    strange = {refusal: count for refusal, count in strange.items() if not is_undecided(refusal)}
    expect(not strange, f"asks were answered with something else than a refusal: {strange}")


def is_undecided(refusal: str) -> bool:
    """Whether nobody said no: a broker was killed, a bucket was empty, the ledger was busy for too long."""
    return refusal.startswith(("no answer", "429", "503 broker_unavailable"))


def _check_log(leaves: list[dict[str, Any]]) -> None:
    is_open: set[str] = set()
    for leaf in leaves:
        if leaf["kind"] == "breaker.tripped":
            is_open.add(leaf["breaker"])
        elif leaf["kind"] == "breaker.reset":
            is_open.discard(leaf["breaker"])
        elif leaf["kind"] == "grant.redeemed" or leaf.get("decision") == "allow":
            expect(not is_open, f"the log holds {leaf} while {is_open} is open")
