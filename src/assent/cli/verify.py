"""`assent audit verify`: the log against its public key and against checkpoints that were kept elsewhere.

It needs the ledger file, or a copy of one, and the public key; no broker, no secret and no network. Records that no
signature covers are not called verified, and a key that lies beside the ledger is no proof: that is said.
"""

import json
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from assent.cli.output import Usage, time_since
from assent.cli.place import settings_here
from assent.config import Settings
from assent.core.errors import LedgerUnavailable, VerificationFailed
from assent.core.notes import VerifierKey, parse_verifier_key
from assent.stores.keys import Keys
from assent.stores.verify import Verified, newest_checkpoint, public_key_file, verify_file


@dataclass(frozen=True, slots=True)
class Subject:
    """The ledger that was looked at, where the public key came from, and its newest checkpoint with its time."""

    ledger: str
    key_from: str
    newest: tuple[bytes, datetime] | None


def verify(
    *, ledger: Path | None, key: str | None, kept: list[Path], keys: Path | None, config: Path | None
) -> tuple[Subject, Verified]:
    """Return what was looked at and what holds of it; a key from beside the ledger is warned of on stderr.

    Raises:
        VerificationFailed: with the first record that is wrong, or there are records and none of them is signed.
        Usage: a file that was named is not there.

    """
    settings = None if ledger is not None else settings_here(config)
    path = ledger or Path() if settings is None else settings.ledger_file
    notes = [_read(file, "--checkpoint") for file in kept]
    secrets = None if keys is None else Keys.load(keys).ledger_keys()
    verifier, key_from = _key(key, path)
    with _lent(path, settings) as file:
        found = verify_file(file, key=verifier, kept=notes, keys=secrets)
        newest = newest_checkpoint(file)
    if found.records and not found.signed:
        raise VerificationFailed(
            f"nothing is signed: {found.records} records and no checkpoint",
            index=0,
            hint="if the broker has just started wait a second; otherwise its checkpoints were removed",
        )
    name = str(path) if settings is None else settings.ledger_name
    return Subject(name, key_from, newest), found


def _lent(path: Path, settings: Settings | None) -> AbstractContextManager[Path]:
    """Lend the file to look at: a copy where the ledger is a database. Raises Usage when there is no file."""
    if settings is not None and settings.ledger_url is not None:
        from assent.wiring.database import as_file  # what an auditor's machine has not, and never gets here

        return as_file(settings)
    if not path.is_file():
        raise Usage(f"there is no ledger `{path}`", hint="name it with --ledger, or run it where `assent.toml` is")
    return nullcontext(path)


def newest_note(subject: Subject) -> bytes:
    """Return the newest checkpoint of a ledger that was just verified.

    Raises:
        LedgerUnavailable: it has none yet.

    """
    newest = subject.newest
    if newest is None:
        raise LedgerUnavailable(
            f"`{subject.ledger}` has no checkpoint yet", hint="a serving broker signs one each second"
        )
    return newest[0]


def as_sentences(subject: Subject, found: Verified) -> list[str]:
    """Return what holds, in lines for a person."""
    newest = subject.newest
    signed = "no checkpoint yet" if newest is None else f"the newest {time_since(newest[1].isoformat())} old"
    lines = [
        f"{subject.ledger}: verified",
        f"  records      {found.records}, of which {found.signed} stand under a signed checkpoint",
        f"  checkpoints  {found.checkpoints}, {signed}",
        f"  root         {found.root.hex()}",
        f"  key          {subject.key_from}",
        *_handed_over(found),
    ]
    if found.macs_checked:
        lines.append("  keys         every row carries its MAC and agrees with the log, every payload with its record")
    return lines


def _handed_over(found: Verified) -> list[str]:
    if not found.chain.since:
        return []
    records = ", ".join(map(str, found.chain.since))
    return [
        f"               the log's key was replaced by record {records}; each checkpoint has the one of its time",
        f"               the newest one: {found.chain.newest.encode()}",
    ]


def as_json(subject: Subject, found: Verified) -> str:
    """Return what holds as JSON."""
    newest = subject.newest
    facts = {
        "verified": True,
        "ledger": subject.ledger,
        "key_from": subject.key_from,
        "records": found.records,
        "signed": found.signed,
        "checkpoints": found.checkpoints,
        "root": found.root.hex(),
        "newest_key": found.chain.newest.encode(),
        "key_rotated_by_records": list(found.chain.since),
        "macs_checked": found.macs_checked,
        "checkpoint": None if newest is None else newest[0].decode(),
        "checkpoint_time": None if newest is None else newest[1].isoformat(),
    }
    return json.dumps(facts)


def failure_as_json(failed: VerificationFailed) -> str:
    """Return what does not hold as JSON."""
    return json.dumps({"verified": False, "index": failed.index, "problem": failed.message})


def _key(given: str | None, ledger: Path) -> tuple[VerifierKey, str]:
    """Return the public key and where it came from."""
    if given is not None and not Path(given).is_file():
        return parse_verifier_key(given), "given as text"
    beside = public_key_file(ledger)
    file = beside if given is None else Path(given)
    key = parse_verifier_key(_read(file, "--key").decode(errors="replace").strip())
    if file.resolve() != beside.resolve():
        return key, str(file)
    print(
        f"assent: the public key was read from `{file}`, and whoever can write the ledger can write that too\n"
        "  next: name one that you were given by another way with --key",
        file=sys.stderr,
    )
    return key, f"{file}, beside the ledger: no proof against whoever can write there"


def _read(file: Path, option: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as fault:
        raise Usage(f"`{file}` cannot be read: {fault.strerror}", hint=f"name the right one with {option}") from None
