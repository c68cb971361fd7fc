"""Agents, services and operators over HTTP: keys and tokens issued once and revoked at once, agents suspended."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import structlog

from assent.core.operators import PERMISSION_SETS, Operator, OperatorId, SinglePerson
from assent.flows.link_account import type_code
from tests.api.town import ATTEMPT, Town
from tests.flows.world import START, TownPolicy, a_world

WHY = {"reason": "odd"}


async def issue(town: Town, body: object, path: str = "agents/bot/keys", who: str = "sam") -> dict[str, Any]:
    heard = await town.post(await town.operator(who), f"/v1/{path}", body)
    assert heard.status == 200, heard.body
    told: dict[str, Any] = heard.json
    return told


async def test_an_agents_key_is_told_once_and_works(town: Town) -> None:
    told = await issue(town, {"valid_for_seconds": 3600})
    assert sorted(told) == ["agent", "approvers", "expires_at", "issued_at", "issued_by", "key", "key_id"]
    assert (told["agent"], told["issued_by"], told["approvers"]) == ("bot", "sam", ["admin", "eve"])
    assert told["expires_at"] == "2026-11-23T11:00:00.000000Z"
    assert (await town.get(told["key"], "/v1/me")).json["agent"] == "bot"
    shown = (await town.get(await town.operator("sam"), "/v1/agents/bot")).json
    assert shown["keys"] == [
        {
            "id": told["key_id"],
            "state": "live",
            "issued_by": "sam",
            "issued_at": told["issued_at"],
            "age_days": 0,
            "expires_at": told["expires_at"],
        }
    ]
    assert told["key"] not in str(shown)


@pytest.mark.requirement("P5", "T4")
async def test_who_issued_the_key_is_refused_when_the_agent_asks(town: Town) -> None:
    told = await issue(town, {})
    asked = await town.ask(told["key"])
    path, body = f"/v1/approvals/{asked['approval']['id']}", {"digest_prefix": asked["digest"][:8]}
    issuer = await town.operator("sam")
    assert (await town.get(issuer, path)).json["key_issuer"] == "sam"
    refused = await town.post(issuer, f"{path}/approve", body)
    assert (refused.status, refused.code, refused.json["who"]) == (403, "not_eligible", ["eve"])
    assert (await town.post(await town.operator("eve"), f"{path}/approve", body)).status == 200


@pytest.mark.requirement("T9")
async def test_a_revoked_key_opens_nothing_and_what_it_asked_ends(town: Town) -> None:
    told = await issue(town, {})
    waiting = await town.ask(told["key"])
    sam, path = await town.operator("sam"), f"/v1/agents/bot/keys/{told['key_id']}"
    revoked = await town.delete(sam, path)
    assert revoked.json["credential"]["state"] == "revoked"
    assert revoked.json["credential"]["revoked_by"] == "sam"
    assert [action["action_id"] for action in revoked.json["cut_off"]] == [waiting["action_id"]]
    gone = await town.get(told["key"], "/v1/me")
    assert (gone.status, gone.json["detail"]) == (401, "this credential was revoked")
    again = await town.delete(sam, path)
    assert (again.status, again.json["cut_off"]) == (200, [])
    elsewhere = await town.delete(sam, f"/v1/agents/other/keys/{told['key_id']}")
    assert (elsewhere.status, elsewhere.code) == (404, "not_found")


@pytest.mark.requirement("P6")
async def test_a_suspended_agent_is_stopped_and_shown_until_it_is_resumed(town: Town) -> None:
    key, sam = await town.agent(), await town.operator("sam")
    waiting = await town.ask(key)
    running = await town.ask(key, "files.read", attempt=ATTEMPT)
    heard = (await town.post(sam, "/v1/agents/bot/suspend", WHY)).json
    assert (heard["state"], heard["changed_by"], heard["reason"]) == ("suspended", "sam", "odd")
    assert [action["action_id"] for action in heard["cut_off"]] == [waiting["action_id"]]
    assert [action["action_id"] for action in heard["running"]] == [running["action_id"]]
    assert heard["cut_off_elsewhere"] == "revoke bot"
    denied = await town.ask(key, "files.read")
    assert (denied["decision"], denied["reasons"][0]["code"]) == ("deny", "agent_suspended")
    shown = (await town.get(sam, "/v1/agents/bot")).json
    assert (shown["state"], shown["blocked"]["code"], shown["reason"]) == ("suspended", "agent_suspended", "odd")
    assert (shown["owner"], shown["roles"], shown["registered"]) == ("owner", ["r"], True)
    assert shown["last_asked_at"] == "2026-11-23T10:00:00.000000Z"
    await lets_go_on(town)
    assert (await town.ask(key, "files.read", attempt=ATTEMPT))["decision"] == "allow"
    assert (await town.post(sam, "/v1/agents/other/resume", WHY)).json == {"agent": "other", "state": "active"}


@pytest.mark.parametrize("verb", ["suspend", "resume"])
async def test_both_moves_need_a_reason_and_an_agent_that_somebody_heard_of(town: Town, verb: str) -> None:
    sam = await town.operator("sam")
    assert (await town.post(sam, f"/v1/agents/bot/{verb}", {})).code == "bad_request"
    assert (await town.post(sam, f"/v1/agents/bot/{verb}", {"reason": ""})).code == "bad_request"
    assert (await town.post(sam, f"/v1/agents/bott/{verb}", WHY)).code == "not_found"


async def lets_go_on(town: Town) -> None:
    """Let two people resume the agent, each told what it came to."""
    asked = await town.post(await town.operator("sam"), "/v1/agents/bot/resume", WHY)
    assert (asked.status, asked.json["state"], asked.json["who"]) == (202, "suspended", ["admin", "eve"])
    assert asked.json["resume_asked"] == {
        "by": "sam",
        "at": "2026-11-23T10:00:00.000000Z",
        "expires_at": "2026-11-23T10:15:00.000000Z",
        "reason": "odd",
        "assurance": "token",
    }
    eve = await town.operator("eve")
    assert (await town.get(eve, "/v1/agents/bot")).json["resume_asked"]["by"] == "sam"
    agreed = await town.post(eve, "/v1/agents/bot/resume", WHY)
    assert (agreed.status, agreed.json["state"], agreed.json["changed_by"]) == (200, "active", "eve")
    assert not {"resume_asked", "who"} & set(agreed.json)


@pytest.mark.requirement("P5")
async def test_the_owner_does_not_undo_a_suspension(town: Town) -> None:
    await town.post(await town.operator("sam"), "/v1/agents/bot/suspend", WHY)
    heard = await town.post(await town.operator("owner"), "/v1/agents/bot/resume", WHY)
    assert (heard.status, heard.code, heard.json["who"]) == (403, "not_eligible", ["admin", "eve", "sam"])
    assert heard.json["state"] == "suspended"


async def test_a_services_key_redeems_for_the_tools_that_were_named(town: Town) -> None:
    told = await issue(town, {"tools": ["db.*"]}, "services/db/keys")
    assert (told["service"], told["tools"]) == ("db", ["db.*"])
    approved = await town.approved(await town.agent(), "db.run")
    body = {"token": approved["grant"]["token"], "attempt": ATTEMPT, "arguments": {"env": "production", "path": "a"}}
    assert (await town.post(told["key"], "/v1/grants/redeem", body)).status == 200
    sam = await town.operator("sam")
    listed = (await town.get(sam, "/v1/services")).json
    assert [(item["id"], item["keys"][0]["tools"]) for item in listed["items"]] == [("db", ["db.*"])]
    assert (await town.delete(sam, f"/v1/services/db/keys/{told['key_id']}")).status == 200
    assert (await town.post(told["key"], "/v1/grants/redeem", body)).status == 401


@pytest.mark.parametrize("body", [{}, {"tools": []}, {"tools": [""]}, {"tools": ["a..b"]}, {"tools": "db.*"}])
async def test_a_services_key_needs_patterns(town: Town, body: object) -> None:
    heard = await town.post(await town.operator("sam"), "/v1/services/db/keys", body)
    assert (heard.status, heard.code) == (400, "bad_request")


@pytest.mark.requirement("T22")
async def test_a_second_persons_token_works_and_its_issuance_is_recorded_and_announced(town: Town) -> None:
    with structlog.testing.capture_logs() as events:
        told = await issue(town, {"valid_for_seconds": 60}, "operators/eve/tokens", "admin")
    assert sorted(told) == ["expires_at", "issued_at", "issued_by", "operator", "token", "token_id"]
    announced = {"operator": "eve", "by": "admin", "key_id": told["token_id"], "about": "assent.api"}
    assert announced.items() <= {**events[0], "about": "assent.api"}.items()
    assert told["token"] not in str(events)
    me = (await town.get(told["token"], "/v1/operators/me")).json
    assert (me["operator"]["id"], me["token"]["id"], me["assurance"]) == ("eve", told["token_id"], "token")
    assert me["token"]["issued_by"] == "admin"
    records = (await town.get(await town.operator("admin"), "/v1/records?kind=token.issued&operator=admin")).json
    assert records["items"][1]["leaf"]["detail"]["for"] == "eve"


async def test_who_am_i_says_what_i_may_and_owns(town: Town) -> None:
    me = (await town.get(await town.operator("owner"), "/v1/operators/me")).json
    operator = me["operator"]
    assert (operator["sets"], operator["groups"]) == (["approver", "operator"], ["oncall"])
    assert "agents.manage" in operator["permissions"]
    assert operator["owns"] == ["bot", "other"]
    assert me["policy_version"] == "v1"
    assert [token["old"] for token in operator["tokens"]] == [False]


async def test_a_token_is_called_old_before_it_ends_and_then_it_is_none(town: Town) -> None:
    token = await town.operator("eve")
    town.world.clock.forward(days=76)
    me = (await town.get(token, "/v1/operators/me")).json
    assert (me["token"]["old"], me["token"]["age_days"]) == (True, 76)
    town.world.clock.forward(days=14)
    gone = await town.get(token, "/v1/operators/me")
    assert (gone.status, "90 days at most" in gone.json["detail"]) == (401, True)
    listed = (await town.get(await town.operator("admin"), "/v1/operators")).json
    assert [item["tokens"] for item in listed["items"] if item["id"] == "eve"] == [[]]
    shown = (await town.get(await town.operator("admin"), "/v1/operators/eve")).json
    assert [(one["state"], one["old"]) for one in shown["tokens"]] == [("expired", True)]


@pytest.mark.requirement("T22")
async def test_nobody_is_made_more_than_their_maker(town: Town) -> None:
    refused = await town.post(await town.operator("sam"), "/v1/operators/eve/tokens", {})
    assert (refused.status, refused.code) == (403, "forbidden")
    unknown = await town.post(await town.operator("admin"), "/v1/operators/evee/tokens", {})
    assert (unknown.status, unknown.code) == (404, "not_found")
    too_long = await town.post(await town.operator("admin"), "/v1/operators/eve/tokens", {"valid_for_seconds": 7776001})
    assert (too_long.status, too_long.code) == (400, "bad_request")


async def test_ones_own_token_is_revoked_by_oneself_and_anothers_is_not(town: Town) -> None:
    sam, eve = await town.operator("sam"), await town.operator("eve")
    mine = (await town.get(sam, "/v1/operators/me")).json["token"]["id"]
    hers = (await town.get(eve, "/v1/operators/me")).json["token"]["id"]
    assert (await town.delete(sam, f"/v1/operators/eve/tokens/{hers}")).status == 403
    assert (await town.delete(sam, f"/v1/operators/sam/tokens/{mine}")).status == 200
    assert (await town.get(sam, "/v1/operators/me")).status == 401


async def test_lists_come_in_pages(town: Town) -> None:
    admin = await town.operator("admin")
    first = (await town.get(admin, "/v1/operators?limit=3")).json
    second = (await town.get(admin, f"/v1/operators?limit=3&cursor={first['next_cursor']}")).json
    assert [item["id"] for item in (*first["items"], *second["items"])] == ["admin", "eve", "owner", "sam"]
    assert (first["next_cursor"], second["next_cursor"]) == ("owner", None)
    agents = (await town.get(admin, "/v1/agents?limit=1")).json
    assert ([item["id"] for item in agents["items"]], agents["next_cursor"]) == (["bot"], "bot")
    assert (await town.get(admin, "/v1/agents?limit=201")).code == "bad_request"


@pytest.mark.requirement("P9")
async def test_why_somebody_was_stopped_is_not_for_who_only_reads() -> None:
    auditor = Operator(id=OperatorId("aud"), permissions=PERMISSION_SETS["auditor"])
    alone = Operator(
        id=OperatorId("one"), single_person=SinglePerson(reason="nobody else", until=START + timedelta(days=9))
    )
    world = a_world(policy=TownPolicy(people=(*TownPolicy().people, auditor, alone)))
    town = Town(world)
    sam, aud = await town.operator("sam"), await town.operator("aud")
    await town.post(sam, "/v1/agents/bot/suspend", {"reason": "canary"})
    tripped = (await town.post(sam, "/v1/breakers/trip", {"all": True, "reason": "canary"})).json["breaker"]["id"]
    await town.post(sam, f"/v1/breakers/{tripped}/reset", {"reason": "canary"})
    await town.post(sam, "/v1/agents/bot/resume", {"reason": "canary"})
    seen = [await town.get(aud, path) for path in ("/v1/agents/bot", "/v1/agents", "/v1/breakers", "/v1/operators")]
    whole = [await town.get(sam, path) for path in ("/v1/agents/bot", "/v1/agents", "/v1/breakers")]
    people = {item["id"]: item for item in seen[3].json["items"]}
    await world.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has
    assert [(h.status, h.body.count(b"canary")) for h in seen] == [(200, 0)] * 4
    assert [h.body.count(b"canary") for h in whole] == [2, 2, 2]
    assert seen[0].json["reason"] == "(masked: 6 characters)"
    assert people["one"]["single_person"] == {"reason": "nobody else", "until": "2026-12-02T10:00:00.000000Z"}


async def test_a_slack_account_is_linked_with_a_code_and_unlinked(town: Town) -> None:
    people = tuple(replace(one, identities={"slack": f"T0/{one.id}"}) for one in town.world.policy.people)
    town.world.policy = replace(town.world.policy, people=people)
    eve, sam, admin = [await town.operator(name) for name in ("eve", "sam", "admin")]
    # Whoever issued their token a moment ago holds it too, and could link in their place.
    assert (await town.post(eve, "/v1/operators/me/link", {})).code == "illegal_move"
    town.world.clock.forward(hours=24)
    asked = (await town.post(eve, "/v1/operators/me/link", {})).json
    assert (asked["operator"], asked["account"]) == ("eve", "T0/eve")
    assert (await town.get(eve, "/v1/operators/me")).json["operator"]["linked"] is False
    await type_code(town.world.broker, account="T0/eve", code=asked["code"])
    assert (await town.get(admin, "/v1/operators/eve")).json["linked"] is True

    assert (await town.delete(sam, "/v1/operators/eve/link")).status == 403
    assert (await town.delete(admin, "/v1/operators/eve/link")).json == {"operator": "eve", "linked": False}
    assert (await town.delete(eve, "/v1/operators/eve/link")).status == 404
    town.world.policy = replace(town.world.policy, people=tuple(replace(one, identities={}) for one in people))
    assert (await town.post(eve, "/v1/operators/me/link", {})).code == "illegal_move"
