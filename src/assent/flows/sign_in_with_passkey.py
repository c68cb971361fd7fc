"""Somebody signs in at the console with a passkey: no name is typed, the authenticator says whose it is.

What is signed was made for one browser and one sign-in, and whoever asks for it leaves nothing in the ledger: the
browser keeps it, under our MAC. Only what a passkey of ours signed is written down, and from then on it opens nothing
more. The session rests on the passkey: it is over when that is taken away.
"""

from collections.abc import Mapping
from dataclasses import replace
from hmac import compare_digest
from typing import Final

from assent.core import passkeys
from assent.core.canonical import Json
from assent.core.credentials import Credential, SignedInBy
from assent.core.errors import Stale, Unauthenticated
from assent.core.passkey_forms import read_assertion, request
from assent.core.passkeys import About, Challenge, Passkey, Purpose
from assent.flows import passkey_entries
from assent.flows.authenticate import named
from assent.flows.broker import Broker
from assent.flows.manage_principals import Issued
from assent.flows.sign_for import Signed, Unsigned, count_use, passkeys_of, prove, signed_facts
from assent.flows.sign_in import Fresh, fresh_session, open_session
from assent.ports import Tx, View

SIGN_IN: Final = About(purpose=Purpose.SIGN_IN)
_ANOTHER_WAY: Final = "sign in with a link, by single sign-on or with a token"
_AGAIN: Final = "press once more"
_WORDS: Final = {
    "malformed": ("this is no answer of a passkey", _AGAIN),
    "not_yours": ("this broker knows no such passkey", _ANOTHER_WAY),
    "no_handle": ("your passkey does not say whose it is, so it signs in nowhere", _ANOTHER_WAY),
    "unproven": ("your passkey's answer does not hold for this browser and this sign-in", _AGAIN),
    "too_late": ("your passkey answered after two minutes", _AGAIN),
    "answered_before": ("this answer of your passkey opened a session before", _AGAIN),
    "something_else": ("your passkey signed something else than to sign in", _AGAIN),
    "revoked": ("this passkey was taken away", _ANOTHER_WAY),
    "count_went_back": ("your passkey counted back, as a copy of it would: have it taken away", _ANOTHER_WAY),
}


async def ask_to_sign_in(broker: Broker) -> tuple[Challenge, Mapping[str, Json]]:
    """Return what whoever stands at the door has signed, to be kept by their browser, and what it is asked.

    Raises:
        IllegalMove: this broker takes no passkeys.

    """
    site = passkeys_of(broker).site

    async def work(view: View) -> Challenge:
        return passkeys.ask_stranger(nonce=broker.new_nonce(), until=view.now + passkeys.CHALLENGE_LIVES)

    asked = await broker.ledger.read(work)
    return asked, request(passkeys.bytes_of(passkeys.signed_for(asked)), site=site, held=())


async def sign_in_with_passkey(broker: Broker, asked: Challenge, text: str) -> Issued:
    """Return a session for whose passkey signed what their browser was asked, once.

    Raises:
        Unauthenticated: nothing of ours signed it, it does not count any more, or the policy does not name its holder.
        IllegalMove: this broker takes no passkeys.

    """
    answer = await _look_at(broker, asked, text)
    if isinstance(answer, Unsigned):
        raise _refused(answer)
    fresh = fresh_session(broker)
    try:
        opened = await broker.ledger.transact(lambda tx: _take(broker, tx, answer, fresh))
    except Stale:
        raise _refused(Unsigned(because="answered_before")) from None
    if isinstance(opened, Unsigned):
        raise _refused(opened)
    return fresh.issued(opened)


async def _look_at(broker: Broker, asked: Challenge, text: str) -> Signed | Unsigned:
    checks, shown = passkeys_of(broker), read_assertion(text)
    if shown is None:
        return Unsigned(because="malformed")
    if not shown.handle:
        return Unsigned(because="no_handle")
    passkey = await broker.ledger.read(lambda view: view.passkey_called(shown.credential))
    if passkey is None or not compare_digest(shown.handle, passkey.handle):
        return Unsigned(because="not_yours")
    return prove(checks, shown, asked, passkey)


async def _take(broker: Broker, tx: Tx, answer: Signed, fresh: Fresh) -> Credential | Unsigned:
    # (1) the challenge, in time, once: the row says that it was answered
    asked = await tx.get(Challenge, answer.challenge.id) or answer.challenge
    if (because := passkeys.why_not_answered(asked, SIGN_IN, tx.now)) is not None:
        return Unsigned(because=because, passkey=answer.passkey.id)
    # (2) whose it is, as the loaded policy declares them now
    operator = named(broker, answer.passkey.operator).id
    await tx.add(passkeys.signed_in(asked, operator=operator, session=fresh.id))
    # (3) the passkey, now; what its signature came to is on record either way
    used = await count_use(tx, answer)
    if isinstance(used, Unsigned):
        await tx.append(passkey_entries.not_signed_in(operator, used))
        return used
    session = _resting_on(fresh.session(operator, SignedInBy.PASSKEY, tx.now), used)
    await open_session(tx, session, passkey_entries.signed_in(session, signed_facts(answer)))
    return session


def _resting_on(session: Credential, passkey: Passkey) -> Credential:
    return replace(session, rests_on=passkey.id)


def _refused(unsigned: Unsigned) -> Unauthenticated:
    message, hint = _WORDS[unsigned.because]
    return Unauthenticated(message, hint=hint)
