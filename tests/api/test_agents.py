"""What an agent hears over HTTP: allow, pending, deny; it looks, cancels, reports, and sees nobody else's actions."""

import base64

import pytest

from assent.core.agents import AgentId
from assent.core.canonical import Json
from assent.ports import ToolView
from tests.api.town import ATTEMPT, NOTE, OTHER_ATTEMPT, Town
from tests.flows.world import TownPolicy


class PolicyThatShows(TownPolicy):
    """The town's policy, with one tool for everybody to see."""

    def tools_for(self, agent: AgentId) -> tuple[ToolView, ...]:
        arguments: dict[str, Json] = {"env": "string"}
        return (
            ToolView(name="files.read", description="d", impact="read", arguments=arguments, waits_for_human=False),
        )


async def test_routine_work_is_allowed_and_held_in_one_round_trip(town: Town) -> None:
    answer = await town.ask(await town.agent(), "files.read", attempt=ATTEMPT, reason="look", run_id="r1")
    assert (answer["decision"], answer["state"], answer["revision"]) == ("allow", "executing", 1)
    assert answer["arguments"] == {"env": "production", "path": "a"}
    assert answer["lease_expires_at"] == "2026-11-23T10:05:00.000000Z"
    assert "grant" not in answer
    assert len(answer["digest"]) == 64
    assert answer["record_id"] in [record.id for record in await town.world.records()]


async def test_without_an_attempt_routine_work_gets_a_grant(town: Town) -> None:
    answer = await town.ask(await town.agent(), "files.read")
    assert (answer["decision"], answer["state"]) == ("allow", "ready")
    assert answer["grant"] == {
        "id": answer["grant"]["id"],
        "redeemed_by": "agent",
        "expires_at": "2026-11-23T10:05:00.000000Z",
    }


async def test_a_production_change_waits_for_a_human_and_says_for_whom(town: Town) -> None:
    answer = await town.ask(await town.agent(), attempt=ATTEMPT)
    assert (answer["decision"], answer["state"]) == ("pending", "pending")
    assert answer["approval"]["who"] == ["eve", "sam"]
    assert answer["approval"]["needs"] == [{"route": "default", "of": "oncall", "count": 1, "assurance": "token"}]
    assert answer["arguments"] == {"env": "production", "path": "a"}


async def test_a_deny_is_an_answer_with_a_reason_and_no_rule_and_no_arguments(town: Town) -> None:
    answer = await town.ask(await town.agent(), "files.delete", attempt=ATTEMPT)
    assert (answer["decision"], answer["state"]) == ("deny", "denied")
    assert [reason["code"] for reason in answer["reasons"]] == ["rule_denied"]
    assert "rule-files.delete" not in str(answer)
    assert "arguments" not in answer


async def test_too_many_open_asks_say_when_to_come_back(town: Town) -> None:
    key = await town.agent()
    answers = [await town.ask(key, run_id=f"r{n}", call_id="c") for n in range(6)]
    assert answers[-1]["reasons"][0]["code"] == "too_many_pending"
    assert answers[-1]["retry_after"] == 30


@pytest.mark.requirement("T21")
async def test_the_same_idempotency_key_finds_the_same_action_and_other_content_is_refused(town: Town) -> None:
    key, header = await town.agent(), (b"idempotency-key", b"once")
    body = {"tool": "files.read", "arguments": {"env": "staging"}}
    first = await town.post(key, "/v1/actions", body, header)
    second = await town.post(key, "/v1/actions", body, header)
    other = await town.post(key, "/v1/actions", body | {"tool": "files.write"}, header)
    assert first.json["action_id"] == second.json["action_id"]
    assert (other.status, other.code) == (422, "idempotency_conflict")


async def test_asking_beside_an_action_in_flight_is_another_action(town: Town) -> None:
    key = await town.agent()
    first = await town.ask(key, run_id="r1")
    same = await town.ask(key, run_id="r1")
    beside = await town.ask(key, run_id="r1", in_flight=[first["action_id"]])
    assert same["action_id"] == first["action_id"]
    assert beside["action_id"] != first["action_id"]


@pytest.mark.requirement("T21")
async def test_only_the_attempt_that_holds_an_action_is_told_that_it_may_run(town: Town) -> None:
    key = await town.agent()
    asked = await town.ask(key, "files.read", attempt=ATTEMPT)
    path = f"/v1/actions/{asked['action_id']}"
    mine = (await town.get(key, path, (b"assent-attempt", ATTEMPT.encode()))).json
    theirs = (await town.get(key, path, (b"assent-attempt", OTHER_ATTEMPT.encode()))).json
    nobodys = (await town.get(key, path)).json
    assert mine["decision"] == "allow"
    assert [(a["decision"], a["reasons"][0]["code"]) for a in (theirs, nobodys)] == [("deny", "already_executed")] * 2
    assert all("lease_expires_at" not in a and "arguments" not in a for a in (theirs, nobodys))


@pytest.mark.requirement("T21")
async def test_another_agents_ids_are_not_found(town: Town) -> None:
    mine, theirs = await town.agent("bot"), await town.agent("other")
    ready = await town.approved(mine)
    action, grant = ready["action_id"], ready["grant"]["id"]
    heard = [
        await town.get(theirs, f"/v1/actions/{action}"),
        await town.post(theirs, f"/v1/actions/{action}/cancel", {}),
        await town.post(theirs, f"/v1/actions/{action}/outcome", {"attempt": ATTEMPT, "status": "succeeded"}),
        await town.post(theirs, f"/v1/grants/{grant}/redeem", {"attempt": ATTEMPT, "digest": ready["digest"]}),
    ]
    assert [(h.status, h.code) for h in heard] == [(404, "not_found")] * 4


async def test_an_action_is_cancelled_once_and_saying_it_again_says_the_same(town: Town) -> None:
    key = await town.agent()
    asked = await town.ask(key)
    path = f"/v1/actions/{asked['action_id']}/cancel"
    first, again = await town.post(key, path, {"reason": "changed my mind"}), await town.post(key, path, {})
    assert [(h.json["state"], h.json["decision"]) for h in (first, again)] == [("cancelled", "deny")] * 2


async def test_what_runs_cannot_be_cancelled(town: Town) -> None:
    key = await town.agent()
    asked = await town.ask(key, "files.read", attempt=ATTEMPT)
    heard = await town.post(key, f"/v1/actions/{asked['action_id']}/cancel", {})
    assert (heard.status, heard.code) == (409, "illegal_move")


async def test_an_outcome_is_reported_by_its_holder_once(town: Town) -> None:
    key = await town.agent()
    asked = await town.ask(key, "files.read", attempt=ATTEMPT)
    path = f"/v1/actions/{asked['action_id']}/outcome"
    stranger = await town.post(key, path, {"attempt": OTHER_ATTEMPT, "status": "succeeded"})
    told = await town.post(key, path, {"attempt": ATTEMPT, "status": "failed", "duration_ms": 41, "error": "OSError"})
    again = await town.post(key, path, {"attempt": ATTEMPT, "status": "failed"})
    other = await town.post(key, path, {"attempt": ATTEMPT, "status": "succeeded"})
    assert (stranger.status, stranger.code) == (409, "attempt_mismatch")
    assert told.json == again.json
    assert told.json["outcome"] == {
        "status": "failed",
        "at": "2026-11-23T10:00:00.000000Z",
        "reported": True,
        "duration_ms": 41,
        "error": "OSError",
    }
    assert (other.status, other.code) == (409, "outcome_conflict")


async def test_what_humans_decided_is_listed_once_behind_a_cursor(town: Town) -> None:
    key = await town.agent()
    empty = (await town.get(key, "/v1/actions?state=decided")).json
    ready = await town.approved(key)
    page = (await town.get(key, "/v1/actions?state=decided")).json
    rest = (await town.get(key, f"/v1/actions?state=decided&cursor={page['next_cursor']}")).json
    assert empty == {"items": [], "next_cursor": None}
    assert [item["action_id"] for item in page["items"]] == [ready["action_id"]]
    assert rest == {"items": [], "next_cursor": page["next_cursor"]}


async def test_an_agent_learns_who_it_is_and_what_it_could_use(town: Town) -> None:
    town.world.policy = PolicyThatShows()
    heard = (await town.get(await town.agent(), "/v1/me")).json
    assert (heard["agent"], heard["owner"], heard["policy_version"]) == ("bot", "owner", "v1")
    assert heard["tools"] == [
        {
            "name": "files.read",
            "description": "d",
            "impact": "read",
            "arguments": {"env": "string"},
            "decision": "allow",
        }
    ]
    assert "blocked" not in heard


async def test_an_agent_that_the_policy_dropped_learns_that_it_is_blocked(town: Town) -> None:
    heard = (await town.get(await town.agent("gone"), "/v1/me")).json
    assert heard["blocked"]["code"] == "unknown_agent"


async def test_answers_to_agents_carry_the_newest_checkpoint(town: Town) -> None:
    key = await town.agent()
    asked = await town.post(key, "/v1/actions", {"tool": "files.read", "arguments": {"env": "staging"}})
    looked = await town.get(key, f"/v1/actions/{asked.json['action_id']}")
    town.log.note = None
    without = await town.get(key, "/v1/me")
    assert [base64.b64decode(h.headers["assent-checkpoint"]) for h in (asked, looked)] == [NOTE, NOTE]
    assert "assent-checkpoint" not in without.headers


@pytest.mark.requirement("P8")
async def test_who_was_shown_more_by_another_broker_is_shown_as_much_here(town: Town) -> None:
    key = await town.agent()
    town.log.signed_elsewhere = NOTE.replace(b"\n0\n", b"\n7\n")
    shown = (b"assent-seen", b"7")
    asked = await town.post(key, "/v1/actions", {"tool": "files.read", "arguments": {"env": "staging"}}, shown)
    path = f"/v1/actions/{asked.json['action_id']}"
    heard = [asked, *[await town.get(key, where, shown) for where in (path, f"{path}?wait=1&after=0", "/v1/me")]]
    assert {base64.b64decode(one.headers["assent-checkpoint"]) for one in heard} == {town.log.signed_elsewhere}
    assert town.log.asked_for == [7, 7, 7, 7]
    for malformed in (b"", b"-1", b"1e3", b"9" * 16):
        assert (await town.get(key, path, (b"assent-seen", malformed))).status == 400


async def test_frozen_arguments_come_back_with_their_nulls_and_in_canonical_form(town: Town) -> None:
    sent = b'{"tool":"files.read","arguments":{"path":null,"env":"staging","n":1.0,"o":{"b":null,"a":[]}}}'
    heard = await town.post_raw(await town.agent(), "/v1/actions", sent)
    assert b'"arguments":{"env":"staging","n":1,"o":{"a":[],"b":null},"path":null}' in heard.body
