"""`/metrics`: who may read it, and that what happens is counted where it happens."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from assent.api import ApiSettings
from assent.core.operators import PERMISSION_SETS, Operator, OperatorId
from tests.api.client import Heard, bearer, call
from tests.api.town import ATTEMPT, OTHER_ATTEMPT, Town
from tests.flows.world import a_world
from tests.test_metrics import samples

THIS_MACHINE = ("127.0.0.1", "127.9.9.9", "::1")
ELSEWHERE = ("192.0.2.1", "::ffff:192.0.2.1", "unknown", "")


@pytest.fixture
async def open_town() -> AsyncIterator[Town]:
    world = a_world()
    yield Town(world, ApiSettings(metrics_on_loopback=True))
    await world.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has


async def scraped(town: Town, *, peer: str, token: str | None = None) -> Heard:
    return await call(town.app, "GET", "/metrics", headers=[] if token is None else [bearer(token)], peer=peer)


@pytest.mark.parametrize("peer", THIS_MACHINE)
async def test_this_machine_needs_no_credential_unless_a_proxy_stands_before_it(
    town: Town, open_town: Town, peer: str
) -> None:
    assert (await scraped(open_town, peer=peer)).status == 200
    assert (await scraped(town, peer=peer)).status == 401


@pytest.mark.parametrize("peer", ELSEWHERE)
async def test_everybody_else_must_be_allowed_to_read_the_log(open_town: Town, peer: str) -> None:
    auditor, approver = await open_town.operator("eve"), await open_town.agent()
    assert (await scraped(open_town, peer=peer)).status == 401
    assert (await scraped(open_town, peer=peer, token=approver)).status == 401
    assert (await scraped(open_town, peer=peer, token=auditor)).status == 200


async def test_who_may_not_read_the_log_may_not_read_metrics(town: Town) -> None:
    ann = Operator(id=OperatorId("ann"), permissions=PERMISSION_SETS["approver"])
    town.world.policy = replace(town.world.policy, people=(*town.world.policy.people, ann))
    assert (await scraped(town, peer="192.0.2.1", token=await town.operator("ann"))).status == 403


async def test_every_ask_is_counted_once_by_its_answer_and_reason(town: Town) -> None:
    agent, operator = await town.agent(), await town.operator()
    await town.ask(agent, "files.read")
    await town.ask(agent, "files.delete")
    await town.ask(agent, "files.delete", run_id="again")
    await town.ask(agent, "nothing")
    await town.ask(agent)
    found = samples((await scraped(town, peer="192.0.2.1", token=operator)).body)
    decided = {name: value for name, value in found.items() if name.startswith("assent_decisions_total")}
    assert decided == {
        'assent_decisions_total{answer="allow",reason="none"}': 1,
        'assent_decisions_total{answer="deny",reason="rule_denied"}': 2,
        'assent_decisions_total{answer="deny",reason="unknown_tool"}': 1,
        'assent_decisions_total{answer="pending",reason="none"}': 1,
    }


async def test_a_second_try_on_a_grant_shows(town: Town) -> None:
    agent, operator = await town.agent(), await town.operator()
    approved = await town.approved(agent)
    path = f"/v1/grants/{approved['grant']['id']}/redeem"
    for attempt in (ATTEMPT, OTHER_ATTEMPT):
        await town.post(agent, path, {"attempt": attempt, "digest": approved["digest"]})
    found = samples((await scraped(town, peer="192.0.2.1", token=operator)).body)
    assert found['assent_redemptions_total{result="redeemed"}'] == 1
    assert found['assent_redemptions_total{result="grant_spent"}'] == 1


@pytest.mark.requirement("P9")
async def test_nobody_and_nothing_is_named(town: Town) -> None:
    agent, operator = await town.agent(), await town.operator()
    await town.ask(agent, run_id="run-of-mine", reason="word-of-mine")
    body = (await scraped(town, peer="192.0.2.1", token=operator)).body
    assert [word for word in (b"bot", b"eve", b"files", b"production", b"of-mine") if word in body] == []
