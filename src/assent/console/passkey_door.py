"""Signing in with a passkey: the page's script asks what is to be signed, and the form brings the answer.

What was asked is bound to the browser that asked: a cookie under our MAC holds it for two minutes, and is gone after
one answer. Asking writes nothing and is free, so that nobody at the same address can keep others out by it; only who
answers wrongly is slowed down.
"""

from datetime import datetime
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from assent.console.carried import opened, sealed
from assent.console.signing import put_cookie, refuse, slow_down
from assent.console.visits import SIGN_IN, Console, console_of, form_of, own_path, told_to_script
from assent.core.errors import Unauthenticated
from assent.core.passkeys import CHALLENGE_LIVES, Challenge, ask_stranger
from assent.core.records import rfc3339
from assent.flows.sign_in_with_passkey import ask_to_sign_in, sign_in_with_passkey

PATH: Final = f"{SIGN_IN}/passkey"
ASK: Final = f"{PATH}/ask"
COOKIE: Final = "assent_passkey"
_PURPOSE: Final = "console-sign-in-passkey"


@told_to_script
async def do_ask(request: Request) -> Response:
    """Tell the page what a passkey is to sign, and let the browser keep it."""
    console = console_of(request)
    await form_of(request)
    asked, options = await ask_to_sign_in(console.broker)
    answer = JSONResponse({"get": options})
    answer.set_cookie(
        _cookie(console),
        sealed(console.broker, _PURPOSE, {"nonce": asked.nonce.hex(), "until": rfc3339(asked.until)}),
        max_age=int(CHALLENGE_LIVES.total_seconds()),
        path="/",
        secure=console.settings.has_tls,
        httponly=True,
        samesite="strict",
    )
    return answer


async def do_sign_in(request: Request) -> Response:
    """Open a session for whose passkey signed what this browser was asked."""
    console, form = console_of(request), await form_of(request)
    after = own_path(form.get("next"))
    answer: Response
    try:
        asked = _asked(console, request.cookies.get(_cookie(console), ""))
        issued = await sign_in_with_passkey(console.broker, asked, form.get("passkey", ""))
    except Unauthenticated as fault:
        slow_down(console, request)
        answer = refuse(request, after, fault)
    else:
        answer = RedirectResponse(after, status_code=303)
        put_cookie(console, answer, issued)
    answer.delete_cookie(_cookie(console), path="/", secure=console.settings.has_tls, httponly=True, samesite="strict")
    return answer


def _cookie(console: Console) -> str:
    # The prefix keeps other hosts of a domain from planting one: what they had signed would sign somebody in as them.
    return f"__Host-{COOKIE}" if console.settings.has_tls else COOKIE


def _asked(console: Console, cookie: str) -> Challenge:
    facts = opened(console.broker, _PURPOSE, cookie)
    if facts is None:
        raise Unauthenticated("this browser was not asked for a passkey here, or too long ago", hint="press once more")
    nonce, until = bytes.fromhex(str(facts["nonce"])), datetime.fromisoformat(str(facts["until"]))
    return ask_stranger(nonce=nonce, until=until)


routes: Final = (
    Route(ASK, do_ask, methods=["POST"]),
    Route(PATH, do_sign_in, methods=["POST"]),
)
