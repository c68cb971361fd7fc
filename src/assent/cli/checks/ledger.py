"""The ledger and what it lies on: room, a sync that works, its structure and version, its keys, its log, the clock."""

import os
import sqlite3
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from assent.cli.checks.findings import Finding, State
from assent.cli.output import time_since

if TYPE_CHECKING:
    from assent.config import Settings

LITTLE_ROOM_BYTES: Final = 256 * 1024 * 1024
NO_ROOM_BYTES: Final = 8 * 1024 * 1024
SLOW_SYNC_SECONDS: Final = 0.5
MANY_UNSIGNED: Final = 10_000
MISSED: Final = 2
LEAST_BEHIND: Final = timedelta(seconds=2)
_LAST: Final = "SELECT time FROM record ORDER BY idx DESC LIMIT 1"


def disk(settings: "Settings") -> Iterator[Finding]:
    """Look at the room where the ledger lies, and whether what is written there reaches the disk."""
    folder = settings.ledger_file.parent
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize
    room = f"{free // (1024 * 1024)} MiB free in {folder.absolute()}"
    if free < LITTLE_ROOM_BYTES:
        state = State.WRONG if free < NO_ROOM_BYTES else State.SOON
        yield Finding("disk", state, room, "make room: on a full disk nothing is allowed, and nothing is ever deleted")
        return
    seconds = _sync(folder)
    if seconds > SLOW_SYNC_SECONDS:
        said = f"{room}; a sync took {seconds * 1_000:.0f} ms"
        yield Finding("disk", State.WRONG, said, "every decision waits for one: put the ledger on a faster disk")
        return
    yield Finding("disk", State.OK, f"{room}; a sync took {seconds * 1_000:.1f} ms")


def _sync(folder: Path) -> float:
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"a" * 4_096)
        file.flush()
        began = time.perf_counter()
        os.fsync(file.fileno())
        return time.perf_counter() - began


def ledger(settings: "Settings") -> Iterator[Finding]:
    """Look at the ledger file: there, for its owner alone, of a version that is known, sound, of these keys."""
    from assent.stores.sqlite import migrations
    from assent.stores.sqlite.copies import check_integrity
    from assent.stores.sqlite.exchange import refuse_interrupted
    from assent.stores.sqlite.snapshot import extent

    path = settings.ledger_file
    refuse_interrupted(path)
    if not path.exists():
        yield _missing(settings)
        return
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield Finding("ledger", State.WRONG, f"others can open `{path}`", f"chmod 600 {path}")
        return
    known, found = len(migrations.shipped()), extent(path)
    if found.version > known:
        said = f"version {found.version}, and this broker knows versions up to {known}"
        yield Finding("ledger", State.WRONG, said, "run the newer broker again, or restore the copy kept beside it")
        return
    check_integrity(path)
    _check_keys(settings, found.version)
    later = f", brought to version {known} at the next start" if found.version < known else ""
    yield Finding("ledger", State.OK, f"{found.records} records, version {found.version}{later}, sound, of these keys")


def _missing(settings: "Settings") -> Finding:
    from assent.wiring.kept_checkpoint import file_of

    path = settings.ledger_file
    if file_of(path).exists():
        return Finding("ledger", State.WRONG, f"`{path}` is gone", "put it back, or a backup: `assent restore FILE`")
    return Finding("ledger", State.NOTE, f"there is none at `{path}` yet, the first start makes it")


def _check_keys(settings: "Settings", version: int) -> None:
    from assent.core.errors import Forged, KeysInvalid
    from assent.stores import latches
    from assent.stores.key_places import KeyPlaces
    from assent.stores.keys import Keys
    from assent.stores.sqlite.snapshot import SINCE_PUBLICATIONS, looked_at

    keys = Keys.load(KeyPlaces.of(settings)).ledger_keys()
    try:
        with looked_at(settings.ledger_file, keys) as view:
            latches.check_keys(view, keys)
            latches.load(view, keys, names_policy=version >= SINCE_PUBLICATIONS)
    except Forged as fault:
        raise KeysInvalid(f"ledger and keys do not fit: {fault.message}", hint=fault.hint) from fault


def kept_size(settings: "Settings") -> int | None:
    """Return how many records the checkpoint that is kept beside the ledger says there are, or None."""
    from assent.core.checkpoints import claimed_size
    from assent.wiring.kept_checkpoint import file_of

    kept = file_of(settings.ledger_file)
    return claimed_size(kept.read_bytes()) if kept.is_file() else None


def log(settings: "Settings", *, kept: int | None) -> Iterator[Finding]:
    """Look at the log: signed up to now, and not older than the checkpoint that is kept of so many records."""
    from assent.core.checkpoints import claimed_size
    from assent.stores.sqlite.snapshot import extent, roots_at
    from assent.stores.verify import newest_checkpoint

    if not settings.ledger_file.exists():
        return
    found = extent(settings.ledger_file)
    newest = newest_checkpoint(settings.ledger_file)
    if newest is None:
        yield Finding("log", State.NOTE, "nothing is signed yet, a serving broker signs within a second")
        return
    note, signed_at = newest
    unsigned = found.records - claimed_size(note)
    if kept is not None and not roots_at(settings.ledger_file, [kept]):
        said = f"it is older than the checkpoint of {kept} records that is kept beside it"
        yield Finding(
            "log", State.WRONG, said, "put the newer ledger back; a backup goes in with `assent restore FILE`"
        )
        return
    age = time_since(signed_at.isoformat())
    said = f"signed {age} ago, {unsigned} records since then"
    if unsigned > MANY_UNSIGNED:
        yield Finding("log", State.WRONG, said, "see `upkeep_failed` in the broker's log; restart it")
        return
    yield Finding("log", State.OK, said)


def elsewhere(settings: "Settings") -> Iterator[Finding]:
    """Look whether somebody else than the keeper of the ledger holds a checkpoint of it."""
    from assent.wiring.kept_checkpoint import sent_file_of

    name, place = "checkpoint elsewhere", settings.checkpoint_sink
    if place is None:
        said = (
            "nobody is sent one: set `checkpoint_sink`, or keep one with `assent audit verify --save-checkpoint FILE`"
        )
        yield Finding(name, State.NOTE, said)
        return
    if _lies_beside(place, settings.ledger_file):
        said = f"`{place}` lies beside the ledger: whoever can change one can change both"
        yield Finding(
            name, State.WRONG, said, "name a place in `checkpoint_sink` that the broker's keeper cannot write"
        )
        return
    sent = sent_file_of(settings.ledger_file)
    if not sent.exists():
        yield Finding(name, State.NOTE, f"`{place}` is sent the first one when the broker serves")
        return
    age = datetime.now(UTC) - datetime.fromtimestamp(sent.stat().st_mtime, UTC)
    said = f"`{place}` took the last one {time_since((datetime.now(UTC) - age).isoformat())} ago"
    if age > MISSED * timedelta(seconds=settings.checkpoint_sink_each_seconds):
        yield Finding(name, State.WRONG, said, "see `checkpoint_not_taken` in the broker's log")
        return
    yield Finding(name, State.OK, said)


def _lies_beside(place: str, ledger: Path) -> bool:
    from assent.config import is_address

    if is_address(place) or not ledger.exists():
        return False
    folder = Path(place) if Path(place).is_dir() else Path(place).parent
    return folder.resolve() == ledger.parent.resolve()


def clock(settings: "Settings") -> Iterator[Finding]:
    """Look whether the clock stands behind what is on record."""
    from assent.stores.rows.moments import moment
    from assent.stores.sqlite.snapshot import read_only, unreadable

    now = datetime.now(UTC)
    if not settings.ledger_file.exists():
        return
    try:
        with closing(read_only(settings.ledger_file)) as database:
            row = database.execute(_LAST).fetchone()
    except sqlite3.Error as error:
        raise unreadable(settings.ledger_file, error) from error
    behind = timedelta() if row is None else moment(row[0]) - now
    if behind > LEAST_BEHIND:
        said = f"{behind.total_seconds():.0f} s behind the last record"
        yield Finding("clock", State.WRONG, said, "set it right (timedatectl); until then what expires does so later")
        return
    yield Finding("clock", State.OK, f"{now.isoformat(timespec='seconds')}, not behind the last record")
