"""Somebody signs in at the console: a link or an operator's token becomes a session, recorded in the same transaction.

A session is worth what opened it (`authenticate.ASSURANCE_OF`). A link opens one session; from the commit on it opens
none. A session that rests on a token is over when the token is.
"""

from dataclasses import replace

from assent.core import credentials
from assent.core.credentials import (
    MAX_LIVE_PER_PRINCIPAL,
    SESSION_MAX_AGE,
    Credential,
    CredentialId,
    Kind,
    SignedInBy,
    compose,
    ends_at,
    take_apart,
)
from assent.core.errors import Unauthenticated
from assent.flows import entries
from assent.flows.authenticate import (
    CREDENTIAL,
    BeforeLookUp,
    OperatorCaller,
    SessionCaller,
    believed,
    confirm_operator,
    named,
)
from assent.flows.broker import Broker
from assent.flows.issue_credentials import revoke
from assent.flows.manage_principals import Issued
from assent.ports import Tx, View

_WAYS = {Kind.LINK: SignedInBy.LINK, Kind.OPERATOR: SignedInBy.TOKEN}
_LOOKED_AT = 2 * MAX_LIVE_PER_PRINCIPAL


async def sign_in(broker: Broker, shown: str, *, before_look_up: BeforeLookUp) -> Issued:
    """Return a session for whoever shows the secret of a sign-in link, or an operator's token.

    Whoever holds as many sessions as anybody may have loses the oldest one for it.

    Raises:
        Unauthenticated: it is neither, it is over or was used before, or the policy does not name the operator.

    """
    presented = take_apart(shown)
    if presented is None or presented.kind not in _WAYS:
        raise Unauthenticated("this is neither a sign-in link nor an operator's token", hint="copy it whole")
    before_look_up()
    secret, identifier = broker.new_secret(), CredentialId(broker.new_id("").lstrip("_"))
    secret_mac = broker.ledger.blind(CREDENTIAL, secret.encode())

    async def work(tx: Tx) -> Credential:
        opened_with = await believed(broker, tx, presented)
        operator = named(broker, opened_with.principal).id
        session = Credential(
            id=identifier,
            kind=Kind.SESSION,
            principal=operator,
            secret_mac=secret_mac,
            issued_by=operator,
            issued_at=tx.now,
            expires_at=tx.now + SESSION_MAX_AGE,
            signed_in_by=_WAYS[presented.kind],
        )
        if presented.kind is Kind.OPERATOR:
            session = _resting_on(session, opened_with)
        else:
            await tx.replace(opened_with, credentials.revoke(opened_with, by=operator, now=tx.now))
        await _make_room(tx, operator)
        await tx.add(session)
        await tx.append(entries.credential_issued(session, using=opened_with.id))
        return session

    session = await broker.ledger.transact(work)
    return Issued(session, compose(Kind.SESSION, session.id, secret))


def _resting_on(session: Credential, token: Credential) -> Credential:
    end = ends_at(token)
    until = session.expires_at if end is None or session.expires_at is None else min(end, session.expires_at)
    return replace(session, rests_on=token.id, expires_at=until)


async def _make_room(tx: Tx, operator: str) -> None:
    held = await tx.credentials(Kind.SESSION, operator, limit=_LOOKED_AT)
    live = [session for session in held if credentials.is_live(session, tx.now)]
    for session in live[MAX_LIVE_PER_PRINCIPAL - 1 :]:
        ended = credentials.revoke(session, by=operator, now=tx.now)
        await tx.replace(session, ended)
        await tx.append(entries.credential_revoked(ended, by=operator))


async def who_would_sign_in(broker: Broker, link: str) -> str:
    """Return the operator whom a sign-in link is for, without using it up.

    Raises:
        Unauthenticated: it is none, it is over, or it was used before.

    """
    presented = take_apart(link)
    if presented is None or presented.kind is not Kind.LINK:
        raise Unauthenticated("this is no sign-in link", hint="copy it whole")
    return (await broker.ledger.read(lambda view: believed(broker, view, presented))).principal


async def sign_out(broker: Broker, caller: SessionCaller) -> None:
    """End the caller's session; from the commit on its cookie opens nothing."""
    await end_session(broker, caller, caller.operator.id, caller.session.id)


async def end_session(broker: Broker, caller: OperatorCaller, operator: str, key: CredentialId) -> None:
    """End a session: one's own, or somebody else's where the caller manages operators.

    Raises:
        Forbidden: it is somebody else's, and the caller does not manage operators.
        NotFound: this operator has no such session.

    """
    await revoke(broker, caller, Kind.SESSION, operator, key)


async def own_sessions(broker: Broker, caller: OperatorCaller) -> tuple[Credential, ...]:
    """Return the caller's live sessions, newest first."""

    async def work(view: View) -> tuple[Credential, ...]:
        await confirm_operator(view, caller)
        held = await view.credentials(Kind.SESSION, caller.operator.id, limit=_LOOKED_AT)
        return tuple(session for session in held if credentials.is_live(session, view.now))

    return await broker.ledger.read(work)
