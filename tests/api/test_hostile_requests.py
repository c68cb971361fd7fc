"""Hostile bodies: one strict parser before everything, bounds before that, and never a 5xx."""

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api.client import JSON_TYPE, Heard, bearer, call
from tests.api.town import ATTEMPT, Town
from tests.flows.world import a_world

CASES = Path(os.environ.get("ASSENT_CASES", Path(__file__).parents[2].parent / "shared" / "cases"))
NAUGHTY = CASES / "strings" / "blns.json"

HOSTILE = [
    b"",
    b" ",
    b"null",
    b"[]",
    b'"text"',
    b"{",
    b"{}",
    b'{"a":1,"a":1}',
    b'{"tool":"x","tool":"y","arguments":{}}',
    b'{"arguments":{"a":{"b":1,"b":2}},"tool":"x"}',
    b'{"tool":"x","arguments":{"n":NaN}}',
    b'{"tool":"x","arguments":{"n":Infinity}}',
    b'{"tool":"x","arguments":{"n":-Infinity}}',
    b'{"tool":"x","arguments":{"n":1e999}}',
    b'{"tool":"x","arguments":{"n":9007199254740992}}',
    b'{"tool":"x","arguments":{"n":' + b"9" * 5_000 + b"}}",
    b'{"tool":"x","arguments":{"s":"\\ud800"}}',
    b'{"tool":"x","arguments":{"s":"\\udc00\\ud800"}}',
    b'{"tool":"x","arguments":{"s":"\xff"}}',
    b'{"tool":"x","arguments":{"s":"\xc0\xaf"}}',
    b'\xef\xbb\xbf{"tool":"x","arguments":{}}',
    b'{"tool":"x","arguments":{}} trailing',
    b'{"tool":"x","arguments":{},}',
    b"{'tool':'x'}",
    b"[" * 100_000,
    b'{"a":' * 65 + b"1" + b"}" * 65,
    b'{"tool":"x","arguments":' + b"[" * 100_000 + b"}",
    b"\x00",
    "{}".encode("utf-16"),
    b'{"tool":"\\u0000","arguments":{}}',
    b'{"tool":5,"arguments":{}}',
    b'{"tool":"x","arguments":5}',
    b'{"tool":"x","arguments":null}',
    b'{"tool":true,"arguments":{}}',
    b'{"tool":"x","arguments":{},"on_behalf_of":"dana"}',
    b'{"tool":"x","arguments":{},"on_behalf_of":[1]}',
    b'{"tool":"x","arguments":{},"context":{"model":"m"}}',
    b'{"tool":"x","arguments":{},"__proto__":{}}',
]
BODIES = {
    "/v1/actions": "agent",
    "/v1/actions/act_1/cancel": "agent",
    "/v1/actions/act_1/outcome": "agent",
    "/v1/grants/grt_1/redeem": "agent",
    "/v1/grants/redeem": "service",
    "/v1/approvals/apr_1/approve": "operator",
    "/v1/approvals/apr_1/deny": "operator",
    "/v1/approvals/apr_1/revoke": "operator",
    "/v1/approvals/apr_1/let-again": "operator",
    "/v1/actions/act_1/reveal": "operator",
    "/v1/actions/act_1/erase": "operator",
    "/v1/records/rec_1/reveal": "operator",
    "/v1/breakers/trip": "operator",
    "/v1/breakers/brk_1/reset": "operator",
}


@pytest.fixture
async def keys(town: Town) -> dict[str, str]:
    return {"agent": await town.agent(), "service": await town.service(), "operator": await town.operator("sam")}


@pytest.mark.requirement("T12")
@pytest.mark.parametrize("path", BODIES)
async def test_no_hostile_body_gets_further_than_a_4xx(town: Town, keys: dict[str, str], path: str) -> None:
    for body in HOSTILE:
        heard = await town.post_raw(keys[BODIES[path]], path, body)
        assert heard.status // 100 == 4, (body[:60], heard.status, heard.body)


@pytest.mark.requirement("T12")
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"tool":"x","tool":"y","arguments":{}}', "bad_json"),
        (b'{"tool":"x","arguments":{"n":NaN}}', "bad_json"),
        (b'{"tool":"x","arguments":{"n":9007199254740992}}', "bad_json"),
        (b'{"tool":"x","arguments":{"s":"\\ud800"}}', "bad_json"),
        (b"[" * 65 + b"]" * 65, "bad_json"),
        (b"[]", "bad_request"),
        (b'{"tool":"x"}', "bad_request"),
    ],
)
async def test_what_has_two_meanings_is_bad_json_and_what_has_the_wrong_shape_is_a_bad_request(
    town: Town, keys: dict[str, str], body: bytes, code: str
) -> None:
    heard = await town.post_raw(keys["agent"], "/v1/actions", body)
    assert (heard.status, heard.code) == (400, code)
    assert await town.world.records(kind="action.decided") == []


async def ask_with(town: Town, key: str, **more: object) -> Heard:
    return await town.post(key, "/v1/actions", {"tool": "files.read", "arguments": {"env": "staging"}} | more)


async def test_a_typing_error_in_a_field_is_refused_with_the_field_that_was_meant(
    town: Town, keys: dict[str, str]
) -> None:
    heard = await ask_with(town, keys["agent"], on_behalf=["operator:dana"])
    assert heard.code == "bad_request"
    assert heard.json["detail"] == "`on_behalf` is not a known field; did you mean `on_behalf_of`?"


async def test_what_is_wrong_is_named_but_what_was_sent_is_not_repeated(town: Town, keys: dict[str, str]) -> None:
    heard = await ask_with(town, keys["agent"], attempt="hunter2", reason=["hunter2"])
    assert {fault["at"] for fault in heard.json["errors"]} == {"attempt", "reason"}
    assert b"hunter2" not in heard.body


@pytest.mark.parametrize(
    "more",
    [
        {"reason": "x" * 4_001},
        {"run_id": "x" * 256},
        {"run_id": ""},
        {"call_id": "a\u200bb"},
        {"attempt": "a" * 21},
        {"attempt": "a" * 129},
        {"attempt": "a" * 22 + "!"},
        {"on_behalf_of": ["operator:x"] * 17},
        {"in_flight": ["act_1"] * 101},
        {"in_flight": ["act 1"]},
        {"context": {"trace": "x" * 513}},
        {"tool": "x" * 256},
    ],
)
async def test_every_text_and_list_has_a_bound(town: Town, keys: dict[str, str], more: dict[str, object]) -> None:
    heard = await ask_with(town, keys["agent"], **more)
    assert (heard.status, heard.code) == (400, "bad_request")


@pytest.mark.parametrize("chunks", [[b"x" * 262_145], [b"x" * 200_000, b"x" * 200_000], [b"x"] * 262_145])
async def test_a_body_beyond_the_bound_is_refused_however_it_comes(
    town: Town, keys: dict[str, str], chunks: list[bytes]
) -> None:
    headers = [bearer(keys["agent"]), JSON_TYPE]
    heard = await call(town.app, "POST", "/v1/actions", headers=headers, chunks=chunks)
    assert (heard.status, heard.code) == (413, "payload_too_large")


async def test_a_body_that_announces_too_much_is_not_even_read(town: Town, keys: dict[str, str]) -> None:
    headers = [bearer(keys["agent"]), JSON_TYPE, (b"content-length", b"262145")]
    heard = await call(town.app, "POST", "/v1/actions", headers=headers, chunks=[b"{}"])
    assert heard.code == "payload_too_large"


@pytest.mark.parametrize(
    "media", [b"text/json", b"application/json; charset=latin-1", b"application/x-www-form-urlencoded", b"", b"json"]
)
async def test_a_body_of_another_media_type_is_not_looked_at(town: Town, keys: dict[str, str], media: bytes) -> None:
    headers = [bearer(keys["agent"]), (b"content-type", media)]
    heard = await call(town.app, "POST", "/v1/actions", headers=headers, chunks=[b"{}"])
    assert (heard.status, heard.code) == (415, "unsupported_media_type")


async def test_a_credential_sent_twice_is_no_credential(town: Town, keys: dict[str, str]) -> None:
    headers = [bearer(keys["agent"]), bearer(keys["operator"])]
    heard = await call(town.app, "GET", "/v1/me", headers=headers)
    assert (heard.status, heard.code) == (400, "bad_request")


@pytest.fixture(scope="module")
def naughty() -> list[str]:
    if not NAUGHTY.is_file():
        pytest.skip(f"no {NAUGHTY.name} here: set ASSENT_CASES")
    strings: list[str] = json.loads(NAUGHTY.read_text())
    return strings


@pytest.fixture
async def crowd() -> AsyncIterator[Town]:
    world = a_world()
    yield Town(world)
    await world.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has


@pytest.mark.requirement("T12")
async def test_no_naughty_string_in_any_field_of_an_ask_fails_the_broker(crowd: Town, naughty: list[str]) -> None:
    key = await crowd.agent()
    for text in naughty:
        for body in (
            {"tool": text, "arguments": {"env": "staging"}},
            {"tool": "files.read", "arguments": {"env": text, text: text}},
            {"tool": "files.read", "arguments": {"env": "staging"}, "reason": text, "run_id": text, "call_id": text},
            {"tool": "files.read", "arguments": {"env": "staging"}, "on_behalf_of": [text]},
            {"tool": "files.read", "arguments": {"env": "staging"}, "attempt": text, "context": {"trace": text}},
        ):
            heard = await crowd.post(key, "/v1/actions", body)
            assert heard.status in {200, 400}, (text, heard.status, heard.body)


@pytest.mark.requirement("T12")
async def test_no_naughty_string_in_operators_fields_or_paths_fails_the_broker(crowd: Town, naughty: list[str]) -> None:
    token, service = await crowd.operator("sam"), await crowd.service()
    for text in naughty[::3]:
        path = text.replace("?", "").replace("#", "")
        heard = [
            await crowd.post(token, "/v1/breakers/trip", {"scope": {"tool": text, "agent": text}, "reason": text}),
            await crowd.post(token, "/v1/approvals/apr_1/deny", {"category": "other", "reason": text}),
            await crowd.post(service, "/v1/grants/redeem", {"token": text, "arguments": {}, "attempt": ATTEMPT}),
            await crowd.get(token, f"/v1/approvals/{path}"),
            await crowd.get(token, f"/log/tile/{path}"),
        ]
        assert [h.status // 100 for h in heard if h.status // 100 == 5] == [], (text, [h.status for h in heard])
