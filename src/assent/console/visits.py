"""A visit: one request of somebody who is signed in. Every route but those of the door goes through here.

What is checked, in this order, before a page's own code runs: the session, in the ledger; for what changes something
also the form's CSRF token, which is made from the session's secret. What the visitor may do is checked by the flow
that does it.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from hmac import compare_digest
from typing import Final, TypeAlias
from urllib.parse import parse_qsl, quote

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from assent.console.given import PREFIX, ConsoleSettings
from assent.console.issuer import Issuer
from assent.console.one_look import OneLook
from assent.console.pages import Pages
from assent.console.watcher import Live
from assent.core.errors import AssentError, BadRequest, Forbidden, PolicyBehind, Unauthenticated
from assent.core.operators import Permission
from assent.core.reasons import Reason
from assent.flows import authenticate
from assent.flows.authenticate import SessionCaller
from assent.flows.broker import Broker
from assent.ports import View

CSRF: Final = "csrf"
MAX_FIELDS: Final = 20
MAX_NAMES: Final = 100
SIGN_IN: Final = f"{PREFIX}/sign-in"
_FORM: Final = "application/x-www-form-urlencoded"
_OWN_PATH = re.compile(rf"{PREFIX}/[A-Za-z0-9/_.~%-]*(\?[A-Za-z0-9_.~%=&:+-]*)?")

Form: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Console:
    """Everything that pages work with; `closing` is set when the process begins to shut down.

    `look` is the ledger as pages that are made for many share it.
    """

    broker: Broker
    settings: ConsoleSettings
    pages: Pages
    closing: asyncio.Event
    live: Live
    look: OneLook
    issuer: Issuer | None = None

    @property
    def cookie(self) -> str:
        """The cookie's name; the prefix binds it to this very host and to encrypted connections."""
        return "__Host-assent" if self.settings.has_tls else "assent_console"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request of an operator who is signed in; `form` is empty where nothing was sent.

    `only_live` says that only the parts of a page are wanted that keep themselves current.
    """

    console: Console
    request: Request
    caller: SessionCaller
    csrf: str
    form: Form
    only_live: bool = False

    @property
    def broker(self) -> Broker:
        """The broker."""
        return self.console.broker

    def page(self, name: str, *, status: int = 200, **facts: object) -> Response:
        """Return the page `name` with what every page shows, and `facts`."""
        return self.console.pages.render(name, status=status, visit=self, **facts)

    def refused(self, reason: Reason, *, back: str, who: Sequence[str] = ()) -> Response:
        """Return the page that says why an act did not count, who could do it, and the way back below the prefix."""
        status = STATUS_OF.get(reason.code, 409)
        return self.page("refused.html", status=status, message=reason.message, back=f"{PREFIX}{back}", who=who)

    def go(self, path: str) -> Response:
        """Send the browser to a page below the prefix, after a form was taken."""
        return RedirectResponse(f"{PREFIX}{path}", status_code=303)

    async def now(self) -> datetime:
        """Return the ledger's time."""
        return await self.broker.ledger.read(_now)

    @property
    def may_trip(self) -> bool:
        """Whether the visitor may stop things, which every page offers then."""
        return self.caller.operator.may(Permission.BREAKERS_TRIP)

    def names(self, dimension: str) -> Sequence[str]:
        """Return the first declared names of a dimension, to choose from; any other may be written."""
        return self.broker.policy().names(dimension)[:MAX_NAMES]

    def param(self, name: str) -> str:
        """Return a part of the path."""
        return str(self.request.path_params[name])

    def query(self, name: str) -> str | None:
        """Return what the query says, None where it says nothing."""
        return self.request.query_params.get(name) or None


async def _now(view: View) -> datetime:
    return view.now


Handler: TypeAlias = Callable[[Visit], Awaitable[Response]]
STATUS_OF: Final = {
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "bad_request": 400,
    "rate_limited": 429,
    "illegal_move": 409,
    "digest_changed": 409,
    "not_eligible": 403,
    "step_up_required": 403,
    "not_shown": 403,
    "approval_expired": 410,
    "held_not_durable": 503,
}


def page(path: str, handler: Handler) -> Route:
    """Return the route of a page that only somebody who is signed in sees."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(await visit_of(request, {}))
        except Unauthenticated:
            return _to_sign_in(request)

    return Route(f"{PREFIX}{path}", answer, methods=["GET"], name=f"GET {path}")


def act(path: str, handler: Handler) -> Route:
    """Return the route of a form that only a page of the same session can send."""

    async def answer(request: Request) -> Response:
        return await handler(await _own_form(request))

    return Route(f"{PREFIX}{path}", answer, methods=["POST"], name=f"POST {path}")


def script(path: str, handler: Handler) -> Route:
    """Return the route that a page's own script asks before it sends a form; it is told no in words, not as a page."""

    @told_to_script
    async def answer(request: Request) -> Response:
        return await handler(await _own_form(request))

    return Route(f"{PREFIX}{path}", answer, methods=["POST"], name=f"POST {path}")


def told_to_script(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Return `handler` with its errors told as `{"why": …}`, as far as they are for whoever asks."""

    @wraps(handler)
    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except AssentError as fault:
            if fault.code not in STATUS_OF and not isinstance(fault, PolicyBehind):
                raise
            said = fault.message if fault.hint is None else f"{fault.message}: {fault.hint}"
            return JSONResponse({"why": said}, status_code=STATUS_OF.get(fault.code, 503))

    return answer


def to_script(told: Mapping[str, object] | Reason) -> Response:
    """Return what a page's script is told, or why not."""
    if isinstance(told, Reason):
        return JSONResponse({"why": told.message}, status_code=STATUS_OF.get(told.code, 409))
    return JSONResponse(told)


async def _own_form(request: Request) -> Visit:
    visit = await visit_of(request, await form_of(request))
    sent = visit.form.get(CSRF, "")
    if not sent.isascii() or not compare_digest(sent, visit.csrf):
        raise Forbidden("this form is not of your session", hint="load the page again, then do it once more")
    return visit


def console_of(request: Request) -> Console:
    """Return what the application was built with."""
    given: Console = request.app.state.console
    return given


async def visit_of(request: Request, form: Form) -> Visit:
    """Return the visit of whoever is signed in.

    Raises:
        Unauthenticated: nobody is.

    """
    console = console_of(request)
    cookie = request.cookies.get(console.cookie)
    caller = await authenticate.session(console.broker, cookie)
    csrf = console.broker.ledger.blind("console csrf", str(cookie).encode()).hex()
    return Visit(console=console, request=request, caller=caller, csrf=csrf, form=form)


async def form_of(request: Request) -> Form:
    """Return the fields of a form.

    Raises:
        BadRequest: it is too large, of another type, or a field stands there twice.

    """
    limit = console_of(request).settings.max_form_bytes
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise BadRequest("this is no form of the console")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise BadRequest(f"the form is larger than {limit} bytes", hint="write less")
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_FIELDS,
            strict_parsing=bool(body),
        )
    except ValueError:
        raise BadRequest("this is no form of the console") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise BadRequest("a field of the form stands there twice")
    return fields


def own_path(wanted: str | None) -> str:
    """Return `wanted` where it is a path of the console, else its first page: nobody is sent away from here."""
    if wanted is not None and _OWN_PATH.fullmatch(wanted) and ".." not in wanted and "//" not in wanted:
        return wanted
    return f"{PREFIX}/"


def _to_sign_in(request: Request) -> Response:
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if request.headers.get("sec-fetch-site") == "cross-site":
        # A strict cookie does not come along from another site's link. Coming once more from our own page, it does.
        return console_of(request).pages.render("again.html", path=own_path(path))
    return RedirectResponse(f"{SIGN_IN}?next={quote(own_path(path), safe='')}", status_code=303)
