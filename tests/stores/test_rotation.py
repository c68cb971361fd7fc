"""A key is exchanged in its directory: the old one or the new one is there, whenever the process is killed."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from assent.core.errors import KeysInvalid
from assent.core.handovers import KeyUse
from assent.stores.key_files import public_half
from assent.stores.key_places import NAMES
from assent.stores.keys import Keys
from assent.stores.rotation import PREVIOUS_LOG, Wish, forget_previous, previous_log_key, rotate, wishes

ORIGIN = "assent/x"
DAY = timedelta(days=1)
BY_HAND = {"os_user": "dana", "host": "here"}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    Keys.create(tmp_path / "keys")
    return tmp_path / "keys"


def rotated(directory: Path, use: KeyUse, overlap: timedelta = DAY) -> tuple[Wish, Keys]:
    return rotate(directory, use, origin=ORIGIN, overlap=overlap, by_hand=BY_HAND)


@pytest.mark.parametrize("use", KeyUse)
def test_a_rotation_exchanges_that_key_alone_and_keeps_a_note_under_both(directory: Path, use: KeyUse) -> None:
    before = Keys.load(directory)
    wish, now = rotated(directory, use)
    loaded = Keys.load(directory)
    assert wish.handover.old == before.verifier_key(use, ORIGIN)
    assert wish.handover.new == now.verifier_key(use, ORIGIN) == loaded.verifier_key(use, ORIGIN)
    assert (loaded.ledger, loaded.payload) == (before.ledger, before.payload)
    (other,) = set(KeyUse) - {use}
    assert loaded.verifier_key(other, ORIGIN) == before.verifier_key(other, ORIGIN)
    assert wishes(directory) == [wish]


@pytest.mark.requirement("P9")
def test_nothing_of_a_rotation_is_for_others_and_no_note_holds_a_private_key(directory: Path) -> None:
    rotated(directory, KeyUse.LOG)
    rotated(directory, KeyUse.GRANT)
    files = [path for path in directory.rglob("*") if path.is_file()]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert (directory / "handovers").stat().st_mode & 0o777 == 0o700
    assert [path for path in files if path.parent.name == "handovers" and "PRIVATE" in path.read_text()] == []


@pytest.mark.requirement("P9")
def test_the_old_key_for_grants_is_gone_at_once_and_the_logs_stays_only_to_sign_along(directory: Path) -> None:
    before = Keys.load(directory)
    rotated(directory, KeyUse.GRANT)
    assert {path.name for path in directory.iterdir()} == {*NAMES, "handovers"}
    rotated(directory, KeyUse.LOG)
    previous = previous_log_key(directory)
    assert previous is not None
    assert public_half(previous) == public_half(before.log)
    forget_previous(directory)
    assert previous_log_key(directory) is None


@pytest.mark.requirement("P9")
def test_a_key_that_was_stolen_does_not_stay_to_sign_along(directory: Path) -> None:
    rotated(directory, KeyUse.LOG)
    rotated(directory, KeyUse.LOG, timedelta())
    assert not (directory / PREVIOUS_LOG).exists()


def test_rotations_are_kept_for_a_ledger_that_is_put_back(directory: Path) -> None:
    made = [rotated(directory, use)[0] for use in (KeyUse.LOG, KeyUse.LOG, KeyUse.GRANT)]
    assert {wish.note for wish in wishes(directory)} == {wish.note for wish in made}
    assert {wish.overlap for wish in wishes(directory)} == {DAY}
    assert [wish.by_hand for wish in wishes(directory)] == [BY_HAND] * 3


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[1]", b'{"note": "x", "overlap_seconds": 1, "by_hand": {}}', b"\xff"]
)
def test_a_note_that_is_none_is_refused_by_its_name(directory: Path, content: bytes) -> None:
    rotated(directory, KeyUse.LOG)
    (file,) = (directory / "handovers").iterdir()
    file.write_bytes(content)
    with pytest.raises(KeysInvalid, match="log-") as refused:
        wishes(directory)
    assert refused.value.hint


def test_a_note_that_others_can_read_is_refused(directory: Path) -> None:
    rotated(directory, KeyUse.LOG)
    (file,) = (directory / "handovers").iterdir()
    file.chmod(0o644)
    with pytest.raises(KeysInvalid, match="others can read"):
        wishes(directory)


def test_a_key_directory_that_is_not_as_it_was_made_is_not_rotated_in(directory: Path) -> None:
    (directory / "payload_key").unlink()
    before = {path.name: path.read_bytes() for path in directory.iterdir()}
    with pytest.raises(KeysInvalid, match="payload_key"):
        rotated(directory, KeyUse.LOG)
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before


# Kills itself at the Nth time that it is about to change something in the directory.
DYING = """
import os, signal, sys
from datetime import timedelta
from pathlib import Path
from assent.core.handovers import KeyUse
from assent.stores.rotation import rotate

directory, use, left = Path(sys.argv[1]), KeyUse(sys.argv[2]), int(sys.argv[3])

def watch(event, arguments):
    global left
    writes = event == "open" and isinstance(arguments[0], (str, bytes)) and arguments[2] & (os.O_CREAT | os.O_WRONLY)
    if writes or event in {"os.rename", "os.remove", "os.mkdir"}:
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(watch)
rotate(directory, use, origin="assent/x", overlap=timedelta(days=1), by_hand={})
"""
MOST_STEPS = 40


@pytest.mark.requirement("T20")
@pytest.mark.parametrize("use", KeyUse)
def test_whenever_it_is_killed_one_of_the_two_keys_is_in_force_and_can_be_rotated_again(
    tmp_path: Path, use: KeyUse
) -> None:
    seen, killed = set(), True
    for step in range(1, MOST_STEPS):
        directory = tmp_path / str(step)
        old = Keys.create(directory).verifier_key(use, ORIGIN)
        killed = not ended_by_itself(directory, use, step)
        now = Keys.load(directory).verifier_key(use, ORIGIN)
        led_to = {wish.handover.new: wish.handover.old for wish in wishes(directory)}
        assert now == old or led_to[now] == old, step
        seen.add(now == old)
        again, _ = rotated(directory, use)
        assert again.handover.old == now
        if not killed:
            break
    assert not killed, "there are more steps than were tried"
    assert seen == {True, False}


def ended_by_itself(directory: Path, use: KeyUse, step: int) -> bool:
    """Rotate in a process that kills itself at that step; return whether there was no such step."""
    program = [sys.executable, "-c", DYING, str(directory), use, str(step)]
    return subprocess.run(program, check=False, timeout=60).returncode == 0
