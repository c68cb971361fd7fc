"""A thousand agents that wait for people, in a process of their own: `python -m tests.hammers.fault_waiters PLAN`.

Each has a client and a question of its own, waits until somebody answers it, runs what it may, and writes that down.
"""

import asyncio
import json
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from assent import AsyncAssent
from assent.core.errors import AssentError
from tests.hammers import policy
from tests.hammers.broker import ROOT
from tests.hammers.budget import Disproved, expect
from tests.hammers.calls import Caller
from tests.hammers.storm_journal import Journal
from tests.replicas.fleet import FRONT, Fleet, until

COUNT: Final = 1_000
AT_ONCE: Final = 40
PEOPLE_AT_ONCE: Final = 4
END_SECONDS: Final = 120.0
PAGE: Final = 50
TRIES: Final = 100
PAUSE_SECONDS: Final = 0.3
TOOL: Final = "notes.write"


@dataclass(frozen=True, slots=True)
class Plan:
    """Where the broker is, whose keys there are by agent, where the journal goes, and how many wait."""

    url: str
    keys: dict[str, str]
    folder: str
    count: int


@dataclass(slots=True)
class Room:
    """All of them."""

    plan: Plan
    journal: IO[str]
    told: Counter[str] = field(default_factory=Counter)
    asked: int = 0
    at_once: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def wait(self, number: int) -> None:
        """Ask as one of them, wait for a person, and run what may be run."""
        agent, key = list(self.plan.keys.items())[number % len(self.plan.keys)]
        spool = Path(self.plan.folder) / f"waiter-{number}"
        async with AsyncAssent(self.plan.url, key, spool=spool) as client:
            async with self.at_once:
                arguments = {"path": f"prod/waits-{number}.txt", "content": "x"}
                decision = await client.request(TOOL, arguments, run_id=f"waits-{number}", wait=0)
            self.asked += 1
            if self.asked == self.plan.count:
                print("asked", flush=True)
            sent, facts = time.monotonic_ns(), {"agent": agent, "tool": TOOL, "environment": "production"}
            try:
                async with client.resume(decision, wait=None) as action:
                    heard = time.monotonic_ns()
                    self.note("began", sent=sent, heard=heard, status=200, told={}, action=action.id, **facts)
                    self.note("effect", action=action.id)
                    self.told["ran"] += 1
            except AssentError as refused:
                self.told[refused.code] += 1

    def note(self, what: str, **facts: Any) -> None:
        """Write a line."""
        self.journal.write(json.dumps({"who": "waiter", "what": what, **facts}) + "\n")
        self.journal.flush()


async def main(plan: Plan) -> None:
    """Wait until everybody was answered, and print what they were told."""
    with (Path(plan.folder) / "sdk-waiters.jsonl").open("a", encoding="utf-8") as journal:
        room = Room(plan, journal)
        await asyncio.gather(*map(room.wait, range(plan.count)))
    print(json.dumps(room.told), flush=True)


class Waiting:
    """They, as the one sees them who started them."""

    def __init__(self, fleet: Fleet, process: "subprocess.Popen[str]") -> None:
        self._fleet = fleet
        self._process = process

    def until_all_wait(self) -> None:
        """Wait until there is a long-poll for each. Raises TimeoutError."""
        until(lambda: self._fleet.lines.open(FRONT) >= COUNT, "all agents to wait")

    def answer(self) -> None:
        """Say yes to all of them and see that each ran. Raises Disproved."""
        with ThreadPoolExecutor(PEOPLE_AT_ONCE) as people:
            list(people.map(self._approve, range(PEOPLE_AT_ONCE)))
        said, _ = self._process.communicate(timeout=END_SECONDS)
        expect(json.loads(said) == {"ran": COUNT}, f"of {COUNT} agents that waited {said}")
        self._fleet.seen["agents that waited, were cut off, and ran once"] = COUNT

    def _approve(self, number: int) -> None:
        """Say yes to one part of what is open, as often as something is."""
        at = self._fleet.at
        journal = Journal(self._fleet.folder / "journal" / f"9{number}-eve.jsonl", policy.EVE, at.port, at.eve)
        caller = Caller(at.port, at.eve)
        while mine := [one for one in _open(caller) if int(one["id"][-2:], 16) % PEOPLE_AT_ONCE == number]:
            for one in mine:
                yes = {"digest_prefix": one["digest"][:16]}
                journal.post(f"/v1/approvals/{one['id']}/approve", yes, "approve", approval=one["id"])
        caller.close()
        journal.close()


def _open(caller: Caller) -> list[dict[str, Any]]:
    """Return the questions of those who wait that are still open."""
    found, cursor = list[dict[str, Any]](), ""
    while True:
        page = _page(caller, cursor)
        found += [one for one in page["items"] if str(one.get("run_id")).startswith("waits")]
        if not page.get("next_cursor"):
            return found
        cursor = f"&cursor={page['next_cursor']}"


def _page(caller: Caller, cursor: str) -> dict[str, Any]:
    """Return a page of what is open, however busy the broker is with those who come back. Raises Disproved."""
    answer = None
    for _ in range(TRIES):
        answer = caller.get(f"/v1/approvals?state=pending&limit={PAGE}{cursor}")
        if answer.status == 200:
            return answer.body
        time.sleep(PAUSE_SECONDS)
    raise Disproved(f"what is open cannot be read: {answer}")


@contextmanager
def waiting(fleet: Fleet) -> Iterator[None]:
    """Have them wait until the block ends, then say yes to all of them."""
    at = fleet.at
    keys = {policy.AGENT: at.agent_keys[0], policy.OTHER_AGENT: at.other_agent_key}
    file = fleet.folder / "waiters.json"
    file.write_text(json.dumps(asdict(Plan(at.url, keys, str(fleet.folder), COUNT))))
    command = [sys.executable, "-m", "tests.hammers.fault_waiters", str(file)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        expect(process.stdout and process.stdout.readline() == "asked\n", "not everybody could ask")
        here = Waiting(fleet, process)
        here.until_all_wait()
        yield
        here.until_all_wait()
        here.answer()
    finally:
        process.kill()
        process.communicate()


if __name__ == "__main__":
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(main(Plan(**json.loads(Path(sys.argv[1]).read_text()))))
