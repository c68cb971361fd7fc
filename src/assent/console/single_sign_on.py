"""Signing in by single sign-on: away to the issuer, and back with its word for who this is.

What the browser brings back is bound to the one that was sent away: by a cookie under our MAC, which holds `state`,
`nonce` and the PKCE verifier, lives ten minutes, and is gone after one attempt.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hmac import compare_digest
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from assent.console.carried import opened, sealed
from assent.console.issuer import Issuer, NotVouchedFor
from assent.console.signing import put_cookie, refuse, slow_down
from assent.console.visits import SIGN_IN, Console, console_of, own_path
from assent.core.errors import Unauthenticated
from assent.flows.sign_in import sign_in_as
from assent.ports import View

PATH: Final = f"{SIGN_IN}/oidc"
BACK: Final = f"{PATH}/back"
COOKIE: Final = "assent_sign_in"
LIVES_SECONDS: Final = 600
_PURPOSE: Final = "console-sign-in"


@dataclass(frozen=True, slots=True, kw_only=True)
class Away:
    """What binds a browser that was sent away to the one that comes back; `at` is the ledger's, in Unix seconds."""

    state: str
    nonce: str
    verifier: str
    after: str
    at: int


async def leave(request: Request) -> Response:
    """Send the browser to the issuer."""
    console = console_of(request)
    issuer = _issuer_of(console)
    slow_down(console, request, "single-sign-on")
    secrets = (console.broker.new_secret() for _ in range(3))
    away = Away(
        state=next(secrets),
        nonce=next(secrets),
        verifier=next(secrets),
        after=own_path(request.query_params.get("next")),
        at=await _now(console),
    )
    try:
        address = await issuer.address(state=away.state, nonce=away.nonce, verifier=away.verifier)
    except NotVouchedFor as fault:
        return refuse(request, away.after, fault)
    answer = RedirectResponse(address, status_code=303)
    answer.set_cookie(
        _cookie(console),
        sealed(console.broker, _PURPOSE, asdict(away)),
        max_age=LIVES_SECONDS,
        path=PATH,
        secure=console.settings.has_tls,
        httponly=True,
        samesite="lax",  # the issuer sends the browser back, and a strict cookie would stay behind
    )
    return answer


async def come_back(request: Request) -> Response:
    """Open a session for whom the issuer vouches, who must be declared as an operator."""
    console, away = console_of(request), None
    issuer = _issuer_of(console)
    try:
        away = _opened(console, request.cookies.get(_cookie(console), ""), await _now(console))
        code = _code(request.query_params, away, console)
        subject = await issuer.subject(code, nonce=away.nonce, verifier=away.verifier)
        issued = await sign_in_as(console.broker, subject)
    except Unauthenticated as fault:
        answer = refuse(request, own_path(None if away is None else away.after), fault)
    else:
        # Not a redirection: the browser still comes from the issuer, and would leave the strict cookie behind.
        answer = console.pages.render("signed_in.html", after=away.after, who=issued.credential.principal)
        put_cookie(console, answer, issued)
    answer.delete_cookie(_cookie(console), path=PATH, secure=console.settings.has_tls, httponly=True, samesite="lax")
    return answer


def _cookie(console: Console) -> str:
    # The prefix keeps other hosts of a domain from planting one.
    return f"__Secure-{COOKIE}" if console.settings.has_tls else COOKIE


async def _now(console: Console) -> int:
    async def work(view: View) -> int:
        return int(view.now.timestamp())

    return await console.broker.ledger.read(work)


def _issuer_of(console: Console) -> Issuer:
    if console.issuer is None:
        raise NotVouchedFor("this broker knows no issuer", hint="sign in with a link or a token")
    return console.issuer


def _code(query: Mapping[str, str], away: Away, console: Console) -> str:
    if not compare_digest(query.get("state", "").encode(), away.state.encode()):
        raise NotVouchedFor("this answer belongs to another sign-in", hint="begin once more")
    expected = console.settings.issuer
    if "iss" in query and expected is not None and query["iss"] != expected.issuer:
        raise NotVouchedFor("this answer comes from another issuer", hint="begin once more")
    if "error" in query or not query.get("code"):
        raise NotVouchedFor("the issuer did not let you in", hint="begin once more, or sign in with a link or a token")
    return query["code"]


def _opened(console: Console, cookie: str, now: int) -> Away:
    facts = opened(console.broker, _PURPOSE, cookie)
    again = NotVouchedFor("this browser did not begin to sign in here, or too long ago", hint="begin once more")
    if facts is None:
        raise again
    try:
        away = Away(**facts)  # type: ignore[arg-type]  # under our own MAC
    except TypeError:
        raise again from None
    if not 0 <= now - away.at <= LIVES_SECONDS:
        raise again
    return away


routes: Final = (Route(PATH, leave, methods=["GET"]), Route(BACK, come_back, methods=["GET"]))
