"""A ledger moves from its file into a database: verified before and after, row for row, then the file is put aside.

Whenever it is interrupted, either the file is still the ledger and no broker serves the database beside it, or the file
has another name and the database holds all of it.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from assent.cli.backing_up import verified
from assent.cli.output import Usage
from assent.cli.place import settings_here
from assent.config import Settings
from assent.core.errors import VerificationFailed
from assent.stores.key_places import KeyPlaces
from assent.stores.keys import Keys
from assent.stores.sqlite import ServingLock
from assent.stores.sqlite.copies import check_integrity, copied
from assent.stores.sqlite.snapshot import unreadable
from assent.stores.verify import Verified
from assent.wiring.database import as_file, place_of
from assent.wiring.kept_checkpoint import file_of

_BESIDE = ("-wal", "-shm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What was moved: where to, where the file is now, and what holds of the ledger there."""

    database: str
    aside: Path
    found: Verified


def migrate(config: Path | None) -> Done:
    """Return once the database holds the ledger, verified with the broker's keys, and the file is put aside.

    Raises:
        Usage: no database is named, or there is no file to move.
        VerificationFailed: the ledger does not hold what its log says, before or after; the file stays as it is.
        LedgerUnavailable: a broker serves it, the database cannot be written, or there is a ledger in it.
        KeysInvalid, ConfigInvalid: keys or settings cannot be read.

    """
    settings = settings_here(config)
    if settings.ledger_url is None:
        raise Usage("no database is named", hint="set `ledger_url`, then run this again")
    if not settings.ledger_file.is_file():
        raise Usage(f"there is no ledger `{settings.ledger_file}`", hint="name its configuration with --config")
    keys = Keys.load(KeyPlaces.of(settings))
    with ServingLock(settings.ledger_file), _nobody_writes(settings.ledger_file):
        return _moved(settings, keys)


@contextmanager
def _nobody_writes(ledger: Path) -> Iterator[None]:
    """Hold the file's write lock: a stop by hand (`--direct`) meanwhile would be forgotten with the file."""
    try:
        with closing(sqlite3.connect(ledger, isolation_level=None)) as held:
            held.execute("BEGIN IMMEDIATE")
            yield
    except sqlite3.Error as error:
        raise unreadable(ledger, error) from error


def _moved(settings: Settings, keys: Keys) -> Done:
    place = place_of(settings)
    from assent.stores.postgres.copying import copy_from_file

    kept = file_of(settings.ledger_file)
    notes = [kept.read_bytes()] if kept.is_file() else []
    # (1) one moment of the file, which holds what its log and its keys say
    aside = _free_name(settings.ledger_file)
    with copied(settings.ledger_file, aside) as copy:
        check_integrity(copy)
        before = verified(copy, settings, keys, kept=notes)
        # (2) all of it in one transaction, into a database that holds no ledger
        copy_from_file(copy, place)
    # (3) what came out of the database again is the same ledger
    with as_file(settings) as back:
        after = verified(back, settings, keys, kept=notes)
    if (before.records, before.signed, before.root) != (after.records, after.signed, after.root):
        raise VerificationFailed(
            "the database does not hold what the file does", index=None, hint="empty the database and try again"
        )
    # (4) the last step: from here on the database is the ledger; the copy keeps what the file held
    for suffix in ("", *_BESIDE):
        settings.ledger_file.with_name(f"{settings.ledger_file.name}{suffix}").unlink(missing_ok=True)
    return Done(database=settings.ledger_name, aside=aside, found=after)


def _free_name(ledger: Path) -> Path:
    return ledger.with_name(f"{ledger.name}.migrated-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")


def as_sentences(done: Done) -> list[str]:
    """Return what was done, in lines for a person."""
    return [
        f"{done.database}: {done.found.records} records, verified with the broker's keys; `assent serve` uses it now",
        f"  the file    is {done.aside} now: keep it as you keep backups",
    ]


def as_facts(done: Done) -> dict[str, Any]:
    """Return what was done as JSON."""
    return {
        "database": done.database,
        "aside": str(done.aside),
        "records": done.found.records,
        "signed": done.found.signed,
        "root": done.found.root.hex(),
    }
