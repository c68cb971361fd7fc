"""A log whose key was rotated: each of its keys leads to all others, and a replaced one vouches for nothing newer."""

import asyncio
import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from assent.core.checkpoints import Checkpoint
from assent.core.errors import VerificationFailed
from assent.core.handovers import Handover, KeyChain, KeyUse, sign_handover
from assent.core.merkle import leaf_hash, root
from assent.core.notes import NoteInvalid, VerifierKey, cosign_note, sign_note
from assent.core.records import Entry
from assent.flows.entries import broker_key_rotated
from assent.ports import Tx
from assent.stores.keys import Keys
from assent.stores.ledger_tree import LedgerTree
from assent.stores.tree import Integrator, Signing
from assent.stores.verify import verify_file, verify_log
from tests.contracts import samples
from tests.stores.files import open_at, outside

pytestmark = pytest.mark.requirement("P8", "T16")

PRIVATE = [Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in range(1, 4)]
SETS = [Keys(log=private, grant=private, ledger=b"l" * 32, payload=b"p" * 32) for private in PRIVATE]
KEYS = [keys.log_verifier_key("assent/example") for keys in SETS]
SIZES = (10, 20, 30)
ROTATED_AT = (10, 20)


@dataclass(frozen=True)
class Log:
    """Thirty records: the first of the second ten, and of the third, hands over to the next key."""

    path: Path
    leaves: tuple[bytes, ...]
    notes: tuple[bytes, ...]


def handing_over(number: int) -> Entry:
    handover = Handover(use=KeyUse.LOG, old=KEYS[number - 1], new=KEYS[number])
    note = sign_handover(handover, old=PRIVATE[number - 1].sign, new=PRIVATE[number].sign)
    return broker_key_rotated(handover, note, until=datetime.now(UTC), by_hand={})


async def made(path: Path) -> Log:
    ledger = open_at(path)
    tree = LedgerTree(ledger)
    integrator = Integrator(tree, key=KEYS[0], sign=PRIVATE[0].sign)
    notes, chain = [], KeyChain((KEYS[0],))
    for number, _ in enumerate(SIZES):

        async def work(tx: Tx, number: int = number) -> None:
            await tx.append(handing_over(number) if number else samples.entry())
            for _ in range(9):
                await tx.append(samples.entry())

        await ledger.transact(work)
        if number:
            handover = Handover(use=KeyUse.LOG, old=KEYS[number - 1], new=KEYS[number])
            chain = chain.after(handover, ROTATED_AT[number - 1])
            before = ((KEYS[number - 1], PRIVATE[number - 1].sign),) if number == 1 else ()
            integrator.signing = Signing(chain=chain, sign=PRIVATE[number].sign, cosign=before)
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


def signed(leaves: tuple[bytes, ...], *by: int) -> bytes:
    checkpoint = Checkpoint(origin=KEYS[0].name, size=len(leaves), root=root(map(leaf_hash, leaves)))
    first, *others = by
    note = sign_note(checkpoint.text, KEYS[first].name, KEYS[first].key_id, PRIVATE[first].sign)
    for other in others:
        note = cosign_note(note, KEYS[other].name, KEYS[other].key_id, PRIVATE[other].sign)
    return note


@pytest.mark.parametrize("key", KEYS)
def test_every_key_that_it_ever_had_verifies_it_all(log: Log, copy: Path, key: VerifierKey) -> None:
    of_leaves = verify_log(log.leaves, notes=log.notes, key=key, kept=log.notes)
    of_file = verify_file(copy, key=key, kept=log.notes, keys=SETS[0].ledger_keys())
    assert replace(of_file, macs_checked=False) == of_leaves
    assert (of_leaves.signed, of_leaves.chain) == (30, KeyChain(tuple(KEYS), ROTATED_AT))


def test_a_key_that_it_never_had_verifies_nothing(log: Log, copy: Path) -> None:
    stranger = Keys.generate().log_verifier_key("assent/example")
    with pytest.raises(NoteInvalid, match="none of its keys"):
        verify_log(log.leaves, notes=log.notes, key=stranger)
    with pytest.raises(NoteInvalid, match="none of its keys"):
        verify_file(copy, key=stranger)


@pytest.mark.parametrize(("size", "by"), [(10, 0), (10, 1), (10, 2), (20, 1), (20, 2), (30, 2)])
def test_a_checkpoint_by_the_key_of_its_time_or_a_later_one_counts(log: Log, size: int, by: int) -> None:
    kept = signed(log.leaves[:size], by)
    assert verify_log(log.leaves, notes=log.notes, key=KEYS[0], kept=(kept,)).signed == 30


@pytest.mark.parametrize(("size", "by"), [(11, 0), (20, 0), (21, 0), (21, 1), (30, 0), (30, 1)])
@pytest.mark.parametrize("key", [KEYS[0], KEYS[2]], ids=["old key", "new key"])
def test_a_stolen_old_key_vouches_for_nothing_after_its_time(log: Log, key: VerifierKey, size: int, by: int) -> None:
    forged = signed(log.leaves[:size], by)
    with pytest.raises(VerificationFailed, match="only by a key that was replaced"):
        verify_log(log.leaves, notes=log.notes, key=key, kept=(forged,))
    with pytest.raises(VerificationFailed, match="only by a key that was replaced"):
        verify_log(log.leaves, notes=(*log.notes, forged), key=key)


def test_who_knows_the_new_key_does_not_follow_a_log_that_a_thief_went_on_with(log: Log) -> None:
    forked = (*log.leaves[:10], *log.leaves[11:20])  # as if the key had never been handed over
    note = signed(forked, 0)
    assert verify_log(forked, notes=(*log.notes[:1], note), key=KEYS[0]).signed == 19
    with pytest.raises(VerificationFailed, match="no known key signed"):
        verify_log(forked, notes=(*log.notes[:1], note), key=KEYS[1])
    with pytest.raises(VerificationFailed):
        verify_log(forked, notes=(*log.notes[:1], note), key=KEYS[0], kept=log.notes[1:2])


@pytest.mark.parametrize("index", ROTATED_AT)
def test_a_handover_that_was_changed_or_dropped_is_found(log: Log, index: int) -> None:
    dropped = (*log.leaves[:index], *log.leaves[index + 1 :])
    changed = (
        *log.leaves[:index],
        log.leaves[index].replace(b"key-handover", b"key-handovex"),
        *log.leaves[index + 1 :],
    )
    for leaves in (dropped, changed):
        for key in KEYS:
            with pytest.raises(VerificationFailed):
                verify_log(leaves, notes=log.notes, key=key)


def test_a_handover_that_an_index_hides_is_found(copy: Path) -> None:
    with outside(copy) as database:
        statements = [sql for (sql,) in database.execute("SELECT sql FROM sqlite_master WHERE sql LIKE '%record%'")]
        rows = database.execute("SELECT idx, id, time, leaf, sealed, mac FROM record").fetchall()
        for kind, name in database.execute(
            "SELECT type, name FROM sqlite_master WHERE tbl_name = 'record' AND type IN ('trigger', 'index', 'table')"
            " AND name NOT LIKE 'sqlite_%' ORDER BY type = 'table'"
        ).fetchall():
            database.execute(f"DROP {kind} {name}")
        table = next(sql for sql in statements if sql.startswith("CREATE TABLE record"))
        database.execute(table.replace("json_extract(leaf, '$.kind')", "'nothing'"))
        database.executemany("INSERT INTO record (idx, id, time, leaf, sealed, mac) VALUES (?, ?, ?, ?, ?, ?)", rows)
    with pytest.raises(VerificationFailed):
        verify_file(copy, key=KEYS[0])
    with pytest.raises(VerificationFailed):
        verify_file(copy, key=KEYS[2])


async def test_the_integrator_goes_on_only_from_a_checkpoint_that_counts(log: Log, tmp_path: Path) -> None:
    path = Path(shutil.copy(log.path, tmp_path / "ledger.db"))
    with outside(path) as database:
        database.execute("DROP TRIGGER checkpoint_is_never_changed")
        database.execute("UPDATE checkpoint SET note = ? WHERE size = 30", (signed(log.leaves, 1).decode(),))
    ledger = open_at(path)
    try:
        integrator = Integrator(LedgerTree(ledger), key=KEYS[2], sign=PRIVATE[2].sign)
        integrator.signing = Signing(chain=KeyChain(tuple(KEYS), ROTATED_AT), sign=PRIVATE[2].sign)
        await ledger.transact(lambda tx: tx.append(samples.entry()))
        with pytest.raises(NoteInvalid):
            await integrator.integrate_once()
    finally:
        await ledger.close()


def test_a_checkpoint_made_while_both_sign_opens_with_either_key_alone(log: Log) -> None:
    alone = [verify_log(log.leaves[:20], notes=log.notes[:2], key=key).signed for key in KEYS[:2]]
    assert alone == [20, 20]
    assert log.notes[1].count(b"\xe2\x80\x94") == 2
    assert log.notes[2].count(b"\xe2\x80\x94") == 1
