"""ASGI middleware for a tool's own service: no valid, unspent grant for exactly this request, no effect.

A request carries `Authorization: Assent-Grant TOKEN` and a JSON body. In order: (1) nothing beside path and body that
an application could act on; (2) one body of bounded size in one reading, all of it arguments; (3) the token is signed,
current, and for this tool and these arguments; (4) the broker redeems it for this very request, which excludes every
other; (5) the application sees the re-serialised body that was judged. A request that fails any of these never reaches
the application. Afterwards the outcome is reported.

Headers reach the application unjudged, but for those that replace the method, which are refused: do not act on them.
"""

import time
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from assent.core.canonical import MAX_BODY_BYTES, BadJson, Json, canonical, parse
from assent.core.credentials import Kind
from assent.core.errors import AssentError
from assent.sdk import calls
from assent.sdk.decisions import parse_key_set, parse_redemption
from assent.sdk.endpoint import DEFAULT_LIMITS, Limits, endpoint
from assent.sdk.errors import AlreadyExecuted, BrokerUnavailable, ConfigurationError, GrantInvalid, UntrustedAnswer
from assent.sdk.messages import OutcomeReport, build_key_set, build_redeem_token
from assent.sdk.spool import Spool, spool_path
from assent.sdk.state import ClientState, new_secret
from assent.sdk.steps import Steps, drive_async, exchange
from assent.sdk.streams import StreamDriver
from assent.sdk.trouble import log_event
from assent.sdk.verify import Grant, verify_grant

if TYPE_CHECKING:
    import ssl

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

SCHEME: Final = "assent-grant"
SCOPE_KEY: Final = "assent.grant"
KEY_SET_PAUSE_SECONDS: Final = 10.0
FIRST_FAILURE_STATUS: Final = 400
METHOD: Final = "POST"
UNJUDGED: Final = "unjudged_input"
OVERRIDES: Final = frozenset({"x-http-method-override", "x-http-method", "x-method-override"})


class Part(StrEnum):
    """A part of a request that `extract` may answer for; without its word it is refused where it says anything."""

    METHOD = "method"
    QUERY = "query"
    BODY = "body"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRequest:
    """What a request asks for: `query` is the raw query string without `?`, `body` the parsed JSON object."""

    method: str
    path: str
    query: str
    body: dict[str, Json] = field(repr=False)


# What a request asks for in, the tool's name and its arguments out.
Extract: TypeAlias = Callable[[ToolRequest], tuple[str, dict[str, Json]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningGrant:
    """What the application finds in `scope["assent.grant"]`: the grant, redeemed for this request alone."""

    grant: Grant
    action_id: str
    arguments: dict[str, Json] = field(repr=False)
    attempt: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Refusal(Exception):
    status: int
    code: str
    detail: str


class GrantMiddleware:
    """Lets a request through to `app` only with a grant that was redeemed for it.

    `extract(request)` names the tool and the arguments that a request asks for; whatever it raises is a refusal.
    Another method than POST, a query, and members of the body that are not arguments by the same name and value are
    refused, unless `binds` names that part: then `extract` must put into the arguments all of it that the application
    acts on.
    `key` is the service's own (`ass_…`, or ASSENT_SERVICE_KEY). Websockets are refused, lifespan passes.
    """

    def __init__(
        self,
        app: App,
        *,
        extract: Extract,
        binds: Collection[Part] = (),
        url: str | None = None,
        key: str | None = None,
        issuer: str | None = None,
        unsafe_plain_http: str | None = None,
        limits: Limits = DEFAULT_LIMITS,
        tls: "ssl.SSLContext | None" = None,
        spool: Path | None = None,
    ) -> None:
        where = endpoint(url, key, kind=Kind.SERVICE, unsafe_plain_http=unsafe_plain_http)
        self._app = app
        self._extract = extract
        self._binds = frozenset(map(Part, binds))
        self._issuer = issuer
        self._state = ClientState(endpoint=where, limits=limits, spool=Spool(spool or spool_path(where.name)))
        self._streams = StreamDriver(where, limits, tls)
        self._keys: Mapping[str, Any] = {}
        self._keys_known_at = float("-inf")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        try:
            _refuse_beside(scope, self._binds)
            raw = await _body(scope, receive)
            running, body = await self._admit(scope, raw)
        except _Refusal as refusal:
            await _refuse(send, refusal)
        except AssentError as fault:
            await _refuse(send, _refusal_of(fault))
        else:
            await self._run(running, _scope_for(scope, running, body), _Exchange(receive, send, body))

    async def aclose(self) -> None:
        """Close the idle connections to the broker."""
        await self._streams.aclose()

    async def _admit(self, scope: Scope, raw: bytes) -> tuple[RunningGrant, bytes]:
        """Return the redeemed grant and the body as it was judged; raise when there is none."""
        token = _token(scope)
        body = _parsed(raw)
        tool, arguments = self._asked(scope, body)
        grant = await self._verified(token, tool, arguments)
        running = await drive_async(self._redeem(token, grant, arguments), self._streams.perform)
        return running, canonical(body)

    def _asked(self, scope: Scope, body: dict[str, Json]) -> tuple[str, dict[str, Json]]:
        query = scope.get("query_string", b"").decode("latin-1")
        request = ToolRequest(method=scope["method"], path=scope["path"], query=query, body=body)
        try:
            tool, arguments = self._extract(request)
        except Exception as fault:
            raise _Refusal(400, "bad_request", "the request asks for nothing that a grant could be for") from fault
        if Part.BODY not in self._binds:
            _refuse_unjudged(body, arguments)
        return tool, arguments

    async def _verified(self, token: str, tool: str, arguments: dict[str, Json]) -> Grant:
        try:
            return verify_grant(token, tool, arguments, self._keys, issuer=self._issuer)
        except GrantInvalid:
            # The broker may have a new key; ask, but not for every forged token.
            if time.monotonic() - self._keys_known_at < KEY_SET_PAUSE_SECONDS:
                raise
        self._keys = await drive_async(self._key_set(), self._streams.perform)
        self._keys_known_at = time.monotonic()
        return verify_grant(token, tool, arguments, self._keys, issuer=self._issuer)

    def _key_set(self) -> Steps[dict[str, Json]]:
        return parse_key_set((yield from exchange(self._state, build_key_set())))

    def _redeem(self, token: str, grant: Grant, arguments: dict[str, Json]) -> Steps[RunningGrant]:
        yield from calls.replay(self._state)
        frozen, attempt = canonical(arguments), new_secret()
        request = build_redeem_token(token, arguments=frozen, attempt=attempt)
        redemption = parse_redemption((yield from exchange(self._state, request)))
        if canonical(redemption.arguments) != frozen:
            raise UntrustedAnswer("the broker returned other arguments than were redeemed")
        return RunningGrant(
            grant=grant, action_id=redemption.action_id, arguments=redemption.arguments, attempt=attempt
        )

    async def _run(self, running: RunningGrant, scope: Scope, wire: "_Exchange") -> None:
        began = time.monotonic()
        fault: BaseException | None = None
        try:
            await self._app(scope, wire.receive, wire.send)
        except BaseException as raised:
            fault = raised
            raise
        finally:
            outcome = OutcomeReport(
                action_id=running.action_id,
                attempt=running.attempt,
                status=wire.outcome(fault),
                duration_ms=round((time.monotonic() - began) * 1000),
                error=None if fault is None else type(fault).__name__,
            )
            if isinstance(fault, GeneratorExit):
                self._state.spool.add(outcome)  # a coroutine that is being closed may not wait
            else:
                await drive_async(calls.report(self._state, outcome), self._streams.perform)


class _Exchange:
    """The application's view of the client: the judged body once, then whatever comes; and what became of it."""

    def __init__(self, receive: Receive, send: Send, body: bytes) -> None:
        self._receive = receive
        self._send = send
        self._body: bytes | None = body
        self._status = 0
        self._complete = False
        self._gone = False

    async def receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        return await self._receive()

    async def send(self, message: Message) -> None:
        try:
            await self._send(message)
        except OSError:
            self._gone = True
            raise
        if message["type"] == "http.response.start":
            self._status = message["status"]
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            self._complete = True

    def outcome(self, fault: BaseException | None) -> str:
        """Say what became of the run: only a complete answer of success is one."""
        if self._complete:
            return "succeeded" if self._status < FIRST_FAILURE_STATUS and fault is None else "failed"
        if fault is not None and not self._gone:
            return "failed" if isinstance(fault, Exception) else "unknown"
        return "unknown"


def _refuse_beside(scope: Scope, binds: frozenset[Part]) -> None:
    """Refuse what an application could act on and no grant is for: that would run beside what was judged."""
    if Part.METHOD not in binds and scope["method"] != METHOD:
        raise _Refusal(403, UNJUDGED, "send POST; no grant is for another method")
    if Part.QUERY not in binds and scope.get("query_string"):
        raise _Refusal(403, UNJUDGED, "send no query string; no grant is for what it says")
    if any(name.decode("latin-1").lower().replace("_", "-") in OVERRIDES for name, _ in scope["headers"]):
        raise _Refusal(403, UNJUDGED, "send no header that replaces the method")


def _refuse_unjudged(body: dict[str, Json], arguments: dict[str, Json]) -> None:
    """Refuse members of `body` that are not arguments; compared as canonical bytes, where `true` is not 1."""
    if any(name not in arguments or canonical(arguments[name]) != canonical(value) for name, value in body.items()):
        raise _Refusal(403, UNJUDGED, "the body has members that are no arguments of the grant")


async def _body(scope: Scope, receive: Receive) -> bytes:
    fields = _fields(scope)
    if fields.get("content-encoding") or fields.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise _Refusal(415, "bad_request", "send application/json without a content encoding")
    raw = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise _Refusal(400, "bad_request", "the request ended early")
        raw += message.get("body", b"")
        if len(raw) > MAX_BODY_BYTES:
            raise _Refusal(413, "bad_request", f"a body is at most {MAX_BODY_BYTES} bytes")
        if not message.get("more_body", False):
            return bytes(raw)


def _fields(scope: Scope) -> dict[str, str]:
    """Return the headers; a field that stands twice is none, because two readers could take either."""
    fields: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        fields[key] = "" if key in fields else value.decode("latin-1")
    return fields


def _token(scope: Scope) -> str:
    scheme, _, token = _fields(scope).get("authorization", "").partition(" ")
    if scheme.lower() != SCHEME or not token.strip():
        raise _Refusal(401, "unauthenticated", "send `Authorization: Assent-Grant` and the grant's token")
    return token.strip()


def _parsed(raw: bytes) -> dict[str, Json]:
    try:
        body = parse(raw)
    except BadJson as fault:
        raise _Refusal(400, fault.code, fault.message) from None
    if not isinstance(body, dict):
        raise _Refusal(400, "bad_request", "the body is not a JSON object")
    return body


def _scope_for(scope: Scope, running: RunningGrant, body: bytes) -> Scope:
    dropped = {b"content-length", b"transfer-encoding", b"authorization"}
    headers = [(name, value) for name, value in scope["headers"] if name.lower() not in dropped]
    headers.append((b"content-length", str(len(body)).encode()))
    return {**scope, "headers": headers, SCOPE_KEY: running}


def _refusal_of(fault: AssentError) -> _Refusal:
    if isinstance(fault, ConfigurationError):
        # About this service and its key, so for whoever runs it; the caller can do nothing about it.
        log_event("broker_refuses_this_service", why=fault.message)
        return _Refusal(503, fault.code, "this service cannot ask its broker; nothing was run")
    if isinstance(fault, BrokerUnavailable):
        return _Refusal(503, fault.code, "the broker could not be asked; nothing was run")
    if isinstance(fault, AlreadyExecuted):
        return _Refusal(409, "grant_spent", fault.message)
    return _Refusal(403, fault.code, fault.message)


async def _refuse(send: Send, refusal: _Refusal) -> None:
    problem: Json = {"title": refusal.code, "status": refusal.status, "code": refusal.code, "detail": refusal.detail}
    body = canonical(problem)
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    if refusal.status == 401:  # noqa: PLR2004  # RFC 9110 §11.6.1 wants the challenge
        headers.append((b"www-authenticate", b"Assent-Grant"))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
