"""Keys and tokens are issued and revoked; the secret is shown once and never kept."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from assent.core import credentials
from assent.core.credentials import Credential, CredentialId, Kind, compose
from assent.core.errors import NotFound
from assent.flows import entries
from assent.flows.authenticate import CREDENTIAL
from assent.flows.broker import Broker
from assent.ports import Gate, Tx


@dataclass(frozen=True, slots=True)
class Issued:
    """A new credential and its token: the only time that anybody sees the token."""

    credential: Credential
    token: str


async def issue_credential(
    broker: Broker,
    kind: Kind,
    principal: str,
    *,
    issued_by: str,
    valid_for: timedelta | None = None,
    tools: tuple[str, ...] = (),
) -> Issued:
    """Return a fresh credential for `principal`, recorded with who issued it.

    The caller must have checked that `issued_by` may do this; they can then not approve what the agent asks.
    """
    secret = broker.new_secret()
    identifier = CredentialId(broker.new_id("").lstrip("_"))
    secret_mac = broker.ledger.blind(CREDENTIAL, secret.encode())

    async def work(tx: Tx) -> Credential:
        credential = Credential(
            id=identifier,
            kind=kind,
            principal=principal,
            secret_mac=secret_mac,
            issued_by=issued_by,
            issued_at=tx.now,
            expires_at=_end(tx.now, valid_for),
            tools=tools,
        )
        await tx.add(credential)
        await tx.append(entries.credential_issued(credential))
        return credential

    credential = await broker.ledger.transact(work)
    return Issued(credential, compose(kind, credential.id, secret))


def _end(now: datetime, valid_for: timedelta | None) -> datetime | None:
    return None if valid_for is None else now + valid_for


async def revoke_credential(broker: Broker, key: CredentialId, *, by: str) -> Credential:
    """Return the credential revoked; from the commit on it is worth nothing anywhere.

    Raises:
        NotFound: no such credential.

    """

    async def work(tx: Tx) -> Credential:
        credential = await tx.get(Credential, key)
        if credential is None:
            raise NotFound(f"no credential `{key}`")
        revoked = credentials.revoke(credential, by=by, now=tx.now)
        if revoked is not credential:
            await tx.replace(credential, revoked)
            await tx.append(entries.credential_revoked(revoked, by=by))
        return revoked

    return await broker.ledger.transact(work, gate=Gate.EXCLUSIVE)
