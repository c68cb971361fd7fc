"""What one of several brokers does to a ledger on PostgreSQL: `python -m tests.stores.postgres_crew URL WHAT NAME`.

It prints one line for everything that the ledger acknowledged, and ends when standard input does. Its clock is the
machine's, set off by up to a tenth of a second: brokers on several machines never agree.
"""

import asyncio
import itertools
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from assent.core.errors import LedgerUnavailable, Stale
from assent.core.grants import Grant, GrantState
from assent.ports import Tx
from assent.stores.ledger_time import LedgerTime
from assent.stores.ledger_tree import LedgerTree
from assent.stores.postgres import Place, PostgresLedger
from assent.stores.tree import Integrator
from assent.wiring import fresh
from tests.contracts import samples
from tests.stores.log_keys import KEY, KEYS

AT_ONCE: Final = 8
GRANTS: Final = 60
WITHIN_SECONDS: Final = 10.0


def opened(url: str, name: str) -> PostgresLedger:
    off = timedelta(milliseconds=sum(name.encode()) % 200 - 100)
    told = LedgerTime(lambda: datetime.now(UTC) + off, lambda: 0.0)
    return PostgresLedger.open(Place(url=url), KEYS.ledger_keys(), clock=told, new_id=fresh.new_id)


def say(*words: str) -> None:
    print(*words, flush=True)


def deciding(name: str) -> Callable[[Tx], Awaitable[str]]:
    """A decision as a flow makes it: what is open is read in the transaction that stores it."""

    async def work(tx: Tx) -> str:
        if await tx.open_breakers():
            return "stopped"
        await tx.add(samples.action(name, idempotency_key=name, call_id=name))
        await tx.append(samples.entry(action=name))
        return name

    return work


def redeeming(key: str, attempt: str) -> Callable[[Tx], Awaitable[bool]]:
    async def work(tx: Tx) -> bool:
        grant = await tx.get(Grant, key)
        assert grant is not None
        if grant.state is not GrantState.ISSUED:
            return False
        spent = replace(grant, state=GrantState.SPENT, attempt=attempt.encode(), revision=grant.revision + 1)
        await tx.replace(grant, spent)
        await tx.append(samples.entry(action=f"of {key}", operator=attempt))
        return True

    return work


async def decide(ledger: PostgresLedger, name: str, ended: asyncio.Event) -> None:
    """Decide without end, a few at a time, and say what was answered."""

    async def one(which: int) -> None:
        for n in itertools.count():
            if ended.is_set():
                return
            try:
                say(await ledger.transact(deciding(f"{name}-{which}-{n}"), within_seconds=WITHIN_SECONDS))
            except LedgerUnavailable:
                await asyncio.sleep(0.01)

    await asyncio.gather(*map(one, range(AT_ONCE)))


async def redeem(ledger: PostgresLedger, name: str) -> None:
    """Try for every grant, in an order of its own and several times, and say which were had."""
    order = sorted(range(GRANTS), key=lambda n: hash((n, name)))

    async def one(n: int) -> None:
        for attempt in range(3):
            if await ledger.transact(redeeming(f"grant-{n}", f"{name}-{attempt}"), within_seconds=WITHIN_SECONDS):
                say(f"grant-{n}")

    await asyncio.gather(*map(one, order))


async def sign(ledger: PostgresLedger, ended: asyncio.Event) -> None:
    """Let the tree grow without end, as every broker would."""
    integrator = Integrator(LedgerTree(ledger), key=KEY, sign=KEYS.sign_log)
    while not ended.is_set():
        try:
            grown = await integrator.integrate_once()
        except Stale:
            grown = None
        if grown is None:
            await asyncio.sleep(0.001)
        else:
            say(f"{grown.size}:{grown.root.hex()}")


async def main(url: str, what: str, name: str) -> None:
    ledger, ended = opened(url, name), asyncio.Event()
    loop = asyncio.get_running_loop()
    reading = loop.run_in_executor(None, sys.stdin.read)
    reading.add_done_callback(lambda _: ended.set())
    say("ready")
    match what:
        case "decide":
            await decide(ledger, name, ended)
        case "redeem":
            await redeem(ledger, name)
        case "sign":
            await sign(ledger, ended)
    await ledger.close()
    say("done")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
