"""What is recorded of passkeys: whose, which key, what vouched for it; everything that was signed, never a secret."""

from collections.abc import Mapping
from dataclasses import replace

from assent.core.canonical import Json, canonical
from assent.core.credentials import Credential
from assent.core.operators import OperatorId
from assent.core.passkeys import Passkey, Purpose, encoded
from assent.core.records import Entry, RecordKind
from assent.flows import entries
from assent.flows.authenticate import CONSOLE, SessionCaller
from assent.flows.sign_for import SteppedUp, Unsigned


def added(passkey: Passkey, caller: SessionCaller) -> Entry:
    """Return the record of a passkey that signs for its operator from now on, with the key to check it by."""
    entry = _of(RecordKind.PASSKEY_ADDED, passkey, by=caller.operator.id)
    detail: dict[str, Json] = {
        "credential": encoded(passkey.credential),
        "public_key": encoded(passkey.public_key),
        "sign_count": passkey.sign_count,
        "synced": passkey.synced,
        "vouched_by": passkey.vouched_by,
        "using": passkey.session,
        "surface": caller.surface,
    }
    payload = {"name": canonical(passkey.name)} if passkey.name else {}
    return replace(entry, detail={**entry.detail, **detail}, payload=payload)


def vouched(stepped: SteppedUp) -> Entry:
    """Return the record of a passkey that signed for adding another one, which may follow within two minutes."""
    return Entry(
        kind=RecordKind.PASSKEY_VOUCHED,
        operator=stepped.caller.operator.id,
        detail={"surface": stepped.caller.surface, "passkey": dict(stepped.facts)},
    )


def refused(caller: SessionCaller, purpose: str, unsigned: Unsigned) -> Entry:
    """Return the record of an answer about passkeys themselves that did not count, and why."""
    detail: dict[str, Json] = {"act": purpose, "surface": caller.surface, "passkey": unsigned.facts}
    return Entry(
        kind=RecordKind.PASSKEY_REFUSED,
        operator=caller.operator.id,
        reasons=(unsigned.reason.code,),
        detail=detail,
        payload=why_of(unsigned),
    )


def not_signed_in(operator: OperatorId, unsigned: Unsigned) -> Entry:
    """Return the record of a signature that holds and opened no session, and why."""
    detail: dict[str, Json] = {"act": Purpose.SIGN_IN.value, "surface": CONSOLE, "passkey": unsigned.facts}
    return Entry(
        kind=RecordKind.PASSKEY_REFUSED,
        operator=operator,
        reasons=(unsigned.reason.code,),
        detail=detail,
        payload=why_of(unsigned),
    )


def signed_in(session: Credential, facts: Mapping[str, Json]) -> Entry:
    """Return the record of a session that a passkey opened, with everything that it signed for that."""
    entry = entries.credential_issued(session, using=session.rests_on)
    return replace(entry, detail={**entry.detail, "passkey": dict(facts)})


def with_signed(entry: Entry, signed: SteppedUp) -> Entry:
    """Return the record of a vote with everything that its passkey signed, to be checked by anybody with the log."""
    return replace(entry, detail={**entry.detail, "passkey": dict(signed.facts)})


def with_unsigned(entry: Entry, unsigned: Unsigned) -> Entry:
    """Return the record of a refused vote with why its passkey's answer did not count."""
    detail = {**entry.detail, "passkey": unsigned.facts}
    return replace(entry, detail=detail, payload={**entry.payload, **why_of(unsigned)})


def why_of(unsigned: Unsigned) -> dict[str, bytes]:
    """Return what the library said of an answer, as payload: part of it a stranger may have written."""
    return {"why": canonical(unsigned.why)} if unsigned.why else {}


def revoked(
    passkey: Passkey, *, by: str, facts: Mapping[str, Json] | None = None, by_hand: Mapping[str, Json] | None = None
) -> Entry:
    """Return the record of a passkey that was taken away: signed for by one of its holder's, or by whom else."""
    entry = _of(RecordKind.PASSKEY_REVOKED, passkey, by=by)
    more: dict[str, Json] = {} if facts is None else {"passkey": dict(facts)}
    if by_hand is not None:
        more["by_hand"] = dict(by_hand)
    return replace(entry, detail={**entry.detail, **more})


def _of(kind: RecordKind, passkey: Passkey, *, by: str) -> Entry:
    detail: dict[str, Json] = {"id": passkey.id, "for": passkey.operator}
    return Entry(kind=kind, operator=OperatorId(by), detail=detail)
