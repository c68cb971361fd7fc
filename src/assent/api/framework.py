"""The framework's application: every route, and a last handler that lets no fault out but as a problem document.

Loading it takes longer than deciding a thousand asks, so it is built beside the hot route, not before it.
"""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assent.api import (
    agents,
    approvals,
    audit,
    breakers,
    documentation,
    grants,
    health,
    log,
    manage_agents,
    manage_operators,
    metrics,
    policies,
    problems,
    records,
    slack,
)
from assent.api.failures import reply_to
from assent.api.given import Api
from assent.api.problems import RequestRefused
from assent.api.replies import Replied, send_reply
from assent.api.requests import refused_shape
from assent.core.errors import AssentError, NotFound

_ROUTERS = (
    agents.router,
    grants.router,
    approvals.router,
    breakers.router,
    manage_agents.router,
    manage_operators.router,
    audit.router,
    records.router,
    log.router,
    health.router,
    metrics.router,
    policies.router,
    slack.router,
)
# What the framework could tell a tracing set-up includes bodies and credentials: it tells nothing.
_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}
_NOT_FOUND = 404
_METHOD_NOT_ALLOWED = 405
_CLIENT_ERRORS = range(400, 500)


def create_framework_app(api: Api) -> FastAPI:
    """Return the FastAPI application with every route, also the one that the hot route answers in its stead."""
    app = FastAPI(
        title="Assent",
        summary="A privilege broker for autonomous agents: no agent acts without assent",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=_NO_TELEMETRY,
    )
    app.state.api = api
    for router in _ROUTERS:
        app.include_router(router)
    _install(app, api)
    documentation.install(app, version=api.settings.version)
    return app


def _install(app: FastAPI, api: Api) -> None:
    """Let `app` answer every fault with a problem document, also those of the framework itself."""

    async def assent_error(request: Request, fault: Exception) -> Response:
        return Replied(reply_to(fault, api, request.url.path))

    async def bad_shape(request: Request, fault: Exception) -> Response:
        found: Sequence[Any] = fault.errors() if isinstance(fault, RequestValidationError) else ()
        return Replied(reply_to(_refused(found), api, request.url.path))

    async def framework(request: Request, fault: Exception) -> Response:
        status = fault.status_code if isinstance(fault, HTTPException) else _NOT_FOUND
        return Replied(reply_to(_of_status(status), api, request.url.path))

    app.add_exception_handler(AssentError, assent_error)
    app.add_exception_handler(RequestValidationError, bad_shape)
    app.add_exception_handler(HTTPException, framework)
    app.add_middleware(FailClosed, api=api)


def _refused(found: Sequence[Any]) -> AssentError:
    """Return the fault of query or path; what is wrong in a path names nothing that exists."""
    if any(error["loc"][0] == "path" for error in found):
        return NotFound("no such thing")
    return refused_shape([{**error, "loc": error["loc"][1:]} for error in found])


def _of_status(status: int) -> AssentError:
    if status == _METHOD_NOT_ALLOWED:
        return RequestRefused("method_not_allowed", "this path does not take this method", hint="see `/openapi.json`")
    if status == _NOT_FOUND:
        return NotFound("no such path", hint="see `/openapi.json`")
    return RequestRefused(
        "bad_request" if status in _CLIENT_ERRORS else problems.UNAVAILABLE, "the request was refused"
    )


class FailClosed:
    """The last handler: whatever escapes a route is a 503, and its words stay inside."""

    def __init__(self, app: ASGIApp, api: Api) -> None:
        self._app = app
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and answer what comes back as an exception unless the answer has begun."""
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as fault:
            # fail closed at the edge: logged and answered, never passed on
            if scope["type"] != "http":
                raise
            reply = reply_to(fault, self._api, scope["path"])
            if not begun:
                await send_reply(send, reply)
