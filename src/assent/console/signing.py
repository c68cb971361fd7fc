"""Signing in and out, and one's own sessions.

The cookie holds a session's secret; the ledger keeps a MAC of it alone.
"""

import math
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from assent.console.given import PREFIX
from assent.console.visits import SIGN_IN, Console, Visit, act, console_of, form_of, own_path, page
from assent.core.account_links import declared
from assent.core.credentials import CredentialId, ends_at
from assent.core.errors import RateLimited, Unauthenticated
from assent.core.operators import Assurance
from assent.flows.add_passkey import passkeys_held
from assent.flows.link_account import CodeAsked, ask_for_code, is_linked, unlink
from assent.flows.manage_principals import Issued
from assent.flows.sign_in import end_session, own_sessions, sign_in, sign_out, who_would_sign_in

_NOBODY: Final = "unknown"


async def show_sign_in(request: Request) -> Response:
    """Show the form; a link only fills it in, so that nothing that looks ahead at links uses one up."""
    console, link = console_of(request), request.query_params.get("link")
    after = own_path(request.query_params.get("next"))
    if link is None:
        return _form(request, after)
    try:
        who = await who_would_sign_in(console.broker, link)
    except Unauthenticated as fault:
        slow_down(console, request)
        return refuse(request, after, fault)
    return _form(request, after, link=link, who=who)


def _form(request: Request, after: str, *, status: int = 200, **facts: str | None) -> Response:
    console = console_of(request)
    checks = console.broker.passkeys
    shown = {
        "link": None,
        "who": None,
        "message": None,
        "hint": None,
        "issuer": console.settings.issuer,
        "passkey_origin": None if checks is None else checks.origin,
        # Browsers know passkeys under one name; by another one the page says where to go instead.
        "is_there": checks is not None and request.headers["host"].lower() == urlsplit(checks.origin).netloc,
        **facts,
    }
    return console.pages.render("sign_in.html", status=status, after=after, **shown)


def refuse(request: Request, after: str, fault: Unauthenticated) -> Response:
    """Return the form once more, with why it did not go on."""
    return _form(request, after, status=401, message=fault.message, hint=fault.hint)


async def do_sign_in(request: Request) -> Response:
    """Open a session for whoever shows a link's secret or a token; anybody may guess, at a measured pace."""
    console, form = console_of(request), await form_of(request)
    after = own_path(form.get("next"))
    try:
        shown = form.get("secret", "").strip()
        issued = await sign_in(console.broker, shown)
    except Unauthenticated as fault:
        # Only who shows something wrong is slowed down: else a stranger at the same address could keep people out.
        slow_down(console, request)
        return refuse(request, after, fault)
    answer = RedirectResponse(after, status_code=303)
    put_cookie(console, answer, issued)
    return answer


def slow_down(console: Console, request: Request, what: str = "sign-in") -> None:
    """Let an attempt to sign in through, at a measured pace. Raises RateLimited."""
    limits, peer = console.settings, request.client.host if request.client else _NOBODY
    wait = console.broker.signals.take(
        f"{what}:{peer}", per_second=limits.sign_ins_per_second, burst=limits.sign_in_burst
    )
    if wait > 0:
        seconds = max(1, math.ceil(wait))
        raise RateLimited("too many attempts to sign in from this address", retry_after_seconds=seconds)


def put_cookie(console: Console, answer: Response, issued: Issued) -> None:
    """Give the session to the browser, for this site alone."""
    session = issued.credential
    end: datetime | None = ends_at(session)
    answer.set_cookie(
        console.cookie,
        issued.token,
        max_age=None if end is None else int((end - session.issued_at).total_seconds()),
        path="/",
        secure=console.settings.has_tls,
        httponly=True,
        samesite="strict",
    )


async def do_sign_out(visit: Visit) -> Response:
    """End this session, in the ledger and in the browser."""
    await sign_out(visit.broker, visit.caller)
    answer = RedirectResponse(SIGN_IN, status_code=303)
    answer.delete_cookie(
        visit.console.cookie, path="/", secure=visit.console.settings.has_tls, httponly=True, samesite="strict"
    )
    return answer


async def show_account(visit: Visit) -> Response:
    """Show who is signed in, how surely, and where else they are."""
    return await _account(visit, None)


async def _account(visit: Visit, asked: CodeAsked | None) -> Response:
    operator, checks = visit.caller.operator, visit.broker.passkeys
    return visit.page(
        "account.html",
        passkeys=await passkeys_held(visit.broker, operator.id),
        passkey_origin=None if checks is None else checks.origin,
        may_add=visit.caller.assurance >= Assurance.CONSOLE,
        sessions=await own_sessions(visit.broker, visit.caller),
        ends_at=ends_at,
        asked=asked,
        declared=declared(operator),
        linked=await is_linked(visit.broker, operator),
    )


async def do_ask_to_link(visit: Visit) -> Response:
    """Show a code once, which links one's own Slack account when it is typed there."""
    asked = await ask_for_code(visit.broker, visit.caller)
    return await _account(visit, asked)


async def do_unlink(visit: Visit) -> Response:
    """Unlink one's own Slack account."""
    await unlink(visit.broker, visit.caller, visit.caller.operator.id)
    return visit.go("/account")


async def do_end_session(visit: Visit) -> Response:
    """End one of one's own sessions."""
    operator = visit.caller.operator.id
    await end_session(visit.broker, visit.caller, operator, CredentialId(visit.param("session")))
    return RedirectResponse(f"{PREFIX}/account", status_code=303)


routes: Final = (
    Route(SIGN_IN, show_sign_in, methods=["GET"]),
    Route(SIGN_IN, do_sign_in, methods=["POST"]),
    act("/sign-out", do_sign_out),
    page("/account", show_account),
    act("/account/link", do_ask_to_link),
    act("/account/unlink", do_unlink),
    act("/account/sessions/{session}/end", do_end_session),
)
