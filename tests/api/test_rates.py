"""Rates: each credential has its own, and strangers are slowed down before they cost the ledger anything."""

from collections.abc import AsyncIterator

import pytest

from assent.api import ApiSettings
from tests.api.client import bearer, call
from tests.api.town import Town
from tests.flows.world import a_world


@pytest.fixture
async def slow_town() -> AsyncIterator[Town]:
    world = a_world()
    yield Town(
        world,
        ApiSettings(requests_per_second=0.01, requests_burst=3, strangers_per_second=0.01, strangers_burst=2),
    )
    await world.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has


async def test_one_credential_too_fast_is_told_when_to_come_back_and_slows_nobody_else(slow_town: Town) -> None:
    mine, theirs = await slow_town.agent("bot"), await slow_town.agent("other")
    heard = [await slow_town.get(mine, "/v1/me") for _ in range(4)]
    assert [h.status for h in heard] == [200, 200, 200, 429]
    assert heard[-1].code == "rate_limited"
    assert int(heard[-1].headers["retry-after"]) == heard[-1].json["retry_after"] > 1
    assert (await slow_town.get(theirs, "/v1/me")).status == 200


async def test_strangers_are_slowed_down_by_address_and_known_callers_are_not(slow_town: Town) -> None:
    known = await slow_town.agent()
    await slow_town.get(known, "/v1/me")
    guesses = [bearer(f"asn_k{n}_guess") for n in range(3)]
    statuses = [(await call(slow_town.app, "GET", "/v1/me", headers=[guess])).status for guess in guesses]
    elsewhere = await call(slow_town.app, "GET", "/v1/me", headers=guesses[:1], peer="192.0.2.2")
    assert statuses == [401, 429, 429]  # the known caller was a stranger once
    assert elsewhere.status == 401
    assert (await slow_town.get(known, "/v1/me")).status == 200


@pytest.mark.requirement("P6", "T14")
async def test_nobody_is_too_fast_to_stop_something_whatever_else_comes_from_there(slow_town: Town) -> None:
    eve = await slow_town.operator("eve")
    guesses = [bearer(f"aso_k{n}_guess") for n in range(4)]
    statuses = [(await call(slow_town.app, "GET", "/v1/breakers", headers=[guess])).status for guess in guesses]
    assert statuses[-1] == 429
    # Not seen before, from an address that is slowed down, more often than any credential may ask.
    tripped = [await slow_town.post(eve, "/v1/breakers/trip", {"all": True}) for _ in range(5)]
    assert [heard.status for heard in tripped] == [200] * 5
    assert (await slow_town.post(guesses[0][1].decode().partition(" ")[2], "/v1/breakers/trip", {})).status == 401
