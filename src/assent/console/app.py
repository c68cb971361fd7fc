"""The console's application: every page around one broker, behind the guard; errors become pages."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from assent.console import (
    activity,
    agents,
    approval,
    breakers,
    inbox,
    live,
    passkey_door,
    passkeys,
    policy,
    signing,
    single_sign_on,
)
from assent.console.given import PREFIX, ConsoleSettings
from assent.console.guarding import Guard
from assent.console.issuer import Issuer
from assent.console.one_look import OneLook
from assent.console.pages import Pages
from assent.console.visits import STATUS_OF, Console, console_of
from assent.console.watcher import Live
from assent.core.errors import AssentError, PolicyBehind, RateLimited
from assent.flows.broker import Broker
from assent.logs import EventLog

log = EventLog("assent.console")

_UNAVAILABLE: Final = 503
_AWAY: Final = "the broker could not answer; nothing was changed"
# The script and the style change with the broker, so a browser asks whether they have.
_ASSETS: Final = Path(__file__).parent / "static"


def create_console(broker: Broker, settings: ConsoleSettings, closing: asyncio.Event) -> Starlette:
    """Return the application; `closing` is set when the process begins to shut down."""
    app = Starlette(
        routes=[
            Route("/", _home, methods=["GET"]),
            Route(PREFIX, _home, methods=["GET"]),
            *inbox.routes,
            *approval.routes,
            *breakers.routes,
            *activity.routes,
            *agents.routes,
            *policy.routes,
            *live.routes,
            *signing.routes,
            *single_sign_on.routes,
            *passkeys.routes,
            *passkey_door.routes,
            Mount(f"{PREFIX}/static", StaticFiles(directory=_ASSETS)),
        ],
        middleware=[Middleware(Guard, settings=settings)],
        exception_handlers={AssentError: _told, HTTPException: _not_a_page},
    )
    app.router.redirect_slashes = False
    app.state.console = Console(
        broker=broker,
        settings=settings,
        pages=Pages(settings),
        closing=closing,
        live=Live(
            broker,
            lambda target, caller: live.made(app.state.console, target, caller),
            closing,
            most=settings.max_live_pages,
            most_each=settings.max_live_pages_each,
        ),
        look=OneLook(broker.ledger),
        issuer=None if settings.issuer is None else Issuer(settings.issuer, now=lambda: datetime.now(UTC)),
    )
    return app


async def _home(_request: Request) -> Response:
    return RedirectResponse(f"{PREFIX}/")


async def _told(request: Request, fault: Exception) -> Response:
    """Return the page of an error that reached the edge; what is not for its reader is logged instead."""
    if not isinstance(fault, AssentError):
        raise fault
    tells = fault.code in STATUS_OF or isinstance(fault, PolicyBehind)
    status = STATUS_OF.get(fault.code, _UNAVAILABLE)
    message, hint = (fault.message, fault.hint) if tells else (_AWAY, None)
    if not tells:
        log.error("not_decided", path=request.url.path, code=fault.code, message=fault.message, hint=fault.hint)
    answer = console_of(request).pages.render("fault.html", status=status, message=message, hint=hint)
    if isinstance(fault, RateLimited):
        answer.headers["retry-after"] = str(fault.retry_after_seconds)
    return answer


async def _not_a_page(request: Request, fault: Exception) -> Response:
    status = fault.status_code if isinstance(fault, HTTPException) else _UNAVAILABLE
    return console_of(request).pages.render("fault.html", status=status, message="there is no such page", hint=None)
