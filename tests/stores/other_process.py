"""What another process does to a ledger, started by tests as `python -m tests.stores.other_process PATH WHAT`.

It prints one line for everything that the ledger acknowledged.
"""

import asyncio
import itertools
import resource
import signal
import sqlite3
import sys
from pathlib import Path

from assent.core.errors import LedgerUnavailable
from assent.stores.sqlite import SqliteLedger
from tests.contracts import samples
from tests.stores.files import adding

ROOM = 300_000


def ids(prefix: str) -> str:
    return f"{prefix}_{next(COUNTER):08d}"


COUNTER = itertools.count(50_000_000)


def opened(path: Path) -> SqliteLedger:
    return SqliteLedger.open(path, samples.KEYS, clock=samples.Clock(), new_id=ids)


async def add(path: Path, names: "itertools.count[int]", limit: int) -> None:
    """Run up to `limit` flows, one after the other."""
    ledger = opened(path)
    for name in itertools.islice(names, limit):
        print(await ledger.transact(adding(f"other-{name}"), within_seconds=10), flush=True)
    await ledger.close()


async def trip(path: Path) -> None:
    ledger = opened(path)
    await ledger.transact(lambda tx: tx.add(samples.breaker("tripped elsewhere")))
    print("tripped", flush=True)
    await ledger.close()


async def fill(path: Path) -> None:
    """Write until the disk refuses, many flows at a time; then say how the ledger takes it."""
    ledger = opened(path)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, ROOM))
    for start in itertools.count(step=4):
        names = [f"other-{start + n}" for n in range(4)]
        answers = await asyncio.gather(*(ledger.transact(adding(name)) for name in names), return_exceptions=True)
        print(*(answer for answer in answers if isinstance(answer, str)), sep="\n", flush=True)
        if any(isinstance(answer, LedgerUnavailable) for answer in answers):
            break
    async with asyncio.timeout(10):
        await ledger.failed()
    for ask in (ledger.transact, ledger.read):
        try:
            await ask(lambda view: view.next_due())
        except LedgerUnavailable:
            print("refused", flush=True)
    await ledger.close()


def hold(path: Path) -> None:
    """Hold the write lock until standard input ends."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    print("held", flush=True)
    sys.stdin.read()


def main(path: Path, what: str) -> None:
    match what:
        case "add":
            asyncio.run(add(path, itertools.count(), 20))
        case "add for ever":
            asyncio.run(add(path, itertools.count(), sys.maxsize))
        case "trip":
            asyncio.run(trip(path))
        case "fill":
            asyncio.run(fill(path))
        case "hold":
            hold(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
