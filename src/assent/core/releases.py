"""Releases: notes by which a release key vouches that one policy version may take the place of another, on one log.

A release is a signed note (C2SP signed-note) of five lines. It names the log, the version, the version that it
replaces, and until when it may be used: so it is worth nothing for another broker, for another change, or once what it
was signed for is long past. That it is used only once is for the ledger to say.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from assent.core.canonical import sha256_hex
from assent.core.notes import NoteInvalid, Verifier, VerifierKey, note_text, open_note, sign_note
from assent.core.records import rfc3339

KEY_NAME: Final = "assent/release"
MAX_RELEASE_BYTES: Final = 16_384
MAX_VALID: Final = timedelta(days=31)
_FORM: Final = re.compile(
    "assent/policy-release/v1\n"
    r"log (?P<log>[!-~]{1,128})"
    "\n"
    r"policy (?P<policy>[0-9a-f]{64})"
    "\n"
    r"replaces (?P<replaces>[0-9a-f]{64})"
    "\n"
    r"until (?P<until>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)"
    "\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """The version `policy` may replace the version `replaces` on the log called `log`, before `until` (aware UTC)."""

    log: str
    policy: str
    replaces: str
    until: datetime

    @property
    def text(self) -> str:
        """What is signed: a line each for what this is, the log, the version, the one before, and the end."""
        until = self.until.strftime("%Y-%m-%dT%H:%M:%SZ")
        return (
            f"assent/policy-release/v1\nlog {self.log}\npolicy {self.policy}\nreplaces {self.replaces}\nuntil {until}\n"
        )

    @property
    def digest(self) -> str:
        """SHA-256 of the text, hex: what a release is known by, whoever signed it and however often."""
        return sha256_hex(self.text.encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Vouched:
    """A release that counts, and the configured keys that signed it, each as `name+id`."""

    release: Release
    keys: tuple[str, ...]


def sign_release(release: Release, key: VerifierKey, sign: Callable[[bytes], bytes]) -> bytes:
    """Return the note of `release`, signed by the private half of `key`. Raises NoteInvalid when it has no form."""
    _parse(release.text)
    return sign_note(release.text, key.name, key.key_id, sign)


def open_release(raw: bytes, keys: Iterable[Verifier]) -> Vouched:
    """Return the release that at least one of `keys` signed.

    The caller must still check that it counts (`why_not`), and that it was not used before.

    Raises:
        NoteInvalid: it is too large or malformed, none of `keys` signed it, or what is signed is no release.

    """
    if len(raw) > MAX_RELEASE_BYTES:
        raise NoteInvalid(f"the release is {len(raw)} bytes long, {MAX_RELEASE_BYTES} are allowed")
    note = open_note(raw, keys)
    return Vouched(release=_parse(note.text), keys=note.keys)


def claimed(raw: bytes) -> Release:
    """Return what a note claims to release, with nobody's word for it. Raises NoteInvalid when it is malformed."""
    return _parse(note_text(raw))


def why_not(release: Release, *, log: str, policy: str, replaces: str, now: datetime) -> str | None:
    """Return why a release does not count for this step on this log, in words for an operator; None when it does."""
    # (1) the broker that it was signed for
    if release.log != log:
        return f"it is for the log `{release.log}`, and this one is `{log}`"
    # (2) this version and no other
    if release.policy != policy:
        return f"it is for the version `{release.policy[:12]}`, and the files are `{policy[:12]}`"
    # (3) the step that was looked at: from what serves now
    if release.replaces != replaces:
        return f"it lets the version replace `{release.replaces[:12]}`, and `{replaces[:12]}` serves"
    # (4) in its time, which is short enough for all its uses to be found
    if release.until <= now:
        return f"it was good until {rfc3339(release.until)}"
    if release.until > now + MAX_VALID:
        return f"it would be good until {rfc3339(release.until)}, and at most {MAX_VALID.days} days are taken"
    return None


def _parse(text: str) -> Release:
    match = _FORM.fullmatch(text)
    if match is None:
        raise NoteInvalid("what is signed there is no release of a policy")
    try:
        until = datetime.strptime(match["until"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise NoteInvalid(f"`{match['until']}` is no time") from None
    return Release(log=match["log"], policy=match["policy"], replaces=match["replaces"], until=until)
