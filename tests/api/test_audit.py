"""Over HTTP: the life of an action, payload with a record of it, exports, findings; agents see none of it."""

import json
from typing import Any

import pytest

from assent.core.canonical import canonical, commitment_of
from assent.core.operators import Operator, OperatorId, Permission
from tests.api.town import Town
from tests.flows.world import TownPolicy

TOLD: dict[str, Any] = {"arguments": {"env": "production", "path": "canary"}, "reason": "canary words"}


async def auditor(town: Town, *more: Permission) -> str:
    held = frozenset({Permission.AUDIT_READ, *more})
    town.world.policy = TownPolicy(people=(*TownPolicy().people, Operator(id=OperatorId("ann"), permissions=held)))
    return await town.operator("ann")


async def test_the_life_of_an_action_is_told_in_words_without_payload(town: Town) -> None:
    action = await town.approved(await town.agent(), **TOLD)
    heard = await town.get(await auditor(town), f"/v1/actions/{action['action_id']}/story")
    assert (heard.status, b"canary" in heard.body) == (200, False)
    told = heard.json
    assert (told["action_id"], told["state"], told["next_cursor"]) == (action["action_id"], "ready", None)
    assert (told["approval"]["code"], told["approval"]["state"]) == (action["approval"]["code"], "approved")
    assert [line["what"] for line in told["items"]] == [
        "bot asked for files.write in production: a human decides (rules rule-files.write)",
        "people were asked on the route default, accepting token or better, until 2026-11-23T10:15:00.000000Z",
        "eve said yes (token, api)",
        "approved, completed by eve",
        "a grant was issued, for the agent to redeem until 2026-11-23T10:30:00.000000Z",
    ]
    assert {line["about"] for line in told["items"]} == {"action"}
    stored = await town.world.records(action=action["action_id"])
    assert [canonical(line["leaf"]) for line in told["items"]] == [record.leaf for record in stored]


async def test_a_long_life_is_told_page_by_page(town: Town) -> None:
    action = await town.approved(await town.agent())
    token, path = await auditor(town), f"/v1/actions/{action['approval']['code']}/story"
    whole = (await town.get(token, path)).json["items"]
    first = (await town.get(token, f"{path}?limit=3")).json
    rest = (await town.get(token, f"{path}?limit=3&cursor={first['next_cursor']}")).json
    assert (first["items"] + rest["items"], rest["next_cursor"]) == (whole, None)


async def test_payload_is_shown_with_its_salts_and_proves_itself(town: Town) -> None:
    action = await town.ask(await town.agent(), **TOLD)
    token = await auditor(town, Permission.AUDIT_PAYLOADS)
    shown = await town.post(token, f"/v1/actions/{action['action_id']}/reveal", {"reason": "case 7"})
    alone = await town.post(token, f"/v1/records/{action['record_id']}/reveal", {})
    (item,) = shown.json["items"]
    assert alone.json["items"] == [item]
    assert item["fields"]["arguments"]["value"] == TOLD["arguments"]
    for name, kept in item["fields"].items():
        proof = commitment_of(name, bytes.fromhex(kept["salt"]), canonical(kept["value"]))
        assert proof == item["leaf"]["commit"][name]
    records = await town.world.records(kind="payload.revealed")
    assert [record.id for record in records] == [shown.json["record_id"], alone.json["record_id"]]
    assert [b"canary" in record.leaf for record in records] == [False, False]


async def test_an_export_begins_with_what_it_holds(town: Town) -> None:
    await town.ask(await town.agent(), "files.read")
    token = await auditor(town)
    begun = (await town.post(token, "/v1/exports", {})).json
    assert begun["first"] == 0
    assert begun["records"] == begun["last"] + 1 == len(await town.world.records()) - 1
    page = await town.get(token, f"/v1/records?order=oldest&cursor={begun['first']}&limit={begun['records']}")
    assert [item["index"] for item in page.json["items"]] == list(range(begun["records"]))
    nothing = (await town.post(token, "/v1/exports", {"since": "2027-01-01T00:00:00Z"})).json
    assert (nothing["records"], "first" in nothing, "last" in nothing) == (0, False, False)
    for since in ("yesterday", "2026-11-23T09:00:00", 1_764_000_000, "1764000000", True):
        assert (await town.post(token, "/v1/exports", {"since": since})).code == "bad_request"


async def test_findings_answer_every_question(town: Town) -> None:
    token = await auditor(town)
    quiet = (await town.get(token, "/v1/findings")).json["items"]
    assert len(quiet) >= 9
    assert [item for item in quiet if not item["ok"] or "do" in item] == []
    await town.ask(await town.agent())
    town.world.clock.forward(hours=1)
    spoken = [item for item in (await town.get(token, "/v1/findings")).json["items"] if not item["ok"]]
    assert ({item["check"] for item in spoken}, all(item["do"] for item in spoken)) == ({"signed", "timers"}, True)


@pytest.mark.requirement("P1", "T9")
async def test_no_agent_reads_any_of_it_not_even_of_its_own_action(town: Town) -> None:
    mine = await town.agent()
    action = await town.ask(mine, **TOLD)
    places: list[tuple[str, Any]] = [
        (f"/v1/actions/{action['action_id']}/story", None),
        (f"/v1/actions/{action['action_id']}/reveal", {}),
        (f"/v1/records/{action['record_id']}", None),
        (f"/v1/records/{action['record_id']}/reveal", {}),
        ("/v1/records", None),
        ("/v1/exports", {}),
        ("/v1/findings", None),
    ]
    for token in (mine, await town.agent("other"), await town.service()):
        for path, body in places:
            heard = await (town.get(token, path) if body is None else town.post(token, path, body))
            assert (heard.status, heard.code, b"canary" in heard.body) == (401, "unauthenticated", False), path


async def test_a_story_whose_row_was_changed_is_told_from_the_log_alone(town: Town) -> None:
    action = await town.ask(await town.agent())
    ledger = town.world.ledger

    async def damage(tx: Any) -> None:
        tx.write("UPDATE action SET state = 'ready' WHERE id = ?", (action["action_id"],))

    await ledger.transact(damage)
    told = (await town.get(await auditor(town), f"/v1/actions/{action['action_id']}/story")).json
    assert ("state" in told, len(told["items"])) == (False, 2)
    findings = (await town.get(await auditor(town), "/v1/findings")).json["items"]
    (rows,) = [item for item in findings if item["check"] == "rows"]
    assert (rows["ok"], action["action_id"] in rows["what"]) == (False, True)
    assert json.dumps(rows)
