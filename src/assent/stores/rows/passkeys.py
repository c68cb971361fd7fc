"""How passkeys and their challenges are stored; what people call theirs is payload."""

from assent.core.passkeys import Challenge, Passkey, Purpose
from assent.stores.rows.moments import moment, moment_or_none, stamp, stamp_or_none
from assent.stores.rows.table import Split, Stored, Table
from assent.stores.sealing import LedgerKeys


def _split_passkey(passkey: Passkey, _keys: LedgerKeys) -> Split:
    columns = (passkey.id, passkey.revision, passkey.operator, passkey.credential)
    facts: dict[str, object] = {
        "public_key": passkey.public_key.hex(),
        "handle": passkey.handle.hex(),
        "sign_count": passkey.sign_count,
        "added_at": stamp(passkey.added_at),
        "session": passkey.session,
        "vouched_by": passkey.vouched_by,
        "synced": passkey.synced,
        "last_used_at": stamp_or_none(passkey.last_used_at),
        "suspect_at": stamp_or_none(passkey.suspect_at),
        "revoked_at": stamp_or_none(passkey.revoked_at),
        "revoked_by": passkey.revoked_by,
    }
    return columns, facts, (passkey.name,)


def _join_passkey(stored: Stored) -> Passkey:
    columns, facts = stored.columns, stored.facts
    return Passkey(
        id=columns["id"],
        revision=columns["revision"],
        operator=columns["operator"],
        credential=columns["credential"],
        public_key=bytes.fromhex(facts["public_key"]),
        handle=bytes.fromhex(facts["handle"]),
        sign_count=facts["sign_count"],
        added_at=moment(facts["added_at"]),
        session=facts["session"],
        vouched_by=facts["vouched_by"],
        synced=facts["synced"],
        last_used_at=moment_or_none(facts["last_used_at"]),
        suspect_at=moment_or_none(facts["suspect_at"]),
        revoked_at=moment_or_none(facts["revoked_at"]),
        revoked_by=facts["revoked_by"],
        name=stored.payload[0],
    )


PASSKEYS: Table[Passkey] = Table(
    name="passkey", columns=("id", "revision", "operator", "credential"), split=_split_passkey, join=_join_passkey
)


def _split_challenge(challenge: Challenge, _keys: LedgerKeys) -> Split:
    facts: dict[str, object] = {
        "operator": challenge.operator,
        "session": challenge.session,
        "purpose": challenge.purpose.value,
        "nonce": challenge.nonce.hex(),
        "until": stamp(challenge.until),
        "about": challenge.about,
        "action": challenge.action,
        "digest": challenge.digest,
        "vote": challenge.vote,
        "vouched_by": challenge.vouched_by,
        "answered": challenge.answered,
    }
    return (challenge.id, challenge.revision), facts, ()


def _join_challenge(stored: Stored) -> Challenge:
    columns, facts = stored.columns, stored.facts
    return Challenge(
        id=columns["id"],
        revision=columns["revision"],
        operator=facts["operator"],
        session=facts["session"],
        purpose=Purpose(facts["purpose"]),
        nonce=bytes.fromhex(facts["nonce"]),
        until=moment(facts["until"]),
        about=facts["about"],
        action=facts["action"],
        digest=facts["digest"],
        vote=facts["vote"],
        vouched_by=facts["vouched_by"],
        answered=facts["answered"],
    )


CHALLENGES: Table[Challenge] = Table(
    name="passkey_challenge", columns=("id", "revision"), split=_split_challenge, join=_join_challenge
)
