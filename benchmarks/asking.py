"""An agent that asks people, waits in a long-poll and runs what it was allowed; each answer is checked as it comes."""

import asyncio
import itertools
import time
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from benchmarks.checks import WrongAnswer

WAIT_SECONDS: Final = 55
AGAIN_SECONDS: Final = 1.0
_DONE: Final = 200
_LATER: Final = 503
_NUMBERS: Final = itertools.count(1)
_KEYS: Final = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One action that people were asked about."""

    id: str
    code: str
    revision: int
    digest: str
    arguments: dict[str, str]
    attempt: str


class Asker:
    """One agent of one broker; `put_off` counts how often it was told to come again."""

    def __init__(self, session: aiohttp.ClientSession, base: str, key: str) -> None:
        self._session = session
        self._base = base
        self._head = {"authorization": f"Bearer {key}"}
        self.put_off = 0

    async def ask(self, tool: str) -> Asked:
        """Ask for something that only people can allow."""
        number = next(_NUMBERS)
        arguments = {"path": f"prod/logs/{number:012d}.txt"}
        attempt = f"bench-attempt-of-128-bits-{number:016d}"
        body = {"tool": tool, "arguments": arguments, "run_id": f"run-{number}", "attempt": attempt}
        said = await self._call("POST", "/v1/actions", body)
        _must(said, decision="pending", state="pending")
        return Asked(
            id=said["action_id"],
            code=said["approval"]["code"],
            revision=said["revision"],
            digest=said["digest"],
            arguments=arguments,
            attempt=attempt,
        )

    async def until_answered(self, asked: Asked) -> dict[str, Any]:
        """Wait in the long-poll until the action moved."""
        place = f"/v1/actions/{asked.id}?wait={WAIT_SECONDS}&after={asked.revision}"
        while (said := await self._call("GET", place, attempt=asked.attempt))["revision"] <= asked.revision:
            continue
        return said

    async def run(self, asked: Asked) -> int:
        """Wait for a yes and redeem it; return the nanosecond at which the action runs, and report its end."""
        said = await self.until_answered(asked)
        _must(said, decision="allow", state="ready", digest=asked.digest)
        body = {"attempt": asked.attempt, "digest": asked.digest}
        running = await self._call("POST", f"/v1/grants/{said['grant']['id']}/redeem", body)
        runs_at = time.perf_counter_ns()
        _must(running, action_id=asked.id, arguments=asked.arguments)
        await self._call("POST", f"/v1/actions/{asked.id}/outcome", {"attempt": asked.attempt, "status": "succeeded"})
        return runs_at

    async def approve(self, asked: Asked) -> None:
        """Say yes, as somebody who may."""
        said = await self._call("POST", f"/v1/approvals/{asked.code}/approve", {"digest_prefix": asked.digest[:16]})
        _must(said, state="approved")

    async def _call(
        self, method: str, place: str, body: dict[str, Any] | None = None, *, attempt: str | None = None
    ) -> dict[str, Any]:
        """Ask, and again a second later as long as the broker says that it could not decide in time."""
        head = {**self._head, "idempotency-key": f"bench-{next(_KEYS)}"}
        if attempt is not None:
            head["assent-attempt"] = attempt
        while True:
            async with self._session.request(method, f"{self._base}{place}", json=body, headers=head) as answered:
                said: dict[str, Any] = await answered.json()
            if answered.status == _LATER:
                self.put_off += 1
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            if answered.status != _DONE:
                raise WrongAnswer(f"{method} {place} answered {answered.status}: {said}")
            return said


def _must(said: dict[str, Any], **right: object) -> None:
    wrong = {name: said.get(name) for name, value in right.items() if said.get(name) != value}
    if wrong:
        raise WrongAnswer(f"expected {right}, heard {wrong}")
