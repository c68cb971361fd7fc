"""Acts that are refused too fast for a record each: a flood fills no log and leaves no gap in it."""

from dataclasses import replace
from typing import cast

import pytest

from assent.core.canonical import load
from assent.core.credentials import Kind
from assent.core.errors import LedgerUnavailable
from assent.core.reasons import Reason
from assent.flows.refuse_stranger import refuse_credential
from assent.flows.too_fast import record_unrecorded
from assent.flows.unrecorded import MOST_ACCOUNTS, OTHERS, Unrecorded
from assent.ports import Ledger
from tests.flows.card_town import Full
from tests.flows.world import World

WHY = Reason.of("not_eligible", "an agent decides nothing")
TRIES, BURST = 500, 20


async def flood(world: World) -> None:
    token = await world.token(Kind.AGENT, "bot")
    approval = (await world.ask(await world.agent())).approval
    assert approval is not None
    for _ in range(TRIES):
        await refuse_credential(world.broker, token, approval.id, surface="api", act="approve", reason=WHY)


async def numbers(world: World) -> list[object]:
    leaves = [load(record.leaf) for record in await world.records(kind="approval.acts_refused")]
    return [leaf["detail"] for leaf in leaves if isinstance(leaf, dict)]


@pytest.mark.requirement("T14")
async def test_a_flood_of_refused_acts_is_twenty_records_and_a_number(world: World) -> None:
    await flood(world)
    assert len(await world.records(kind="approval.vote_refused")) == BURST
    assert await record_unrecorded(world.broker) == 1
    assert await numbers(world) == [{"account": "agent:bot", "times": TRIES - BURST}]
    assert await record_unrecorded(world.broker) == 0
    assert len(await numbers(world)) == 1


@pytest.mark.requirement("T5", "T14")
async def test_what_the_ledger_did_not_take_is_recorded_the_next_time(world: World) -> None:
    await flood(world)
    with pytest.raises(LedgerUnavailable):
        await record_unrecorded(replace(world.broker, ledger=cast("Ledger", Full(world.ledger, good=0))))
    world.broker.unrecorded.count("agent:bot")
    assert await record_unrecorded(world.broker) == 1
    assert await numbers(world) == [{"account": "agent:bot", "times": TRIES - BURST + 1}]


@pytest.mark.requirement("T14")
def test_very_many_accounts_take_no_more_room_than_some() -> None:
    unrecorded = Unrecorded()
    for number in range(MOST_ACCOUNTS + 50):
        unrecorded.count(f"T1/U{number}")
    gathered = unrecorded.gather()
    assert (len(gathered), gathered[OTHERS]) == (MOST_ACCOUNTS + 1, 50)
