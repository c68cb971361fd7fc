"""`GET /v1/approvals/stats`: how people are asked, over so many days, for whoever reads approvals."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from assent.core.operators import Operator, OperatorId
from tests.api.town import Town
from tests.flows.world import TownPolicy, a_world


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    world = a_world(policy=TownPolicy(people=(*TownPolicy().people, Operator(id=OperatorId("nobody")))))
    yield Town(world)
    await world.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has


async def asked(town: Town, *, path: str, seconds: int, act: str | None) -> None:
    """Ask for something that eve answers after so many seconds."""
    bot, eve = await town.agent(), await town.operator("eve")
    asked: Any = await town.ask(bot, arguments={"env": "production", "path": path})
    town.world.clock.forward(seconds=seconds)
    place = f"/v1/approvals/{asked['approval']['id']}"
    if act == "approve":
        assert (await town.post(eve, f"{place}/approve", {"digest_prefix": asked["digest"][:12]})).status == 200
    elif act == "deny":
        assert (await town.post(eve, f"{place}/deny", {"category": "other", "reason": "no"})).status == 200


async def test_the_numbers_of_the_last_days_are_told_by_person_and_agent(town: Town) -> None:
    await asked(town, path="long ago", seconds=1, act="approve")
    town.world.clock.forward(days=8)
    for number in range(5):
        await asked(town, path=f"quick {number}", seconds=2, act="approve")
    await asked(town, path="slow", seconds=60, act="approve")

    told = (await town.get(await town.operator("sam"), "/v1/approvals/stats")).json
    assert (told["all"]["asked"], told["all"]["approved"], told["all"]["answered"]) == (6, 6, 6)
    assert (told["all"]["median_seconds"], told["all"]["quick_share"]) == (2.0, 5 / 6)
    assert [(one["name"], one["answered"]) for one in told["people"]] == [("eve", 6), ("sam", 0)]
    assert [(one["name"], one["asked"]) for one in told["agents"]] == [("bot", 6)]
    assert told["always_approved"] == [{"rule": "rule-files.write", "asked": 6}]
    assert told["is_whole"] is True

    await asked(town, path="no", seconds=5, act="deny")
    told = (await town.get(await town.operator("sam"), "/v1/approvals/stats?days=30")).json
    assert (told["all"]["asked"], told["all"]["denied"], told["always_approved"]) == (8, 1, [])
    assert "median_seconds" not in next(one for one in told["people"] if one["name"] == "sam")


@pytest.mark.parametrize("days", ["0", "91", "x", ""])
async def test_a_span_that_is_none_is_refused(town: Town, days: str) -> None:
    heard = await town.get(await town.operator("sam"), f"/v1/approvals/stats?days={days}")
    assert heard.status in {400, 422}


async def test_who_may_not_read_approvals_and_an_agent_hear_no_numbers(town: Town) -> None:
    assert (await town.get(await town.operator("nobody"), "/v1/approvals/stats")).status == 403
    assert (await town.get(await town.agent(), "/v1/approvals/stats")).status == 401
