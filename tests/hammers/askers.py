"""One process of many workers that ask, redeem and ask again without end: `python -m tests.hammers.askers`.

Says when the first ask has passed. Goes on until its standard input is closed, then prints for each success when it was
asked and when it was heard, in nanoseconds of the machine's monotonic clock, and how many asks were refused.
"""

import asyncio
import json
import secrets
import sys
import time
from collections import Counter
from typing import Any, Final

from tests.hammers.calls import Answer, AsyncCaller

PAUSE_SECONDS: Final = 0.2
Success = tuple[str, int, int]


class Worker:
    """One agent's thread of work in staging, where everything is allowed until somebody trips."""

    def __init__(self, plan: dict[str, Any], number: int, stop: asyncio.Event, passed: asyncio.Event) -> None:
        self._caller = AsyncCaller(plan["port"], plan["keys"][number % len(plan["keys"])])
        self._number = number
        self._stop = stop
        self._passed = passed
        self._asked = 0
        self.successes: list[Success] = []
        self.refusals: Counter[str] = Counter()

    async def run(self) -> None:
        """Ask holding the action, ask for a grant and redeem it, and present an earlier ask again; in turn."""
        while not self._stop.is_set():
            self._asked += 1
            body = self._body()
            await self._try("ask", "/v1/actions", {**body, "attempt": secrets.token_urlsafe(24)})
            granted = await self._try("grant", "/v1/actions", body | {"call_id": f"{self._number}-{self._asked}"})
            # Granted before a trip or after it: redeeming must find out by itself.
            if granted is not None and "grant" in granted.body:
                redeem = {"attempt": secrets.token_urlsafe(24), "digest": granted.body["digest"]}
                await self._try("redeem", f"/v1/grants/{granted.body['grant']['id']}/redeem", redeem)
            await self._replay()
        self._caller.close()

    def _body(self) -> dict[str, Any]:
        return {
            "tool": "notes.write",
            "arguments": {"path": f"stg/{self._number}/{self._asked}.txt", "content": "again and again"},
        }

    async def _replay(self) -> None:
        """Ask anew under an earlier call id: what was allowed then may be refused now, never the reverse."""
        call = {"call_id": f"{self._number}-early"}
        arguments = {"path": f"stg/{self._number}/early.txt", "content": "once"}
        await self._try("replay", "/v1/actions", {"tool": "notes.write", "arguments": arguments, **call})

    async def _try(self, what: str, path: str, body: dict[str, Any]) -> Answer | None:
        sent = time.monotonic_ns()
        try:
            answer = await self._caller.post(path, body)
        except (OSError, EOFError):
            # The broker was killed, and will be back; what it committed unheard stands in the log.
            self.refusals["no answer"] += 1
            await asyncio.sleep(PAUSE_SECONDS)
            return None
        heard = time.monotonic_ns()
        passed = answer.status == 200 and (what == "redeem" or answer.body.get("decision") == "allow")
        if passed:
            self.successes.append((what, sent, heard))
            self._passed.set()
            return answer
        reasons = [reason["code"] for reason in answer.body.get("reasons", [])]
        self.refusals[f"{answer.status} {answer.code or ' '.join(reasons)}"] += 1
        return None


async def work(plan: dict[str, Any]) -> dict[str, Any]:
    """Let all workers of this process go until the input is closed."""
    stop, passed = asyncio.Event(), asyncio.Event()
    workers = [Worker(plan, plan["first_worker"] + number, stop, passed) for number in range(plan["workers"])]

    async def until_told() -> None:
        await passed.wait()
        print("working", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        stop.set()

    await asyncio.gather(until_told(), *(worker.run() for worker in workers))
    refusals: Counter[str] = sum((worker.refusals for worker in workers), Counter())
    return {"successes": [one for worker in workers for one in worker.successes], "refusals": refusals}


def main() -> None:
    """Do what the first line says."""
    plan = json.loads(sys.stdin.readline())
    json.dump(asyncio.run(work(plan)), sys.stdout)


if __name__ == "__main__":
    main()
