"""Authenticate: a bearer token becomes an agent, a service or an operator, or nothing.

Every flow that decides, and every one that shows something, confirms the caller once more in its own transaction:
a key revoked a moment ago is no key.
"""

import contextlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest

from assent.core.account_links import AccountLink, holds
from assent.core.agents import AgentId
from assent.core.approvals import Voter
from assent.core.credentials import (
    Credential,
    CredentialId,
    Kind,
    Presented,
    SignedInBy,
    Standing,
    is_live,
    standing,
    take_apart,
)
from assent.core.errors import Forbidden, Unauthenticated
from assent.core.operators import Assurance, Operator, Permission
from assent.core.passkeys import Passkey, PasskeyId
from assent.flows.broker import Broker
from assent.ports import View

CREDENTIAL = "credential"
CONSOLE = "console"
# A session is worth what it was opened with. A token may lie where an agent reads it, and signing in with it does not
# show that a person sits there; a link is shown on the broker's own terminal alone, and an issuer asks the person. A
# passkey asks them too, and a session worth the console vouched for the first of them.
ASSURANCE_OF = {
    SignedInBy.LINK: Assurance.CONSOLE,
    SignedInBy.TOKEN: Assurance.TOKEN,
    SignedInBy.OIDC: Assurance.CONSOLE,
    SignedInBy.PASSKEY: Assurance.CONSOLE,
}
_NEW_ONE = "have a new one issued"
_LIMITS = {
    Kind.OPERATOR: ": an operator's token lives 90 days at most",
    Kind.LINK: ": a sign-in link lives 2 minutes",
    Kind.SESSION: ": a session lasts 8 hours at most, sign in again",
}

BeforeLookUp = Callable[[], None]
"""Called before the ledger is asked about a secret that was not seen before; it may raise to spare the ledger."""


def _no_limit() -> None:
    return None


@dataclass(frozen=True, slots=True)
class AgentCaller:
    """An agent, by one of its keys."""

    agent: AgentId
    key: CredentialId


@dataclass(frozen=True, slots=True)
class ServiceCaller:
    """A tool's own service, by its key; `tools` are the patterns of what it may redeem."""

    service: str
    key: CredentialId
    tools: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorCaller:
    """An operator of the loaded policy, on the surface that found out who it is; `account` is its id for them."""

    operator: Operator
    surface: str
    assurance: Assurance
    account: str = ""

    @property
    def using(self) -> str:
        """The id of the bearer token that this rests on, empty where it rests on none."""
        return ""

    def voter(self) -> Voter:
        """Return this caller as approvals look at them."""
        return Voter(operator=self.operator, assurance=self.assurance, surface=self.surface, account=self.account)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCaller(OperatorCaller):
    """An operator by a bearer token."""

    token: Credential
    assurance: Assurance = Assurance.TOKEN

    @property
    def using(self) -> str:
        """The id of the token."""
        return self.token.id

    def voter(self) -> Voter:
        """Return this caller as approvals look at them: also who issued the token, and when."""
        return Voter(
            operator=self.operator,
            assurance=self.assurance,
            surface=self.surface,
            using=self.using,
            token_issued_by=self.token.issued_by,
            token_issued_at=self.token.issued_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedCaller(OperatorCaller):
    """An operator at the Slack account that they linked themselves, and that is declared for them."""

    assurance: Assurance = Assurance.LINKED


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCaller(OperatorCaller):
    """An operator who signed in at the console; `token` is the one that the session rests on, where it does.

    `passkey` is what signed for the one thing that they do now.
    """

    session: Credential
    token: Credential | None = None
    passkey: PasskeyId | None = None

    @property
    def using(self) -> str:
        """The id of the passkey that signed, else of the token or passkey that opened the session; else empty."""
        return self.passkey or self.session.rests_on or ""

    def voter(self) -> Voter:
        """Return this caller as approvals look at them: also who issued the token that they signed in with."""
        return Voter(
            operator=self.operator,
            assurance=self.assurance,
            surface=self.surface,
            using=self.using,
            token_issued_by=None if self.token is None else self.token.issued_by,
            token_issued_at=None if self.token is None else self.token.issued_at,
        )


async def agent(broker: Broker, token: str | None, *, before_look_up: BeforeLookUp = _no_limit) -> AgentCaller:
    """Return the agent that `token` belongs to.

    Raises:
        Unauthenticated: no token, not an agent's, unknown or revoked.

    """
    credential = await _recognise(broker, token, Kind.AGENT, before_look_up)
    return AgentCaller(AgentId(credential.principal), credential.id)


async def service(broker: Broker, token: str | None, *, before_look_up: BeforeLookUp = _no_limit) -> ServiceCaller:
    """Return the tool's service that `token` belongs to.

    Raises:
        Unauthenticated: no token, not a service's, unknown or revoked.

    """
    credential = await _recognise(broker, token, Kind.SERVICE, before_look_up)
    return ServiceCaller(credential.principal, credential.id, credential.tools)


async def operator(
    broker: Broker, token: str | None, surface: str, *, before_look_up: BeforeLookUp = _no_limit
) -> TokenCaller:
    """Return the operator that `token` belongs to, as the loaded policy declares them.

    Raises:
        Unauthenticated: no token, not an operator's, unknown, revoked or too old, or the policy does not name them.

    """
    credential = await _recognise(broker, token, Kind.OPERATOR, before_look_up)
    return TokenCaller(operator=named(broker, credential.principal), token=credential, surface=surface)


async def session(broker: Broker, cookie: str | None) -> SessionCaller:
    """Return the operator whose console session `cookie` is, as the loaded policy declares them.

    Raises:
        Unauthenticated: no session, an unknown or ended one, one whose token ended, or the policy does not name them.

    """
    return await broker.ledger.read(lambda view: _session(broker, view, cookie))


async def sessions(broker: Broker, cookies: Collection[str]) -> Mapping[str, SessionCaller]:
    """Return whose console sessions these are, in one look; what is missing opens nothing any more."""

    async def work(view: View) -> Mapping[str, SessionCaller]:
        found: dict[str, SessionCaller] = {}
        for cookie in cookies:
            with contextlib.suppress(Unauthenticated):
                found[cookie] = await _session(broker, view, cookie)
        return found

    return await broker.ledger.read(work)


async def _session(broker: Broker, view: View, cookie: str | None) -> SessionCaller:
    presented = take_apart(cookie) if cookie is not None else None
    if presented is None or presented.kind is not Kind.SESSION:
        raise Unauthenticated("nobody is signed in here", hint="sign in")
    found = await believed(broker, view, presented)
    token = await _below(view, found)
    declared = named(broker, found.principal)
    assurance = Assurance.TOKEN if found.signed_in_by is None else ASSURANCE_OF[found.signed_in_by]
    return SessionCaller(operator=declared, session=found, token=token, surface=CONSOLE, assurance=assurance)


def named(broker: Broker, operator: str) -> Operator:
    """Return an operator as the loaded policy declares them.

    Raises:
        Unauthenticated: it does not.

    """
    declared = broker.policy().operator(operator)
    if declared is None:
        raise Unauthenticated("the loaded policy does not name this operator", hint="add them to operators.yaml")
    return declared


async def holder_of(broker: Broker, token: str | None) -> Credential | None:
    """Return the credential whose whole secret `token` is, live or not and of whatever kind, or None.

    It opens nothing: it tells who came, for the record of a refusal.
    """
    presented = take_apart(token) if token is not None else None
    if presented is None:
        return None
    secret_mac = broker.ledger.blind(CREDENTIAL, presented.secret.encode())

    async def work(view: View) -> Credential | None:
        return await view.get(Credential, presented.id)

    found = await broker.ledger.read(work)
    is_theirs = found is not None and found.kind is presented.kind and compare_digest(found.secret_mac, secret_mac)
    return found if is_theirs else None


def require(caller: OperatorCaller, permission: Permission) -> None:
    """Let `caller` through when they hold `permission`.

    Raises:
        Forbidden: they do not.

    """
    if not caller.operator.may(permission):
        raise Forbidden(f"`{caller.operator.id}` does not hold `{permission}`", hint="see `may` in operators.yaml")


async def confirm(view: View, key: CredentialId) -> Credential:
    """Return the credential if it is live in this very transaction.

    Raises:
        Unauthenticated: it was revoked, expired or removed since it was recognised.

    """
    credential = await view.get(Credential, key)
    if credential is None or not is_live(credential, view.now):
        raise _over(credential, view.now)
    return credential


def _over(credential: Credential | None, now: datetime) -> Unauthenticated:
    """Return what the holder of a credential hears when it is worth nothing any more."""
    if credential is None:
        return Unauthenticated("this credential is not known any more", hint=_NEW_ONE)
    if standing(credential, now) is Standing.REVOKED:
        used = credential.kind is Kind.LINK
        told = "this sign-in link was used already, it opens one session" if used else "this credential was revoked"
        return Unauthenticated(told, hint=_NEW_ONE)
    return Unauthenticated(f"this credential has expired{_LIMITS.get(credential.kind, '')}", hint=_NEW_ONE)


async def confirm_operator(view: View, caller: OperatorCaller) -> None:
    """Confirm the token, session or link of an operator; an account of a channel was confirmed there just now.

    Raises:
        Unauthenticated: it was revoked, expired or removed since it was recognised, or the token below a session was.
        Forbidden: the account is not linked any more.

    """
    if isinstance(caller, LinkedCaller) and not holds(await view.get(AccountLink, caller.operator.id), caller.operator):
        raise Forbidden("your Slack account is not linked any more", hint="press again, or link it again")
    if isinstance(caller, TokenCaller):
        await confirm(view, caller.token.id)
    if isinstance(caller, SessionCaller):
        await _below(view, await confirm(view, caller.session.id))


async def _below(view: View, session: Credential) -> Credential | None:
    """Confirm what a session rests on, and return it where it is a token. Raises Unauthenticated: it is over."""
    if session.signed_in_by is SignedInBy.PASSKEY:
        passkey = await view.get(Passkey, session.rests_on or "")
        if passkey is None or passkey.revoked_at is not None or passkey.operator != session.principal:
            raise Unauthenticated("the passkey that opened this session was taken away", hint="sign in")
        return None
    return None if session.rests_on is None else await confirm(view, CredentialId(session.rests_on))


async def was_revoked(view: View, using: str) -> bool:
    """Whether the token or passkey that somebody's word rested on was revoked since; on neither nothing ends."""
    if not using:
        return False
    rested_on = await view.get(Credential, using) or await view.get(Passkey, using)
    return rested_on is not None and rested_on.revoked_at is not None


async def _recognise(broker: Broker, token: str | None, kind: Kind, before_look_up: BeforeLookUp) -> Credential:
    presented = take_apart(token) if token is not None else None
    if presented is None or presented.kind is not kind:
        raise Unauthenticated(f"this call needs the credential of an {kind}", hint="send `Authorization: Bearer …`")
    secret_mac = broker.ledger.blind(CREDENTIAL, presented.secret.encode())
    known = broker.recognised.get(presented.id, secret_mac)
    if known is not None:
        return known
    before_look_up()
    return await _look_up(broker, presented, secret_mac)


async def _look_up(broker: Broker, presented: Presented, secret_mac: bytes) -> Credential:
    credential = await broker.ledger.read(lambda view: _matching(view, presented, secret_mac))
    broker.recognised.remember(credential)
    return credential


async def believed(broker: Broker, view: View, presented: Presented) -> Credential:
    """Return the live credential that was presented.

    Raises:
        Unauthenticated: it is unknown, its secret is another one, or it is over.

    """
    return await _matching(view, presented, broker.ledger.blind(CREDENTIAL, presented.secret.encode()))


async def _matching(view: View, presented: Presented, secret_mac: bytes) -> Credential:
    found = await view.get(Credential, presented.id)
    # Only who shows the whole secret hears more than that it is not known.
    if found is None or found.kind is not presented.kind or not compare_digest(found.secret_mac, secret_mac):
        raise Unauthenticated("this credential is not known", hint="check that it was copied whole")
    if not is_live(found, view.now):
        raise _over(found, view.now)
    return found
