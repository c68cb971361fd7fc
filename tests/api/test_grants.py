"""Grants over HTTP: redeemed by one attempt, by the agent or by the tool's own service, and by nobody else."""

import pytest

from tests.api.town import ATTEMPT, OTHER_ATTEMPT, Town


@pytest.mark.requirement("P4", "T2")
async def test_one_attempt_redeems_and_hears_the_same_again_and_nobody_else_does(town: Town) -> None:
    key = await town.agent()
    ready = await town.approved(key)
    path = f"/v1/grants/{ready['grant']['id']}/redeem"
    first = await town.post(key, path, {"attempt": ATTEMPT, "digest": ready["digest"]})
    again = await town.post(key, path, {"attempt": ATTEMPT, "digest": ready["digest"]})
    other = await town.post(key, path, {"attempt": OTHER_ATTEMPT, "digest": ready["digest"]})
    assert first.json == {
        "action_id": ready["action_id"],
        "lease_expires_at": "2026-11-23T10:05:00.000000Z",
        "arguments": {"env": "production", "path": "a"},
    }
    assert again.body == first.body
    assert (other.status, other.code, other.json["next_step"]) == (409, "grant_spent", "do not run it again")


@pytest.mark.requirement("P3", "T1")
async def test_other_arguments_than_the_granted_ones_are_refused(town: Town) -> None:
    key = await town.agent()
    ready = await town.approved(key)
    path = f"/v1/grants/{ready['grant']['id']}/redeem"
    swapped = await town.post(key, path, {"attempt": ATTEMPT, "arguments": {"env": "production", "path": "b"}})
    reordered = await town.post(key, path, {"attempt": ATTEMPT, "arguments": {"path": "a", "env": "production"}})
    assert (swapped.status, swapped.code) == (409, "digest_mismatch")
    assert reordered.status == 200


@pytest.mark.parametrize("body", [{}, {"digest": "0" * 64, "arguments": {}}])
async def test_a_redeemer_says_once_what_will_run(town: Town, body: dict[str, object]) -> None:
    heard = await town.post(await town.agent(), "/v1/grants/grt_1/redeem", body | {"attempt": ATTEMPT})
    assert (heard.status, heard.code) == (400, "bad_request")


async def test_a_grant_that_has_expired_says_so(town: Town) -> None:
    key = await town.agent()
    ready = await town.approved(key)
    town.world.clock.forward(hours=2)
    body = {"attempt": ATTEMPT, "digest": ready["digest"]}
    heard = await town.post(key, f"/v1/grants/{ready['grant']['id']}/redeem", body)
    assert (heard.status, heard.code) == (409, "grant_expired")


async def test_the_tools_service_redeems_the_token_and_reports(town: Town) -> None:
    ready = await town.approved(await town.agent(), "db.run")
    service, stranger = await town.service(), await town.service("mail", ("mail.*",))
    body = {"token": ready["grant"]["token"], "arguments": ready["arguments"], "attempt": ATTEMPT}
    refused = await town.post(stranger, "/v1/grants/redeem", body)
    redeemed = await town.post(service, "/v1/grants/redeem", body)
    told = {"attempt": ATTEMPT, "status": "succeeded"}
    reported = await town.post(service, f"/v1/actions/{ready['action_id']}/outcome", told)
    assert ready["grant"]["redeemed_by"] == "tool"
    assert (refused.status, refused.code) == (403, "forbidden")
    assert (redeemed.status, redeemed.json["action_id"]) == (200, ready["action_id"])
    assert reported.json["state"] == "succeeded"


async def test_a_token_of_somebody_else_names_no_grant(town: Town) -> None:
    body = {"token": "forged.token", "arguments": {}, "attempt": ATTEMPT}
    heard = await town.post(await town.service(), "/v1/grants/redeem", body)
    assert (heard.status, heard.code) == (404, "not_found")


async def test_an_agent_cannot_redeem_what_the_tool_redeems(town: Town) -> None:
    key = await town.agent()
    ready = await town.approved(key, "db.run")
    body = {"attempt": ATTEMPT, "digest": ready["digest"]}
    heard = await town.post(key, f"/v1/grants/{ready['grant']['id']}/redeem", body)
    assert (heard.status, heard.code) == (404, "not_found")


@pytest.mark.requirement("P6")
async def test_after_a_trip_nothing_in_scope_is_redeemed_or_decided(town: Town) -> None:
    key = await town.agent()
    ready = await town.approved(key)
    trip = {"scope": {"environment": "production"}}
    assert (await town.post(await town.operator("sam"), "/v1/breakers/trip", trip)).status == 200
    body = {"attempt": ATTEMPT, "digest": ready["digest"]}
    redeemed = await town.post(key, f"/v1/grants/{ready['grant']['id']}/redeem", body)
    asked = await town.ask(key, "files.read", attempt=ATTEMPT)
    assert redeemed.status == 409
    assert (asked["decision"], asked["reasons"][0]["code"]) == ("deny", "breaker_open")
