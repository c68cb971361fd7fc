"""Every route, without a credential and with each wrong kind: refused. Routes are enumerated from the application."""

from collections.abc import Iterator

import pytest
from fastapi.routing import iter_route_contexts

from assent.api import hot
from assent.api.app import InFront
from assent.core.operators import Operator, OperatorId
from tests.api.client import JSON_TYPE, bearer, call
from tests.api.documents import operations
from tests.api.town import Town
from tests.flows.world import TownPolicy, a_world

PUBLIC = {"/healthz", "/readyz", "/.well-known/jwks.json", "/openapi.json"}
KINDS = {"agentKey": "agent", "serviceKey": "service", "operatorToken": "operator"}


async def token_of(town: Town, kind: str) -> str:
    makers = {"agent": town.agent, "service": town.service, "operator": town.operator}
    return await makers[kind]()


def framework_routes(town: Town) -> Iterator[tuple[str, str]]:
    assert isinstance(town.app, InFront)
    for route in iter_route_contexts(town.app.framework.routes):
        yield from ((method, str(route.path)) for method in (route.methods or set()) - {"HEAD"})


def filled(path: str) -> str:
    return path.replace("{path:path}", "0/000").replace("{", "").replace("}", "")


@pytest.fixture
async def documented(town: Town) -> dict[tuple[str, str], set[str]]:
    document = (await town.get(None, "/openapi.json")).json
    return {
        (method.upper(), path): {KINDS[name] for scheme in operation["security"] for name in scheme}
        for method, path, operation in operations(document)
    }


async def test_every_route_of_the_application_is_in_the_document(
    town: Town, documented: dict[tuple[str, str], set[str]]
) -> None:
    served = {(method, path.replace(":path", "")) for method, path in framework_routes(town)}
    assert len(served) >= 24
    assert served - set(documented) == {("GET", "/openapi.json")}


@pytest.mark.requirement("P1", "T9")
async def test_every_route_but_the_public_ones_refuses_whoever_shows_nothing(town: Town) -> None:
    for method, path in framework_routes(town):
        heard = await call(town.app, method, filled(path))
        expected = {200} if path in PUBLIC else {401}
        assert heard.status in expected, (method, path, heard.body)


@pytest.mark.requirement("T9", "T22")
async def test_every_route_refuses_each_wrong_kind_of_credential(
    town: Town, documented: dict[tuple[str, str], set[str]]
) -> None:
    tokens = {kind: await token_of(town, kind) for kind in KINDS.values()}
    refused = 0
    for (method, path), right in documented.items():
        for kind in set(tokens) - right if right else set():
            headers = [JSON_TYPE, bearer(tokens[kind])]
            heard = await call(town.app, method, filled(path), headers=headers, chunks=[b"{}"])
            assert heard.status == 401, (method, path, kind, heard.body)
            refused += 1
    assert refused >= 30


@pytest.mark.parametrize("garbage", ["", "x", "asn_", "asn_k000001_", "aso_k000001_x", "asn_k000001_wrong", "é" * 50])
async def test_what_is_no_credential_is_refused_everywhere(town: Town, garbage: str) -> None:
    for method, path in framework_routes(town):
        if path not in PUBLIC:
            heard = await call(
                town.app, method, filled(path), headers=[(b"authorization", b"Bearer " + garbage.encode())]
            )
            assert heard.status == 401, (method, path)


async def test_a_revoked_key_is_no_key_from_then_on(town: Town) -> None:
    from assent.core.credentials import take_apart
    from assent.flows.manage_principals import revoke_credential

    key = await town.agent()
    before = (await town.get(key, "/v1/me")).status
    presented = take_apart(key)
    assert presented is not None
    await revoke_credential(town.world.broker, presented.id, by="admin")
    after = [
        await town.get(key, "/v1/me"),
        await town.get(key, "/log/checkpoint"),
        await town.post(key, "/v1/actions", {"tool": "files.read", "arguments": {"env": "staging"}}),
    ]
    assert before == 200
    assert [heard.status for heard in after] == [401, 401, 401]


@pytest.mark.requirement("P5")
async def test_an_operator_without_permissions_gets_through_no_operator_route() -> None:
    nobody = Operator(id=OperatorId("nobody"), groups=("oncall",), permissions=frozenset())
    world = a_world(policy=TownPolicy(people=(*TownPolicy().people, nobody)))
    town = Town(world)
    waiting = await town.ask(await town.agent())
    tripped = (await town.post(await town.operator("sam"), "/v1/breakers/trip", {"scope": {"agent": "other"}})).json
    approval, token = waiting["approval"]["id"], await town.operator("nobody")
    heard = [
        await town.get(token, "/v1/approvals"),
        await town.get(token, f"/v1/approvals/{approval}"),
        await town.post(token, f"/v1/approvals/{approval}/approve", {"digest_prefix": waiting["digest"][:8]}),
        await town.post(token, f"/v1/approvals/{approval}/deny", {"category": "other", "reason": "x"}),
        await town.post(token, f"/v1/approvals/{approval}/revoke", {"reason": "x"}),
        await town.get(token, "/v1/breakers"),
        await town.post(token, "/v1/breakers/trip", {"all": True}),
        await town.post(token, f"/v1/breakers/{tripped['breaker']['id']}/reset", {"reason": "x"}),
        await town.get(token, "/v1/records"),
    ]
    await world.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has
    assert [h.status for h in heard] == [403] * 9


async def test_every_operator_route_names_its_permission(town: Town) -> None:
    document = (await town.get(None, "/openapi.json")).json
    unnamed = [
        path
        for _, path, operation in operations(document)
        if operation["security"] == [{"operatorToken": []}] and "x-assent-permission" not in operation
    ]
    assert unnamed == []


async def test_the_hot_route_stands_in_for_a_route_of_the_framework(town: Town) -> None:
    assert ("POST", hot.PATH) in set(framework_routes(town))
