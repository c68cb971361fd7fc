"""A ledger that several processes write, that one of them dies on, or whose disk gives up."""

import asyncio
import contextlib
import fcntl
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from assent.core.errors import LedgerUnavailable
from assent.ports import View
from assent.stores.sqlite import ServingLock
from tests.stores.files import WAIT_SECONDS, adding, contents, opened

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@asynccontextmanager
async def another(path: Path, what: str) -> AsyncIterator[Process]:
    program = (sys.executable, "-m", "tests.stores.other_process", str(path), what)
    process = await asyncio.create_subprocess_exec(*program, cwd=ROOT, stdin=PIPE, stdout=PIPE)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
            process.kill()
        await process.wait()


async def line(process: Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(60):
        return (await process.stdout.readline()).decode().strip()


async def rest(process: Process) -> list[str]:
    assert process.stdout is not None
    async with asyncio.timeout(60):
        return (await process.stdout.read()).decode().split()


@pytest.mark.requirement("P2")
async def test_two_processes_write_one_gapless_log(path: Path) -> None:
    async with opened(path) as ledger, another(path, "add") as process:
        mine = [f"mine-{n}" for n in range(20)]
        for name in mine:
            await ledger.transact(adding(name), within_seconds=WAIT_SECONDS)
        theirs = await rest(process)
        stored, records = await contents(ledger, *mine, *theirs)
        assert stored == [*mine, *theirs]
        assert len(theirs) == 20
        assert len(records) == 80


@pytest.mark.requirement("P6", "T11")
async def test_a_trip_by_another_process_holds_from_its_acknowledgement_on(path: Path) -> None:
    async def holding(view: View) -> list[str]:
        return [str(breaker.id) for breaker in await view.open_breakers()]

    async with opened(path) as ledger:
        assert await ledger.transact(holding) == []
        async with another(path, "trip") as process:
            assert await line(process) == "tripped"
            assert await ledger.transact(holding) == ["tripped elsewhere"]
            assert await ledger.read(holding) == ["tripped elsewhere"]


async def test_a_second_process_has_its_turn_beside_a_saturated_writer(path: Path) -> None:
    async with opened(path) as ledger:
        running = True
        served = 0

        async def worker(number: int) -> None:
            nonlocal served
            for round_ in range(1_000_000):
                if not running:
                    return
                await ledger.transact(adding(f"{number}-{round_}"), within_seconds=WAIT_SECONDS)
                served += 1

        workers = [asyncio.create_task(worker(number)) for number in range(64)]
        async with another(path, "add") as process:
            theirs = await rest(process)
        running = False
        await asyncio.gather(*workers)
    assert len(theirs) == 20
    assert served > 64


@pytest.mark.requirement("T5")
async def test_a_process_that_hangs_with_the_ledger_in_its_hands_is_answered_in_time(path: Path) -> None:
    async with opened(path) as ledger, another(path, "hold") as process:
        assert await line(process) == "held"
        process.send_signal(signal.SIGSTOP)
        answers = await asyncio.gather(
            *(ledger.transact(adding(f"stopped-{n}"), within_seconds=0.2) for n in range(8)), return_exceptions=True
        )
        assert [type(answer) for answer in answers] == [LedgerUnavailable] * 8
        process.kill()
        await process.wait()
        assert await ledger.transact(adding("next"), within_seconds=WAIT_SECONDS) == "next"
        assert (await contents(ledger, *(f"stopped-{n}" for n in range(8)), "next"))[0] == ["next"]


async def test_a_process_that_hangs_at_the_turnstile_holds_nobody_up_for_long(path: Path) -> None:
    async with opened(path) as ledger:
        with path.with_name("ledger.db.knock").open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            async with asyncio.timeout(WAIT_SECONDS):
                for number in range(100):  # a quarter of a second each would be too long
                    await ledger.transact(adding(f"mine-{number}"))


@pytest.mark.requirement("T20", "P2")
@pytest.mark.parametrize("acknowledged", [1, 7, 40])
async def test_nothing_that_was_acknowledged_is_lost_when_the_process_is_killed(path: Path, acknowledged: int) -> None:
    async with another(path, "add for ever") as process:
        heard = [await line(process) for _ in range(acknowledged)]
        process.kill()
        heard += await rest(process)
    async with opened(path) as ledger:
        assert ledger.was_left_open
        stored, _ = await contents(ledger, *heard)
        assert stored == heard
        assert await ledger.transact(adding("next")) == "next"
    async with opened(path) as ledger:
        assert not ledger.was_left_open


@pytest.mark.requirement("T5", "T20", "P2")
async def test_when_the_disk_fails_nothing_is_acknowledged_that_is_not_there_and_the_ledger_closes_for_good(
    path: Path,
) -> None:
    async with another(path, "fill") as process:
        *heard, first, second = await rest(process)
    assert (first, second) == ("refused", "refused")
    assert heard
    async with opened(path) as ledger:
        stored, _ = await contents(ledger, *heard)
        assert stored == heard
        assert await ledger.transact(adding("next")) == "next"


def test_only_one_process_serves_a_ledger(path: Path) -> None:
    with ServingLock(path), pytest.raises(LedgerUnavailable, match="serves"):
        ServingLock(path)
    ServingLock(path).release()


@pytest.mark.requirement("T5", "P2")
async def test_a_process_that_leaves_takes_nothing_away_from_one_that_stays(path: Path) -> None:
    # POSIX drops all of a process's locks on a file as soon as it closes any descriptor of it; without them the last
    # of the others to leave would remove the write-ahead log that this process still writes.
    async with opened(path) as ledger:
        async with opened(path) as second:
            await second.transact(adding("second"))
            async with another(path, "trip") as process:
                assert await rest(process) == ["tripped"]
                assert await process.wait() == 0
            assert await ledger.transact(adding("mine")) == "mine"
        assert (await contents(ledger, "second", "mine"))[0] == ["second", "mine"]
