"""Threads, tasks and forks: two meanings are two actions, one meaning is found again, nobody shares a secret."""

import asyncio
import os
import threading
import warnings
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from assent import ApprovalPending, Assent, AsyncAssent, BrokerUnavailable, ConfigurationError
from assent.sdk.in_flight import InFlight
from assent.sdk.spool import Spool
from tests.sdk.conftest import BRISK
from tests.sdk.standin import KEY, Answer, Fault, StandIn, honest, lose

WHERE = {"table": "orders", "where": "id=7"}


def test_two_threads_with_the_same_arguments_in_one_run_are_two_actions(broker: Assent, standin: StandIn) -> None:
    def work(_: int) -> str:
        with broker.action("db.delete", WHERE, run_id="r") as action:
            return action.id

    with ThreadPoolExecutor(4) as pool:
        asked = pool.map(work, range(4))
        standin.wait_until(lambda: len(standin.actions) == 4)
        for action_id in list(standin.actions):
            standin.approve(action_id)
        assert sorted(asked) == ["act_1", "act_2", "act_3", "act_4"]
    assert sorted(standin.executions) == ["act_1", "act_2", "act_3", "act_4"]


async def test_two_tasks_with_the_same_arguments_in_one_run_are_two_actions(
    async_broker: AsyncAssent, standin: StandIn
) -> None:
    async def work() -> str:
        async with async_broker.action("files.write", {"path": "a", "content": "b"}, run_id="r") as action:
            return action.id

    assert len(set(await asyncio.gather(*[work() for _ in range(5)]))) == 5


def test_a_restarted_process_finds_its_action_again(url: str, spool: Path, standin: StandIn) -> None:
    for _ in range(2):
        with (
            Assent(url, KEY, limits=BRISK, spool=spool) as broker,
            pytest.raises(ApprovalPending),
            broker.action("db.delete", WHERE, run_id="r", wait=0),
        ):
            pytest.fail("the body ran")
    assert len(standin.actions) == 1


def test_a_finished_action_is_not_held_any_more(broker: Assent, standin: StandIn) -> None:
    for _ in range(2):
        with broker.action("files.write", {"path": "a", "content": "b"}, run_id="r"):
            pass
    assert all("in_flight" not in seen.body for seen in standin.asks())


def test_an_ask_names_what_this_process_holds_of_the_same_content(broker: Assent, standin: StandIn) -> None:
    with broker.action("files.read", {"path": "a"}, run_id="r"), broker.action("files.read", {"path": "a"}, run_id="r"):
        pass
    with broker.action("files.read", {"path": "b"}, run_id="r"):
        pass
    assert [seen.body.get("in_flight") for seen in standin.asks()] == [None, ["act_1"], None]


def test_an_ask_that_failed_lets_the_next_of_its_content_pass(broker: Assent, standin: StandIn) -> None:
    standin.break_next("POST /v1/actions", lose, lose, lose)
    with pytest.raises(BrokerUnavailable), broker.action("files.read", {"path": "a"}, run_id="r"):
        pytest.fail("the body ran")
    with broker.action("files.read", {"path": "a"}, run_id="r"):
        pass


def hold_until(released: threading.Event) -> Fault:
    """Answer only once it is released."""

    def fault(answer: Answer, send: Callable[[bytes], None]) -> bool:
        released.wait(10)
        return honest(answer, send)

    return fault


def test_an_ask_whose_turn_does_not_come_is_given_up(url: str, spool: Path, standin: StandIn) -> None:
    released = threading.Event()
    standin.break_next("POST /v1/actions", hold_until(released))
    limits = replace(BRISK, answer_seconds=10.0, exchange_seconds=0.05)

    def work() -> None:
        with broker.action("files.read", {"path": "a"}, run_id="r"):
            pass

    with Assent(url, KEY, limits=limits, spool=spool) as broker, ThreadPoolExecutor(1) as pool:
        first = pool.submit(work)
        standin.wait_until(lambda: bool(standin.asks()))
        with pytest.raises(BrokerUnavailable, match="same content"):
            work()
        released.set()
        first.result(10)
        work()


async def test_a_task_whose_turn_does_not_come_gives_up_too(url: str, spool: Path, standin: StandIn) -> None:
    released = threading.Event()
    standin.break_next("POST /v1/actions", hold_until(released))
    limits = replace(BRISK, answer_seconds=10.0, exchange_seconds=0.05)

    async with AsyncAssent(url, KEY, limits=limits, spool=spool) as broker:
        first = asyncio.create_task(broker.request("files.read", {"path": "a"}, run_id="r"))
        await asyncio.to_thread(standin.wait_until, lambda: bool(standin.asks()))
        with pytest.raises(BrokerUnavailable, match="same content"):
            await broker.request("files.read", {"path": "a"}, run_id="r")
        released.set()
        assert (await first).decision == "allow"


def test_more_of_the_same_content_than_an_ask_can_name_is_refused() -> None:
    book = InFlight()
    for number in range(100):
        book.hold("same", f"act_{number}")
    with pytest.raises(ConfigurationError, match="more than 100") as caught:
        book.enter("same")
    assert caught.value.__notes__ == ["give each its own call_id"]
    book.release("same", "act_0")
    assert book.enter("same") is None


async def test_a_task_cancelled_while_it_waits_its_turn_holds_up_nobody() -> None:
    book = InFlight()
    assert book.enter("same") is None
    second, third = book.enter("same"), book.enter("same")
    assert second is not None
    assert third is not None
    waiting = asyncio.ensure_future(asyncio.wrap_future(second))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    book.leave("same", second)
    book.leave("same", None)
    assert third.done()
    book.leave("same", third)
    assert book.enter("same") is None


async def test_cancelling_a_waiting_task_leaves_the_approval_for_its_next_try(
    async_broker: AsyncAssent, standin: StandIn
) -> None:
    async def work() -> None:
        async with async_broker.action("db.delete", WHERE, run_id="r"):
            pytest.fail("the body ran")

    task = asyncio.create_task(work())
    await asyncio.to_thread(standin.wait_until, lambda: any("wait=" in seen.path for seen in standin.seen))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    standin.approve("act_1")
    async with async_broker.action("db.delete", WHERE, run_id="r") as action:
        assert action.id == "act_1"


async def test_a_cancelled_body_is_reported_as_unknown(async_broker: AsyncAssent, standin: StandIn) -> None:
    entered = asyncio.Event()

    async def work() -> None:
        async with async_broker.action("files.read", {"path": "a"}, run_id="r"):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert standin.outcomes() == ["unknown"]


async def test_a_body_that_is_closed_leaves_its_outcome_to_the_spool(
    async_broker: AsyncAssent, standin: StandIn, spool: Path
) -> None:
    async def work() -> AsyncIterator[str]:
        async with async_broker.action("files.read", {"path": "a"}, run_id="r") as action:
            yield action.id

    body = work()
    assert await anext(body) == "act_1"
    await body.aclose()  # type: ignore[attr-defined]  # an async generator has it
    assert [report.status for report in Spool(spool).waiting()] == ["unknown"]
    async with async_broker.action("files.read", {"path": "b"}, run_id="r"):
        pass
    assert standin.actions["act_1"]["outcome"]["status"] == "unknown"
    assert Spool(spool).waiting() == ()


def test_a_forked_child_uses_neither_socket_nor_turn_of_its_parent(broker: Assent, standin: StandIn) -> None:
    broker.tools()  # an idle connection exists now
    entered, done = threading.Event(), threading.Event()

    def hold() -> None:
        with broker.action("files.read", {"path": "a"}, run_id="r"):
            entered.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    entered.wait(10)
    child = _fork(lambda: _ask_again(broker))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    done.set()
    thread.join(10)
    broker.tools()
    by_child = standin.asks()[1]
    parents = {seen.peer for seen in standin.seen if seen is not by_child and not seen.path.endswith("act_2/outcome")}
    assert by_child.peer not in parents
    assert by_child.body["attempt"] != standin.asks()[0].body["attempt"]
    assert standin.outcomes() == ["succeeded", "succeeded"]


def test_a_child_forked_inside_the_body_leaves_the_outcome_to_its_parent(broker: Assent, standin: StandIn) -> None:
    with broker.action("files.read", {"path": "a"}, run_id="r") as action:
        child = _fork(lambda: action.__exit__(None, None, None))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert standin.outcomes() == []
    assert standin.outcomes() == ["succeeded"]


def _ask_again(broker: Assent) -> None:
    with broker.action("files.read", {"path": "a"}, run_id="r"):
        pass


def _fork(work: Callable[[], object]) -> int:
    """Fork a child that does `work` and exits without pytest's farewell: 0 when it raised nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons dislike forks beside threads; so do we
        child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return child
