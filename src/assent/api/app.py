"""The ASGI application: all routes around one broker, the hot route in front of them.

`create_app(broker, readiness=…, log=…, key_set=…, closing=…, settings=…)` constructs nothing but the application. Set
`closing` before the server waits for its connections: it ends long waits with what is known then.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.types import ASGIApp, Receive, Scope, Send

from assent.api import agents, approvals, breakers, documentation, failures, grants, health, hot, log, records
from assent.api.given import Api, ApiSettings, LogReader, Readiness
from assent.api.long_poll import Waits
from assent.core.canonical import Json
from assent.flows.broker import Broker

_ROUTERS = (agents.router, grants.router, approvals.router, breakers.router, records.router, log.router, health.router)
# What the framework could tell a tracing set-up includes bodies and credentials: it tells nothing.
_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}


def create_app(
    broker: Broker,
    *,
    readiness: Callable[[], Awaitable[Readiness]],
    log: LogReader,
    key_set: Callable[[], Mapping[str, Json]],
    closing: asyncio.Event | None = None,
    settings: ApiSettings | None = None,
) -> ASGIApp:
    """Return the application.

    `key_set` returns the JSON Web Key Set of the grant keys (RFC 7517). `closing` is set when the process begins to
    shut down; without one, waits end by themselves.
    """
    api = Api(
        broker=broker,
        readiness=readiness,
        log=log,
        key_set=key_set,
        closing=closing or asyncio.Event(),
        settings=settings or ApiSettings(),
    )
    return InFront(api, create_framework_app(api))


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
    app.state.waits = Waits(api.settings.max_waits)
    for router in _ROUTERS:
        app.include_router(router)
    failures.install(app, api)
    documentation.install(app, version=api.settings.version)
    return app


class InFront:
    """Takes the hot route for itself, by one comparison; everything else goes to the framework."""

    def __init__(self, api: Api, framework: FastAPI) -> None:
        self._api = api
        self.framework = framework

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer an ask directly, pass anything else on."""
        if scope["type"] == "http" and scope["path"] == hot.PATH and scope["method"] == "POST":
            await hot.serve_ask(self._api, scope, receive, send)
        else:
            await self.framework(scope, receive, send)
