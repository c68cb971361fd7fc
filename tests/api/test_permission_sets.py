"""What each permission set opens, on every route of the application: the auditor reads, sees no payload, moves nothing.

Routes, permissions and the shapes of bodies come from the document that the application publishes about itself.
"""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from assent.core.operators import PERMISSION_SETS, Operator, OperatorId
from tests.api.client import JSON_TYPE, bearer, call
from tests.api.documents import operations
from tests.api.town import Town
from tests.flows.world import TownPolicy, a_world

OPERATOR: list[dict[str, list[str]]] = [{"operatorToken": []}]
CANARY = "canary-payload"
# What a schema cannot say: one of two members, a text of a certain form.
BODIES: dict[str, dict[str, Any]] = {
    "TripBody": {"all": True},
    "ApproveBody": {"digest_prefix": "{digest}"},
    "ActivateBody": {"digest": "0" * 64},
    "PublishBody": {
        "files": {"agents.yaml": ""},
        "commit": "c0" * 20,
        "change_url": "https://code.example/7",
        "author": "gus",
        "reviewer": "eve",
        "tests": "{}",
    },
}
# What an auditor may not even read.
PAYLOADS = {"audit.payloads", "audit.erase"}


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    people = (Operator(id=OperatorId(name), permissions=held) for name, held in PERMISSION_SETS.items())
    world = a_world(
        policy=TownPolicy(people=(*TownPolicy().people, *people, Operator(id=OperatorId("nobody"), groups=("oncall",))))
    )
    yield Town(world)
    await world.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has


async def places(town: Town) -> dict[str, str]:
    """Return a real thing for every parameter of a path, so that a refusal is about the caller and nothing else."""
    admin, bot = await town.operator("admin"), await town.agent()
    arguments = {"env": "production", "path": CANARY}
    asked = await town.ask(bot, arguments=arguments, reason=CANARY, on_behalf_of=["operator:dana"])
    tripped = await town.post(admin, "/v1/breakers/trip", {"scope": {"agent": "other"}, "reason": CANARY})
    await town.post(admin, "/v1/agents/other/suspend", {"reason": CANARY})
    issued = [
        await town.post(admin, path, body)
        for path, body in (
            ("/v1/agents/bot/keys", {}),
            ("/v1/services/db/keys", {"tools": ["db.*"]}),
            ("/v1/operators/eve/tokens", {}),
        )
    ]
    return {
        "/v1/approvals/{approval}": f"/v1/approvals/{asked['approval']['id']}",
        "/v1/breakers/{breaker_id}": f"/v1/breakers/{tripped.json['breaker']['id']}",
        "/v1/agents/{agent_id}/keys/{key_id}": f"/v1/agents/bot/keys/{issued[0].json['key_id']}",
        "/v1/agents/{agent_id}": "/v1/agents/other",
        "/v1/services/{service_id}/keys/{key_id}": f"/v1/services/db/keys/{issued[1].json['key_id']}",
        "/v1/services/{service_id}": "/v1/services/db",
        "/v1/operators/{operator_id}/tokens/{token_id}": f"/v1/operators/eve/tokens/{issued[2].json['token_id']}",
        "/v1/operators/{operator_id}": "/v1/operators/eve",
        "{record_id}": str(asked["record_id"]),
        "{action_id}": str(asked["action_id"]),
        "{digest}": str(asked["digest"]),
    }


def filled(path: str, real: dict[str, str]) -> str:
    for pattern, place in real.items():
        path = path.replace(pattern, place)
    return path.replace("{", "").replace("}", "")


async def operator_routes(town: Town) -> list[tuple[str, str, str, Any]]:
    """Return method, path, permission and a minimal body (None: takes none) of every route for operators alone."""
    document = (await town.get(None, "/openapi.json")).json
    schemas = document["components"]["schemas"]
    return [
        (method.upper(), path, operation["x-assent-permission"], body_for(operation, schemas))
        for method, path, operation in operations(document)
        if operation["security"] == OPERATOR
    ]


def body_for(operation: Any, schemas: dict[str, Any]) -> Any:
    if "requestBody" not in operation:
        return None
    name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    return BODIES.get(name) or minimal(schemas[name], schemas)


def minimal(schema: Any, schemas: dict[str, Any]) -> Any:
    """Return the least that fits `schema`, as far as our own shapes need it."""
    if "$ref" in schema:
        return minimal(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "enum" in schema or "const" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    kind = schema.get("type")
    if kind == "object":
        return {name: minimal(schema["properties"][name], schemas) for name in schema.get("required", ())}
    if kind == "array":
        return [minimal(schema["items"], schemas)] * schema.get("minItems", 0)
    return {"string": "x", "integer": schema.get("minimum", 1), "boolean": True}[kind]


def without_permission(held: frozenset[str], routes: list[tuple[str, str, str, Any]]) -> Iterator[Any]:
    yield from (route for route in routes if route[2] not in {*held, "none"})


async def heard_on(town: Town, token: str, route: Any, real: dict[str, str]) -> Any:
    method, path, _, body = route
    chunks = [b"" if body is None else json.dumps(body).replace("{digest}", real["{digest}"]).encode()]
    return await call(town.app, method, filled(path, real), headers=[JSON_TYPE, bearer(token)], chunks=chunks)


@pytest.mark.requirement("P5", "P9")
async def test_an_auditor_reads_everything_and_no_payload(town: Town) -> None:
    token, real, routes = await town.operator("auditor"), await places(town), await operator_routes(town)
    reads = [route for route in routes if route[0] == "GET" and route[2] not in PAYLOADS]
    assert len(reads) >= 10
    for route in reads:
        heard = await heard_on(town, token, route, real)
        # This town's policy is no directory of files: past the permission, there is nothing to show.
        expected = 404 if route[1].startswith("/v1/policy") else 200
        assert (heard.status, CANARY.encode() in heard.body) == (expected, False), (route, heard.body)


@pytest.mark.requirement("P5")
async def test_an_auditor_moves_nothing_and_opens_no_payload(town: Town) -> None:
    token, real, routes = await town.operator("auditor"), await places(town), await operator_routes(town)
    may = frozenset(permission.value for permission in PERMISSION_SETS["auditor"])
    moves = [r for r in without_permission(may, routes) if r[0] != "GET" or r[2] in PAYLOADS]
    before = len(await town.world.records())
    assert len(moves) >= 13
    for route in moves:
        heard = await heard_on(town, token, route, real)
        assert (heard.status, heard.code) in {(403, "forbidden"), (403, "not_eligible")}, (route, heard.body)
    # A vote that did not count is recorded as such, and nothing else happened.
    new = [kind for kind in (await town.world.kinds())[before:] if kind != "approval.vote_refused"]
    assert new == []


@pytest.mark.requirement("P5")
@pytest.mark.parametrize("name", ["nobody", *PERMISSION_SETS])
async def test_whoever_lacks_a_permission_moves_nothing_that_needs_it(town: Town, name: str) -> None:
    token, real, routes = await town.operator(name), await places(town), await operator_routes(town)
    held = PERMISSION_SETS.get(name, frozenset())
    for route in without_permission(frozenset(permission.value for permission in held), routes):
        if route[0] == "GET" and "audit.read" in held:
            continue
        heard = await heard_on(town, token, route, real)
        assert heard.status == 403, (name, route, heard.body)


@pytest.mark.parametrize("name", PERMISSION_SETS)
async def test_no_permission_that_is_held_is_refused(town: Town, name: str) -> None:
    real, routes = await places(town), await operator_routes(town)
    held = {permission.value for permission in PERMISSION_SETS[name]}
    for route in [route for route in routes if route[2] in held]:
        heard = await heard_on(town, await town.operator(name), route, real)
        # Not in the group that must answer, and not the digest that was shown: that is about this approval.
        ours = heard.status == 403 and heard.json["code"] == "forbidden"
        assert (heard.status < 500, ours) == (True, False), (name, route, heard.body)
