"""The hot route and the framework's route are one definition: the same bytes for every request, also for bad ones.

Two towns live the same story from the same start, one on each route; ids, codes and secrets are counted, so whatever
differs is the route.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assent.api import hot
from assent.api.app import InFront
from tests.api.client import JSON_TYPE, Headers, Heard, bearer, call
from tests.api.town import ATTEMPT, Town
from tests.flows.world import World, a_world

ALLOWED = {"tool": "files.read", "arguments": {"env": "staging", "path": "a"}}
PENDING = {"tool": "files.write", "arguments": {"env": "production", "path": "a"}, "run_id": "r", "reason": "because"}
KEYS = ["tool", "arguments", "reason", "run_id", "call_id", "attempt", "on_behalf_of", "in_flight", "context", "tol"]
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two towns that are told the same."""

    direct: Town
    framework: Town

    async def both(self, headers: Headers, *chunks: bytes, method: str = "POST") -> tuple[Heard, Heard]:
        framework = self.framework.app
        assert isinstance(framework, InFront)
        return (
            await call(self.direct.app, method, "/v1/actions", headers=headers, chunks=chunks),
            await call(framework.framework, method, "/v1/actions", headers=headers, chunks=chunks),
        )

    async def both_look(self, headers: Headers, target: str, method: str = "GET") -> tuple[Heard, Heard]:
        framework = self.framework.app
        assert isinstance(framework, InFront)
        return (
            await call(self.direct.app, method, target, headers=headers),
            await call(framework.framework, method, target, headers=headers),
        )

    async def agent(self) -> str:
        ours, theirs = await self.direct.agent(), await self.framework.agent()
        assert ours == theirs
        return ours


@pytest.fixture
async def worlds() -> AsyncIterator[tuple[World, World]]:
    made = (a_world(), a_world())
    yield made
    for world in made:
        await world.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has


@pytest.fixture
def pair(worlds: tuple[World, World]) -> Pair:
    return Pair(Town(worlds[0]), Town(worlds[1]))


@pytest.mark.parametrize(
    "body",
    [
        ALLOWED,
        ALLOWED | {"attempt": ATTEMPT},
        PENDING,
        PENDING | {"tool": "files.delete"},
        PENDING | {"tool": "nothing.known"},
        PENDING | {"context": {"model": {"name": "m", "version": "1"}, "trace": "t"}, "on_behalf_of": ["operator:eve"]},
        PENDING | {"in_flight": ["act_1"], "call_id": "c"},
        PENDING | {"attempt": "short"},
        PENDING | {"resaon": "typing error"},
        {"tool": "files.read"},
        [],
        None,
    ],
)
async def test_both_routes_answer_the_same_bytes_to_a_body(pair: Pair, body: object) -> None:
    headers = [bearer(await pair.agent()), JSON_TYPE, (b"idempotency-key", b"k")]
    for _ in range(2):  # the second time it is found again
        ours, theirs = await pair.both(headers, json.dumps(body).encode())
        assert ours == theirs


@pytest.mark.parametrize(
    "chunks",
    [[b""], [b"{"], [b'{"a":1,"a":2}'], [b"[" * 100], [b"NaN"], [b"\xff"], [b'{"too', b'l":1}'], [b"x" * 262_145]],
    ids=lambda chunks: str(chunks[0][:12]),
)
async def test_both_routes_answer_the_same_bytes_to_what_is_no_json(pair: Pair, chunks: list[bytes]) -> None:
    ours, theirs = await pair.both([bearer(await pair.agent()), JSON_TYPE], *chunks)
    assert ours == theirs
    assert ours.status in {400, 413}


@pytest.mark.parametrize(
    "extra",
    [
        [],
        [(b"content-type", b"text/plain")],
        [JSON_TYPE, JSON_TYPE],
        [JSON_TYPE, (b"idempotency-key", b"")],
        [JSON_TYPE, (b"idempotency-key", b"x" * 256)],
        [JSON_TYPE, (b"idempotency-key", b"\xe9")],
        [JSON_TYPE, (b"content-length", b"999999999")],
        [JSON_TYPE, (b"content-length", b"minus")],
        [(b"content-type", b"application/json; charset=utf-8")],
    ],
)
async def test_both_routes_answer_the_same_bytes_to_headers(pair: Pair, extra: Headers) -> None:
    ours, theirs = await pair.both([bearer(await pair.agent()), *extra], json.dumps(ALLOWED).encode())
    assert ours == theirs


@pytest.mark.parametrize("value", [b"", b"Bearer", b"Basic eDp5", b"Bearer asn_x_y", b"Bearer aso_x_y", b"bearer \xff"])
async def test_both_routes_answer_the_same_bytes_to_bad_credentials(pair: Pair, value: bytes) -> None:
    ours, theirs = await pair.both([(b"authorization", value), JSON_TYPE], json.dumps(ALLOWED).encode())
    assert ours == theirs
    assert (ours.status, ours.headers["www-authenticate"]) == (401, 'Bearer realm="assent"')


@pytest.mark.requirement("T12")
@pytest.mark.parametrize(
    "path", ["/v1%2factions", "/v1%2Factions", "/v1%5cactions", "/v1/actions%00", "/v1/actions/act_1%2fcancel"]
)
async def test_a_path_with_an_encoded_slash_or_nul_names_nothing(pair: Pair, path: str) -> None:
    headers = [bearer(await pair.agent()), JSON_TYPE]
    heard = await call(pair.direct.app, "POST", path, headers=headers, chunks=[json.dumps(ALLOWED).encode()])
    assert (heard.status, heard.code) == (404, "not_found")
    assert await pair.direct.world.records(kind="action.decided") == []


async def test_another_spelling_of_the_path_is_answered_by_the_framework_alike(pair: Pair) -> None:
    headers = [bearer(await pair.agent()), JSON_TYPE]
    heard = await call(pair.direct.app, "POST", "/v1/%61ctions", headers=headers, chunks=[b"{}"])
    assert (heard.status, heard.code) == (400, "bad_request")


async def test_both_routes_say_the_same_when_the_policy_breaks(pair: Pair) -> None:
    headers = [bearer(await pair.agent()), JSON_TYPE]
    for town in (pair.direct, pair.framework):
        town.world.policy = None  # type: ignore[assignment]  # nothing that a flow could work with
    ours, theirs = await pair.both(headers, json.dumps(ALLOWED).encode())
    assert ours == theirs
    assert (ours.status, ours.code) == (503, "broker_unavailable")


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(st.sampled_from(KEYS), JSON_VALUES, max_size=6), st.booleans())
async def test_both_routes_answer_the_same_bytes_to_whatever_comes(
    pair: Pair, body: dict[str, object], complete: bool
) -> None:
    sent = (ALLOWED | body) if complete else body
    ours, theirs = await pair.both([bearer(await pair.agent()), JSON_TYPE], json.dumps(sent).encode())
    assert ours == theirs
    assert ours.status in {200, 400}


@pytest.mark.parametrize(
    "query",
    [
        "wait=0&after=0",
        "wait=1&after=0",
        "wait=0&after=1",
        "after=0&wait=0",
        "",
        "wait=0",
        "wait=0&after=0&x=1",
        "wait=-1&after=0",
        "wait=0&after=99999999999",
        "wait=0.5&after=0",
        "wait=&after=",
        "wait=99999&after=0",
    ],
)
@pytest.mark.parametrize(
    "extra", [[], [(b"assent-attempt", ATTEMPT.encode())], [(b"assent-attempt", b"short")]], ids=str
)
async def test_both_routes_answer_the_same_bytes_to_who_looks_at_an_action(
    pair: Pair, query: str, extra: Headers
) -> None:
    key = await pair.agent()
    ours, theirs = await pair.both([bearer(key), JSON_TYPE], json.dumps(PENDING).encode())
    assert ours == theirs
    action = ours.json["action_id"]
    for name in (action, "act_nobody", "act%5Fx"):
        looked = await pair.both_look([bearer(key), *extra], f"/v1/actions/{name}?{query}")
        assert looked[0] == looked[1]
    nobody = await pair.both_look([*extra], f"/v1/actions/{action}?{query}")
    assert nobody[0] == nobody[1]
    twice = await pair.both_look([bearer(key), bearer(key)], f"/v1/actions/{action}?{query}")
    assert twice[0] == twice[1]


async def test_a_wait_in_its_usual_form_needs_no_framework(pair: Pair) -> None:
    key = await pair.agent()
    ours, _ = await pair.both([bearer(key), JSON_TYPE], json.dumps(PENDING).encode())
    fresh = Town(pair.direct.world)
    heard = await fresh.get(key, f"/v1/actions/{ours.json['action_id']}?wait=0&after=0")
    assert (heard.status, heard.json["state"]) == (200, "pending")
    assert hot.watched(b"/v1/actions/act_1", b"wait=25&after=3") is not None
    assert hot.watched(b"/v1/actions/act_1/cancel", b"wait=25&after=3") is None
