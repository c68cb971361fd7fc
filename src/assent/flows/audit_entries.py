"""Entries about the log itself: payload that somebody was shown or erased, exports, verifications."""

from collections.abc import Mapping, Sequence
from typing import Any

from assent.core.actions import Action
from assent.core.canonical import Json, canonical
from assent.core.records import Entry, RecordKind


def payload_revealed(
    caller: str, shown: Sequence[str], fields: Sequence[str], *, about: Mapping[str, str | None], reason: str
) -> Entry:
    """Return the record of payload that somebody was shown: of which records and which fields, never their values.

    `about` names the agent, tool, environment and action of what was shown, where it has them.
    """
    named: dict[str, Any] = dict(about)
    return Entry(
        kind=RecordKind.PAYLOAD_REVEALED,
        operator=caller,
        detail={"records": list(shown), "fields": list(fields)},
        payload=_reason(reason),
        **named,
    )


def payload_erased(action: Action, caller: str, *, erased: Sequence[str], basis: str, reason: str) -> Entry:
    """Return the record of payload that is gone: of which records, on which legal basis, and who erased it."""
    return Entry(
        kind=RecordKind.PAYLOAD_ERASED,
        operator=caller,
        detail={"records": len(erased), "basis": basis},
        payload=_reason(reason),
        agent=action.agent,
        tool=action.tool,
        environment=action.environment or None,
        action=action.id,
        digest=action.digest or None,
        policy=action.policy_version,
    )


def log_exported(caller: str, *, first: int | None, records: int, since: str | None, until: str | None) -> Entry:
    """Return the record of an export: who, and which part of the log."""
    bounds = {"first": first, "since": since, "until": until}
    detail: dict[str, Json] = {name: value for name, value in bounds.items() if value is not None}
    return Entry(kind=RecordKind.LOG_EXPORTED, operator=caller, detail={**detail, "records": records})


def log_verified(found: Mapping[str, Json]) -> Entry:
    """Return the record of a verification that the broker made of its own log; what was wrong is told by its index."""
    told = ("verified", "records", "signed", "checkpoints", "root", "index")
    return Entry(
        kind=RecordKind.LOG_VERIFIED, detail={name: found[name] for name in told if found.get(name) is not None}
    )


def _reason(said: str) -> dict[str, bytes]:
    return {"reason": canonical(said)} if said else {}
