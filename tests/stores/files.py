"""Ledgers in files, seen from outside too: a second connection, a plugged writer, works that write."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from assent.core.actions import Action
from assent.core.grants import Grant
from assent.core.looking import RecordFilter
from assent.ports import Ledger, Tx, View
from assent.stores.sqlite import SqliteLedger
from tests.contracts import samples
from tests.contracts.samples import KEYS, Clock, Ids

WAIT_SECONDS = 10.0
IDS = Ids()  # one for all: a ledger that is opened again must not meet its own ids


def open_at(path: Path, **settings: Any) -> SqliteLedger:  # passed on as they are
    return SqliteLedger.open(path, **{"keys": KEYS, "clock": Clock(), "new_id": IDS, **settings})


@asynccontextmanager
async def opened(path: Path, **settings: Any) -> AsyncIterator[SqliteLedger]:  # passed on as they are
    ledger = open_at(path, **settings)
    try:
        yield ledger
    finally:
        await ledger.close()


@contextmanager
def outside(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection of somebody who has the file and not the keys."""
    database = sqlite3.connect(path, isolation_level=None, timeout=WAIT_SECONDS)
    try:
        yield database
    finally:
        database.close()


class Spy:
    """Keeps every connection that a ledger opens; the first one writes."""

    def __init__(self) -> None:
        self.connections: list[sqlite3.Connection] = []

    def __call__(self, connection: sqlite3.Connection) -> None:
        self.connections.append(connection)

    @property
    def writer(self) -> sqlite3.Connection:
        return self.connections[0]


@asynccontextmanager
async def plugged(ledger: Ledger) -> AsyncIterator[None]:
    """Keep the writer busy, so that what is asked meanwhile waits and then shares one batch."""
    entered, released = threading.Event(), threading.Event()

    async def plug(_tx: Tx) -> None:
        entered.set()
        assert released.wait(WAIT_SECONDS)

    task = asyncio.create_task(ledger.transact(plug, within_seconds=WAIT_SECONDS))
    assert await asyncio.to_thread(entered.wait, WAIT_SECONDS)
    try:
        yield
    finally:
        released.set()
        await asyncio.gather(task, return_exceptions=True)


def adding(name: str, *, looks: bool = True, **changes: object) -> Callable[[Tx], Awaitable[str]]:
    """A flow of four writes and, where it looks at breakers first, a read: action, record, grant, record."""

    async def work(tx: Tx) -> str:
        if looks:
            await tx.open_breakers()
        await tx.add(samples.action(name, **changes))
        await tx.append(samples.entry(action=name))
        await tx.add(samples.grant(f"grant of {name}", action=name))
        await tx.append(samples.entry(action=name, payload={}))
        return name

    return work


async def together(ledger: Ledger, *works: Callable[[Tx], Awaitable[Any]]) -> list[Any]:
    """Run works as one batch; return each one's value or error."""
    async with plugged(ledger):
        tasks = [asyncio.create_task(ledger.transact(work, within_seconds=WAIT_SECONDS)) for work in works]
        await asyncio.sleep(0)
    return await asyncio.gather(*tasks, return_exceptions=True)


async def contents(ledger: Ledger, *names: str) -> tuple[list[str], list[str | None]]:
    """Return which of the flows `names` are wholly stored, and the actions that records name, oldest first.

    A flow of which only a part is stored fails the test.
    """

    async def work(view: View) -> tuple[list[str], list[str | None]]:
        kept = []
        for name in names:
            halves = [await view.get(Action, name) is not None, await view.get(Grant, f"grant of {name}") is not None]
            assert halves[0] == halves[1], f"half of {name} is stored"
            kept += [name] if all(halves) else []
        records = list(reversed((await view.records(RecordFilter(), limit=1_000)).records))
        assert [record.index for record in records] == list(range(len(records)))
        return kept, [_action_of(record.leaf) for record in records]

    return await ledger.read(work)


def _action_of(leaf: bytes) -> str | None:
    _, found, rest = leaf.partition(b'"action":"')
    return rest.partition(b'"')[0].decode() if found else None
