"""A backup: the ledger copied at one moment, and the copy verified as an auditor with the broker's keys would do it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from assent.cli.output import Usage, time_since
from assent.cli.place import settings_here
from assent.config import Settings
from assent.core.checkpoints import claimed_size
from assent.core.notes import VerifierKey
from assent.stores.key_places import KeyPlaces
from assent.stores.keys import Keys
from assent.stores.rotation import log_keys
from assent.stores.sqlite.copies import check_integrity, copied
from assent.stores.sqlite.snapshot import extent
from assent.stores.tree import signed_by
from assent.stores.verify import Verified, newest_checkpoint, verify_file
from assent.wiring.database import as_file
from assent.wiring.kept_checkpoint import file_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A backup that verified: its file and size, what holds of it, and the checkpoint that it stands under, if any."""

    file: Path
    byte_count: int
    found: Verified
    checkpoint: bytes | None
    signed_at: datetime | None
    settings: Settings


def backup(config: Path | None, target: Path) -> Made:
    """Return the backup once it is verified and on the disk.

    Raises:
        Usage: there is no ledger here, or `target` is there already.
        VerificationFailed: the ledger does not hold what its log says; nothing is left of the copy.
        LedgerUnavailable, KeysInvalid, ConfigInvalid: ledger, keys or settings cannot be read.
        OSError: the copy cannot be written.

    """
    settings = settings_here(config)
    if settings.ledger_url is None and not settings.ledger_file.is_file():
        raise Usage(f"there is no ledger `{settings.ledger_file}`", hint="name its configuration with --config")
    keys = Keys.load(KeyPlaces.of(settings))
    file = _file(target)
    kept = _kept_beside(settings)
    with as_file(settings) as ledger, copied(ledger, file) as copy:
        check_integrity(copy)
        found = verified(copy, settings, keys, kept=kept)
        newest, byte_count = newest_checkpoint(copy), copy.stat().st_size
    note, signed_at = (None, None) if newest is None else newest
    return Made(file=file, byte_count=byte_count, found=found, checkpoint=note, signed_at=signed_at, settings=settings)


def _kept_beside(settings: Settings) -> list[bytes]:
    # Read before the copy is made: a serving broker may keep a newer one at any moment.
    file = file_of(settings.ledger_file)
    return [file.read_bytes()] if file.is_file() else []


def verified(path: Path, settings: Settings, keys: Keys, *, kept: Sequence[bytes] = ()) -> Verified:
    """Return what holds of a ledger file by the broker's own keys: records, tree, signatures, MACs, rows, payloads.

    Raises:
        VerificationFailed: with the first record that is wrong.
        LedgerUnavailable: the file cannot be read as a ledger.

    """
    return verify_file(path, key=_key_of(path, settings, keys), kept=kept, keys=keys.ledger_keys())


def _key_of(path: Path, settings: Settings, keys: Keys) -> VerifierKey:
    """Return the key that its log begins with: the present one, or one that led to it since."""
    known = log_keys(settings.keys_directory, keys.log_verifier_key(settings.log_origin))
    note = extent(path).first_note
    return next((key for key in reversed(known) if note is not None and signed_by(note, key)), known[0])


def _file(target: Path) -> Path:
    file = target / f"ledger-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.db" if target.is_dir() else target
    if file.exists() or file.is_symlink():
        raise Usage(f"`{file}` is there already, and nothing is overwritten", hint="name another file")
    if not file.parent.is_dir():
        raise Usage(f"there is no directory `{file.parent}`", hint="make it first, for nobody else to read")
    return file


def as_sentences(made: Made) -> list[str]:
    """Return what was made, in lines for a person."""
    found, settings = made.found, made.settings
    lines = [f"{made.file}: {found.records} records, {made.byte_count} bytes, verified with the broker's keys"]
    if made.checkpoint is None or made.signed_at is None:
        lines.append("  checkpoint  none yet: nothing in it is signed")
    else:
        age = time_since(made.signed_at.isoformat())
        after = found.records - found.signed
        tail = f"; {after} records came after it" if after else ""
        lines.append(f"  checkpoint  {claimed_size(made.checkpoint)} records, signed {age} ago{tail}")
        lines.append(f"              root {found.root.hex()}" if not after else "              keep it elsewhere too")
    lines += [
        f"  not in it   the keys in {settings.keys_directory}, without which nobody can read it, and keep them apart;",
        f"              the configuration, and the policies in {settings.policy_directory}",
    ]
    return lines


def as_facts(made: Made) -> dict[str, Any]:
    """Return what was made as JSON."""
    settings = made.settings
    return {
        "file": str(made.file),
        "bytes": made.byte_count,
        "records": made.found.records,
        "signed": made.found.signed,
        "root": made.found.root.hex(),
        "checkpoint": None if made.checkpoint is None else made.checkpoint.decode(),
        "checkpoint_time": None if made.signed_at is None else made.signed_at.isoformat(),
        "not_in_it": [str(settings.keys_directory), str(settings.policy_directory), "the configuration"],
    }
