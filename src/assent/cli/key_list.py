"""Every key of a broker as it is shown: what it is for, its id, since when, and until when; never its secret half."""

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from assent.cli.output import time_left, time_since
from assent.cli.place import settings_here
from assent.config import Settings
from assent.core.errors import AssentError
from assent.core.handovers import KeyUse
from assent.core.notes import VerifierKey
from assent.core.records import RecordKind
from assent.flows.hand_over_key import HandedOver, told
from assent.stores.key_places import LEDGER, PAYLOAD, KeyPlaces
from assent.stores.keys import Keys, secret_id, thumbprint, verifier
from assent.stores.rotation import PREVIOUS_LOG, file_of, wishes
from assent.stores.sqlite.snapshot import records_of
from assent.wiring.database import as_file

HEADINGS: Final = ("KEY", "ID", "STATE", "SINCE", "UNTIL", "WHAT FOR")
_WHAT_FOR: Final = {
    KeyUse.LOG: "signs checkpoints of the log",
    KeyUse.GRANT: "signs grants that a tool redeems",
    "ledger": "MACs of records, rows and credentials",
    "payload": "encrypts payloads",
}


class KeyState(StrEnum):
    """Whether a key is in force."""

    CURRENT = "current"
    WAITING = "waiting"
    OVERLAP = "overlap"
    OVER = "over"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedKey:
    """One key: `public` is its public half where it has one; `waiting` means that no broker has taken it up yet."""

    key: str
    id: str
    state: KeyState
    since: datetime
    until: datetime | None = None
    public: str | None = None


def keys_of(config: Path | None) -> list[ListedKey]:
    """Return every key of the broker here, the present ones first; what is on record is told as far as it can be read.

    Raises:
        ConfigInvalid, KeysInvalid: there is no broker here, or a key is missing, malformed or open to others.

    """
    settings = settings_here(config)
    keys = Keys.load(KeyPlaces.of(settings))
    recorded = recorded_here(settings, keys)
    signing = [_current(settings, keys, use, recorded) for use in KeyUse]
    # Only the last key of the log before this one signs along; what older ones were promised has ended.
    still = {use: [known for known in recorded if known.handover.use is use] for use in KeyUse}
    still[KeyUse.LOG] = still[KeyUse.LOG][-1:]
    before = [_replaced(known, good=known in still[known.handover.use]) for known in reversed(recorded)]
    return [*signing, *_secrets(settings, keys), *before]


def id_of(use: KeyUse, key: VerifierKey) -> str:
    """Return what others call a signing key: the key id of notes, or the `kid` of the key set."""
    return key.key_id.hex() if use is KeyUse.LOG else thumbprint(key.public_key)


def as_row(key: ListedKey) -> tuple[str, ...]:
    """Return a key as the cells of a table."""
    since = f"{time_since(key.since.isoformat())} ago"
    until = "" if key.until is None else time_left(key.until.isoformat())
    return (key.key, key.id, key.state, since, until, _WHAT_FOR[key.key])


def as_facts(key: ListedKey) -> dict[str, Any]:
    """Return a key as JSON."""
    facts = {
        "key": key.key,
        "id": key.id,
        "state": key.state.value,
        "since": key.since.isoformat(),
        "until": None if key.until is None else key.until.isoformat(),
        "public": key.public,
    }
    return {name: value for name, value in facts.items() if value is not None}


def recorded_here(settings: Settings, keys: Keys) -> list[HandedOver]:
    """Return the rotations on record; where the ledger cannot be read that is said on stderr, and there are none."""
    try:
        with as_file(settings) as file:
            found = records_of(file, keys.ledger_keys(), RecordKind.BROKER_KEY_ROTATED)
        return [told(record, verifier) for record in found]
    except AssentError as fault:
        print(f"assent: what was rotated before is not known: {fault.message}", file=sys.stderr)
        return []


def _current(settings: Settings, keys: Keys, use: KeyUse, recorded: list[HandedOver]) -> ListedKey:
    key = keys.verifier_key(use, settings.log_origin)
    taken_up = next((known.at for known in recorded if known.handover.new == key), None)
    waits = taken_up is None and any(wish.handover.new == key for wish in wishes(settings.keys_directory))
    return ListedKey(
        key=use,
        id=id_of(use, key),
        state=KeyState.WAITING if waits else KeyState.CURRENT,
        since=taken_up or _written(KeyPlaces.of(settings).file(file_of(use))),
        public=key.encode() if use is KeyUse.LOG else None,
    )


def _secrets(settings: Settings, keys: Keys) -> list[ListedKey]:
    named, places = (("ledger", LEDGER, keys.ledger), ("payload", PAYLOAD, keys.payload)), KeyPlaces.of(settings)
    return [
        ListedKey(key=key, id=secret_id(secret), state=KeyState.CURRENT, since=_written(places.file(file)))
        for key, file, secret in named
    ]


def _replaced(known: HandedOver, *, good: bool) -> ListedKey:
    use, key = known.handover.use, known.handover.old
    return ListedKey(
        key=use,
        id=id_of(use, key),
        state=KeyState.OVERLAP if good and known.until > datetime.now(UTC) else KeyState.OVER,
        since=known.at,
        until=known.until,
        public=key.encode() if use is KeyUse.LOG else None,
    )


def _written(file: Path) -> datetime:
    return datetime.fromtimestamp(file.stat().st_mtime, UTC)


def leftover(settings: Settings, recorded: list[HandedOver]) -> Path | None:
    """Return the file of an old key of the log that lies there although its time is over, or None."""
    file = settings.keys_directory / PREVIOUS_LOG
    of_log = [known for known in recorded if known.handover.use is KeyUse.LOG]
    is_over = not of_log or of_log[-1].until <= datetime.now(UTC)
    return file if file.exists() and is_over else None
