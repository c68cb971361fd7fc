"""Keys and tokens come to be and end; the secret is shown once and never kept.

Nothing here asks whether somebody may do it: `flows.issue_credentials` does, for operators. Whoever holds the broker's
files calls it directly, and the record says so.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from assent.core import credentials
from assent.core.actions import Action, ActionEvent
from assent.core.breakers import Scope
from assent.core.canonical import Json
from assent.core.credentials import MAX_LIVE_PER_PRINCIPAL, Credential, CredentialId, Kind, compose
from assent.core.errors import IllegalMove, NotFound
from assent.core.reasons import Reason
from assent.flows import entries
from assent.flows.active_policy import decide, refuse_behind
from assent.flows.authenticate import CREDENTIAL, OperatorCaller, SessionCaller, TokenCaller, confirm_operator
from assent.flows.broker import Broker
from assent.flows.end_action import end_without_running
from assent.flows.watch_actions import tell
from assent.ports import Gate, Tx

# Those in use are listed first, and there are never more of them than this.
_LOOKED_AT = 2 * MAX_LIVE_PER_PRINCIPAL


@dataclass(frozen=True, slots=True)
class Issued:
    """A new credential and its token: the only time that anybody sees the token."""

    credential: Credential
    token: str


@dataclass(frozen=True, slots=True)
class Revoked:
    """A credential that is worth nothing any more, and the actions that waited and ended with it."""

    credential: Credential
    cut_off: tuple[Action, ...] = ()


async def issue_credential(
    broker: Broker,
    kind: Kind,
    principal: str,
    *,
    issued_by: str,
    caller: OperatorCaller | None = None,
    valid_for: timedelta | None = None,
    tools: tuple[str, ...] = (),
    by_hand: Mapping[str, Json] | None = None,
) -> Issued:
    """Return a fresh credential for `principal`, recorded with who issued it.

    The caller must have checked that `issued_by` may do this; they can then not approve what the agent asks. `caller`
    is confirmed in the same transaction. `by_hand` is recorded in public: who did it, and where, when it was done on
    the ledger itself.

    Raises:
        IllegalMove: an operator asks for it, and the principal has as many live ones as anybody may have.

    """
    secret = broker.new_secret()
    identifier = CredentialId(broker.new_id("").lstrip("_"))
    secret_mac = broker.ledger.blind(CREDENTIAL, secret.encode())

    async def work(tx: Tx) -> Credential:
        if caller is not None:
            await confirm_operator(tx, caller)
            await refuse_behind(tx, broker.policy())
            await _refuse_too_many(tx, kind, principal)
        credential = Credential(
            id=identifier,
            kind=kind,
            principal=principal,
            secret_mac=secret_mac,
            issued_by=issued_by,
            issued_at=tx.now,
            expires_at=_end(kind, tx.now, valid_for),
            tools=tools,
        )
        await tx.add(credential)
        await tx.append(entries.credential_issued(credential, using=_shown_by(caller), by_hand=by_hand))
        return credential

    credential = await decide(broker, work)
    return Issued(credential, compose(kind, credential.id, secret))


def _shown_by(caller: OperatorCaller | None) -> CredentialId | None:
    if isinstance(caller, TokenCaller):
        return caller.token.id
    return caller.session.id if isinstance(caller, SessionCaller) else None


async def _refuse_too_many(tx: Tx, kind: Kind, principal: str) -> None:
    found = await tx.credentials(kind, principal, limit=_LOOKED_AT)
    live = [credential for credential in found if credentials.is_live(credential, tx.now)]
    if len(live) >= MAX_LIVE_PER_PRINCIPAL:
        raise IllegalMove(
            f"`{principal}` holds {len(live)} live credentials already, and nobody may hold more",
            hint=f"revoke one that nobody uses any more; the oldest is `{live[-1].id}`",
        )


def _end(kind: Kind, now: datetime, valid_for: timedelta | None) -> datetime | None:
    if kind is Kind.OPERATOR:
        longest = credentials.OPERATOR_TOKEN_MAX_AGE
        return now + (longest if valid_for is None else min(valid_for, longest))
    return None if valid_for is None else now + valid_for


async def revoke_credential(
    broker: Broker,
    key: CredentialId,
    *,
    by: str,
    caller: OperatorCaller | None = None,
    held_by: tuple[Kind, str] | None = None,
) -> Revoked:
    """Return the credential revoked; from the commit on it is worth nothing anywhere.

    What was asked with an agent's key and waits ends as well: nobody could redeem it any more, so nobody is asked in
    vain. Revoking twice says the same. The caller must have checked that `by` may do this; `caller` is confirmed in
    the same transaction.

    Raises:
        NotFound: no such credential, or not one of `held_by`, its kind and principal.

    """

    async def work(tx: Tx) -> Revoked:
        if caller is not None:
            await confirm_operator(tx, caller)
        credential = await tx.get(Credential, key)
        if credential is None or (held_by is not None and held_by != (credential.kind, credential.principal)):
            raise NotFound(f"no credential `{key}` there", hint="see which there are, with their ids")
        revoked = credentials.revoke(credential, by=by, now=tx.now)
        if revoked is credential:
            return Revoked(credential)
        await tx.replace(credential, revoked)
        cut = await _cut_off(tx, credential, by) if credential.kind is Kind.AGENT else ()
        await tx.append(entries.credential_revoked(revoked, by=by, cancelled=len(cut)))
        return Revoked(revoked, cut)

    return await _transact_and_tell(broker, work)


async def _cut_off(tx: Tx, key: Credential, by: str) -> tuple[Action, ...]:
    why = Reason.of("agent_suspended", "the key that asked was revoked")
    waiting = [action for action in await tx.waiting(Scope(agent=key.principal)) if action.key == key.id]
    ended = [await end_without_running(tx, action, ActionEvent.CANCEL, why, by=by) for action in waiting]
    return tuple(one.action for one in ended)


async def _transact_and_tell(broker: Broker, work: Callable[[Tx], Awaitable[Revoked]]) -> Revoked:
    revoked = await broker.ledger.transact(work, gate=Gate.EXCLUSIVE)
    tell(broker, *revoked.cut_off)
    return revoked
