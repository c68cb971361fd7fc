"""The log over HTTP: records newest first and without payload, and the public files that verify them."""

import json
from dataclasses import replace

import pytest

from assent.api import ApiSettings
from assent.core.canonical import canonical
from assent.core.operators import PERMISSION_SETS, Operator, OperatorId
from tests.api.client import call
from tests.api.town import NOTE, Town
from tests.flows.world import TownPolicy, a_world


async def auditor(town: Town) -> str:
    return await town.operator("admin")


async def test_records_come_newest_first_as_the_very_leaves_that_the_tree_hashes(town: Town) -> None:
    await town.ask(await town.agent(), "files.read")
    listed = await town.get(await auditor(town), "/v1/records?limit=200")
    stored = list(reversed(await town.world.records()))
    items = listed.json["items"]
    assert [canonical(item["leaf"]) for item in items] == [record.leaf for record in stored]
    assert [item["index"] for item in items] == list(range(len(stored) - 1, -1, -1))
    assert b"production" in listed.body
    assert b'"path"' not in listed.body


async def test_records_are_found_by_what_they_are_about(town: Town) -> None:
    await town.ask(await town.agent("bot"), "files.read")
    await town.ask(await town.agent("other"), "files.read")
    path = "/v1/records?agent=other&kind=action.decided&decision=allow&since=2026-11-23T09:00:00Z"
    listed = (await town.get(await auditor(town), path)).json
    assert [item["leaf"]["agent"] for item in listed["items"]] == ["other"]


async def test_a_page_goes_on_at_the_index_it_ended_at(town: Town) -> None:
    await town.ask(await town.agent(), "files.read")
    token = await auditor(town)
    page = (await town.get(token, "/v1/records?limit=2")).json
    rest = (await town.get(token, f"/v1/records?limit=2&cursor={page['next_cursor']}")).json
    indexes = [item["index"] for item in page["items"] + rest["items"]]
    assert indexes == sorted(indexes, reverse=True)
    assert len(set(indexes)) == len(indexes)


async def test_records_come_oldest_first_where_that_is_asked(town: Town) -> None:
    await town.ask(await town.agent(), "files.read")
    token = await auditor(town)
    newest = (await town.get(token, "/v1/records?limit=200")).json["items"]
    page = (await town.get(token, "/v1/records?order=oldest&limit=2")).json
    rest = (await town.get(token, f"/v1/records?order=oldest&cursor={page['next_cursor']}")).json
    assert page["items"] + rest["items"] == newest[::-1]
    assert rest["next_cursor"] is None


async def test_one_record_is_shown_as_it_is_hashed_and_to_no_agent(town: Town) -> None:
    asked = await town.ask(await town.agent(), "files.read")
    (stored,) = await town.world.records(action=asked["action_id"], kind="action.decided")
    path = f"/v1/records/{asked['record_id']}"
    shown = await town.get(await auditor(town), path)
    assert (canonical(shown.json["leaf"]), shown.json["index"]) == (stored.leaf, stored.index)
    assert b'"path"' not in shown.body
    assert (await town.get(await auditor(town), "/v1/records/rec_none")).code == "not_found"
    for token in (await town.agent(), await town.agent("other"), await town.service()):
        assert (await town.get(token, path)).status == 401


@pytest.mark.parametrize(
    "query", ["since=yesterday", "since=2026-11-23T09:00:00", "limit=0", "limit=201", "agnet=x", "order=up"]
)
async def test_a_filter_that_cannot_be_understood_is_refused(town: Town, query: str) -> None:
    heard = await town.get(await auditor(town), f"/v1/records?{query}")
    assert (heard.status, heard.code) == (400, "bad_request")


async def test_the_head_of_the_log_is_read_with_any_valid_credential(town: Town) -> None:
    for token in (await town.agent(), await town.service(), await town.operator()):
        heard = await town.get(token, "/log/checkpoint")
        assert (heard.status, heard.body) == (200, NOTE)
        assert heard.headers["content-type"] == "text/plain; charset=utf-8"


async def test_tiles_and_bundles_have_one_path_each(town: Town) -> None:
    token = await auditor(town)
    tile = await town.get(token, "/log/tile/0/000.p/1")
    bundle = await town.get(token, "/log/tile/entries/000.p/1")
    wrong = [await town.get(token, f"/log/tile/{path}") for path in ("0/000", "0/0", "0/x000/000", "../keys", "00/000")]
    assert (tile.status, tile.body, tile.headers["content-type"]) == (200, b"h" * 32, "application/octet-stream")
    assert (bundle.status, bundle.body) == (200, b"e")
    assert [(h.status, h.code) for h in wrong] == [(404, "not_found")] * 5


@pytest.mark.requirement("P1", "T9")
async def test_records_of_everybody_are_for_operators_who_may_read_the_log() -> None:
    approver = Operator(id=OperatorId("ann"), permissions=PERMISSION_SETS["approver"])
    world = a_world(policy=TownPolicy(people=(*TownPolicy().people, approver)))
    town = Town(world)
    town.log.proofs["rec_1"] = b"proof"
    tokens = [await town.agent(), await town.service(), await town.operator("ann"), await town.operator("eve")]
    bundles = [(await town.get(token, "/log/tile/entries/000.p/1")).status for token in tokens]
    hashes = [(await town.get(token, "/log/tile/0/000.p/1")).status for token in tokens]
    proofs = [(await town.get(token, "/v1/records/rec_1/proof")).status for token in tokens]
    await world.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has
    assert bundles == [403, 403, 403, 200]
    assert hashes == [200] * 4
    assert proofs == [404, 401, 403, 200]


@pytest.mark.requirement("P1", "T9")
async def test_an_agent_can_prove_what_names_it_and_nothing_else(town: Town) -> None:
    mine, foreign = await town.agent("bot"), await town.agent("other")
    record = (await town.ask(mine, "files.read"))["record_id"]
    town.log.proofs[record] = b"proof"
    named, hidden = [await town.get(token, f"/v1/records/{record}/proof") for token in (mine, foreign)]
    absent = await town.get(foreign, "/v1/records/rec_none/proof")
    assert (named.status, named.body) == (200, b"proof")
    assert (hidden.status, hidden.body) == (404, absent.body)


async def test_a_proof_comes_as_the_public_text_form(town: Town) -> None:
    town.log.proofs["rec_1"] = b"c2sp.org/tlog-proof@v1\n"
    token = await auditor(town)
    found, none = await town.get(token, "/v1/records/rec_1/proof"), await town.get(token, "/v1/records/rec_2/proof")
    assert (found.status, found.body) == (200, b"c2sp.org/tlog-proof@v1\n")
    assert none.code == "not_found"


async def test_a_public_log_needs_no_credential_and_nothing_else_opens() -> None:
    world = a_world()
    town = Town(world, ApiSettings(public_log=True))
    paths = ("/log/checkpoint", "/log/tile/entries/000.p/1", "/v1/records")
    statuses = [(await call(town.app, "GET", path)).status for path in paths]
    await world.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has
    assert statuses == [200, 200, 401]


async def test_health_is_the_process_and_readiness_is_the_ledger_and_the_policy(town: Town) -> None:
    alive, ready = await town.get(None, "/healthz"), await town.get(None, "/readyz")
    town.state = replace(town.state, ledger_writable=False, notes=("the disk is full",))
    not_ready = await town.get(None, "/readyz")
    assert (alive.status, ready.status, not_ready.status) == (200, 200, 503)
    assert not_ready.json == {
        "ready": False,
        "ledger_writable": False,
        "policy_loaded": True,
        "signals": "process",
        "notes": ["the disk is full"],
    }


async def test_the_keys_that_grants_are_signed_with_are_public(town: Town) -> None:
    heard = await town.get(None, "/.well-known/jwks.json")
    assert [key["kid"] for key in json.loads(heard.body)["keys"]] == ["k1"]
