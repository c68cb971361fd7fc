"""Approvals over HTTP: shown whole, decided by eligible people at the click, and every refusal says who could."""

import json
from dataclasses import replace
from typing import Any

import pytest

from assent.core.actions import Proposal
from assent.core.approvals import Need, Route
from assent.core.canonical import Json
from assent.core.operators import Assurance, Operator, OperatorId, Permission
from assent.core.reasons import Reason
from tests.api.client import Heard
from tests.api.town import Town
from tests.flows.world import TownPolicy

DENIAL = {"category": "too_risky", "reason": "not at night"}


async def pending(town: Town, **more: Any) -> dict[str, str]:
    asked = await town.ask(await town.agent(), **more)
    return {"id": asked["approval"]["id"], "code": asked["approval"]["code"], "digest": asked["digest"]}


async def approve(town: Town, who: str, asked: dict[str, str], **more: object) -> Heard:
    body = {"digest_prefix": asked["digest"][:8]} | more
    return await town.post(await town.operator(who), f"/v1/approvals/{asked['id']}/approve", body)


@pytest.mark.requirement("P3")
async def test_an_operator_is_shown_everything_that_will_run(town: Town) -> None:
    asked = await pending(town, reason="because\u200b", on_behalf_of=["operator:dana"], context={"trace": "t1"})
    shown = (await town.get(await town.operator(), f"/v1/approvals/{asked['code'].lower()}")).json
    assert shown["arguments"] == {"env": "production", "path": "a"}
    assert shown["arguments_text"] == '{"env":"production","path":"a"}'
    assert shown["agent_says"] == {
        "reason": "because\u200b",
        "context": {"trace": "t1"},
        "on_behalf_of": ["operator:dana"],
    }
    assert shown["invisible"] == {"arguments": 0, "reason": 1, "resource": 0}
    assert (shown["agent"], shown["owner"], shown["digest"]) == ("bot", "owner", asked["digest"])
    assert (shown["who"], shown["drivers"], shown["key_issuer"]) == (["eve", "sam"], ["dana"], "admin")
    assert "why_not_me" not in shown


@pytest.mark.requirement("T3")
async def test_characters_that_nobody_can_see_are_counted_wherever_they_hide(town: Town) -> None:
    asked = await town.ask(
        await town.agent(), arguments={"env": "production", "l": ["\u202e", {"\u200b": "\u2066x"}], "path": "a"}
    )
    shown = (await town.get(await town.operator(), f"/v1/approvals/{asked['approval']['id']}")).json
    assert shown["invisible"]["arguments"] == 3


class PolicyWithSecrets(TownPolicy):
    """The town's policy, where `password` is sensitive."""

    def propose(self, tool: str, arguments: Json) -> Proposal | Reason:
        proposal = super().propose(tool, arguments)
        return proposal if isinstance(proposal, Reason) else replace(proposal, sensitive=("password", "absent"))


@pytest.mark.requirement("P9")
async def test_a_sensitive_argument_is_told_by_kind_and_length_only(town: Town) -> None:
    town.world.policy = PolicyWithSecrets()
    arguments = {"env": "production", "password": "hunter2", "path": None}
    asked = await town.ask(await town.agent(), arguments=arguments)
    heard = await town.get(await town.operator(), f"/v1/approvals/{asked['approval']['id']}")
    assert b"hunter2" not in heard.body
    assert heard.json["sensitive"] == [{"name": "password", "kind": "string", "length": 7}]
    assert heard.json["arguments"]["password"] == {"sensitive": "string", "length": 7}
    assert heard.json["arguments"]["path"] is None


def reader(name: str, *permissions: Permission) -> Operator:
    return Operator(id=OperatorId(name), permissions=frozenset({Permission.APPROVALS_READ, *permissions}))


READERS = (
    reader("ann", Permission.AUDIT_READ),
    reader("pam", Permission.AUDIT_PAYLOADS),
    reader("dex", Permission.APPROVALS_DECIDE),
)
TOLD: dict[str, Any] = {
    "arguments": {"env": "production", "path": "canary"},
    "reason": "canary",
    "context": {"trace": "canary"},
}


class PublicPlaces(TownPolicy):
    """The town's policy, where every resource is public."""

    def propose(self, tool: str, arguments: Json) -> Proposal | Reason:
        proposal = super().propose(tool, arguments)
        return proposal if isinstance(proposal, Reason) else replace(proposal, resource_is_public=True)


@pytest.mark.requirement("P9")
async def test_who_neither_decides_nor_may_read_payloads_is_shown_kinds_and_lengths(town: Town) -> None:
    town.world.policy = TownPolicy(people=(*TownPolicy().people, *READERS))
    asked = await town.ask(await town.agent(), **TOLD)
    path = f"/v1/approvals/{asked['approval']['id']}"
    await town.post(await town.operator("eve"), f"{path}/deny", {"category": "other", "reason": "canary"})
    auditor = await town.operator("ann")
    shown = await town.get(auditor, path)
    listed = await town.get(auditor, "/v1/approvals?state=denied")
    whole = [await town.get(await town.operator(name), "/v1/approvals?state=denied") for name in ("pam", "dex")]
    assert b"canary" not in shown.body + listed.body
    assert shown.json["masked"] is True
    assert listed.json["items"][0]["arguments"] == shown.json["arguments"]
    assert shown.json["arguments"]["path"] == {"masked": "string", "length": 6}
    assert json.loads(shown.json["arguments_text"]) == shown.json["arguments"]
    assert shown.json["agent_says"] == {
        "reason": "(masked: 6 characters)",
        "context": {"masked": "object", "length": 1},
        "on_behalf_of": [],
    }
    assert (shown.json["resource"], shown.json["comment"]) == ("(masked: 17 characters)", "(masked: 6 characters)")
    assert [heard.json["items"][0]["masked"] for heard in whole] == [False, False]
    assert [heard.json["items"][0]["arguments"]["path"] for heard in whole] == ["canary", "canary"]


async def test_a_public_resource_is_shown_to_every_reader(town: Town) -> None:
    town.world.policy = PublicPlaces(people=(*TownPolicy().people, *READERS))
    asked = await town.ask(await town.agent())
    shown = await town.get(await town.operator("ann"), f"/v1/approvals/{asked['approval']['id']}")
    assert (shown.json["masked"], shown.json["resource"]) == (True, "production/a")


async def test_a_yes_makes_the_action_ready_and_saying_it_again_is_no_error(town: Town) -> None:
    asked = await pending(town)
    first, again = await approve(town, "eve", asked, comment="fine"), await approve(town, "eve", asked)
    assert first.json["state"] == "approved"
    assert first.json["action_state"] == "ready"
    assert [(vote["operator"], vote["assurance"]) for vote in again.json["votes"]] == [("eve", "token")]


async def test_the_comment_of_a_yes_is_payload_of_its_record(town: Town) -> None:
    await approve(town, "eve", await pending(town), comment="checked with dana")
    (voted,) = await town.world.records(kind="approval.voted")
    assert b"checked" not in voted.leaf
    assert b'"commit":{"comment":' in voted.leaf


@pytest.mark.requirement("P5", "T4")
async def test_the_owner_may_not_approve_and_hears_who_can(town: Town) -> None:
    heard = await approve(town, "owner", await pending(town))
    assert (heard.status, heard.code, heard.json["who"]) == (403, "not_eligible", ["eve", "sam"])
    assert "you own this agent" in heard.json["detail"]


async def test_the_owner_may_deny(town: Town) -> None:
    asked = await pending(town)
    heard = await town.post(await town.operator("owner"), f"/v1/approvals/{asked['id']}/deny", DENIAL)
    assert (heard.status, heard.json["state"], heard.json["action_state"]) == (200, "denied", "denied")


@pytest.mark.requirement("T18")
async def test_whoever_comes_second_hears_who_decided(town: Town) -> None:
    asked = await pending(town)
    await town.post(await town.operator("sam"), f"/v1/approvals/{asked['id']}/deny", DENIAL)
    heard = await approve(town, "eve", asked)
    assert (heard.status, heard.code) == (409, "already_decided")
    assert (heard.json["decided_by"], heard.json["state"]) == ("sam", "denied")
    assert heard.json["decided_at"] == "2026-11-23T10:00:00.000000Z"


async def test_another_digest_than_the_one_that_would_run_is_no_yes(town: Town) -> None:
    asked = await pending(town)
    heard = await approve(town, "eve", {**asked, "digest": "0" * 64})
    assert (heard.status, heard.code) == (409, "digest_changed")


async def test_the_digest_may_be_typed_in_capitals(town: Town) -> None:
    asked = await pending(town)
    assert (await approve(town, "eve", {**asked, "digest": asked["digest"].upper()})).status == 200


@pytest.mark.requirement("P7")
async def test_silence_is_told_as_expiry_and_never_as_a_denial(town: Town) -> None:
    asked = await pending(town)
    town.world.clock.forward(minutes=16)
    heard = await approve(town, "eve", asked)
    assert (heard.status, heard.code) == (410, "approval_expired")


@pytest.mark.requirement("T22")
async def test_a_route_that_wants_more_than_a_token_asks_for_a_surer_surface(town: Town) -> None:
    surer = Route(name="default", needs=(Need(count=1, of="oncall"),), assurance=Assurance.LINKED)
    town.world.policy = TownPolicy(routes={"default": surer})
    asked = await pending(town)
    heard = await approve(town, "eve", asked)
    shown = (await town.get(await town.operator(), f"/v1/approvals/{asked['id']}")).json
    assert (heard.status, heard.code) == (403, "step_up_required")
    assert shown["why_not_me"]["code"] == "step_up_required"


async def test_a_yes_can_be_taken_back_until_it_runs(town: Town) -> None:
    asked = await pending(town)
    await approve(town, "eve", asked)
    path = f"/v1/approvals/{asked['id']}/revoke"
    heard = await town.post(await town.operator("sam"), path, {"reason": "wrong cluster"})
    assert (heard.status, heard.json["action_state"]) == (200, "revoked")


async def test_open_approvals_are_listed_first_and_others_by_state_or_code(town: Town) -> None:
    one, two = await pending(town, run_id="r1"), await pending(town, run_id="r2")
    await approve(town, "eve", one)
    reader = await town.operator()
    listed = (await town.get(reader, "/v1/approvals")).json
    approved = (await town.get(reader, "/v1/approvals?state=approved&state=denied")).json
    by_code = (await town.get(reader, f"/v1/approvals?code={one['code'].lower()}")).json
    assert [item["id"] for item in listed["items"]] == [two["id"]]
    assert [item["id"] for item in approved["items"]] == [one["id"]]
    assert [item["id"] for item in by_code["items"]] == [one["id"]]


async def test_a_long_list_goes_on_behind_its_cursor(town: Town) -> None:
    made = [await pending(town, run_id=f"r{n}") for n in range(3)]
    reader = await town.operator()
    page = (await town.get(reader, "/v1/approvals?limit=2")).json
    rest = (await town.get(reader, f"/v1/approvals?limit=2&cursor={page['next_cursor']}")).json
    assert [item["id"] for item in page["items"] + rest["items"]] == [asked["id"] for asked in reversed(made)]
    assert rest["next_cursor"] is None


async def test_a_filter_with_a_typing_error_is_refused_and_not_ignored(town: Town) -> None:
    heard = await town.get(await town.operator(), "/v1/approvals?sate=denied")
    assert (heard.status, heard.code) == (400, "bad_request")
    assert "`sate`" in heard.json["detail"]


async def test_what_does_not_exist_is_not_found(town: Town) -> None:
    reader = await town.operator()
    heard = [
        await town.get(reader, "/v1/approvals/apr_none"),
        await town.post(reader, "/v1/approvals/apr_none/approve", {"digest_prefix": "0" * 8}),
    ]
    assert [(h.status, h.code) for h in heard] == [(404, "not_found")] * 2
