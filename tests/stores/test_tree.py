"""The log as a tree: every record proven under a signed checkpoint, no fork, nothing signed that is not believed."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from assent.core.checkpoints import Checkpoint, open_checkpoint
from assent.core.errors import NotFound, Stale, VerificationFailed
from assent.core.merkle import inclusion_proof, leaf_hash, root, verify_consistency, verify_inclusion
from assent.core.notes import sign_note
from assent.core.tiles import ENTRIES, Tile, decode_entries, decode_tile, hashes_in_tiles, tiles_between
from assent.ports import Tx
from assent.stores.keys import Keys, verifier
from assent.stores.ledger_tree import LedgerTree
from assent.stores.sqlite import SqliteLedger
from assent.stores.tree import MAX_STEP, Integrator
from tests.contracts import samples
from tests.stores.files import opened, outside

pytestmark = pytest.mark.requirement("P8", "T16")

ORIGIN = "assent/example"
SEED = b"s" * 32
LOG = Ed25519PrivateKey.from_private_bytes(SEED)
KEYS = Keys(log=LOG, grant=LOG, ledger=b"l" * 32, payload=b"p" * 32)
KEY = KEYS.log_verifier_key(ORIGIN)
SIZES = (1, 2, 255, 256, 257, 600)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
async def ledger(path: Path) -> AsyncIterator[SqliteLedger]:
    async with opened(path, unsafe_not_durable="a test that loses no power") as ledger:
        yield ledger


def integrator(ledger: SqliteLedger) -> Integrator:
    return Integrator(LedgerTree(ledger), key=KEY, sign=KEYS.sign_log)


async def append(ledger: SqliteLedger, count: int) -> None:
    async def work(tx: Tx) -> None:
        for _ in range(count):
            await tx.append(samples.entry(payload={}))

    await ledger.transact(work)


async def grown(ledger: SqliteLedger, *sizes: int) -> list[Checkpoint]:
    made, size, integrates = [], 0, integrator(ledger)
    for wanted in sizes:
        await append(ledger, wanted - size)
        size = wanted
        checkpoint = await integrates.integrate_once()
        assert checkpoint is not None
        made.append(checkpoint)
    return made


async def all_leaves(ledger: SqliteLedger) -> list[bytes]:
    return list(await LedgerTree(ledger).leaves(0, 10_000))


async def test_an_empty_log_has_no_checkpoint(ledger: SqliteLedger) -> None:
    tree = LedgerTree(ledger)
    assert await integrator(ledger).integrate_once() is None
    assert (await tree.head(), await tree.tile(Tile(level=0, index=0, width=1))) == (None, None)
    with pytest.raises(NotFound):
        await tree.inclusion(0)


async def test_each_checkpoint_is_signed_and_has_the_root_of_all_records_up_to_it(ledger: SqliteLedger) -> None:
    made = await grown(ledger, *SIZES)
    leaves = await all_leaves(ledger)

    assert [checkpoint.size for checkpoint in made] == list(SIZES)
    for checkpoint in made:
        assert checkpoint.root == root(map(leaf_hash, leaves[: checkpoint.size]))
        note = await LedgerTree(ledger).note_at(checkpoint.size)
        assert note is not None
        assert open_checkpoint(note, origin=ORIGIN, verifiers=[verifier(KEY)]) == checkpoint


async def test_nothing_new_makes_no_checkpoint(ledger: SqliteLedger) -> None:
    await grown(ledger, 3)
    assert await integrator(ledger).integrate_once() is None


async def test_a_long_backlog_is_integrated_step_by_step(ledger: SqliteLedger) -> None:
    await append(ledger, MAX_STEP + 5)
    integrates = integrator(ledger)
    made = [await integrates.integrate_once() for _ in range(3)]
    assert [checkpoint and checkpoint.size for checkpoint in made] == [MAX_STEP, MAX_STEP + 5, None]


async def test_an_integrator_that_starts_anew_goes_on_from_the_stored_tree(ledger: SqliteLedger) -> None:
    for wanted in SIZES:
        await append(ledger, wanted - len(await all_leaves(ledger)))
        checkpoint = await integrator(ledger).integrate_once()
        assert checkpoint is not None
        assert checkpoint.root == root(map(leaf_hash, await all_leaves(ledger)))


async def test_every_record_has_a_proof_under_the_newest_checkpoint(ledger: SqliteLedger) -> None:
    await grown(ledger, *SIZES)
    leaves = await all_leaves(ledger)
    for index in (0, 1, 254, 255, 256, 511, 512, 599):
        proof = await LedgerTree(ledger).inclusion(index)
        assert proof.leaf == leaves[index]
        verify_inclusion(
            leaf=leaf_hash(proof.leaf), index=index, size=proof.head.size, proof=proof.hashes, root=proof.head.root
        )


async def test_any_two_checkpoints_are_proven_consistent(ledger: SqliteLedger) -> None:
    made = await grown(ledger, *SIZES)
    for old in made:
        for new in made[made.index(old) :]:
            proof = await LedgerTree(ledger).consistency(old.size, new.size)
            verify_consistency(old_size=old.size, old_root=old.root, new_size=new.size, new_root=new.root, proof=proof)


@pytest.mark.parametrize(("old", "new"), [(0, 600), (3, 600), (600, 256), (256, 601)])
async def test_what_was_never_signed_has_no_proof(ledger: SqliteLedger, old: int, new: int) -> None:
    await grown(ledger, *SIZES)
    with pytest.raises(NotFound):
        await LedgerTree(ledger).consistency(old, new)


async def test_the_public_tiles_and_bundles_carry_the_whole_log(ledger: SqliteLedger) -> None:
    made = await grown(ledger, *SIZES)
    leaves, tree = await all_leaves(ledger), LedgerTree(ledger)
    served = {tile: await tree.tile(tile) for tile in tiles_between(0, made[-1].size)}

    for tile, raw in served.items():
        assert raw is not None
        if tile.level == ENTRIES:
            assert list(decode_entries(tile, raw)) == leaves[tile.index * 256 : tile.index * 256 + tile.width]
        if tile.level == 0:
            expected = [leaf_hash(leaf) for leaf in leaves[tile.index * 256 : tile.index * 256 + tile.width]]
            assert list(decode_tile(tile, raw)) == expected
    hash_at = hashes_in_tiles(lambda tile: served[tile] or b"", made[-1].size)
    proof = inclusion_proof(300, made[-1].size, hash_at)
    verify_inclusion(leaf=leaf_hash(leaves[300]), index=300, size=600, proof=proof, root=made[-1].root)


async def test_nothing_beyond_the_newest_checkpoint_is_served(ledger: SqliteLedger) -> None:
    await grown(ledger, 256)
    await append(ledger, 300)
    tree = LedgerTree(ledger)
    for tile in (Tile(level=ENTRIES, index=1, width=1), Tile(level=0, index=1), Tile(level=1, index=0, width=2)):
        assert await tree.tile(tile) is None
    with pytest.raises(NotFound):
        await tree.inclusion(256)


async def test_two_integrators_publish_no_fork(ledger: SqliteLedger) -> None:
    await append(ledger, 10)
    answers = await asyncio.gather(*(integrator(ledger).integrate_once() for _ in range(8)), return_exceptions=True)
    made = [answer for answer in answers if isinstance(answer, Checkpoint)]
    assert len(made) == 1
    assert all(isinstance(answer, Checkpoint | Stale) or answer is None for answer in answers)


def raw(path: Path, *statements: tuple[str, tuple[object, ...]]) -> None:
    with outside(path) as database:
        for trigger in ("record_is_never_changed", "record_is_never_deleted", "checkpoint_is_never_changed"):
            database.execute(f"DROP TRIGGER {trigger}")
        for statement, parameters in statements:
            database.execute(statement, parameters)


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        ("UPDATE record SET leaf = replace(leaf, 'pending', 'allow') WHERE idx = 4", 4),
        ("DELETE FROM record WHERE idx = 5", 5),
    ],
    ids=["changed", "deleted"],
)
async def test_a_record_that_cannot_be_believed_is_not_integrated(
    ledger: SqliteLedger, path: Path, statement: str, index: int
) -> None:
    await grown(ledger, 3)
    await append(ledger, 4)
    raw(path, (statement, ()))
    with pytest.raises(VerificationFailed) as refused:
        await integrator(ledger).integrate_once()
    assert refused.value.index == index
    head = await LedgerTree(ledger).head()
    assert head is not None
    assert head.size == 3


def damaged(path: Path) -> bytes:
    with outside(path) as database:
        (hashes,) = database.execute("SELECT hashes FROM tile WHERE level = 0 AND idx = 0").fetchone()
    return bytes([hashes[0] ^ 1]) + bytes(hashes[1:])


@pytest.mark.parametrize("size", [2, 3, 255])
async def test_a_tile_that_was_changed_is_not_built_on_and_proves_nothing(
    ledger: SqliteLedger, path: Path, size: int
) -> None:
    await grown(ledger, size)
    await append(ledger, 1)
    raw(path, ("UPDATE tile SET hashes = ? WHERE level = 0", (damaged(path),)))
    with pytest.raises(VerificationFailed):
        await integrator(ledger).integrate_once()
    with pytest.raises(VerificationFailed):
        await LedgerTree(ledger).inclusion(1)


async def test_a_tile_that_was_made_wider_is_not_built_on(ledger: SqliteLedger, path: Path) -> None:
    await grown(ledger, 3)
    await append(ledger, 1)
    raw(path, ("UPDATE tile SET hashes = zeroblob(32 * 4) WHERE level = 0", ()))
    with pytest.raises(VerificationFailed):
        await integrator(ledger).integrate_once()


async def test_a_checkpoint_signed_by_another_key_is_not_built_on(ledger: SqliteLedger, path: Path) -> None:
    await grown(ledger, 3)
    await append(ledger, 1)
    other = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
    text = Checkpoint(origin=ORIGIN, size=3, root=b"r" * 32).text
    note = sign_note(text, ORIGIN, KEY.key_id, other.sign)
    raw(path, ("UPDATE checkpoint SET note = ?", (note.decode(),)))
    with pytest.raises(VerificationFailed):
        await integrator(ledger).integrate_once()


async def test_the_database_itself_refuses_to_change_or_delete_a_checkpoint(ledger: SqliteLedger, path: Path) -> None:
    await grown(ledger, 3)
    with outside(path) as database:
        for statement in ("UPDATE checkpoint SET note = ''", "DELETE FROM checkpoint"):
            with pytest.raises(sqlite3.IntegrityError):
                database.execute(statement)
