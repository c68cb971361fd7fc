"""A signing key is replaced in its directory, so that a crash at any moment leaves the old one or the new one.

    wish = rotate(directory, KeyUse.LOG, origin=…, overlap=…, by_hand=…)     a new key is in force for whoever loads it
    wishes(directory)                                                        every rotation that was ever wanted here

The broker that loads the new key records the handover; only then is the rotation done. What stands beside the keys:
- `handovers/<use>-<key id>.json`: the note under both keys. Never removed: a ledger that is put back from a backup has
  to be handed over again, and the old key is not there any more to sign for that.
- `log_key.old.pem`: the key of the log before the present one, as long as it is to sign along.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from assent.core.canonical import Json
from assent.core.errors import AssentError, KeysInvalid
from assent.core.handovers import Handover, KeyUse, open_handover, sign_handover
from assent.core.notes import VerifierKey
from assent.stores import key_files
from assent.stores.key_places import GRANT, LOG, KeyPlaces, places_at
from assent.stores.keys import Keys, verifier

HANDOVERS: Final = "handovers"
PREVIOUS_LOG: Final = "log_key.old.pem"
_FILES: Final = {KeyUse.LOG: LOG, KeyUse.GRANT: GRANT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A rotation that somebody wanted: its note, how long the old key goes on, and who did it on which machine."""

    handover: Handover
    note: bytes
    overlap: timedelta
    by_hand: Mapping[str, Json] = field(default_factory=dict)


def rotate(
    where: Path | KeyPlaces, use: KeyUse, *, origin: str, overlap: timedelta, by_hand: Mapping[str, Json]
) -> tuple[Wish, Keys]:
    """Put a fresh key in the place of the one for `use`; return the rotation and the keys that are in force now.

    `overlap` is how long the log's old key signs along; what a grant's old key signed is good until it expires.

    Raises:
        KeysInvalid: a key is missing, malformed or open to others, or another rotation is under way.

    """
    places = places_at(where)
    directory = places.directory
    with _alone(directory):
        keys = Keys.load(places)
        places.refuse_unwritable(_FILES[use])
        fresh = Ed25519PrivateKey.generate()
        handover, note = _handover(keys, fresh, use, origin)
        wish = Wish(handover=handover, note=note, overlap=overlap, by_hand=by_hand)
        # (1) the note first: a new key without one would be nobody's
        _keep(directory, wish)
        # (2) the key that is to sign along, while it still is where it was
        if use is KeyUse.LOG and overlap:
            key_files.replace(directory / PREVIOUS_LOG, key_files.pem(keys.log))
        elif use is KeyUse.LOG:
            forget_previous(directory)
        # (3) one step: before it the old key is in force, after it the new one; the old one is gone with it
        key_files.replace(places.file(_FILES[use]), key_files.pem(fresh))
        return wish, Keys.load(places)


def wishes(directory: Path) -> list[Wish]:
    """Return every rotation that was ever wanted in `directory`, in no order; whether it came about is on record.

    Raises:
        KeysInvalid: a note there is malformed or not signed by both of its keys.

    """
    folder = directory / HANDOVERS
    if not folder.exists():
        return []
    key_files.refuse_open_directory(folder)
    return [_read(file) for file in sorted(folder.glob("*.json"))]


def log_keys(directory: Path, current: VerifierKey) -> tuple[VerifierKey, ...]:
    """Return `current` and every key of the log that led to it here, newest first. Raises KeysInvalid."""
    before = {wish.handover.new: wish.handover.old for wish in wishes(directory)}
    keys = [current]
    while (older := before.get(keys[-1])) is not None and older not in keys:
        keys.append(older)
    return tuple(keys)


def previous_log_key(directory: Path) -> Ed25519PrivateKey | None:
    """Return the key of the log before the present one, while it is still there. Raises KeysInvalid."""
    path = directory / PREVIOUS_LOG
    return key_files.read_signing_key(path) if os.path.lexists(path) else None


def forget_previous(directory: Path) -> None:
    """Remove the key of the log before the present one: its overlap is over."""
    with suppress(FileNotFoundError):
        (directory / PREVIOUS_LOG).unlink()
        key_files.sync(directory)


def key_of_name(wanted: str) -> KeyUse | None:
    """Return which signing key is called that, or None."""
    return KeyUse(wanted) if wanted in list(KeyUse) else None


def file_of(use: KeyUse) -> str:
    """Return the name of the file that holds the key for `use`."""
    return _FILES[use]


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    key_files.make_directory(directory)
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise KeysInvalid(f"another rotation is under way in `{directory}`", hint="wait until it has ended") from None
    finally:
        os.close(descriptor)


def _handover(keys: Keys, fresh: Ed25519PrivateKey, use: KeyUse, origin: str) -> tuple[Handover, bytes]:
    old = keys.verifier_key(use, origin)
    handover = Handover(use=use, old=old, new=VerifierKey(name=old.name, public_key=key_files.public_half(fresh)))
    return handover, sign_handover(handover, old=keys.signing_key(use).sign, new=fresh.sign)


def _keep(directory: Path, wish: Wish) -> None:
    folder = directory / HANDOVERS
    key_files.make_directory(folder)
    name = f"{wish.handover.use}-{wish.handover.new.public_key[:8].hex()}.json"
    content = {
        "note": wish.note.decode(),
        "overlap_seconds": int(wish.overlap.total_seconds()),
        "by_hand": dict(wish.by_hand),
    }
    key_files.replace(folder / name, json.dumps(content, indent=1).encode() + b"\n")
    key_files.sync(directory)


def _read(file: Path) -> Wish:
    try:
        content: Any = json.loads(key_files.read_private(file))
        note = str(content["note"]).encode()
        overlap = timedelta(seconds=int(content["overlap_seconds"]))
        by_hand = {str(name): str(value) for name, value in dict(content["by_hand"]).items()}
        return Wish(handover=open_handover(note, verifier), note=note, overlap=overlap, by_hand=by_hand)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise _malformed(file, "it is not of the form that a rotation writes") from error
    except KeysInvalid:
        raise
    except AssentError as error:
        raise _malformed(file, error.message) from error


def _malformed(file: Path, why: str) -> KeysInvalid:
    return KeysInvalid(f"`{file}` tells of no rotation: {why}", hint="put it back from a backup, or remove it")
