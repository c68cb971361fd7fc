"""The stand-in as a server on this machine: Web API, sockets, uploads, response addresses, and the page of cards."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import web

from assent.demo.workspace import page
from assent.demo.workspace.delivering import ACKNOWLEDGED_WITHIN_SECONDS, Delivery
from assent.demo.workspace.hands import Hands
from assent.demo.workspace.methods import METHODS, Method, check
from assent.demo.workspace.state import Call, Fault, Message, Refused, Workspace

HOST: Final = "127.0.0.1"
MAX_BODY_BYTES: Final = 4_000_000


class StandIn:
    """A running stand-in: `url` is the page, `api` what a client takes as its base address."""

    def __init__(self, slack: Workspace, delivery: Delivery, port: int) -> None:
        self.slack = slack
        self.delivery = delivery
        self.url = f"http://{HOST}:{port}"
        self.api = f"{self.url}/api/"

    def as_user(self, person: str) -> Hands:
        """Return the hands of somebody, by id or name."""
        return Hands(self.slack, self.delivery, self.slack.person(person), self.url)


@asynccontextmanager
async def serving(
    slack: Workspace,
    *,
    request_url: str | None = None,
    port: int = 0,
    acknowledged_within_seconds: float = ACKNOWLEDGED_WITHIN_SECONDS,
) -> AsyncIterator[StandIn]:
    """Serve a workspace until the block ends; interactions go to `request_url`, or over sockets where there is none."""
    delivery = Delivery(slack, request_url=request_url, within_seconds=acknowledged_within_seconds)
    routes = _Routes(slack, delivery)
    application = web.Application(client_max_size=MAX_BODY_BYTES)
    runner = web.AppRunner(application, handler_cancellation=True, access_log=None, shutdown_timeout=1.0)
    routes.add_to(application)
    await runner.setup()
    try:
        site = web.TCPSite(runner, HOST, port)
        await site.start()
        found: Any = runner.addresses[0]
        stand_in = StandIn(slack, delivery, found[1])
        routes.stand_in = stand_in
        yield stand_in
    finally:
        await delivery.close()
        await runner.cleanup()


class _Routes:
    """What the server answers."""

    stand_in: StandIn

    def __init__(self, slack: Workspace, delivery: Delivery) -> None:
        self._slack = slack
        self._delivery = delivery
        self._spellings = itertools.cycle(("ratelimited", "rate_limited"))

    def add_to(self, application: web.Application) -> None:
        """Add all routes."""
        application.router.add_post("/api/{method}", self.call)
        application.router.add_get("/socket/{ticket}", self._delivery.serve_socket)
        application.router.add_post("/upload/{file}", self.upload)
        application.router.add_post("/hook/{hook}", self.respond)
        application.router.add_get("/", self.page)
        application.router.add_get("/version", self.version)
        application.router.add_post("/do", self.do)

    async def call(self, request: web.Request) -> web.StreamResponse:
        """Answer one call of the Web API."""
        name = request.match_info["method"]
        arguments = await _arguments(request, METHODS.get(name))
        fault = self._slack.fault_for(name)
        if fault is not None and fault.how in {"429", "500", "reset_before", "garbage"}:
            return self._failing(request, name, arguments, fault)
        answered = self._answer(request, name, arguments, fault)
        if fault is not None and fault.how == "slow":
            await asyncio.Event().wait()  # until the client gives up, which cancels this
        if fault is not None and fault.how == "reset_after":
            return _reset(request)
        return answered

    def _failing(self, request: web.Request, name: str, arguments: dict[str, Any], fault: Fault) -> web.StreamResponse:
        self._note(name, arguments, fault.how)
        if fault.how == "429":
            return self._too_many(fault.retry_after)
        if fault.how == "500":
            return web.Response(status=500, text="upstream connect error")
        return _reset(request) if fault.how == "reset_before" else web.Response(text="<html>not JSON</html>")

    def _answer(
        self, request: web.Request, name: str, arguments: dict[str, Any], fault: Fault | None
    ) -> web.StreamResponse:
        try:
            if fault is not None and fault.how not in {"slow", "reset_after"}:
                raise Refused(fault.how)
            method = METHODS.get(name)
            if method is None:
                raise Refused("unknown_method")
            self._authorise(request, method)
            wait = self._slack.take_turn(name, method.per_minute, arguments.get("channel"))
            if wait > 0:
                self._note(name, arguments, "429")
                return self._too_many(max(1, round(wait)))
            check(method, arguments)
            answer = {"ok": True, **method.handle(self._slack, arguments)}
        except Refused as refused:
            self._note(name, arguments, refused.said)
            return web.json_response({"ok": False, "error": refused.said, **refused.more})
        self._note(name, arguments, "ok")
        scopes = {"x-oauth-scopes": ",".join(sorted(self._slack.scopes))}
        return web.json_response(json.loads(self._addressed(json.dumps(answer))), headers=scopes)

    def _addressed(self, text: str) -> str:
        base = self.stand_in.url
        return text.replace("{base}", base).replace("{sockets}", base.replace("http", "ws", 1))

    def _authorise(self, request: web.Request, method: Method) -> None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token != (self._slack.app_token if method.app_token else self._slack.bot_token):
            raise Refused("not_allowed_token_type" if token.startswith("xapp") else "invalid_auth")
        if method.scopes and not method.scopes & self._slack.scopes:
            raise Refused("missing_scope", needed=sorted(method.scopes), provided=sorted(self._slack.scopes))

    def _too_many(self, seconds: int) -> web.Response:
        body = {"ok": False, "error": next(self._spellings)}
        return web.json_response(body, status=429, headers={"retry-after": str(seconds)})

    def _note(self, name: str, arguments: dict[str, Any], said: str) -> None:
        self._slack.calls.append(Call(method=name, arguments=arguments, said=said, at=self._slack.clock()))

    async def upload(self, request: web.Request) -> web.Response:
        """Take the bytes of a file."""
        file = self._slack.files.get(request.match_info["file"])
        if file is None:
            return web.Response(status=404)
        file["content"] = await request.read()
        return web.Response(text=f"OK - {len(file['content'])}")

    async def respond(self, request: web.Request) -> web.Response:
        """Take the answer to an interaction: a message that only one person sees."""
        try:
            hook = self._slack.use_hook(request.match_info["hook"])
        except Refused as refused:
            return web.Response(status=404, text=refused.said)
        form = await request.json()
        hook.said.append(str(form.get("text", "")))
        message = Message(channel=hook.channel, ts=self._slack.new_ts(), forms=[form], only_for=hook.person)
        self._slack.messages.append(message)
        self._slack.changed()
        return web.Response(text="ok")

    async def page(self, request: web.Request) -> web.Response:
        """Show what somebody sees."""
        person = request.query.get("as") or next(iter(self._slack.people))
        return web.Response(text=page.shown_to(self.stand_in, person), content_type="text/html")

    async def version(self, _request: web.Request) -> web.Response:
        """Tell the page whether something changed."""
        return web.json_response({"version": self._slack.version})

    async def do(self, request: web.Request) -> web.Response:
        """Do what somebody pressed on the page."""
        form = {name: str(value) for name, value in (await request.post()).items()}
        person = form.pop("as")
        try:
            await page.done(self.stand_in.as_user(person), self._slack, form)
        except Refused as refused:
            return web.Response(status=409, text=refused.said)
        raise web.HTTPSeeOther(f"/?as={person}")


async def _arguments(request: web.Request, method: Method | None) -> dict[str, Any]:
    if request.content_type == "application/json":
        given: Any = await request.json()
        # Methods that read forms only do not look into JSON at all.
        return given if method is not None and method.takes_json and isinstance(given, dict) else {}
    return {name: str(value) for name, value in (await request.post()).items() if name != "token"}


def _reset(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
