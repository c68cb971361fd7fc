"""Credentials: what a bearer token stands for. The token itself is never kept, only a MAC of its secret.

A sign-in link and a console session are credentials too: a link opens one session, once, within two minutes; a session
lasts a working day at most, and no longer than the token that opened it.

A token is `prefix + key id + "_" + secret`. The prefix names the kind, the key id finds the row, the secret is 256
random bits. A revoked or expired credential is no credential from the next transaction on.
"""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NewType

CredentialId = NewType("CredentialId", str)

OPERATOR_TOKEN_MAX_AGE = timedelta(days=90)
# As long as it takes to look from a terminal to a browser.
LINK_MAX_AGE = timedelta(minutes=2)
SESSION_MAX_AGE = timedelta(hours=8)
# From here on whoever uses an operator's token is told to get a new one.
OPERATOR_TOKEN_RENEW_BEFORE = timedelta(days=14)
# A service is declared nowhere, so its name is bounded here; agents and operators have the names of the policy files.
SERVICE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
# So many live ones of a principal leave room to rotate each of them; more is a leak or a loop.
MAX_LIVE_PER_PRINCIPAL = 20


class Kind(StrEnum):
    """Whose credential it is."""

    AGENT = "agent"
    SERVICE = "service"
    OPERATOR = "operator"
    LINK = "link"
    SESSION = "session"


class SignedInBy(StrEnum):
    """What somebody showed to sign in at the console."""

    LINK = "link"
    TOKEN = "token"
    OIDC = "oidc"
    PASSKEY = "passkey"


class Standing(StrEnum):
    """Whether a credential may still be used, and why not."""

    LIVE = "live"
    EXPIRED = "expired"
    REVOKED = "revoked"


PREFIXES: dict[Kind, str] = {
    Kind.AGENT: "asn_",
    Kind.SERVICE: "ass_",
    Kind.OPERATOR: "aso_",
    Kind.LINK: "asl_",
    Kind.SESSION: "asc_",
}
# What ends by itself whatever was said when it was issued.
_OLDEST: dict[Kind, timedelta] = {
    Kind.OPERATOR: OPERATOR_TOKEN_MAX_AGE,
    Kind.LINK: LINK_MAX_AGE,
    Kind.SESSION: SESSION_MAX_AGE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """One row per issued key or token; `secret_mac` is made under the ledger key.

    `issued_by` is the operator who issued it (they may then not approve what the agent asks). `tools` limits a
    service credential to the tools (patterns) it may redeem; empty for other kinds. `signed_in_by` is how a session
    was opened, `rests_on` the operator's token or passkey that opened it: when that is over, so is the session.
    """

    id: CredentialId
    kind: Kind
    principal: str
    secret_mac: bytes
    issued_by: str
    issued_at: datetime
    revision: int = 1
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    revoked_by: str | None = None
    tools: tuple[str, ...] = ()
    signed_in_by: SignedInBy | None = None
    rests_on: str | None = None


@dataclass(frozen=True, slots=True)
class Presented:
    """A token as somebody presented it, taken apart but not yet believed."""

    kind: Kind
    id: CredentialId
    secret: str


def compose(kind: Kind, credential: CredentialId, secret: str) -> str:
    """Return the token that the holder keeps."""
    return f"{PREFIXES[kind]}{credential}_{secret}"


def take_apart(token: str) -> Presented | None:
    """Return the parts of `token`, or None when it is not one of ours."""
    for kind, prefix in PREFIXES.items():
        if token.startswith(prefix):
            identifier, separator, secret = token[len(prefix) :].partition("_")
            if separator and identifier.isalnum() and identifier.isascii() and secret.isascii() and secret:
                return Presented(kind, CredentialId(identifier), secret)
    return None


def ends_at(credential: Credential) -> datetime | None:
    """Return when `credential` ends by itself, or None when it does not.

    An operator's token ends after 90 days at most, a session after 8 hours, a sign-in link after 2 minutes.
    """
    if (longest := _OLDEST.get(credential.kind)) is None:
        return credential.expires_at
    oldest = credential.issued_at + longest
    return oldest if credential.expires_at is None else min(oldest, credential.expires_at)


def standing(credential: Credential, now: datetime) -> Standing:
    """Return whether `credential` may still be used at `now`, and if not, why."""
    if credential.revoked_at is not None:
        return Standing.REVOKED
    end = ends_at(credential)
    return Standing.LIVE if end is None or now < end else Standing.EXPIRED


def is_live(credential: Credential, now: datetime) -> bool:
    """Whether `credential` may still be used at `now`."""
    return standing(credential, now) is Standing.LIVE


def is_old(credential: Credential, now: datetime) -> bool:
    """Whether this is an operator's token that ends within 14 days or has ended: somebody should issue a new one."""
    end = ends_at(credential)
    return credential.kind is Kind.OPERATOR and end is not None and now >= end - OPERATOR_TOKEN_RENEW_BEFORE


def revoke(credential: Credential, *, by: str, now: datetime) -> Credential:
    """Return `credential` revoked by `by`; revoking twice keeps the first time."""
    if credential.revoked_at is not None:
        return credential
    return replace(credential, revoked_at=now, revoked_by=by, revision=credential.revision + 1)
