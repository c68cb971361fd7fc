"""The tool's side: an ASGI application behind the middleware sees one redeemed request per grant, and no other."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from assent import Assent, ConfigurationError, GrantMiddleware
from assent.sdk.middleware import Part, RunningGrant, ToolRequest
from tests.sdk.conftest import BRISK
from tests.sdk.grants import SIGNER, STRANGER, claims, jwk, token
from tests.sdk.standin import KEY, SERVICE_KEY, StandIn, change, lose, refuse

FAR = {"exp": 4_000_000_000}
BODY = b'{"env": "prod"}'


class Tool:
    """The application behind the middleware: remembers what reached it and answers as told."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.grants: list[RunningGrant] = []
        self.headers: list[dict[bytes, bytes]] = []
        self.status = 200
        self.fault: BaseException | None = None
        self.silent = False
        self.listens = False
        self.heard: list[str] = []
        self.entered = asyncio.Event()
        self.hold = asyncio.Event()
        self.hold.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await send({"type": "lifespan.startup.complete"})
            return
        self.bodies.append((await receive())["body"])
        self.grants.append(scope["assent.grant"])
        self.headers.append(dict(scope["headers"]))
        self.entered.set()
        if self.listens:
            self.heard.append((await receive())["type"])
        await self.hold.wait()
        if self.fault is not None:
            raise self.fault
        if not self.silent:
            await send({"type": "http.response.start", "status": self.status, "headers": []})
            await send({"type": "http.response.body", "body": b"done"})


@pytest.fixture
def tool() -> Tool:
    return Tool()


@pytest.fixture
async def service(url: str, standin: StandIn, tool: Tool, tmp_path: Path) -> AsyncIterator[GrantMiddleware]:
    standin.jwks = {"keys": [jwk(SIGNER)]}
    standin.token_for = lambda action: token(
        claims("svc.deploy", action["asked"]["arguments"], **FAR, jti=action["id"])
    )
    guarded = GrantMiddleware(
        tool,
        extract=lambda request: (request.path.strip("/"), request.body),
        url=url,
        key=SERVICE_KEY,
        limits=BRISK,
        spool=tmp_path / "s",
    )
    yield guarded
    await guarded.aclose()


@pytest.fixture
async def granted(url: str, service: GrantMiddleware, spool: Path) -> str:
    def ask() -> str:
        with (
            Assent(url, KEY, limits=BRISK, spool=spool) as broker,
            broker.action("svc.deploy", {"env": "prod"}, run_id="r") as action,
        ):
            assert action.token is not None
            return action.token

    return await asyncio.to_thread(ask)


class Answered:
    """What the client of the service saw."""

    def __init__(self) -> None:
        self.status = 0
        self.body = b""

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["code"])


async def call(
    service: GrantMiddleware,
    value: str | None,
    body: bytes = BODY,
    *,
    method: str = "POST",
    path: str = "/svc.deploy",
    query: bytes = b"",
    media: str = "application/json",
    more: tuple[tuple[bytes, bytes], ...] = (),
    gone: bool = False,
    deaf: bool = False,
) -> Answered:
    answered = Answered()
    pieces = [{"type": "http.request", "body": body[:5], "more_body": True}, {"type": "http.request", "body": body[5:]}]
    messages = iter(pieces[:1] if gone else pieces)

    async def receive() -> Any:
        return next(messages, {"type": "http.disconnect"})

    async def send(message: Any) -> None:
        if deaf:
            raise BrokenPipeError
        answered.status = message.get("status", answered.status)
        answered.body += message.get("body", b"")

    credential = ((b"authorization", f"Assent-Grant {value}".encode()),) if value is not None else ()
    headers = [(b"content-type", media.encode()), (b"content-length", b"15"), *credential, *more]
    scope = {"type": "http", "method": method, "path": path, "query_string": query, "headers": headers}
    await service(scope, receive, send)
    return answered


async def test_a_grant_lets_one_request_through_with_the_judged_body(
    service: GrantMiddleware, tool: Tool, standin: StandIn, granted: str
) -> None:
    assert (await call(service, granted)).status == 200
    assert tool.bodies == [b'{"env":"prod"}']
    assert tool.grants[0].arguments == {"env": "prod"}
    assert tool.grants[0].grant.agent == "deploy-bot"
    assert tool.headers[0][b"content-length"] == b"14"
    assert b"authorization" not in tool.headers[0]
    assert standin.executions == ["act_1"]
    assert standin.outcomes() == ["succeeded"]


@pytest.mark.requirement("P4", "T2")
async def test_the_same_grant_never_runs_twice(service: GrantMiddleware, tool: Tool, granted: str) -> None:
    answers = await asyncio.gather(*[call(service, granted) for _ in range(8)])
    assert sorted(answer.status for answer in answers) == [200, *[409] * 7]
    assert len(tool.bodies) == 1


@pytest.mark.parametrize("body", [b'{"env":"stg"}', b'{"env":"prod","x":1}', b"{}"])
@pytest.mark.requirement("P3", "T1")
async def test_other_arguments_than_were_granted_are_refused(
    service: GrantMiddleware, tool: Tool, granted: str, body: bytes
) -> None:
    answer = await call(service, granted, body)
    assert (answer.status, answer.code) == (403, "grant_invalid")
    assert tool.bodies == []


@pytest.mark.parametrize(
    ("body", "media", "more", "status"),
    [
        (b'{"env":"prod","env":"stg"}', "application/json", (), 400),
        (b"[1,2,3,4,5,6]", "application/json", (), 400),
        (b"not json at all", "application/json", (), 400),
        (b'{"env":' + b" " * 300_000 + b'"prod"}', "application/json", (), 413),
        (BODY, "text/plain", (), 415),
        (BODY, "application/json", ((b"content-encoding", b"gzip"),), 415),
        (BODY, "application/json", ((b"content-type", b"text/plain"),), 415),
        (BODY, "application/json", ((b"authorization", b"Assent-Grant x"),), 401),
    ],
)
@pytest.mark.requirement("T12")
async def test_a_request_with_more_than_one_meaning_is_refused(
    service: GrantMiddleware,
    tool: Tool,
    granted: str,
    *,
    body: bytes,
    media: str,
    more: tuple[tuple[bytes, bytes], ...],
    status: int,
) -> None:
    assert (await call(service, granted, body, media=media, more=more)).status == status
    assert tool.bodies == []


@pytest.mark.requirement("P3", "T1")
@pytest.mark.parametrize(
    "beside",
    [
        {"method": "DELETE"},
        {"method": "GET"},
        {"query": b"env=stg"},
        {"more": ((b"x-http-method-override", b"PUT"),)},
        {"more": ((b"X-HTTP-Method", b"PUT"),)},
        {"more": ((b"x_method_override", b"PUT"),)},
    ],
)
async def test_what_stands_beside_the_body_is_refused_because_nobody_judged_it(
    service: GrantMiddleware, tool: Tool, standin: StandIn, granted: str, beside: dict[str, Any]
) -> None:
    answer = await call(service, granted, **beside)
    assert (answer.status, answer.code) == (403, "unjudged_input")
    assert tool.bodies == []
    assert standin.executions == []


def picky(url: str, tool: Tool, spool: Path, *binds: Part) -> GrantMiddleware:
    """Return a service that takes its one argument from whatever part says it."""

    def extract(request: ToolRequest) -> tuple[str, Any]:
        return "svc.deploy", {"env": request.query.removeprefix("env=") or request.body["env"]}

    return GrantMiddleware(tool, extract=extract, binds=binds, url=url, key=SERVICE_KEY, limits=BRISK, spool=spool)


@pytest.mark.requirement("P3", "T1")
@pytest.mark.parametrize("body", [b'{"env":"prod","force":true}', b'{"env":"prod","env2":"prod"}'])
async def test_members_of_the_body_that_are_no_arguments_are_refused(
    url: str, tool: Tool, tmp_path: Path, granted: str, body: bytes
) -> None:
    service = picky(url, tool, tmp_path / "p")
    refused, taken = await call(service, granted, body), await call(service, granted)
    await service.aclose()
    assert (refused.status, refused.code, taken.status) == (403, "unjudged_input", 200)
    assert tool.bodies == [b'{"env":"prod"}']


@pytest.mark.requirement("P3")
async def test_an_application_may_bind_the_other_parts_on_purpose(
    url: str, tool: Tool, tmp_path: Path, granted: str
) -> None:
    service = picky(url, tool, tmp_path / "p", *Part)
    other = await call(service, granted, b'{"note":1}', method="PUT", query=b"env=stg")
    bound = await call(service, granted, b'{"note":1}', method="PUT", query=b"env=prod")
    await service.aclose()
    assert (other.status, other.code, bound.status) == (403, "grant_invalid", 200)
    assert tool.bodies == [b'{"note":1}']


@pytest.mark.parametrize("value", [None, "", " ", "rubbish", "a.b.c"])
async def test_a_request_without_a_grant_is_refused(service: GrantMiddleware, tool: Tool, value: str | None) -> None:
    answer = await call(service, value)
    assert answer.status in {401, 403}
    assert tool.bodies == []


async def test_a_token_of_a_stranger_is_refused_without_asking_the_broker(
    service: GrantMiddleware, tool: Tool, standin: StandIn, granted: str
) -> None:
    forged = token(claims("svc.deploy", {"env": "prod"}, **FAR), key=STRANGER)
    for _ in range(3):
        assert (await call(service, forged)).status == 403
    assert tool.bodies == []
    assert [seen.path for seen in standin.seen].count("/.well-known/jwks.json") == 1


async def test_a_grant_for_another_tool_is_refused(service: GrantMiddleware, tool: Tool, granted: str) -> None:
    assert (await call(service, granted, path="/svc.destroy")).status == 403
    assert tool.bodies == []


async def test_a_request_that_names_no_tool_is_refused(url: str, tool: Tool, tmp_path: Path) -> None:
    def extract(request: ToolRequest) -> tuple[str, Any]:
        return str(request.body["tool"]), request.body["arguments"]

    service = GrantMiddleware(tool, extract=extract, url=url, key=SERVICE_KEY, limits=BRISK, spool=tmp_path / "s")
    assert (await call(service, "a.b.c")).status == 400


@pytest.mark.parametrize("where", ["jwks", "grants/redeem"])
async def test_a_broker_that_is_away_refuses_with_503(
    service: GrantMiddleware, tool: Tool, standin: StandIn, granted: str, where: str
) -> None:
    standin.away_from = where
    answer = await call(service, granted)
    assert (answer.status, answer.code) == (503, "broker_unavailable")
    assert tool.bodies == []


async def test_a_service_whose_own_key_is_not_taken_says_so_in_its_log_and_not_to_the_caller(
    service: GrantMiddleware, tool: Tool, standin: StandIn, granted: str, caplog: pytest.LogCaptureFixture
) -> None:
    standin.break_next("grants/redeem", refuse(401, "unauthenticated"))
    answer = await call(service, granted)
    assert (answer.status, answer.code, b"key" in answer.body) == (503, "configuration_error", False)
    assert "broker_refuses_this_service" in caplog.text
    assert tool.bodies == []


async def test_a_redemption_lost_on_its_way_is_found_by_the_retry(
    service: GrantMiddleware, tool: Tool, standin: StandIn, granted: str
) -> None:
    standin.break_next("grants/redeem", lose, lose)
    assert (await call(service, granted)).status == 200
    assert standin.executions == ["act_1"]


async def test_a_redemption_of_other_arguments_is_not_believed(
    service: GrantMiddleware, tool: Tool, standin: StandIn, granted: str
) -> None:
    standin.break_next("grants/redeem", change(arguments={"env": "stg"}))
    assert (await call(service, granted)).status == 503
    assert tool.bodies == []


async def test_a_tripped_breaker_refuses_the_redemption(
    service: GrantMiddleware, tool: Tool, standin: StandIn, granted: str
) -> None:
    standin.break_next("grants/redeem", refuse(409, "breaker_open"))
    answer = await call(service, granted)
    assert (answer.status, answer.code) == (403, "breaker_open")
    assert tool.bodies == []


@pytest.mark.parametrize(
    ("status", "outcome"), [(204, "succeeded"), (303, "succeeded"), (404, "failed"), (500, "failed")]
)
async def test_the_outcome_follows_the_answer_of_the_application(
    service: GrantMiddleware, tool: Tool, standin: StandIn, granted: str, *, status: int, outcome: str
) -> None:
    tool.status = status
    await call(service, granted)
    assert standin.outcomes() == [outcome]


async def test_an_application_that_raises_failed_and_its_exception_comes_out(
    service: GrantMiddleware, tool: Tool, standin: StandIn, granted: str
) -> None:
    tool.fault = ValueError("secret")
    with pytest.raises(ValueError, match="secret"):
        await call(service, granted)
    assert standin.outcomes() == ["failed"]
    assert "secret" not in str(standin.actions["act_1"]["outcome"])


async def test_an_application_that_never_answered_has_an_unknown_outcome(
    service: GrantMiddleware, tool: Tool, standin: StandIn, granted: str
) -> None:
    tool.silent = True
    await call(service, granted)
    assert standin.outcomes() == ["unknown"]


async def test_a_request_cancelled_inside_the_application_has_an_unknown_outcome(
    service: GrantMiddleware, tool: Tool, standin: StandIn, granted: str
) -> None:
    tool.hold.clear()
    task = asyncio.create_task(call(service, granted))
    await asyncio.wait_for(tool.entered.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert standin.outcomes() == ["unknown"]


async def test_a_client_that_is_gone_before_the_answer_leaves_the_outcome_unknown(
    service: GrantMiddleware, tool: Tool, standin: StandIn, granted: str
) -> None:
    with pytest.raises(BrokenPipeError):
        await call(service, granted, deaf=True)
    assert standin.outcomes() == ["unknown"]


async def test_behind_its_body_the_application_hears_the_client(
    service: GrantMiddleware, tool: Tool, granted: str
) -> None:
    tool.listens = True
    await call(service, granted)
    assert tool.heard == ["http.disconnect"]


async def test_a_client_that_leaves_before_its_body_is_complete_spends_nothing(
    service: GrantMiddleware, tool: Tool, standin: StandIn, granted: str
) -> None:
    assert (await call(service, granted, gone=True)).status == 400
    assert standin.executions == []


async def test_an_outcome_that_the_broker_does_not_take_is_sent_before_the_next_redemption(
    service: GrantMiddleware, tool: Tool, standin: StandIn, granted: str, tmp_path: Path
) -> None:
    standin.break_next("/outcome", lose, lose, lose)
    assert (await call(service, granted)).status == 200
    assert (tmp_path / "s").exists()
    await call(service, granted)
    assert standin.outcomes() == ["succeeded"]


async def test_lifespan_passes_and_a_websocket_does_not(service: GrantMiddleware, tool: Tool) -> None:
    sent: list[str] = []

    async def receive() -> Any:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await service({"type": "lifespan"}, receive, send)
    await service({"type": "websocket", "path": "/"}, receive, send)
    assert sent == ["lifespan.startup.complete", "websocket.close"]


def test_an_agent_s_key_does_not_open_the_tool_s_side(url: str, tool: Tool) -> None:
    with pytest.raises(ConfigurationError):
        GrantMiddleware(tool, extract=lambda request: (request.path, request.body), url=url, key=KEY)
