"""A breaker that opens while an agent waits or works: whoever waits hears all of it, and code that listens is told."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from assent import ActionDenied, Assent, AsyncAssent, BreakerOpen
from assent.core.reasons import Reason
from assent.sdk.decisions import denial, refusal
from assent.sdk.errors import BreakerNotice
from assent.sdk.http import Response
from tests.api.town import Town
from tests.sdk.conftest import BRISK
from tests.sdk.test_with_broker import served, town

__all__ = ["served", "town"]  # fixtures of the neighbour

WRITE = {"env": "production", "path": "a"}
LONG = 10.0


@pytest.fixture
async def agent(town: Town, served: str, spool: Path) -> AsyncIterator[AsyncAssent]:  # the fixture
    async with AsyncAssent(served, await town.agent(), limits=BRISK, spool=spool) as client:
        with client.run("r"):
            yield client


async def trip(town: Town, reason: str = "it loops", **scope: str) -> dict[str, Any]:  # same
    body = {"scope": scope, "reason": reason}
    heard = await town.post(await town.operator("eve"), "/v1/breakers/trip", body)
    assert heard.status == 200, heard.body
    found: dict[str, Any] = heard.json
    return found


@pytest.mark.requirement("P6")
async def test_a_tripped_agent_hears_what_since_when_by_whom_and_why(agent: AsyncAssent, town: Town) -> None:
    await trip(town, agent="bot")
    with pytest.raises(BreakerOpen) as caught:
        async with agent.action("files.read", WRITE):
            pytest.fail("the body ran")
    stopped = caught.value
    assert (stopped.scope, stopped.who, stopped.reason, stopped.retry_after) == (
        {"agent": "bot"},
        "eve",
        "it loops",
        None,
    )
    assert stopped.since == town.world.clock.now
    said = "agent `bot` is stopped since 2026-11-23 10:00:00 UTC by `eve` (it loops)"
    assert stopped.model_message.startswith(f"`files.read` did not run: {said}; ")
    assert "do not retry" in stopped.model_message


@pytest.mark.requirement("P6")
async def test_who_waits_for_a_human_wakes_when_the_switch_is_pulled(agent: AsyncAssent, town: Town) -> None:
    async def work() -> None:
        async with agent.action("files.write", WRITE, wait=60):
            pytest.fail("the body ran")

    waiting = asyncio.create_task(work())
    async with asyncio.timeout(LONG):
        while not (await town.get(await town.operator(), "/v1/approvals?state=pending")).json["items"]:  # noqa: ASYNC110  # HTTP only
            await asyncio.sleep(0)
        await trip(town, environment="production")
        with pytest.raises(BreakerOpen) as caught:
            await waiting
    assert (caught.value.scope, caught.value.who) == ({"environment": "production"}, "eve")


async def test_a_grant_that_was_cut_off_says_by_which_breaker(agent: AsyncAssent, town: Town) -> None:
    decision = await agent.request("files.read", WRITE)
    await trip(town, agent="bot")
    with pytest.raises(BreakerOpen) as caught:
        async with agent.resume(decision):
            pytest.fail("the body ran")
    assert caught.value.who == "eve"


async def test_code_that_listens_is_told_while_it_runs(agent: AsyncAssent, town: Town) -> None:
    told: list[ActionDenied] = []
    heard = asyncio.Event()

    def on_stop(why: ActionDenied) -> None:
        told.append(why)
        heard.set()

    async with asyncio.timeout(LONG), agent.action("files.read", WRITE, on_stop=on_stop) as action:
        assert not action.stopped.is_set()
        await trip(town, tool="files.*")
        await heard.wait()
        assert action.stopped.is_set()
    (why,) = told
    assert isinstance(why, BreakerOpen)
    assert (why, why.scope, why.reason) == (action.stopped.why, {"tool": "files.*"}, "it loops")
    # It had begun: it ends as its own code ends it.
    key = await town.agent()
    assert (await town.get(key, f"/v1/actions/{action.id}")).json["state"] == "succeeded"


async def test_a_sync_agent_is_told_in_a_thread_of_its_own(town: Town, served: str, spool: Path) -> None:
    key, loop = await town.agent(), asyncio.get_running_loop()
    working = asyncio.Event()

    def work() -> str:
        ended = threading.Event()
        with Assent(served, key, limits=BRISK, spool=spool) as broker, broker.run("r"):

            @broker.guard("files.read", on_stop=lambda why: ended.set())
            def read(env: str, path: str) -> str:
                loop.call_soon_threadsafe(working.set)
                return f"stopped: {ended.wait(LONG)}"

            return read("production", "a")

    worker = asyncio.create_task(asyncio.to_thread(work))
    async with asyncio.timeout(2 * LONG):
        await working.wait()
        await trip(town, agent="bot")
        assert await worker == "stopped: True"


async def test_a_loop_may_look_whether_it_should_stop(town: Town, served: str, spool: Path) -> None:
    key, loop = await town.agent(), asyncio.get_running_loop()
    working = asyncio.Event()

    def work() -> None:
        with (
            Assent(served, key, limits=BRISK, spool=spool) as broker,
            broker.run("r"),
            broker.action("files.read", WRITE) as action,
        ):
            assert not action.stopped.is_set()
            loop.call_soon_threadsafe(working.set)
            assert action.stopped.wait(LONG)
            assert action.stopped.why is not None
            raise action.stopped.why

    worker = asyncio.create_task(asyncio.to_thread(work))
    async with asyncio.timeout(2 * LONG):
        await working.wait()
        await trip(town, agent="bot")
        with pytest.raises(BreakerOpen):
            await worker


async def test_a_breaker_over_something_else_stops_nothing(agent: AsyncAssent, town: Town) -> None:
    async with agent.action("files.read", WRITE) as action:
        assert not action.stopped.is_set()
        await trip(town, agent="other")
        await agent.request("files.read", WRITE | {"path": "b"})
        assert not action.stopped.is_set()


async def test_an_error_in_the_hook_ends_nothing_else(agent: AsyncAssent, town: Town) -> None:
    def broken(why: ActionDenied) -> None:
        raise RuntimeError(str(why))

    async with asyncio.timeout(LONG), agent.action("files.read", WRITE, on_stop=broken) as action:
        await trip(town, agent="bot")
        while not action.stopped.is_set():  # noqa: ASYNC110  # each turn lets the listener listen
            await asyncio.sleep(0)


def test_what_a_model_is_told() -> None:
    since = datetime(2026, 11, 23, 10, tzinfo=UTC)
    notice = BreakerNotice(
        covers="tool `db.*`", scope={"tool": "db.*"}, who="rule:failing", since=since, retry_after=42.0
    )
    heals = BreakerOpen("no", breaker=notice, tool="db.run")
    assert heals.model_message == (
        "`db.run` did not run: tool `db.*` is stopped since 2026-11-23 10:00:00 UTC by `rule:failing`; "
        "do not retry within 42 seconds, go on with something else"
    )
    bare = BreakerOpen("no", tool="db.run")
    assert "do not retry" in bare.model_message
    assert (bare.scope, bare.who, bare.reason, bare.since, bare.retry_after) == ({}, "", "", None, None)


@pytest.mark.parametrize(
    "breaker",
    [None, [], "x", {}, {"scope": 7}, {"scope": {"agent": 7}}, {"since": "soon", "retry_after": "soon", "who": 9}],
)
def test_a_notice_that_cannot_be_read_leaves_the_denial_as_it_is(breaker: Any) -> None:
    body = json.dumps({"code": "breaker_open", "detail": "no", "breaker": breaker}).encode()
    heard = refusal(Response(status=409, headers={"content-type": "application/problem+json"}, body=body))
    assert isinstance(heard, BreakerOpen)
    assert "do not retry" in heard.model_message


def test_a_denial_of_another_kind_is_no_breaker() -> None:
    assert not isinstance(denial("rule_denied", "no", reasons=(Reason("rule_denied", "no"),)), BreakerOpen)
