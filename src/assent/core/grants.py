"""Grants: the single-use, expiring permission bound to one action digest.

A grant is redeemed at most once, by one attempt. The same attempt may ask again and hears the same answer; everybody
else hears that it is spent. Redeeming judges everything anew that may have changed since the yes.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from hmac import compare_digest
from typing import NewType

from assent.core.actions import Action, ActionId, ActionState, Proposal, RedeemedBy, is_held_by, is_same_action
from assent.core.agents import AgentId, AgentProfile, AgentStatus, why_not
from assent.core.breakers import Breaker, first_open, why_open
from assent.core.canonical import Json
from assent.core.credentials import Credential, is_live
from assent.core.decisions import Effect, Verdict, is_under_the_floor
from assent.core.errors import IllegalMove
from assent.core.reasons import Reason

GrantId = NewType("GrantId", str)

TOKEN_TYPE = "assent-grant+jwt"


class GrantState(StrEnum):
    """Where a grant is; spent and dead are final."""

    ISSUED = "issued"
    SPENT = "spent"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Permission to run one action once, until `expires_at`; `attempt` is the SHA-256 of who redeemed it."""

    id: GrantId
    action: ActionId
    agent: AgentId
    tool: str
    digest: str
    redeemed_by: RedeemedBy
    issued_at: datetime
    expires_at: datetime
    state: GrantState = GrantState.ISSUED
    revision: int = 1
    attempt: bytes | None = None
    spent_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What somebody who redeems puts forward: their attempt, and the digest of what they are about to run.

    `arguments_sha256` is hex, over canonical arguments; either it or `digest` must be given.
    """

    attempt: bytes
    digest: str | None = None
    arguments_sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RedeemFacts:
    """Everything that must still hold when a grant is redeemed, read in the redeeming transaction.

    `key` is the credential that asked; `proposal` (None when the catalogue makes nothing of it any more) and `verdict`
    come from the policy as loaded now; `asks_the_same` tells whether a human who was asked would be asked the same way.
    """

    profile: AgentProfile | None
    status: AgentStatus | None
    key: Credential | None
    breakers: tuple[Breaker, ...]
    proposal: Proposal | None
    verdict: Verdict
    asks_the_same: bool = True


@dataclass(frozen=True, slots=True)
class Redeemed:
    """The grant is spent by this attempt; `repeated` when it was before, and nothing changed."""

    grant: Grant
    repeated: bool = False


def issue(action: Action, *, new_id: GrantId, now: datetime, expires_at: datetime) -> Grant:
    """Return a fresh grant for `action`, bound to its digest."""
    return Grant(
        id=new_id,
        action=action.id,
        agent=action.agent,
        tool=action.tool,
        digest=action.digest,
        redeemed_by=action.redeemed_by,
        issued_at=now,
        expires_at=expires_at,
    )


def redeem(grant: Grant, action: Action, claim: Claim, holds: RedeemFacts, now: datetime) -> Redeemed | Reason:
    """Return the grant spent by `claim.attempt`, or why not.

    The caller must have authenticated the redeemer and checked that the grant is theirs to redeem, and must store
    grant, action and record in the transaction that read all of `holds`.
    """
    # (1) the same attempt again: say the same, run nothing new
    if grant.state is GrantState.SPENT:
        same = is_held_by(action, claim.attempt) and grant.attempt == claim.attempt
        return Redeemed(grant, repeated=True) if same and _matches(action, claim) else Reason.of("grant_spent")
    # (2) alive, in time, and its action still waits to be picked up
    if action.state is ActionState.LAPSED:
        return Reason.of("grant_expired")
    if grant.state is GrantState.DEAD or action.state is not ActionState.READY:
        # What stops the agent now says more than that the grant was withdrawn, which it will be for good.
        return _why_stopped(action, holds, now) or Reason.of("grant_dead")
    if now >= grant.expires_at:
        return Reason.of("grant_expired")
    # (3) what would run is what was granted
    if not compare_digest(grant.digest, action.digest) or not _matches(action, claim):
        return Reason.of("digest_mismatch")
    # (4) nothing that allowed it has changed since
    why_no_longer = _why_stopped(action, holds, now) or why_judged_otherwise(
        action, holds.proposal, holds.verdict, asks_the_same=holds.asks_the_same
    )
    if why_no_longer is not None:
        return why_no_longer
    spent = replace(grant, state=GrantState.SPENT, attempt=claim.attempt, spent_at=now, revision=grant.revision + 1)
    return Redeemed(spent)


def _matches(action: Action, claim: Claim) -> bool:
    if claim.digest is not None:
        return compare_digest(claim.digest, action.digest)
    if claim.arguments_sha256 is not None:
        return compare_digest(claim.arguments_sha256, sha256(action.arguments).hexdigest())
    return False


def _why_stopped(action: Action, holds: RedeemFacts, now: datetime) -> Reason | None:
    if (reason := why_not(holds.profile, holds.status, now)) is not None:
        return reason
    if holds.key is None or not is_live(holds.key, now):
        return Reason.of("agent_suspended", "the key that asked is not valid any more")
    held = first_open(
        holds.breakers, agent=action.agent, tool=action.tool, environment=action.environment, action=action.id
    )
    return None if held is None else why_open(held)


def why_judged_otherwise(
    action: Action, proposal: Proposal | None, verdict: Verdict, *, asks_the_same: bool
) -> Reason | None:
    """Return why policy would not grant `action` like this any more, or None.

    `proposal` and `verdict` are what it makes of the frozen arguments now; `asks_the_same` says whether it would ask
    the same people, for an action that somebody was asked about.
    """
    # The catalogue must make the very same of it: tool, definition, resource and environment are all in the digest.
    if proposal is None or not is_same_action(action, proposal):
        return Reason.of("definition_changed")
    if verdict.effect is Effect.DENY:
        return Reason.of("rule_denied")
    if action.decided_by_human:
        return None if asks_the_same else Reason.of("definition_changed", "other people would be asked now")
    # What nobody was asked about may run only while nobody would be asked: a hoarded grant outlives no exception.
    if verdict.effect is not Effect.ALLOW or is_under_the_floor(proposal, verdict):
        return Reason.of("rule_denied", "a human would be asked now, so ask anew")
    return None


def kill(grant: Grant) -> Grant:
    """Return `grant` dead: revoked, lapsed, or cut off by a breaker before anybody redeemed it.

    Raises:
        IllegalMove: it was redeemed already.

    """
    if grant.state is not GrantState.ISSUED:
        raise IllegalMove(f"a grant that is `{grant.state}` cannot be withdrawn")
    return replace(grant, state=GrantState.DEAD, revision=grant.revision + 1)


def claims(grant: Grant, action: Action, *, issuer: str) -> dict[str, Json]:
    """Return the claims of the signed token (JWS, `typ: assent-grant+jwt`); times are whole seconds since the epoch."""
    return {
        "iss": issuer,
        "aud": grant.tool,
        "sub": grant.agent,
        "jti": grant.id,
        "iat": int(grant.issued_at.timestamp()),
        "nbf": int(grant.issued_at.timestamp()),
        "exp": int(grant.expires_at.timestamp()),
        "act": grant.digest,
        "nonce": action.nonce.hex(),
        "args": sha256(action.arguments).hexdigest(),
        "res": action.resource,
        "env": action.environment,
        "pol": action.policy_version,
    }
