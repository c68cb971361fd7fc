"""The SDK against the real application over real sockets: contract and client mean the same."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from assent import (
    ActionDenied,
    AlreadyExecuted,
    ApprovalPending,
    Assent,
    AsyncAssent,
    BreakerOpen,
    BrokerUnavailable,
    ConfigurationError,
)
from tests.api.town import Town
from tests.flows.world import a_world
from tests.sdk.conftest import BRISK

WRITE = {"env": "production", "path": "a"}
FREE = {"env": "staging", "path": "a"}


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    world = a_world()
    yield Town(world)
    await world.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has


@pytest.fixture
async def served(town: Town) -> AsyncIterator[str]:
    config = uvicorn.Config(town.app, port=0, lifespan="off", log_config=None, ws="none")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(10):
        while not server.started:  # noqa: ASYNC110  # uvicorn tells by a flag only
            await asyncio.sleep(0)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    town.closing.set()
    server.should_exit = True
    await serving


@pytest.fixture
async def agent(town: Town, served: str, spool: Path) -> AsyncIterator[AsyncAssent]:
    async with AsyncAssent(served, await town.agent(), limits=BRISK, spool=spool) as client:
        with client.run("r"):
            yield client


async def approve(town: Town, action_id: str) -> None:
    token = await town.agent()
    asked = (await town.get(token, f"/v1/actions/{action_id}")).json
    path = f"/v1/approvals/{asked['approval']['id']}/approve"
    heard = await town.post(await town.operator(), path, {"digest_prefix": asked["digest"][:8]})
    assert heard.status == 200, heard.body


async def state_of(town: Town, action_id: str) -> Any:
    return (await town.get(await town.agent(), f"/v1/actions/{action_id}")).json


async def test_routine_work_runs_at_once_and_its_outcome_is_on_record(agent: AsyncAssent, town: Town) -> None:
    async with agent.action("files.read", WRITE) as action:
        assert action.arguments == WRITE
        action.set_result(["line"])
    told = await state_of(town, action.id)
    assert (told["state"], told["outcome"]["status"]) == ("succeeded", "succeeded")
    assert agent.latest_checkpoint is not None


async def test_a_sync_agent_does_the_same(town: Town, served: str, spool: Path) -> None:
    key = await town.agent()

    def work() -> list[str]:
        with Assent(served, key, limits=BRISK, spool=spool) as broker, broker.run("r"):

            @broker.guard("files.read")
            def read(env: str, path: str) -> str:
                return env + path

            return [read("production", "a") for _ in range(3)]

    assert await asyncio.to_thread(work) == ["productiona"] * 3


async def test_a_person_s_yes_lets_the_waiting_agent_run_once(agent: AsyncAssent, town: Town) -> None:
    async def work() -> str:
        async with agent.action("files.write", WRITE, reason="because") as action:
            return action.id

    waiting = asyncio.create_task(work())
    async with asyncio.timeout(10):
        while not (asked := (await town.get(await town.operator(), "/v1/approvals?state=pending")).json["items"]):  # noqa: ASYNC110  # each turn asks anew
            await asyncio.sleep(0)
    await approve(town, asked[0]["action_id"])
    assert await waiting == asked[0]["action_id"]
    assert (await state_of(town, await waiting))["state"] == "succeeded"


async def test_pending_is_found_again_and_other_arguments_are_another_action(agent: AsyncAssent, town: Town) -> None:
    first = await agent.request("files.write", WRITE)
    again = await agent.request("files.write", WRITE)
    other = await agent.request("files.write", WRITE | {"path": "b"})
    assert first.action_id == again.action_id != other.action_id
    with pytest.raises(ApprovalPending) as caught:
        async with agent.action("files.write", WRITE, wait=0):
            pytest.fail("the body ran")
    assert caught.value.approval_code
    await approve(town, first.action_id)
    page = await agent.decided()
    async with agent.resume(page.items[0]) as action:
        assert (action.id, action.arguments) == (first.action_id, WRITE)


async def test_what_is_forbidden_or_unknown_is_denied(agent: AsyncAssent) -> None:
    for tool, code in (("files.delete", "rule_denied"), ("files.shred", "unknown_tool")):
        with pytest.raises(ActionDenied) as caught:
            async with agent.action(tool, WRITE):
                pytest.fail("the body ran")
        assert caught.value.code == code


@pytest.mark.requirement("P4", "T21")
async def test_an_action_that_is_running_elsewhere_is_not_run_again(
    agent: AsyncAssent, town: Town, served: str, spool: Path
) -> None:
    async with (
        AsyncAssent(served, await town.agent(), limits=BRISK, spool=spool) as restarted,
        agent.action("files.write", FREE),
    ):
        with pytest.raises(AlreadyExecuted):
            async with restarted.action("files.write", FREE):
                pytest.fail("the body ran")


async def test_two_tasks_with_the_same_arguments_are_two_actions(agent: AsyncAssent) -> None:
    met = asyncio.Barrier(2)

    async def work() -> str:
        async with agent.action("files.write", FREE) as action:
            await met.wait()
            return action.id

    one, other = await asyncio.gather(work(), work())
    assert one != other


@pytest.mark.requirement("P6")
async def test_a_tripped_breaker_stops_what_was_approved(agent: AsyncAssent, town: Town) -> None:
    pending = await agent.request("files.write", WRITE)
    await approve(town, pending.action_id)
    heard = await town.post(await town.operator(), "/v1/breakers/trip", {"scope": {"agent": "bot"}, "reason": "stop"})
    assert heard.status in {200, 202}, heard.body
    for decision in (await agent.wait(pending.action_id, timeout=0), await agent.request("files.read", WRITE)):
        with pytest.raises(ActionDenied):
            async with agent.resume(decision):
                pytest.fail("the body ran")
    with pytest.raises(BreakerOpen):
        async with agent.action("files.read", WRITE):
            pytest.fail("the body ran")


async def test_a_failing_and_a_cancelled_body_are_told_apart(agent: AsyncAssent, town: Town) -> None:
    ids: list[str] = []

    async def work(fault: BaseException) -> None:
        async with agent.action("files.read", WRITE) as action:
            ids.append(action.id)
            raise fault

    for fault in (ValueError("secret"), asyncio.CancelledError()):
        with pytest.raises(type(fault)):
            await work(fault)
    told = [(await state_of(town, action_id))["outcome"] for action_id in ids]
    assert [outcome["status"] for outcome in told] == ["failed", "unknown"]
    assert "secret" not in str(told)


async def test_a_tool_that_redeems_by_itself_gets_its_token_from_the_agent(agent: AsyncAssent, town: Town) -> None:
    pending = await agent.request("db.run", WRITE)
    await approve(town, pending.action_id)
    async with agent.action("db.run", WRITE) as action:
        token = action.token
    body = {"token": token, "arguments": WRITE, "attempt": "t" * 43}
    service = await town.service()
    assert (await town.post(service, "/v1/grants/redeem", body)).status == 200
    assert (await town.post(service, "/v1/grants/redeem", body | {"attempt": "u" * 43})).status == 409


async def test_a_cancelled_action_does_not_run(agent: AsyncAssent) -> None:
    pending = await agent.request("files.write", WRITE)
    await agent.cancel(pending.action_id, "not needed")
    with pytest.raises(ActionDenied) as caught:
        async with agent.resume(await agent.wait(pending.action_id, timeout=0)):
            pytest.fail("the body ran")
    assert caught.value.code == "cancelled"


async def test_a_stranger_s_key_opens_nothing(served: str, spool: Path) -> None:
    async with AsyncAssent(served, "asn_nobody_" + "x" * 43, limits=BRISK, spool=spool) as client:
        with client.run("r"), pytest.raises(ConfigurationError, match="does not take this key") as caught:
            async with client.action("files.read", WRITE):
                pytest.fail("the body ran")
    assert "ASSENT_AGENT_KEY" in (caught.value.hint or "")


@pytest.mark.requirement("P2", "T5")
async def test_a_ledger_that_cannot_be_written_stops_everything(served: str, town: Town, spool: Path) -> None:
    key, limits = await town.agent(), replace(BRISK, exchange_seconds=0.5)  # the broker asks for a second's pause
    await town.world.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has
    async with AsyncAssent(served, key, limits=limits, spool=spool) as agent:
        with agent.run("r"), pytest.raises(BrokerUnavailable):
            async with agent.action("files.read", WRITE):
                pytest.fail("the body ran")


async def test_a_revoked_key_is_told_as_such_with_what_to_do(served: str, town: Town, spool: Path) -> None:
    sam = await town.operator("sam")
    told = (await town.post(sam, "/v1/agents/bot/keys", {})).json
    async with AsyncAssent(served, told["key"], limits=BRISK, spool=spool) as client:
        with client.run("r"):
            async with client.action("files.read", WRITE):
                pass
            await town.delete(sam, f"/v1/agents/bot/keys/{told['key_id']}")
            with pytest.raises(ConfigurationError, match="this credential was revoked"):
                await client.request("files.read", WRITE)


async def test_a_call_that_the_broker_cannot_read_is_a_mistake_of_the_program(agent: AsyncAssent) -> None:
    with pytest.raises(ConfigurationError, match="run_id"):
        await agent.request("files.read", WRITE, run_id="x" * 256)
