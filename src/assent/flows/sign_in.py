"""Somebody signs in at the console: a link or an operator's token becomes a session, recorded in the same transaction.

A session is worth what opened it (`authenticate.ASSURANCE_OF`). A link opens one session; from the commit on it opens
none. A session that rests on a token is over when the token is.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

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
from assent.core.operators import OIDC
from assent.core.records import Entry
from assent.core.rendering import spelled_out
from assent.flows import entries
from assent.flows.authenticate import (
    CREDENTIAL,
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


async def sign_in(broker: Broker, shown: str) -> Issued:
    """Return a session for whoever shows the secret of a sign-in link, or an operator's token.

    Whoever holds as many sessions as anybody may have loses the oldest one for it.

    Raises:
        Unauthenticated: it is neither, it is over or was used before, or the policy does not name the operator.

    """
    presented = take_apart(shown)
    if presented is None or presented.kind not in _WAYS:
        raise Unauthenticated("this is neither a sign-in link nor an operator's token", hint="copy it whole")

    async def work(tx: Tx, fresh: Fresh) -> Credential:
        opened_with = await believed(broker, tx, presented)
        operator = named(broker, opened_with.principal).id
        session = fresh.session(operator, _WAYS[presented.kind], tx.now)
        if presented.kind is Kind.OPERATOR:
            session = _resting_on(session, opened_with)
        else:
            await tx.replace(opened_with, credentials.revoke(opened_with, by=operator, now=tx.now))
        await open_session(tx, session, entries.credential_issued(session, using=opened_with.id))
        return session

    return await _opened(broker, work)


async def sign_in_as(broker: Broker, subject: str) -> Issued:
    """Return a session for the operator whom the issuer of single sign-on calls `subject`; the issuer was believed.

    Raises:
        Unauthenticated: the loaded policy declares nobody by that name.

    """

    async def work(tx: Tx, fresh: Fresh) -> Credential:
        found = [one for one in broker.policy().operators() if one.identities.get(OIDC) == subject]
        if len(found) != 1:
            raise Unauthenticated(
                f"no operator is declared with `oidc: {{subject: {spelled_out(subject)}}}`",
                hint="have it added to operators.yaml, if that is you",
            )
        session = fresh.session(found[0].id, SignedInBy.OIDC, tx.now)
        await open_session(tx, session, entries.credential_issued(session))
        return session

    return await _opened(broker, work)


@dataclass(frozen=True, slots=True)
class Fresh:
    """The id of a session to come, its secret, and the secret's MAC, which alone is kept."""

    id: CredentialId
    secret: str = field(repr=False)
    secret_mac: bytes

    def session(self, operator: str, way: SignedInBy, now: datetime) -> Credential:
        """Return the session, to be stored with `open_session`."""
        return Credential(
            id=self.id,
            kind=Kind.SESSION,
            principal=operator,
            secret_mac=self.secret_mac,
            issued_by=operator,
            issued_at=now,
            expires_at=now + SESSION_MAX_AGE,
            signed_in_by=way,
        )

    def issued(self, session: Credential) -> Issued:
        """Return the session with the cookie's value, which is told this once."""
        return Issued(session, compose(Kind.SESSION, session.id, self.secret))


def fresh_session(broker: Broker) -> Fresh:
    """Return what a new session is known by."""
    secret = broker.new_secret()
    identifier = CredentialId(broker.new_id("").lstrip("_"))
    return Fresh(identifier, secret, broker.ledger.blind(CREDENTIAL, secret.encode()))


async def _opened(broker: Broker, work: Callable[[Tx, Fresh], Awaitable[Credential]]) -> Issued:
    fresh = fresh_session(broker)
    return fresh.issued(await broker.ledger.transact(lambda tx: work(tx, fresh)))


async def open_session(tx: Tx, session: Credential, entry: Entry) -> None:
    """Store a session and its record; whoever holds as many as anybody may have loses the oldest for it."""
    await _make_room(tx, session.principal)
    await tx.add(session)
    await tx.append(entry)


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
