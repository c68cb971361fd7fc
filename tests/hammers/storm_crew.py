"""Everybody who works in the storm, each on a thread with a notebook; one of them keeps checkpoints."""

import http.client
import itertools
import random
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from tests.hammers import policy
from tests.hammers.broker import Installation
from tests.hammers.storm_agents import AgentAtWork
from tests.hammers.storm_journal import ANSWER_SECONDS, LOST, Journal
from tests.hammers.storm_people import Approver, Owner, Stopper

WORKERS: Final = 5
KEEP_EACH_SECONDS: Final = 1.5
MAX_KEPT: Final = 40
JOIN_SECONDS: Final = 120.0


class StormCrew:
    """The people and agents of a storm; `journals` and `kept` are files of what they were told.

    Where nobody `answers`, nobody trips and suspends either.
    """

    def __init__(self, at: Installation, folder: Path, seed: int, *, answers: bool = True) -> None:
        folder.mkdir()
        self._at = at
        self._folder = folder
        self._seed = seed
        self._stop = threading.Event()
        self._numbers = itertools.count()
        self._opened: list[Journal] = []
        self._stopper = Stopper(self._journal("eve", at.eve), self._journal("omar", at.omar), self._rng(), self._stop)
        people = [
            Approver(self._journal("eve", at.eve), self._rng(), self._stop).work,
            Approver(self._journal("omar", at.omar), self._rng(), self._stop).work,
            Owner(self._journal("nora", at.nora), self._rng(), self._stop).work,
            self._stopper.work,
        ]
        agents = [self._agent(policy.AGENT, key) for key in at.agent_keys[: WORKERS - 1]]
        agents.append(self._agent(policy.OTHER_AGENT, at.other_agent_key))
        jobs = (*agents, self._keep, *(people if answers else []))
        self._threads = [threading.Thread(target=self._guarded(job), daemon=True) for job in jobs]
        self.faults: list[str] = []
        self.kept: list[Path] = []

    @property
    def journals(self) -> list[Path]:
        """What everybody noted."""
        return sorted(self._folder.glob("*.jsonl"))

    def _rng(self) -> random.Random:
        return random.Random(f"{self._seed}/{next(self._numbers)}")

    def _journal(self, who: str, key: str) -> Journal:
        self._opened.append(Journal(self._folder / f"{next(self._numbers):02d}-{who}.jsonl", who, self._at.port, key))
        return self._opened[-1]

    def _agent(self, agent: str, key: str) -> Callable[[], None]:
        return AgentAtWork(agent, self._journal(agent, key), self._rng(), self._stop).work

    def _guarded(self, job: Callable[[], None]) -> Callable[[], None]:
        def guarded() -> None:
            try:
                job()
            except Exception as fault:  # noqa: BLE001  # told to the hammer, which ends with it
                self.faults.append(f"{job!r}: {fault!r}")

        return guarded

    def start(self) -> None:
        """Let everybody begin."""
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """Let everybody finish while the broker serves, and leave nothing stopped."""
        self.stop()
        for thread in self._threads:
            thread.join(JOIN_SECONDS)
        self.faults += [f"{thread.name} did not end" for thread in self._threads if thread.is_alive()]
        last = Stopper(
            self._journal("eve", self._at.eve), self._journal("omar", self._at.omar), self._rng(), threading.Event()
        )
        last.lift_all()

    def stop(self) -> None:
        """Ask nobody to go on."""
        self._stop.set()

    def leave(self) -> None:
        """Close all notebooks, whatever happened; whoever still writes into one ends with it."""
        self.stop()
        for journal in self._opened:
            journal.close()

    def _keep(self) -> None:
        """Keep checkpoints as somebody outside would."""
        while not self._stop.wait(KEEP_EACH_SECONDS):
            note = self._checkpoint()
            if note is not None and len(self.kept) < MAX_KEPT:
                file = self._folder / f"checkpoint-{len(self.kept)}"
                file.write_bytes(note)
                self.kept.append(file)

    def _checkpoint(self) -> bytes | None:
        line = http.client.HTTPConnection("127.0.0.1", self._at.port, timeout=ANSWER_SECONDS)
        with closing(line):
            try:
                line.request("GET", "/log/checkpoint", headers={"authorization": f"Bearer {self._at.agent_keys[0]}"})
                answer = line.getresponse()
                return answer.read() if answer.status == 200 else None
            except LOST:
                return None
