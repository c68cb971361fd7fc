"""Records: every kind of audit entry, what of it is public and what is only committed to.

A leaf is canonical JSON and never holds a payload: it holds a salted commitment for each, so that one field can be
disclosed with proof, or erased, and the root of the log stays. Kinds and field names only grow; none is ever reused.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import NewType

from assent.core.canonical import Json, canonical_of_ours, commitment_of
from assent.core.errors import BadRequest
from assent.core.values import made_quickly

RecordId = NewType("RecordId", str)

VERSION = 1
MAX_LEAF_BYTES = 65_535
SALT_BYTES = 32


class RecordKind(StrEnum):
    """Every fact that is recorded, named subject.event."""

    ACTION_DECIDED = "action.decided"
    ACTION_REPLAYED = "action.replayed"
    ACTION_MOVED = "action.moved"
    ACTION_OUTCOME = "action.outcome"
    APPROVAL_ASKED = "approval.asked"
    APPROVAL_VOTED = "approval.voted"
    APPROVAL_VOTE_REFUSED = "approval.vote_refused"
    APPROVAL_ACTS_REFUSED = "approval.acts_refused"
    APPROVAL_MOVED = "approval.moved"
    APPROVAL_SHOWN = "approval.shown"
    APPROVAL_LET_AGAIN = "approval.let_again"
    GRANT_ISSUED = "grant.issued"
    GRANT_REDEEMED = "grant.redeemed"
    GRANT_REFUSED = "grant.refused"
    GRANT_REPLAYED = "grant.replayed"
    GRANT_KILLED = "grant.killed"
    BREAKER_TRIPPED = "breaker.tripped"
    BREAKER_RESET_ASKED = "breaker.reset_asked"
    BREAKER_RESET = "breaker.reset"
    BREAKER_MOVED = "breaker.moved"
    BREAKER_PROBED = "breaker.probed"
    BREAKER_REMINDED = "breaker.reminded"
    BREAKER_WATCHED = "breaker.watched"
    BREAKER_DRILLED = "breaker.drilled"
    POLICY_ACTIVATED = "policy.activated"
    POLICY_PROPOSED = "policy.proposed"
    POLICY_REFUSED = "policy.refused"
    POLICY_PUBLISHED = "policy.published"
    AGENT_SUSPENDED = "agent.suspended"
    AGENT_RESUME_ASKED = "agent.resume_asked"
    AGENT_RESUMED = "agent.resumed"
    KEY_ISSUED = "key.issued"
    KEY_REVOKED = "key.revoked"
    TOKEN_ISSUED = "token.issued"
    TOKEN_REVOKED = "token.revoked"
    LINK_ISSUED = "link.issued"
    SESSION_OPENED = "session.opened"
    SESSION_ENDED = "session.ended"
    ACCOUNT_LINK_ASKED = "account.link_asked"
    ACCOUNT_LINKED = "account.linked"
    ACCOUNT_LINK_REFUSED = "account.link_refused"
    ACCOUNT_UNLINKED = "account.unlinked"
    PASSKEY_ADDED = "passkey.added"
    PASSKEY_VOUCHED = "passkey.vouched"
    PASSKEY_REFUSED = "passkey.refused"
    PASSKEY_REVOKED = "passkey.revoked"
    BROKER_STARTED = "broker.started"
    BROKER_STOPPED = "broker.stopped"
    BROKER_KEY_ROTATED = "broker.key_rotated"
    LEDGER_RECOVERED = "ledger.recovered"
    LEDGER_RESTORED = "ledger.restored"
    LOG_VERIFIED = "log.verified"
    LOG_EXPORTED = "log.exported"
    PAYLOAD_REVEALED = "payload.revealed"
    PAYLOAD_ERASED = "payload.erased"


@made_quickly
@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a flow wants recorded; the ledger stamps time and salts in the transaction, and the id where none is given.

    `payload` maps a field to its canonical bytes: the leaf commits to them, they stay in the encrypted payload store.
    `detail` holds further public facts of the kind (never payload), as plain JSON.
    """

    kind: RecordKind
    id: RecordId | None = None
    agent: str | None = None
    operator: str | None = None
    tool: str | None = None
    environment: str | None = None
    decision: str | None = None
    reasons: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    policy: str | None = None
    action: str | None = None
    digest: str | None = None
    approval: str | None = None
    grant: str | None = None
    breaker: str | None = None
    detail: Mapping[str, Json] = field(default_factory=dict)
    payload: Mapping[str, bytes] = field(default_factory=dict)


@made_quickly
@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One entry of the log: `leaf` is what the tree hashes; `index` its gapless place, once it has one.

    `disclosed` maps a committed field to (salt, canonical value); it lives encrypted beside the leaf, and may be
    erased.
    """

    id: RecordId
    time: datetime
    leaf: bytes
    disclosed: Mapping[str, tuple[bytes, bytes]] = field(default_factory=dict)
    index: int | None = None


def record(entry: Entry, *, new_id: RecordId, now: datetime, salts: tuple[bytes, ...]) -> Record:
    """Return `entry` as a record; `salts` are 32 random bytes for each payload field, in the payload's order.

    Raises:
        BadRequest: the leaf would be longer than 65,535 bytes.

    """
    disclosed = {name: (salt, value) for (name, value), salt in zip(entry.payload.items(), salts, strict=True)}
    leaf = canonical_of_ours(_leaf(entry, new_id, now, disclosed))
    if len(leaf) > MAX_LEAF_BYTES:
        raise BadRequest("the record of this would be longer than 65,535 bytes", hint="ask for less at once")
    return Record(id=new_id, time=now, leaf=leaf, disclosed=disclosed)


def moved_to(made: Record, now: datetime) -> Record:
    """Return a record that was never stored as one of `now`: another broker wrote a later one meanwhile."""
    leaf = json.loads(made.leaf)
    return replace(made, time=now, leaf=canonical_of_ours(leaf | {"time": rfc3339(now)}))


def _leaf(
    entry: Entry, new_id: RecordId, now: datetime, disclosed: Mapping[str, tuple[bytes, bytes]]
) -> dict[str, Json]:
    leaf: dict[str, Json] = {
        "v": VERSION,
        "id": new_id,
        "time": rfc3339(now),
        "kind": entry.kind.value,
        "agent": entry.agent,
        "operator": entry.operator,
        "tool": entry.tool,
        "environment": entry.environment,
        "decision": entry.decision,
        "reasons": list(entry.reasons),
        "rules": list(entry.rules),
        "policy": entry.policy,
        "action": entry.action,
        "digest": entry.digest,
        "approval": entry.approval,
        "grant": entry.grant,
        "breaker": entry.breaker,
        "detail": dict(entry.detail),
        "commit": {name: commitment_of(name, salt, value) for name, (salt, value) in disclosed.items()},
    }
    return {name: value for name, value in leaf.items() if value}


def rfc3339(moment: datetime) -> str:
    """Return an aware moment as RFC 3339 in UTC with microseconds, one form only.

    Raises:
        BadRequest: the moment is naive.

    """
    if moment.tzinfo is None:
        raise BadRequest("a time without a zone cannot be recorded")
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return utc.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"
