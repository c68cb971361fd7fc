"""Release keys and what they sign: a key is made once, and vouches for one step from one policy version to another."""

import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from assent.cli import policy_files
from assent.cli.called import as_called
from assent.cli.output import Usage
from assent.cli.spans import seconds_of
from assent.cli.writing import write
from assent.core.characters import visible
from assent.core.errors import PolicyInvalid
from assent.core.notes import VerifierKey
from assent.core.privileges import Change
from assent.core.records import rfc3339
from assent.core.releases import MAX_VALID, Release, sign_release
from assent.policy.files import RELEASE
from assent.policy.findings import Severity
from assent.policy.loaded import LoadedPolicy
from assent.stores.key_files import pem, public_half, read_signing_key, write_new
from assent.wire.policies import changes_view

_VERSION: Final = re.compile("[0-9a-f]{64}")
_FILE_MODE: Final = 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A release as it was written; `changes` is what it lets through, None where the older version was not at hand."""

    file: Path
    release: Release
    key: VerifierKey
    changes: Sequence[Change] | None


def make_key(file: Path, name: str) -> VerifierKey:
    """Make a release key, its private half in `file` for its owner alone; return the public half.

    Raises:
        Usage: something is there already.

    """
    if os.path.lexists(file):
        raise Usage(f"`{visible(str(file))}` exists already, and keys are never overwritten", hint="name another file")
    private = Ed25519PrivateKey.generate()
    key = VerifierKey(name=name, public_key=public_half(private))
    write_new(file, pem(private))
    return key


def sign(directory: Path, *, key_file: Path, name: str, log: str, replaces: str, valid_for: str) -> Signed:
    """Sign the version of `directory` as what may replace another one, and write the note into it.

    Raises:
        Usage: `replaces` is neither a version nor a directory, or the time is too long.
        PolicyInvalid: one of the directories has errors; what cannot serve is not signed.
        KeysInvalid: the key is missing, malformed or open to others.
        NoteInvalid: the log's name or the key's is none.

    """
    span = timedelta(seconds=seconds_of(valid_for))
    if span > MAX_VALID:
        raise Usage(f"`{visible(valid_for)}` is too long: a broker takes at most {MAX_VALID.days} days")
    private = read_signing_key(key_file)
    key = VerifierKey(name=name, public_key=public_half(private))
    found = _without_errors(directory)
    before, changes = _before(replaces, found)
    until = (policy_files.now() + span).replace(microsecond=0)
    release = Release(log=log, policy=found.version, replaces=before, until=until)
    note = sign_release(release, key, private.sign)
    return Signed(file=_put(directory, note), release=release, key=key, changes=changes)


def _without_errors(directory: Path) -> LoadedPolicy:
    checked = policy_files.checked(directory)
    if checked.policy is None or checked.errors:
        errors = tuple(str(finding) for finding in checked.findings if finding.severity is Severity.ERROR)
        raise PolicyInvalid(
            f"the policy in `{visible(str(directory))}` has errors and would not serve: {errors[0]}",
            findings=errors,
            hint="correct them first; `assent policy check` lists them all",
        )
    return checked.policy


def _before(replaces: str, found: LoadedPolicy) -> tuple[str, Sequence[Change] | None]:
    if _VERSION.fullmatch(replaces):
        return replaces, None
    if not Path(replaces).is_dir():
        raise Usage(
            f"`{visible(replaces)}` is neither a version of 64 hex digits nor a directory",
            hint=as_called("`assent policy status` says which version serves"),
        )
    older = _without_errors(Path(replaces))
    return older.version, found.changes_since(older)


def _put(directory: Path, note: bytes) -> Path:
    """Put the note in its place in one step: a broker that watches finds the old one or the new one whole."""
    file = directory / RELEASE
    making = directory.resolve().parent / f".{directory.resolve().name}.{RELEASE}.{os.getpid()}"
    write(making, note, _FILE_MODE)
    making.replace(file)
    return file


def as_facts(signed: Signed) -> dict[str, Any]:
    """Return it for a program."""
    release = signed.release
    changes = None if signed.changes is None else [asdict(change) for change in changes_view(signed.changes)]
    return {
        "file": str(signed.file),
        "log": release.log,
        "version": release.policy,
        "replaces": release.replaces,
        "until": rfc3339(release.until),
        "key": signed.key.encode(),
        "changes": changes,
    }


def as_sentences(signed: Signed) -> list[str]:
    """Return it in lines for a person."""
    release = signed.release
    until = release.until.isoformat(timespec="seconds")
    step = f"{release.policy[:12]} may replace {release.replaces[:12]} on `{release.log}`, once, until {until}"
    return [f"{visible(str(signed.file))}: {step}", f"signed by {signed.key.encode()}"]
