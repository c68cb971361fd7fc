"""Passkeys of whoever is signed in: adding one, taking one away, each signed for; and somebody else's, who lost theirs.

The page's script asks what the browser is to do, and sends what came of it with the form.
"""

from typing import Final

from starlette.responses import Response

from assent.console.given import PREFIX
from assent.console.visits import Visit, act, script, to_script
from assent.core.passkeys import PasskeyId
from assent.core.reasons import Reason
from assent.flows.add_passkey import (
    Step,
    add_passkey,
    ask_to_add,
    ask_to_revoke,
    revoke_of,
    revoke_own,
    vouch,
)

_PATH: Final = "/account/passkeys"
_BACK: Final = "/account"


async def do_ask(visit: Visit) -> Response:
    """Tell the page how a new passkey begins: it is made at once, or signed for first."""
    return _next(await ask_to_add(visit.broker, visit.caller))


async def do_vouch(visit: Visit) -> Response:
    """Take what an older passkey signed, and tell the page how the new one is made."""
    return _next(await vouch(visit.broker, visit.caller, _answer(visit)))


def _next(step: Step | Reason) -> Response:
    if isinstance(step, Reason):
        return to_script(step)
    return to_script(
        {"create": step.options} if step.makes else {"get": step.options, "next": f"{PREFIX}{_PATH}/vouch"}
    )


async def do_add(visit: Visit) -> Response:
    """Add the passkey that was made."""
    name = visit.form.get("name", "").strip()
    return _done(visit, await add_passkey(visit.broker, visit.caller, _answer(visit), name=name))


async def do_ask_to_revoke(visit: Visit) -> Response:
    """Tell the page what one of the visitor's passkeys is to sign before one of them is taken away."""
    asked = await ask_to_revoke(visit.broker, visit.caller, _key(visit))
    return to_script(asked if isinstance(asked, Reason) else {"get": asked})


async def do_revoke(visit: Visit) -> Response:
    """Take one of the visitor's own passkeys away."""
    return _done(visit, await revoke_own(visit.broker, visit.caller, _key(visit), _answer(visit)))


async def do_revoke_of(visit: Visit) -> Response:
    """Take somebody else's passkey away."""
    await revoke_of(visit.broker, visit.caller, visit.param("operator"), _key(visit))
    return visit.go("/people")


def _done(visit: Visit, came: object) -> Response:
    return visit.refused(came, back=_BACK) if isinstance(came, Reason) else visit.go(_BACK)


def _key(visit: Visit) -> PasskeyId:
    return PasskeyId(visit.param("passkey"))


def _answer(visit: Visit) -> str:
    return visit.form.get("passkey", "")


routes: Final = (
    script(f"{_PATH}/ask", do_ask),
    script(f"{_PATH}/vouch", do_vouch),
    act(f"{_PATH}/add", do_add),
    script(f"{_PATH}/{{passkey}}/ask", do_ask_to_revoke),
    act(f"{_PATH}/{{passkey}}/revoke", do_revoke),
    act("/people/{operator}/passkeys/{passkey}/revoke", do_revoke_of),
)
