"""Breakers over HTTP: tripped at once by one person, closed by two, and never by or for an agent."""

import pytest

from tests.api.town import ATTEMPT, Town

PRODUCTION = {"scope": {"environment": "production"}}


async def trip(town: Town, body: object, who: str = "sam") -> dict[str, object]:
    heard = await town.post(await town.operator(who), "/v1/breakers/trip", body)
    assert heard.status == 200, heard.body
    tripped: dict[str, object] = heard.json
    return tripped


async def test_a_trip_needs_no_reason_and_tells_what_it_cut_off_and_what_still_runs(town: Town) -> None:
    key = await town.agent()
    waiting = await town.ask(key)
    running = await town.ask(key, "files.read", attempt=ATTEMPT)
    tripped = (await town.post(await town.operator("sam"), "/v1/breakers/trip", {"scope": {"agent": "bot"}})).json
    assert tripped["breaker"]["state"] == "forced_open"
    assert tripped["breaker"]["covers"] == "agent `bot`"
    assert [action["action_id"] for action in tripped["cut_off"]] == [waiting["action_id"]]
    assert [action["action_id"] for action in tripped["running"]] == [running["action_id"]]
    assert tripped["cut_off_elsewhere"] == "revoke bot"
    assert "resource" not in tripped["running"][0]


@pytest.mark.parametrize("body", [{}, {"scope": {}}, {"all": True, "scope": {"agent": "bot"}}, {"all": False}])
async def test_a_trip_names_what_to_stop_or_everything_but_not_both(town: Town, body: object) -> None:
    heard = await town.post(await town.operator("sam"), "/v1/breakers/trip", body)
    assert (heard.status, heard.code) == (400, "bad_request")


async def test_everything_can_be_stopped_at_once_with_a_reminder(town: Town) -> None:
    body = {"all": True, "reason": "looks odd", "ttl_seconds": 600}
    breaker = (await town.post(await town.operator("sam"), "/v1/breakers/trip", body)).json["breaker"]
    assert (breaker["covers"], breaker["scope"]) == ("everything", {})
    assert (breaker["reason"], breaker["ask_again_at"]) == ("looks odd", "2026-11-23T10:10:00.000000Z")


async def test_closing_takes_a_second_person_and_says_who(town: Town) -> None:
    tripped = (await town.post(await town.operator("sam"), "/v1/breakers/trip", PRODUCTION)).json
    path = f"/v1/breakers/{tripped['breaker']['id']}/reset"
    first = await town.post(await town.operator("sam"), path, {"reason": "over"})
    second = await town.post(await town.operator("eve"), path, {"reason": "over"})
    third = await town.post(await town.operator("eve"), path, {"reason": "over"})
    assert (first.status, first.json["closed"]) == (202, False)
    assert "eve" in first.json["who"]
    assert "sam" not in first.json["who"]
    assert first.json["breaker"]["reset_asked"]["expires_at"] == "2026-11-23T10:15:00.000000Z"
    assert (second.status, second.json["closed"], second.json["breaker"]["state"]) == (200, True, "closed")
    assert (third.status, third.code) == (409, "already_closed")


async def test_the_agents_owner_may_not_close_its_breaker(town: Town) -> None:
    tripped = (await town.post(await town.operator("sam"), "/v1/breakers/trip", {"scope": {"agent": "bot"}})).json
    path = f"/v1/breakers/{tripped['breaker']['id']}/reset"
    heard = await town.post(await town.operator("owner"), path, {"reason": "mine"})
    assert (heard.status, heard.code) == (403, "not_eligible")
    assert "owner" not in heard.json["who"]


async def test_breakers_are_listed_newest_change_first(town: Town) -> None:
    await trip(town, PRODUCTION)
    town.world.clock.forward(minutes=1)
    await trip(town, {"all": True})
    listed = (await town.get(await town.operator("sam"), "/v1/breakers")).json
    assert [item["covers"] for item in listed["items"]] == ["everything", "environment `production`"]
    assert listed["next_cursor"] is None


async def test_a_breaker_that_does_not_exist_is_not_found(town: Town) -> None:
    heard = await town.post(await town.operator("sam"), "/v1/breakers/brk_none/reset", {"reason": "x"})
    assert (heard.status, heard.code) == (404, "not_found")
