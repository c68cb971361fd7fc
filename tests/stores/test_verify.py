"""Whoever holds the log's public key, and a checkpoint from before, notices every change to a log."""

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from assent.core.checkpoints import Checkpoint
from assent.core.errors import LedgerUnavailable, VerificationFailed
from assent.core.merkle import leaf_hash, root
from assent.core.notes import sign_note
from assent.ports import Tx
from assent.stores.keys import Keys
from assent.stores.ledger_tree import LedgerTree
from assent.stores.tree import Integrator
from assent.stores.verify import verify_file, verify_log
from tests.contracts import samples
from tests.stores.files import open_at, outside

pytestmark = pytest.mark.requirement("P8", "T16")

LOG = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
THIEF = Ed25519PrivateKey.from_private_bytes(b"t" * 32)
KEYS = Keys(log=LOG, grant=LOG, ledger=b"l" * 32, payload=b"p" * 32)
KEY = KEYS.log_verifier_key("assent/example")
SIZES = (3, 40, 255, 256, 300)
UNSIGNED = 5


@dataclass(frozen=True)
class Log:
    """A log of 305 records, 300 of them signed, in a file and as leaves and notes."""

    path: Path
    leaves: tuple[bytes, ...]
    notes: tuple[bytes, ...]


async def made(path: Path) -> Log:
    ledger = open_at(path)
    tree = LedgerTree(ledger)
    integrator = Integrator(tree, key=KEY, sign=KEYS.sign_log)
    size, notes = 0, []
    for wanted in (*SIZES, SIZES[-1] + UNSIGNED):

        async def work(tx: Tx, count: int = wanted - size) -> None:
            for _ in range(count):
                await tx.append(samples.entry())

        await ledger.transact(work)
        size = wanted
        if wanted in SIZES:
            await integrator.integrate_once()
            notes.append(await tree.last_note() or b"")
    leaves = tuple(await tree.leaves(0, 1_000))
    await ledger.close()
    return Log(path, leaves, tuple(notes))


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    return asyncio.run(made(tmp_path_factory.mktemp("log") / "ledger.db"))


@pytest.fixture
def copy(log: Log, tmp_path: Path) -> Path:
    return Path(shutil.copy(log.path, tmp_path / "copy.db"))


def test_a_sound_log_verifies(log: Log) -> None:
    found = verify_log(log.leaves, notes=log.notes, key=KEY)
    assert (found.records, found.signed, found.checkpoints) == (305, 300, 5)
    assert found.root == root(map(leaf_hash, log.leaves))


def test_a_sound_file_verifies_with_and_without_the_ledgers_keys(copy: Path, log: Log) -> None:
    for keys in (None, KEYS.ledger_keys()):
        found = verify_file(copy, key=KEY, kept=log.notes, keys=keys)
        assert (found.records, found.signed, found.macs_checked) == (305, 300, keys is not None)


def test_verifying_leaves_nothing_beside_the_file(copy: Path) -> None:
    before = copy.read_bytes()
    verify_file(copy, key=KEY)
    assert [file.name for file in copy.parent.iterdir()] == [copy.name]
    assert copy.read_bytes() == before


def test_an_empty_log_verifies_and_a_kept_checkpoint_of_it_does_not(log: Log) -> None:
    assert verify_log((), notes=(), key=KEY).records == 0
    with pytest.raises(VerificationFailed, match="ends before record 0"):
        verify_log((), notes=(), key=KEY, kept=log.notes[:1])


def refused(leaves: tuple[bytes, ...], log: Log, *, kept: tuple[bytes, ...] = ()) -> int | None:
    with pytest.raises(VerificationFailed) as failed:
        verify_log(leaves, notes=log.notes, key=KEY, kept=kept)
    return failed.value.index


def test_a_changed_byte_in_any_signed_record_is_found(log: Log) -> None:
    for index in range(SIZES[-1]):
        leaf = log.leaves[index]
        at = index * 37 % len(leaf)
        changed = leaf[:at] + bytes([leaf[at] ^ (1 << index % 8)]) + leaf[at + 1 :]
        found = refused((*log.leaves[:index], changed, *log.leaves[index + 1 :]), log)
        assert found is not None
        assert found <= index + 1  # a time moved on shows at the record after it


@pytest.mark.parametrize("index", [0, 2, 3, 39, 40, 254, 256, 298])
def test_a_record_dropped_doubled_exchanged_or_inserted_is_found(log: Log, index: int) -> None:
    leaves, neighbour = log.leaves, log.leaves[index - 1] if index else log.leaves[1]
    before, leaf, after = leaves[:index], leaves[index], leaves[index + 1 :]
    for changed in (
        (*before, *after),
        (*before, leaf, leaf, *after),
        (*before, neighbour, *after),
        (*before, leaves[-1].replace(b"rec_", b"rec-"), leaf, *after),
        tuple(reversed((*before, leaf, *after))),
    ):
        found = refused(changed, log)
        assert found is not None
        assert found <= index + 1


@pytest.mark.parametrize("length", [0, 1, 39, 255, 299])
def test_a_log_cut_below_its_last_checkpoint_is_found(log: Log, length: int) -> None:
    assert refused(log.leaves[:length], log) == length


def forged_note(leaves: tuple[bytes, ...], signer: Ed25519PrivateKey) -> bytes:
    text = Checkpoint(origin=KEY.name, size=len(leaves), root=root(map(leaf_hash, leaves))).text
    return sign_note(text, KEY.name, KEY.key_id, signer.sign)


def test_a_suffix_rewritten_by_somebody_without_the_log_key_is_found(log: Log) -> None:
    rewritten = (*log.leaves[:256], *log.leaves[257:300])
    with pytest.raises(VerificationFailed):
        verify_log(rewritten, notes=(*log.notes[:4], forged_note(rewritten, THIEF)), key=KEY)


def test_a_suffix_rewritten_with_the_log_key_is_found_by_who_kept_a_checkpoint(log: Log) -> None:
    rewritten = (*log.leaves[:256], *log.leaves[257:301])
    notes = (*log.notes[:4], forged_note(rewritten, LOG))
    assert verify_log(rewritten, notes=notes, key=KEY).signed == 300
    with pytest.raises(VerificationFailed, match="forked"):
        verify_log(rewritten, notes=notes, key=KEY, kept=log.notes[4:])


def test_a_log_put_back_to_before_a_kept_checkpoint_is_found(log: Log) -> None:
    assert verify_log(log.leaves[:256], notes=log.notes[:4], key=KEY).signed == 256
    with pytest.raises(VerificationFailed) as failed:
        verify_log(log.leaves[:256], notes=log.notes[:4], key=KEY, kept=log.notes[4:])
    assert failed.value.index == 256


def test_a_checkpoint_of_another_log_is_no_checkpoint_of_this_one(log: Log) -> None:
    with pytest.raises(VerificationFailed):
        verify_log(log.leaves, notes=log.notes, key=KEYS.log_verifier_key("assent/other"))


@pytest.mark.parametrize(
    "leaf",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"v":1}',
        b'{"v": 1}',
        b'{"id":"r","id":"r","kind":"k","time":"2026-03-01T12:00:00.123456Z","v":1}',
        b'{"id":"r","kind":"k","time":"2026-03-01T12:00:00.123456Z","v":2}',
        b'{"id":"r","kind":"k","time":"2026-03-01T12:00:00.123456Z","v":NaN}',
        b'{"id":"r","kind":"k","time":"2026-03-01T12:00:00Z","v":1}',
        b'{"id":"r","kind":"k","time":"1026-03-01T12:00:00.123456Z","v":1}',
        b'{"id":"r","kind":"k","time":7,"v":1}',
        b"[" * 100_000,
    ],
    ids=lambda leaf: leaf[:80].decode(errors="replace"),
)
def test_a_leaf_without_the_form_of_one_is_named(log: Log, leaf: bytes) -> None:
    assert refused((*log.leaves[:300], leaf), log) == 300


TRIGGERS = ("record_is_never_changed", "record_is_never_deleted", "checkpoint_is_never_changed")


def tampered(path: Path, *statements: str) -> None:
    with outside(path) as database:
        for trigger in TRIGGERS:
            database.execute(f"DROP TRIGGER {trigger}")
        for statement in statements:
            database.execute(statement)


EDITS = {
    "edited": ("UPDATE record SET leaf = replace(leaf, 'pending', 'allowed') WHERE idx = 77", 77),
    "edited at the edge": ("UPDATE record SET leaf = replace(leaf, 'pending', 'allowed') WHERE idx = 256", 256),
    "dropped": ("DELETE FROM record WHERE idx = 77", 77),
    "cut": ("DELETE FROM record WHERE idx >= 290", 290),
    "emptied": ("DELETE FROM record", 0),
    "made bytes": ("UPDATE record SET leaf = CAST(leaf AS BLOB) WHERE idx = 12", 12),
    "made no text": ("UPDATE record SET leaf = replace(leaf, 'deployer', CAST(x'ff' AS TEXT)) WHERE idx = 12", 12),
    "moved on in time": (
        'UPDATE record SET leaf = replace(leaf, \'"time":"2026\', \'"time":"2027\') WHERE idx = 77',
        77,
    ),
    "moved on in time at the edge": (
        'UPDATE record SET leaf = replace(leaf, \'"time":"2026\', \'"time":"2027\') WHERE idx = 255',
        255,
    ),
    "signed by nobody": ("UPDATE checkpoint SET note = replace(note, '—', '-') WHERE size = 255", 40),
    "signed by bytes": ("UPDATE checkpoint SET note = CAST(x'ff' AS TEXT) WHERE size = 40", 3),
    "a gap closed below the end": (
        "DELETE FROM record WHERE idx = 260 OR idx > 299; UPDATE record SET idx = idx - 1 WHERE idx > 260",
        260,
    ),
    "a gap closed": ("DELETE FROM record WHERE idx = 77; UPDATE record SET idx = idx - 1 WHERE idx > 77", 77),
}


@pytest.mark.parametrize(("statements", "index"), EDITS.values(), ids=EDITS.keys())
def test_the_first_record_that_was_tampered_with_in_a_file_is_named(copy: Path, statements: str, index: int) -> None:
    tampered(copy, *statements.split(";"))
    with pytest.raises(VerificationFailed) as failed:
        verify_file(copy, key=KEY)
    assert failed.value.index == index


TILES: dict[str, tuple[int, int, Callable[[bytes], bytes | None], int]] = {
    "a hash changed": (0, 1, lambda hashes: b"0" * 32 + hashes[32:], 256),
    "a bit changed": (0, 0, lambda hashes: hashes[:351] + bytes([hashes[351] ^ 1]) + hashes[352:], 10),
    "a tile cut": (0, 0, lambda hashes: hashes[:320], 10),
    "a tile cut within a hash": (0, 0, lambda hashes: hashes[:330], 10),
    "a tile lengthened": (0, 1, lambda hashes: hashes + b"0" * 32, 300),
    "a tile gone": (0, 0, lambda _: None, 0),
    "a tile too many": (0, 2, lambda _: b"0" * 32, 512),
    "a level too many": (2, 0, lambda _: b"0" * 32, 0),
    "an upper tile changed": (1, 0, lambda _: b"0" * 32, 0),
    "an upper tile gone": (1, 0, lambda _: None, 0),
}


@pytest.mark.parametrize(("level", "place", "change", "index"), TILES.values(), ids=TILES.keys())
def test_a_stored_tree_that_is_not_that_of_the_records_is_found(
    copy: Path, level: int, place: int, change: Callable[[bytes], bytes | None], index: int
) -> None:
    with outside(copy) as database:
        row = database.execute("SELECT hashes FROM tile WHERE level = ? AND idx = ?", (level, place)).fetchone()
        changed = change(b"" if row is None else row[0])
        database.execute("DELETE FROM tile WHERE level = ? AND idx = ?", (level, place))
        if changed is not None:
            database.execute("INSERT INTO tile VALUES (?, ?, ?)", (level, place, changed))
    with pytest.raises(VerificationFailed, match="stored tree") as failed:
        verify_file(copy, key=KEY)
    assert failed.value.index == index


SEALED = {
    "payload exchanged": "UPDATE record SET sealed = (SELECT sealed FROM record WHERE idx = 8) WHERE idx = 7",
    "payload removed": "UPDATE record SET sealed = NULL WHERE idx = 7",
    "id changed": "UPDATE record SET id = 'rec_x' WHERE idx = 7",
    "time changed": "UPDATE record SET time = time + 1 WHERE idx = 7",
    "MAC changed": "UPDATE record SET mac = zeroblob(32) WHERE idx = 7",
}


@pytest.mark.parametrize("statement", SEALED.values(), ids=SEALED.keys())
def test_with_the_ledgers_keys_what_stands_beside_the_leaf_is_checked_too(copy: Path, statement: str) -> None:
    tampered(copy, statement)
    with pytest.raises(VerificationFailed) as failed:
        verify_file(copy, key=KEY, keys=KEYS.ledger_keys())
    assert failed.value.index == 7


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:20_000])


def scribbled(path: Path) -> None:
    path.write_bytes(b"not a database at all" * 500)


@pytest.mark.parametrize("harm", [cut, scribbled])
def test_a_file_that_is_no_ledger_is_refused(copy: Path, harm: Callable[[Path], None]) -> None:
    harm(copy)
    with pytest.raises((LedgerUnavailable, VerificationFailed)):
        verify_file(copy, key=KEY)
