"""`assent audit verify`: the log against its public key and against checkpoints that were kept elsewhere.

It needs the ledger file, or a copy of one, and the public key; no broker, no secret and no network.
"""

import json
from pathlib import Path

from assent.cli.output import Usage, time_since
from assent.cli.place import settings_here
from assent.core.errors import LedgerUnavailable, VerificationFailed
from assent.core.notes import VerifierKey, parse_verifier_key
from assent.stores.keys import Keys
from assent.stores.verify import Verified, newest_checkpoint, public_key_file, verify_file


def verify(
    *, ledger: Path | None, key: str | None, kept: list[Path], keys: Path | None, config: Path | None
) -> tuple[Path, Verified]:
    """Return the ledger that was looked at and what holds of it.

    Raises:
        VerificationFailed: with the first record that is wrong.
        Usage: a file that was named is not there.

    """
    path = ledger or settings_here(config).ledger_file
    if not path.is_file():
        raise Usage(f"there is no ledger `{path}`", hint="name it with --ledger, or run it where `assent.toml` is")
    notes = [_read(file, "--checkpoint") for file in kept]
    secrets = None if keys is None else Keys.load(keys).ledger_keys()
    return path, verify_file(path, key=_key(key, path), kept=notes, keys=secrets)


def newest_note(ledger: Path) -> bytes:
    """Return the newest checkpoint of a ledger that was just verified.

    Raises:
        LedgerUnavailable: it has none yet.

    """
    newest = newest_checkpoint(ledger)
    if newest is None:
        raise LedgerUnavailable(f"`{ledger}` has no checkpoint yet", hint="a serving broker signs one each second")
    return newest[0]


def as_sentences(ledger: Path, found: Verified) -> list[str]:
    """Return what holds, in lines for a person."""
    newest = newest_checkpoint(ledger)
    signed = "no checkpoint yet" if newest is None else f"the newest {time_since(newest[1].isoformat())} old"
    lines = [
        f"{ledger}: verified",
        f"  records      {found.records}, of which {found.signed} stand under a signed checkpoint",
        f"  checkpoints  {found.checkpoints}, {signed}",
        f"  root         {found.root.hex()}",
    ]
    if found.macs_checked:
        lines.append("  keys         every record carries its MAC, every payload is what its record commits to")
    return lines


def as_json(ledger: Path, found: Verified) -> str:
    """Return what holds as JSON."""
    newest = newest_checkpoint(ledger)
    facts = {
        "verified": True,
        "ledger": str(ledger),
        "records": found.records,
        "signed": found.signed,
        "checkpoints": found.checkpoints,
        "root": found.root.hex(),
        "macs_checked": found.macs_checked,
        "checkpoint": None if newest is None else newest[0].decode(),
        "checkpoint_time": None if newest is None else newest[1].isoformat(),
    }
    return json.dumps(facts)


def failure_as_json(failed: VerificationFailed) -> str:
    """Return what does not hold as JSON."""
    return json.dumps({"verified": False, "index": failed.index, "problem": failed.message})


def _key(given: str | None, ledger: Path) -> VerifierKey:
    if given is not None and not Path(given).is_file():
        return parse_verifier_key(given)
    file = public_key_file(ledger) if given is None else Path(given)
    return parse_verifier_key(_read(file, "--key").decode(errors="replace").strip())


def _read(file: Path, option: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as fault:
        raise Usage(f"`{file}` cannot be read: {fault.strerror}", hint=f"name the right one with {option}") from None
