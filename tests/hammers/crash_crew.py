"""The people and agents who go on working while a broker keeps dying under them.

Everybody keeps what the broker acknowledged to them, so that it can be looked for in the log afterwards.
"""

import http.client
import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.hammers.broker import ROOT, Installation
from tests.hammers.calls import Answer, Caller

PIECES_PER_RUN: Final = 6
DEATHS: Final = ("before", "during", "after", "reported")
MAX_LIVES: Final = 12
AGENT_SECONDS: Final = 240.0
ANSWER_SECONDS: Final = 5.0
PAUSE_SECONDS: Final = 0.02
LOST: Final = (OSError, http.client.HTTPException, ValueError)


@dataclass(slots=True)
class Acknowledged:
    """What brokers answered 200 to, by kind; and faults of the crew itself, which end the hammer."""

    approvals: list[str] = field(default_factory=list)
    breakers: list[str] = field(default_factory=list)
    records: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    agent_deaths: int = 0
    runs: int = 0


class Crew:
    """An approver, somebody who trips a breaker that matters to nobody, a forgetful asker, and agents."""

    def __init__(self, at: Installation, folder: Path, seed: int, agents: int) -> None:
        self._at = at
        self._folder = folder
        self._seed = seed
        self._stop = threading.Event()
        self.acknowledged = Acknowledged()
        jobs: list[Callable[[], None]] = [self._approve, self._trip, self._forget]
        # Agents first: people look whether any of them still works.
        self._agents = [self._thread(self._send_agents, number) for number in range(agents)]
        self._people = [self._thread(job) for job in jobs]

    def _thread(self, job: Callable[..., None], *arguments: object) -> threading.Thread:
        def guarded() -> None:
            try:
                job(*arguments)
            except Exception as fault:  # noqa: BLE001  # told to the hammer, which ends with it
                self.acknowledged.faults.append(f"{job.__name__}: {fault!r}")

        thread = threading.Thread(target=guarded, daemon=True)
        thread.start()
        return thread

    @property
    def effects(self) -> Path:
        """What tools did."""
        return self._folder / "effects.jsonl"

    @property
    def heard(self) -> Path:
        """What agents were told."""
        return self._folder / "heard.jsonl"

    def finish(self) -> None:
        """Let the agents finish what they have begun while people still answer, then let everybody go home."""
        self._stop.set()
        for thread in (*self._agents, *self._people):
            thread.join(AGENT_SECONDS)

    def _goes_on(self) -> bool:
        return not self._stop.wait(PAUSE_SECONDS)

    def _people_go_on(self) -> bool:
        self._stop.wait(PAUSE_SECONDS)
        return any(thread.is_alive() for thread in self._agents) or not self._stop.is_set()

    def _approve(self) -> None:
        with closing(self._caller(self._at.eve)) as eve:
            while self._people_go_on():
                for approval in _items(eve, "/v1/approvals?limit=50"):
                    self._approve_one(eve, approval)

    def _approve_one(self, eve: Caller, approval: dict[str, Any]) -> None:
        prefix = {"digest_prefix": approval["digest"][:16]}
        answer = _post(eve, f"/v1/approvals/{approval['id']}/approve", prefix)
        if answer is not None and answer.status == 200:
            self.acknowledged.approvals.append(approval["id"])

    def _trip(self) -> None:
        with closing(self._caller(self._at.omar)) as omar:
            while self._goes_on():
                answer = _post(omar, "/v1/breakers/trip", {"scope": {"tool": "notes.delete"}})
                if answer is not None and answer.status == 200:
                    self.acknowledged.breakers.append(answer.body["breaker"]["id"])
                self._stop.wait(10 * PAUSE_SECONDS)

    def _forget(self) -> None:
        """Ask for grants that nobody picks up, so that ticks have something to do."""
        ask = {"tool": "notes.write", "arguments": {"path": "stg/forgotten.txt", "content": ""}}
        with closing(self._caller(self._at.agent_keys[-1])) as agent:
            while self._goes_on():
                answer = _post(agent, "/v1/actions", ask)
                if answer is not None and answer.status == 200:
                    self.acknowledged.records.append(answer.body["record_id"])
                self._stop.wait(10 * PAUSE_SECONDS)

    def _caller(self, key: str) -> Caller:
        return Caller(self._at.port, key, seconds=ANSWER_SECONDS)

    def _send_agents(self, number: int) -> None:
        rng = random.Random(f"{self._seed}/{number}")
        turn = 0
        while not self._stop.is_set():
            self._one_run(number, f"agent-{number}-run-{turn}", rng)
            turn += 1

    def _one_run(self, number: int, run: str, rng: random.Random) -> None:
        """Send an agent to work; when it dies send the next one with the same list."""
        plan = {
            "url": self._at.url,
            "key": self._at.agent_keys[number],
            "run": run,
            "work": [_piece(run, piece, rng) for piece in range(PIECES_PER_RUN)],
            "effects": str(self.effects),
            "heard": str(self.heard),
        }
        for _ in range(MAX_LIVES):
            dies = [rng.choice(DEATHS), rng.randrange(PIECES_PER_RUN)] if rng.random() < 0.4 else None
            code, said = self._one_life({**plan, "die": dies})
            if code == 0:
                self.acknowledged.runs += 1
                return
            if code > 0:
                self.acknowledged.faults.append(f"{run} ended with {code}: {said[-600:]}")
                return
            self.acknowledged.agent_deaths += 1
        self.acknowledged.faults.append(f"{run} was not finished in {MAX_LIVES} lives")

    def _one_life(self, plan: dict[str, Any]) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "tests.hammers.crash_agent"],
            input=json.dumps(plan),
            env={**os.environ, "ASSENT_SPOOL": str(self._folder / "spool")},
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=AGENT_SECONDS,
            check=False,
        )
        return done.returncode, done.stderr


def _piece(run: str, piece: int, rng: random.Random) -> tuple[str, dict[str, str]]:
    place = f"{run}/{piece}.txt"
    return rng.choice(
        [
            ("notes.read", {"path": f"prod/{place}"}),
            ("notes.write", {"path": f"stg/{place}", "content": "staging"}),
            ("notes.write", {"path": f"prod/{place}", "content": "production"}),
        ]
    )


def _post(caller: Caller, path: str, body: dict[str, Any]) -> Answer | None:
    """Return the answer, or None when the broker died under the question."""
    try:
        return caller.post(path, body)
    except LOST:
        return None


def _items(caller: Caller, path: str) -> list[dict[str, Any]]:
    try:
        items: list[dict[str, Any]] = caller.get(path).body.get("items", [])
    except LOST:
        return []
    return items
