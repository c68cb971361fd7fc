"""Several brokers on one ledger in PostgreSQL, each a process: nothing twice, nothing past a stop, one log."""

import asyncio
import contextlib
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from assent.core.breakers import Scope
from assent.core.looking import RecordFilter
from assent.core.records import Record, RecordKind
from assent.ports import Gate, Tx, View
from assent.stores.postgres import Place, PostgresLedger
from assent.stores.postgres.copying import copy_to_file
from assent.stores.verify import verify_file
from tests.contracts import samples
from tests.stores.log_keys import KEY, KEYS
from tests.stores.postgres_crew import GRANTS, opened

ROOT = Path(__file__).parent.parent.parent
WAIT_SECONDS = 60.0
HELD_UP_SECONDS = 4.0


class Member:
    """One broker, and what it said."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.said: list[str] = []

    async def hears(self, *, at_least: int) -> None:
        """Wait until it has said that much."""
        async with asyncio.timeout(WAIT_SECONDS):
            while len(self.said) < at_least:
                assert self.process.stdout is not None
                line = (await self.process.stdout.readline()).decode().strip()
                assert line, "it ended"
                self.said.append(line)

    async def ends(self) -> list[str]:
        """Let it end; return all that it said."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        async with asyncio.timeout(WAIT_SECONDS):
            self.said += (await self.process.stdout.read()).decode().splitlines()
        assert self.said[-1] == "done"
        return self.said


@asynccontextmanager
async def crew(place: Place, *what: str) -> AsyncIterator[list[Member]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(member(place, task, f"b{n}")) for n, task in enumerate(what)]


@asynccontextmanager
async def member(place: Place, what: str, name: str) -> AsyncIterator[Member]:
    program = (sys.executable, "-m", "tests.stores.postgres_crew", place.url, what, name)
    process = await asyncio.create_subprocess_exec(*program, cwd=ROOT, stdin=PIPE, stdout=PIPE)
    try:
        made = Member(process)
        await made.hears(at_least=1)
        yield made
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
            process.kill()
        await process.wait()


@pytest.fixture
async def ledger(place: Place) -> AsyncIterator[PostgresLedger]:
    ledger = opened(place.url, "here")
    yield ledger
    await ledger.close()


async def records(ledger: PostgresLedger) -> list[Record]:
    """Return all records, oldest first."""
    found: list[Record] = []

    async def work(view: View) -> list[Record]:
        which = RecordFilter(oldest_first=True, first=len(found))
        return list((await view.records(which, limit=10_000)).records)

    while more := await ledger.read(work, within_seconds=WAIT_SECONDS):
        found += more
    return found


def check_order(found: list[Record]) -> None:
    assert [record.index for record in found] == list(range(len(found)))
    assert [record.time for record in found] == sorted(record.time for record in found)


def verified(place: Place, path: Path) -> int:
    """Verify a copy with all keys; return how many records it holds."""
    copy_to_file(place, path)
    return verify_file(path, key=KEY, keys=KEYS.ledger_keys()).records


async def grant_all(tx: Tx) -> None:
    for n in range(GRANTS):
        await tx.add(samples.action(f"of grant-{n}", idempotency_key=None, call_id=None))
        await tx.add(samples.grant(f"grant-{n}", action=f"of grant-{n}"))


@pytest.mark.requirement("P4", "T2")
async def test_each_grant_is_redeemed_once_whatever_broker_asks(ledger: PostgresLedger, place: Place) -> None:
    await ledger.transact(grant_all)
    async with crew(place, "redeem", "redeem", "redeem") as members:
        had = [word for one in members for word in await one.ends() if word.startswith("grant-")]
    assert Counter(had) == Counter(f"grant-{n}" for n in range(GRANTS))
    found = await records(ledger)
    check_order(found)
    assert Counter(json.loads(record.leaf)["action"] for record in found) == Counter(f"of {key}" for key in had)


async def trip(tx: Tx) -> int:
    """Stop everything; return where the log ends before the record of it."""
    await tx.add(samples.breaker("brk_all", scope=Scope()))
    place = await tx.next_index()
    await tx.append(samples.entry(RecordKind.BREAKER_TRIPPED, breaker="brk_all", action=None))
    return place


@pytest.mark.requirement("P6", "T11")
async def test_after_a_trip_is_acknowledged_no_broker_decides_anything(
    ledger: PostgresLedger, place: Place, tmp_path: Path
) -> None:
    async with crew(place, "decide", "decide") as members:
        for one in members:
            await one.hears(at_least=30)
        tripped = await ledger.transact(trip, gate=Gate.EXCLUSIVE, within_seconds=WAIT_SECONDS, urgent=True)
        acknowledged = len(await records(ledger))
        for one in members:
            await one.hears(at_least=len(one.said) + 60)
        answered = [word for one in members for word in await one.ends()]
    found = await records(ledger)
    check_order(found)
    # The trip is the last thing on record, in the moment of its answer as long after it.
    assert len(found) == acknowledged == tripped + 1
    decided = [word for word in answered if word.startswith("b")]
    assert answered.count("stopped") > 0
    assert sorted(json.loads(record.leaf)["action"] for record in found[:-1]) == sorted(decided)


@pytest.mark.requirement("P8", "T16")
async def test_brokers_that_all_sign_publish_one_tree(ledger: PostgresLedger, place: Place, tmp_path: Path) -> None:
    async with crew(place, "sign", "sign", "decide", "decide") as members:
        *signing, one, two = members
        for deciding in (one, two):
            await deciding.hears(at_least=80)
        decided = [word for each in (one, two) for word in await each.ends() if word.startswith("b")]
        notes = [word for each in signing for word in await each.ends() if ":" in word]
    sizes = [note.partition(":")[0] for note in notes]
    assert len(set(sizes)) == len(sizes) > 0
    assert verified(place, tmp_path / "copy.db") == len(decided)


@pytest.mark.requirement("P2", "T20")
async def test_a_broker_that_is_killed_loses_nothing_that_it_acknowledged(
    ledger: PostgresLedger, place: Place, tmp_path: Path
) -> None:
    async with crew(place, "decide", "decide") as members:
        killed, other = members
        for one in members:
            await one.hears(at_least=40)
        killed.process.kill()
        assert killed.process.stdout is not None
        killed.said += (await killed.process.stdout.read()).decode().splitlines()
        await other.hears(at_least=len(other.said) + 60)
        answered = [word for word in [*killed.said, *await other.ends()] if word.startswith("b")]
    found = await records(ledger)
    check_order(found)
    stored = Counter(json.loads(record.leaf)["action"] for record in found)
    assert set(answered) <= set(stored)
    assert set(stored.values()) == {1}


@pytest.mark.requirement("P6", "T11")
async def test_a_broker_that_hangs_in_a_transaction_does_not_hold_up_a_trip(
    ledger: PostgresLedger, place: Place
) -> None:
    async with crew(place, "decide") as (hanging,):
        await hanging.hears(at_least=40)
        hanging.process.send_signal(signal.SIGSTOP)
        began = asyncio.get_running_loop().time()
        tripped = None
        while tripped is None:
            with contextlib.suppress(Exception):
                tripped = await ledger.transact(trip, gate=Gate.EXCLUSIVE, within_seconds=WAIT_SECONDS, urgent=True)
        assert asyncio.get_running_loop().time() - began < HELD_UP_SECONDS
        hanging.process.send_signal(signal.SIGCONT)
        await hanging.hears(at_least=len(hanging.said) + 200)
        await hanging.ends()
    found = await records(ledger)
    check_order(found)
    assert len(found) == tripped + 1
