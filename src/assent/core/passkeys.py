"""Passkeys: what an operator's authenticator signed with a finger or a PIN, for one thing and one session: `step_up`.

A challenge is made of everything that it is for, so what was signed for one question is worth nothing for another, and
whoever has the record can make it again. It holds for two minutes and is answered once, well or badly. A passkey that
was taken away signs nothing any more; its id is never given to another one. What opens a session is asked of nobody in
particular, and its signature is worth nothing else.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NewType

from assent.core.approvals import Approval
from assent.core.canonical import Json, canonical, digest
from assent.core.credentials import CredentialId
from assent.core.operators import OperatorId
from assent.core.records import rfc3339

PasskeyId = NewType("PasskeyId", str)

CHALLENGE_LIVES: Final = timedelta(minutes=2)
DOMAIN: Final = "assent/passkey/v1"
MAX_LIVE_PER_OPERATOR: Final = 10
MAX_NAME_CHARACTERS: Final = 60
YES: Final = "approve"


class Purpose(StrEnum):
    """What a challenge is for: each is asked for by another form, and none is taken for another."""

    ADD = "add"
    VOUCH = "vouch"
    REVOKE = "revoke"
    VOTE = "vote"
    SIGN_IN = "sign_in"


@dataclass(frozen=True, slots=True, kw_only=True)
class Passkey:
    """One authenticator of one operator, a row of the ledger; `name` is their own word for it, which is payload.

    `credential` is the id that the authenticator gave itself, `public_key` is in COSE form, `handle` what the operator
    is called to authenticators. `session` added it, and `vouched_by` is what that session was opened by, or the older
    passkey that signed for it. `synced`: the authenticator may keep copies elsewhere by design. `suspect_at` is when a
    count came that had gone back, as after a copy that nobody designed.
    """

    id: PasskeyId
    credential: bytes
    operator: OperatorId
    public_key: bytes
    handle: bytes
    sign_count: int
    name: str
    added_at: datetime
    session: CredentialId
    vouched_by: str
    synced: bool = False
    last_used_at: datetime | None = None
    suspect_at: datetime | None = None
    revoked_at: datetime | None = None
    revoked_by: str | None = None
    revision: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """What one session is asked to have signed next for one thing, a row of the ledger.

    `about` is the id of what it is for: an approval or a passkey, empty for a new one. Of a vote it binds also the
    action, the digest of what is seen, and which vote. `vouched_by` is the passkey that signed for adding another one.
    """

    id: str
    operator: OperatorId
    session: CredentialId
    purpose: Purpose
    nonce: bytes
    until: datetime
    about: str = ""
    action: str = ""
    digest: str = ""
    vote: str = ""
    vouched_by: PasskeyId | None = None
    answered: bool = False
    revision: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What is to be signed for; all that a challenge binds beside whose it is."""

    purpose: Purpose
    id: str = ""
    action: str = ""
    digest: str = ""
    vote: str = ""


def about_vote(approval: Approval, vote: str = YES) -> About:
    """Return what is signed with a vote on `approval`, as it stands."""
    return About(purpose=Purpose.VOTE, id=approval.id, action=approval.action, digest=approval.digest, vote=vote)


def challenge_id(session: CredentialId, about: About) -> str:
    """Return the id of the one challenge that a session has for one thing: asking again replaces it."""
    return ".".join(filter(None, (session, about.purpose.value, about.id, about.vote)))


def ask(
    old: Challenge | None,
    about: About,
    *,
    operator: OperatorId,
    session: CredentialId,
    nonce: bytes,
    now: datetime,
    vouched_by: PasskeyId | None = None,
) -> Challenge:
    """Return a fresh challenge in the place of `old`, which is worth nothing from then on."""
    return Challenge(
        id=challenge_id(session, about),
        operator=operator,
        session=session,
        purpose=about.purpose,
        nonce=nonce,
        until=now + CHALLENGE_LIVES,
        about=about.id,
        action=about.action,
        digest=about.digest,
        vote=about.vote,
        vouched_by=vouched_by,
        revision=1 if old is None else old.revision + 1,
    )


def ask_stranger(*, nonce: bytes, until: datetime) -> Challenge:
    """Return what a browser is asked to have signed in which nobody is signed in: it is nobody's and no session's yet.

    No row of the ledger before somebody signed it; its id is of this nonce alone, so that it opens one session.
    """
    key, nobody, none = f"{Purpose.SIGN_IN.value}.{nonce.hex()}", OperatorId(""), CredentialId("")
    return Challenge(id=key, operator=nobody, session=none, purpose=Purpose.SIGN_IN, nonce=nonce, until=until)


def signed_in(challenge: Challenge, *, operator: OperatorId, session: CredentialId) -> Challenge:
    """Return a stranger's challenge after `operator` signed it: answered, and theirs; a session or none came of it."""
    return replace(challenge, operator=operator, session=session, answered=True)


def answered(challenge: Challenge) -> Challenge:
    """Return the challenge after an answer came, whatever it was worth: it takes no other one."""
    return replace(challenge, answered=True, revision=challenge.revision + 1)


def signed_for(challenge: Challenge) -> dict[str, Json]:
    """Return everything that a challenge is made of, as it stands in the record of what was signed."""
    named = {
        "purpose": challenge.purpose.value,
        "operator": challenge.operator,
        "session": challenge.session,
        "about": challenge.about,
        "action": challenge.action,
        "digest": challenge.digest,
        "vote": challenge.vote,
        "nonce": challenge.nonce.hex(),
        "until": rfc3339(challenge.until),
    }
    return {name: value for name, value in named.items() if value}


def bytes_of(facts: dict[str, Json]) -> bytes:
    """Return the challenge itself, 32 bytes, from what `signed_for` told: `digest(DOMAIN, canonical JSON)`."""
    return digest(DOMAIN, canonical(facts))


def why_not_answered(challenge: Challenge | None, about: About, now: datetime) -> str | None:
    """Return why an answer to this challenge does not count now for `about`, in a word or two; None when it may."""
    if challenge is None:
        return "never_asked"
    if challenge.answered:
        return "answered_before"
    if now >= challenge.until:
        return "too_late"
    asked = About(
        purpose=challenge.purpose,
        id=challenge.about,
        action=challenge.action,
        digest=challenge.digest,
        vote=challenge.vote,
    )
    return None if asked == about else "something_else"


def live(held: Iterable[Passkey]) -> tuple[Passkey, ...]:
    """Return those that still sign for their operator."""
    return tuple(one for one in held if one.revoked_at is None)


def steps_back(passkey: Passkey, sign_count: int) -> bool:
    """Whether this count does not go on from the last one; authenticators that do not count say 0 always.

    Source: Web Authentication Level 3, §6.1.1 and §7.2 step 22.
    """
    return (sign_count > 0 or passkey.sign_count > 0) and sign_count <= passkey.sign_count


def used(passkey: Passkey, sign_count: int, now: datetime) -> Passkey:
    """Return the passkey after it signed."""
    return replace(passkey, sign_count=sign_count, last_used_at=now, revision=passkey.revision + 1)


def suspect(passkey: Passkey, now: datetime) -> Passkey:
    """Return the passkey after a count came that had gone back; the first time stays."""
    return replace(passkey, suspect_at=passkey.suspect_at or now, revision=passkey.revision + 1)


def revoke(passkey: Passkey, *, by: str, now: datetime) -> Passkey:
    """Return the passkey taken away by `by`; it signs nothing from now on."""
    return replace(passkey, revoked_at=now, revoked_by=by, revision=passkey.revision + 1)


def find(held: Sequence[Passkey], credential: bytes) -> Passkey | None:
    """Return the one among `held` that calls itself `credential`."""
    return next((one for one in held if one.credential == credential), None)


def encoded(data: bytes) -> str:
    """Return bytes as browsers write them here: base64url without padding. Source: RFC 4648 §5."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: str) -> bytes | None:
    """Return the bytes that `encoded` wrote, or None for anything else, also for another spelling of the same."""
    try:
        data = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except ValueError:
        return None
    return data if encoded(data) == text else None
