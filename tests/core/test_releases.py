"""Releases: what is signed is one step on one log, and counts for nothing else."""

from datetime import UTC, datetime, timedelta

import pytest

from assent.core.notes import NoteInvalid, VerifierKey, cosign_note, sign_note
from assent.core.releases import MAX_RELEASE_BYTES, MAX_VALID, Release, claimed, open_release, sign_release, why_not
from tests.core.test_notes import private, public, verifier

pytestmark = pytest.mark.requirement("T23")

NOW = datetime(2027, 1, 1, 12, tzinfo=UTC)
OLD, NEW, OTHER = "a" * 64, "b" * 64, "c" * 64
RELEASE = Release(log="assent/example", policy=NEW, replaces=OLD, until=NOW + timedelta(days=1))


def signed(release: Release = RELEASE, seed: int = 1) -> bytes:
    return sign_release(release, public(seed), private(seed).sign)


def changed(**fields: object) -> Release:
    return Release(**{"log": "assent/example", "policy": NEW, "replaces": OLD, "until": RELEASE.until, **fields})  # type: ignore[arg-type]  # a field by its name


def test_a_release_opens_with_its_key_and_names_it() -> None:
    vouched = open_release(signed(), [verifier(1), verifier(2)])
    assert vouched.release == RELEASE
    assert vouched.keys == (f"{public(1).name}+{public(1).key_id.hex()}",)
    assert why_not(vouched.release, log="assent/example", policy=NEW, replaces=OLD, now=NOW) is None


def test_two_keys_of_one_name_are_told_apart() -> None:
    both = cosign_note(signed(), public(2).name, public(2).key_id, private(2).sign)
    assert len(open_release(both, [verifier(1), verifier(2)]).keys) == 2
    assert open_release(both, [verifier(2)]).keys == (f"{public(2).name}+{public(2).key_id.hex()}",)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "no signatures"),
        (signed()[:-1], "does not end with a newline"),
        (signed()[:-40], "newline"),
        (signed(seed=2), "no known key"),
        (signed() + b"x" * MAX_RELEASE_BYTES, "bytes long"),
        (signed().replace(NEW.encode(), OTHER.encode()), "was changed or forged"),
        (sign_note("anything else\n", public(1).name, public(1).key_id, private(1).sign), "no release"),
        (
            sign_note(RELEASE.text + "policy " + OTHER + "\n", public(1).name, public(1).key_id, private(1).sign),
            "no release",
        ),
        (
            sign_note(RELEASE.text.replace("2027", "2027-13"), public(1).name, public(1).key_id, private(1).sign),
            "no release",
        ),
        (
            sign_note(RELEASE.text.replace("-01-02T", "-13-02T"), public(1).name, public(1).key_id, private(1).sign),
            "is no time",
        ),
    ],
)
def test_what_is_no_release_by_a_known_key_vouches_for_nothing(raw: bytes, why: str) -> None:
    with pytest.raises(NoteInvalid, match=why):
        open_release(raw, [verifier(1)])


def test_every_flipped_bit_is_seen() -> None:
    raw = signed()
    for bit in range(len(raw) * 8):
        damaged = bytearray(raw)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(NoteInvalid):
            open_release(bytes(damaged), [verifier(1)])


@pytest.mark.parametrize(
    ("release", "why"),
    [
        (changed(log="assent/other"), "is for the log `assent/other`"),
        (changed(policy=OTHER), "is for the version `cccccccccccc`"),
        (changed(replaces=OTHER), "lets the version replace `cccccccccccc`"),
        (changed(until=NOW), "was good until"),
        (changed(until=NOW - timedelta(days=300)), "was good until"),
        (changed(until=NOW + MAX_VALID + timedelta(seconds=1)), "at most 31 days"),
    ],
)
def test_a_sound_release_for_something_else_does_not_count(release: Release, why: str) -> None:
    vouched = open_release(signed(release), [verifier(1)])
    said = why_not(vouched.release, log="assent/example", policy=NEW, replaces=OLD, now=NOW)
    assert said is not None
    assert why in said


@pytest.mark.parametrize("release", [changed(log="a name"), changed(log=""), changed(policy="B" * 64)])
def test_what_would_not_open_is_not_signed(release: Release) -> None:
    with pytest.raises(NoteInvalid):
        signed(release)


def test_what_a_note_claims_is_read_without_a_key() -> None:
    assert claimed(signed(seed=9)) == RELEASE
    with pytest.raises(NoteInvalid):
        claimed(b"nothing\n")


def test_a_release_is_known_by_what_it_says_and_not_by_who_signed() -> None:
    key = VerifierKey(name="assent/second", public_key=public(2).public_key)
    again = sign_release(RELEASE, key, private(2).sign)
    assert claimed(again).digest == claimed(signed()).digest
    assert changed(until=NOW + timedelta(days=2)).digest != RELEASE.digest
