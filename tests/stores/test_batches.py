"""Many decisions share one commit; whatever fails, no flow is stored by half and none is answered unstored."""

import asyncio
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from assent.core.actions import Action
from assent.core.errors import LedgerUnavailable
from assent.ports import Tx
from assent.stores import writer
from assent.stores.job import TOLD_AT_ONCE
from assent.stores.sqlite import SqliteLedger
from assent.stores.writer import MAX_WAITING
from tests.contracts import samples
from tests.stores.files import Spy, adding, contents, opened, outside, plugged, together

pytestmark = pytest.mark.requirement("T5", "P2")

FOUR = ("one", "two", "three", "four")
BIG = b"x" * 200_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


async def check(ledger: SqliteLedger, answers: list[Any]) -> None:
    """Hold the invariant: exactly what was answered with a value is stored, wholly and in order."""
    answered = [name for name, answer in zip(FOUR, answers, strict=True) if answer == name]
    assert all(isinstance(answer, str | LedgerUnavailable) for answer in answers)
    stored, recorded = await contents(ledger, *FOUR)
    assert stored == answered
    assert [name for name in recorded if name in FOUR] == [name for name in answered for _ in range(2)]


async def check_again(path: Path, answers: list[Any]) -> None:
    async with opened(path) as ledger:
        await check(ledger, answers)
        assert await ledger.transact(adding("after")) == "after"


async def test_flows_that_wait_share_one_commit(path: Path) -> None:
    commits: list[str] = []
    spy = Spy()
    async with opened(path, prepare=spy) as ledger:
        async with plugged(ledger):
            spy.writer.set_trace_callback(commits.append)
            tasks = [asyncio.create_task(ledger.transact(adding(name))) for name in FOUR]
            await asyncio.sleep(0)
        assert await asyncio.gather(*tasks) == list(FOUR)
        assert commits.count("COMMIT") == 2  # the plug's, and theirs


async def test_a_batch_ends_with_what_is_urgent_and_the_rest_is_the_next_one(path: Path) -> None:
    statements: list[str] = []
    spy = Spy()
    async with opened(path, prepare=spy) as ledger:
        async with plugged(ledger):
            spy.writer.set_trace_callback(statements.append)
            tasks = [asyncio.create_task(ledger.transact(adding(name))) for name in FOUR[:3]]
            tasks.append(asyncio.create_task(ledger.transact(adding("four"), urgent=True)))
            await asyncio.sleep(0)
        assert await asyncio.gather(*tasks) == list(FOUR)
        # The plug's, which what is urgent shares, and that of the others, which were not divided any further.
        assert statements.count("COMMIT") == 2
        assert (await contents(ledger, *FOUR))[1] == [name for name in ("four", *FOUR[:3]) for _ in range(2)]


async def test_when_what_is_urgent_loses_the_transaction_the_others_run_anew(path: Path) -> None:
    async with opened(path) as ledger:
        with outside(path) as database:
            database.execute(ROLL_BACK)
        async with plugged(ledger):
            tasks = [asyncio.create_task(ledger.transact(adding(name), urgent=name == "two")) for name in FOUR]
            await asyncio.sleep(0)
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(answer) for answer in answers] == [str, LedgerUnavailable, str, str]
        assert (await contents(ledger, *FOUR))[0] == ["one", "three", "four"]


async def test_what_is_told_at_once_is_little_so_that_nothing_waits_behind_a_whole_batch(path: Path) -> None:
    heard: list[str] = []

    async def hear(ledger: SqliteLedger, name: str) -> None:
        heard.append(await ledger.transact(adding(name)))
        if len(heard) == 1:
            asyncio.get_running_loop().call_soon(heard.append, "something else")

    names = [f"n{number:02d}" for number in range(3 * TOLD_AT_ONCE)]
    async with opened(path) as ledger:
        async with plugged(ledger):
            tasks = [asyncio.create_task(hear(ledger, name)) for name in names]
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)
    assert heard.index("something else") == TOLD_AT_ONCE
    assert [name for name in heard if name in names] == names


async def interrupted_at(path: Path, statement: int) -> tuple[list[Any], int]:
    """Run four flows and interrupt SQLite as it begins its `statement`-th statement; return answers and statements."""
    spy, seen = Spy(), list[str]()

    def look(sql: str) -> None:
        seen.append(sql)
        if len(seen) == statement:
            spy.writer.interrupt()

    async with opened(path, prepare=spy) as ledger:
        async with plugged(ledger):
            tasks = [asyncio.create_task(ledger.transact(adding(name))) for name in FOUR]
            await asyncio.sleep(0)
            spy.writer.set_trace_callback(look)
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        statements = len(seen)
        await check(ledger, answers)
        assert await ledger.transact(adding("next")) == "next"
    return answers, statements


async def test_an_interrupt_at_any_statement_of_a_batch_leaves_nothing_by_half(tmp_path: Path) -> None:
    _, statements = await interrupted_at(tmp_path / "calm.db", -1)
    failed = 0
    for statement in range(1, statements + 1):
        path = tmp_path / f"{statement}.db"
        answers, _ = await interrupted_at(path, statement)
        failed += any(isinstance(answer, LedgerUnavailable) for answer in answers)
        await check_again(path, answers)
    assert failed > statements / 2


async def test_a_full_database_at_any_page_leaves_nothing_by_half(tmp_path: Path) -> None:
    failed = 0
    for pages in range(0, 230, 23):
        spy, path = Spy(), tmp_path / f"{pages}.db"
        async with opened(path, prepare=spy) as ledger:
            (count,) = spy.writer.execute("PRAGMA page_count").fetchone()
            spy.writer.execute(f"PRAGMA max_page_count = {count + pages}")
            answers = await together(ledger, *(adding(name, arguments=BIG) for name in FOUR))
            failed += any(isinstance(answer, LedgerUnavailable) for answer in answers)
            spy.writer.execute("PRAGMA max_page_count = 1000000")
            await check(ledger, answers)
        await check_again(path, answers)
    assert failed > 2


ROLL_BACK = "CREATE TRIGGER harm BEFORE INSERT ON grant WHEN NEW.action = 'two' BEGIN SELECT RAISE(ROLLBACK, 'x'); END"


async def test_when_one_flow_loses_the_transaction_all_that_ran_hear_so_and_the_rest_run_anew(path: Path) -> None:
    async with opened(path) as ledger:
        with outside(path) as database:
            database.execute(ROLL_BACK)
        answers = await together(ledger, *map(adding, FOUR))

        assert [type(answer) for answer in answers] == [LedgerUnavailable, LedgerUnavailable, str, str]
        await check(ledger, answers)


async def test_a_flow_that_swallows_the_loss_of_its_transaction_stores_nothing_on_its_own(path: Path) -> None:
    async def swallowing(tx: Tx) -> str:
        await tx.add(samples.action("two"))
        try:
            await tx.add(samples.grant("grant of two", action="two"))
        except LedgerUnavailable:
            with pytest.raises(LedgerUnavailable):
                await tx.append(samples.entry(action="two"))
        return "two"

    async with opened(path) as ledger:
        with outside(path) as database:
            database.execute(ROLL_BACK)
        answers = await together(ledger, adding("one"), swallowing, adding("three"), adding("four"))

        assert [type(answer) for answer in answers] == [LedgerUnavailable, LedgerUnavailable, str, str]
        await check(ledger, answers)


async def test_an_error_that_a_flow_raised_in_a_batch_that_died_is_not_told(path: Path) -> None:
    async def believing(tx: Tx) -> None:
        raise LookupError(f"one is there: {await tx.get(Action, 'one') is not None}")

    async with opened(path) as ledger:
        with outside(path) as database:
            database.execute(ROLL_BACK)
        answers = await together(ledger, adding("one"), believing, adding("two"))

    assert [type(answer) for answer in answers] == [LedgerUnavailable] * 3


def failing_commits(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA foreign_keys = ON")


async def test_when_the_commit_fails_everybody_who_shared_it_hears_so(path: Path) -> None:
    async with opened(path, prepare=failing_commits) as ledger:
        with outside(path) as database:
            database.execute("CREATE TABLE child (a REFERENCES action (id) DEFERRABLE INITIALLY DEFERRED)")
            database.execute(
                "CREATE TRIGGER harm AFTER INSERT ON grant WHEN NEW.action = 'two'"
                " BEGIN INSERT INTO child VALUES ('nobody'); END"
            )
        answers = await together(ledger, *map(adding, FOUR))

        assert [type(answer) for answer in answers] == [LedgerUnavailable] * 4
        await check(ledger, answers)
        assert await ledger.transact(adding("next")) == "next"


async def test_a_ledger_that_cannot_be_written_says_so_and_recovers(path: Path) -> None:
    spy = Spy()
    async with opened(path, prepare=spy) as ledger:
        async with plugged(ledger):
            tasks = [asyncio.create_task(ledger.transact(adding(name))) for name in FOUR]
            await asyncio.sleep(0)
            spy.writer.execute("PRAGMA query_only = ON")
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(answer) for answer in answers] == [LedgerUnavailable] * 4
        spy.writer.execute("PRAGMA query_only = OFF")
        await check(ledger, answers)
        assert await ledger.transact(adding("next")) == "next"


async def test_who_cancels_before_the_turn_never_runs(path: Path) -> None:
    async with opened(path) as ledger:
        async with plugged(ledger):
            task = asyncio.create_task(ledger.transact(adding("one")))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert await ledger.transact(adding("two")) == "two"
        assert task.cancelled()
        assert await contents(ledger, *FOUR) == (["two"], ["two", "two"])


async def test_who_cancels_while_it_runs_is_stored_unheard(path: Path) -> None:
    async with opened(path) as ledger:
        tasks: list[asyncio.Task[str]] = []
        loop = asyncio.get_running_loop()

        async def cancelled_in_the_middle(tx: Tx) -> str:
            await adding("one")(tx)
            loop.call_soon_threadsafe(tasks[0].cancel)
            return "one"

        tasks.append(asyncio.create_task(ledger.transact(cancelled_in_the_middle)))
        await asyncio.gather(*tasks, return_exceptions=True)
        await ledger.transact(adding("two"))
        assert await contents(ledger, *FOUR) == (["one", "two"], ["one", "one", "two", "two"])


async def test_who_runs_out_of_time_before_the_turn_never_runs(path: Path) -> None:
    async with opened(path) as ledger:
        async with plugged(ledger):
            with pytest.raises(LedgerUnavailable):
                await ledger.transact(adding("one"), within_seconds=0.01)
        assert await ledger.transact(adding("two")) == "two"
        assert (await contents(ledger, *FOUR))[0] == ["two"]


async def test_a_ledger_held_by_another_process_is_answered_in_time_and_not_written_later(path: Path) -> None:
    async with opened(path) as ledger:
        with outside(path) as database:
            database.execute("BEGIN IMMEDIATE")
            answers = await asyncio.gather(
                *(ledger.transact(adding(name), within_seconds=0.05) for name in FOUR), return_exceptions=True
            )
            assert [type(answer) for answer in answers] == [LedgerUnavailable] * 4
            assert await contents(ledger, *FOUR) == ([], [])
            database.execute("ROLLBACK")
        assert await ledger.transact(adding("next")) == "next"
        await contents(ledger, *FOUR, "next")


async def test_more_than_may_wait_are_refused_at_once(path: Path) -> None:
    async def nothing(_tx: Tx) -> None:
        return None

    async with opened(path) as ledger:
        async with plugged(ledger):
            waiting = [asyncio.create_task(ledger.transact(nothing, within_seconds=10)) for _ in range(MAX_WAITING)]
            await asyncio.sleep(0)
            with pytest.raises(LedgerUnavailable, match="wait for the ledger already"):
                await ledger.transact(nothing)
            stop = asyncio.create_task(ledger.transact(nothing, urgent=True))
            await asyncio.sleep(0)
        await asyncio.gather(stop, *waiting)


async def test_what_is_urgent_does_not_pile_up_without_end_either(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MAX_URGENT", 2)
    async with opened(path) as ledger:
        async with plugged(ledger):
            stops = [asyncio.create_task(ledger.transact(adding(name), urgent=True)) for name in FOUR]
            await asyncio.sleep(0)
        answers = await asyncio.gather(*stops, return_exceptions=True)
        assert [type(answer) for answer in answers] == [str, str, LedgerUnavailable, LedgerUnavailable]


async def test_a_closed_ledger_finishes_what_waited_and_refuses_what_comes(path: Path) -> None:
    ledger = SqliteLedger.open(path, samples.KEYS, clock=samples.Clock(), new_id=samples.Ids())
    tasks = [asyncio.create_task(ledger.transact(adding(name), urgent=name == "two")) for name in FOUR]
    await asyncio.sleep(0)
    await ledger.close()
    assert await asyncio.gather(*tasks) == list(FOUR)
    for ask in (ledger.transact, ledger.read, partial(ledger.transact, urgent=True)):
        with pytest.raises(LedgerUnavailable, match="closed"):
            await ask(lambda view: view.next_due())
    await ledger.close()


def move(path: Path) -> None:
    path.rename(path.with_suffix(".moved"))


def remove_the_log_of(path: Path) -> None:
    path.with_name(f"{path.name}-wal").unlink()


def put_a_copy_in_its_place(path: Path) -> None:
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)


@pytest.mark.parametrize("harm", [Path.unlink, move, remove_the_log_of, put_a_copy_in_its_place])
async def test_a_ledger_whose_file_is_gone_acknowledges_nothing_and_is_closed_for_good(
    path: Path, harm: Callable[[Path], object]
) -> None:
    async with opened(path) as ledger:
        await ledger.transact(adding("one"))
        harm(path)
        for name in ("two", "three"):
            with pytest.raises(LedgerUnavailable, match="moved, removed"):
                await ledger.transact(adding(name))
        async with asyncio.timeout(10):
            assert "moved, removed" in (await ledger.failed()).message
