"""One process of many workers that all try to redeem the same grants: `python -m tests.hammers.redeemers`.

Reads what to do as JSON, says when all are connected, starts at the next line and prints what each attempt heard.
"""

import asyncio
import json
import random
import secrets
import sys
from typing import Any

from tests.hammers.calls import AsyncCaller

Heard = tuple[str, str, int, str]


async def worker(plan: dict[str, Any], number: int) -> list[Heard]:
    """Try a share of the grants once each, in nearly the same order as everybody else, so that they collide."""
    rng = random.Random(f"{plan['seed']}/{number}")
    mine = [place for place in range(len(plan["grants"])) if rng.random() < plan["share"]]
    mine.sort(key=lambda place: place + rng.uniform(0, plan["spread"]))
    caller = AsyncCaller(plan["port"], plan["keys"][number % len(plan["keys"])])
    heard: list[Heard] = []
    for place in mine:
        grant, digest = plan["grants"][place]
        attempt = secrets.token_urlsafe(24)
        try:
            answer = await caller.post(f"/v1/grants/{grant}/redeem", {"attempt": attempt, "digest": digest})
            heard.append((grant, attempt, answer.status, answer.code))
        except (OSError, EOFError, TimeoutError) as fault:
            heard.append((grant, attempt, 0, type(fault).__name__))
    caller.close()
    return heard


async def run(plan: dict[str, Any]) -> list[Heard]:
    """Let all workers of this process go at once."""
    first = plan["first_worker"]
    found = await asyncio.gather(*(worker(plan, first + number) for number in range(plan["workers"])))
    return [one for heard in found for one in heard]


def main() -> None:
    """Do what the first line says as soon as the second one comes."""
    plan = json.loads(sys.stdin.readline())
    print("ready", flush=True)
    sys.stdin.readline()
    json.dump(asyncio.run(run(plan)), sys.stdout)


if __name__ == "__main__":
    main()
