"""The agents of the fault matrix, with the SDK: `python -m tests.hammers.fault_agents PLAN`, a process of its own.

Each asks, waits for people, runs what it may and reports, and writes down what it was told, whatever happens around
it. What a tool does is a line in the journal with the action's id, written inside the body. It works until its input
ends, finishes what it has begun, and says so.
"""

import asyncio
import json
import random
import secrets
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from assent import AsyncAssent
from assent.core.errors import AssentError

WAIT_SECONDS: Final = 12.0
# What is asked how often; the first part of the path is the environment.
STORIES: Final = ((4, "notes.read", "prod"), (4, "notes.write", "stg"), (3, "notes.write", "prod"))
ENVIRONMENTS: Final = {"prod": "production", "stg": "staging"}


@dataclass(frozen=True, slots=True)
class Plan:
    """Where the broker is, whose keys there are by agent, where journals go, and how many work at once and how fast."""

    url: str
    keys: dict[str, list[str]]
    folder: str
    seed: int
    workers: int
    pause_seconds: float
    places: tuple[str, ...] = ("prod", "stg")


class Worker:
    """One agent at work, with a client and a notebook of its own."""

    def __init__(self, plan: Plan, number: int, agent: str, key: str) -> None:
        self._plan = plan
        self._agent = agent
        self._rng = random.Random(f"{plan.seed}/{number}")
        self._file: IO[str] = (Path(plan.folder) / f"sdk-{number:03d}.jsonl").open("a", encoding="utf-8")
        self._client = AsyncAssent(plan.url, key, spool=Path(plan.folder) / f"spool-{number:03d}")
        self._shown: str | None = None

    async def work(self, stop: asyncio.Event) -> None:
        """Go on until told to stop."""
        stories = [story for story in STORIES if story[2] in self._plan.places or story[1] == "notes.read"]
        while not stop.is_set():
            ((_, tool, place),) = self._rng.choices(stories, [weight for weight, _, _ in stories])
            await self.once(tool, place)
            await asyncio.sleep(self._rng.uniform(0.0, 2 * self._plan.pause_seconds))
        await self._client.aclose()
        self._file.close()

    async def once(self, tool: str, place: str) -> None:
        """Ask for one thing, do it if it may be done, and write down how that went."""
        content = {} if tool == "notes.read" else {"content": "x"}
        arguments = {"path": f"{place}/{secrets.token_hex(8)}.txt", **content}
        facts = {"agent": self._agent, "tool": tool, "environment": ENVIRONMENTS[place]}
        sent = time.monotonic_ns()
        try:
            run = secrets.token_hex(8)
            async with self._client.action(tool, arguments, run_id=run, wait=WAIT_SECONDS) as action:
                heard = time.monotonic_ns()
                self._note("began", sent=sent, heard=heard, status=200, told={}, action=action.id, **facts)
                self._note("effect", action=action.id)
        except AssentError as refused:
            told = {"code": refused.code, "action": getattr(refused, "action_id", None) or "", "said": refused.message}
            self._note("refused", sent=sent, heard=time.monotonic_ns(), **told, **facts)
        self._keep_checkpoint()

    def _keep_checkpoint(self) -> None:
        shown = self._client.latest_checkpoint
        if shown is not None and shown != self._shown:
            self._shown = shown
            self._note("checkpoint", note=shown)

    def _note(self, what: str, **facts: Any) -> None:
        self._file.write(json.dumps({"who": self._agent, "what": what, **facts}) + "\n")
        self._file.flush()


async def main(plan: Plan) -> None:
    """Work until nobody says anything more."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), stop.set)
    pairs = [(agent, key) for agent, keys in plan.keys.items() for key in keys]
    workers = [Worker(plan, number, *pairs[number % len(pairs)]) for number in range(plan.workers)]
    print("working", flush=True)
    await asyncio.gather(*(worker.work(stop) for worker in workers))
    print("done", flush=True)


if __name__ == "__main__":
    asyncio.run(main(Plan(**json.loads(Path(sys.argv[1]).read_text()))))
