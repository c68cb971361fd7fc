"""Tiles, checkpoints and proofs in a ledger: what the integrator writes and what the public log is served from.

Nothing beyond the newest checkpoint is ever shown. Tiles carry no MAC: they are proven by the checkpoint, and every
proof is verified before it is handed out.

    tree = LedgerTree(ledger)    `stores.tree.Integrator(tree, …)` makes it grow
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeVar, cast

from assent.core.checkpoints import parse_checkpoint
from assent.core.errors import Forged, NotFound, Stale, VerificationFailed
from assent.core.merkle import (
    HASH_BYTES,
    Frontier,
    HashAt,
    Node,
    consistency_proof,
    frontier_at,
    inclusion_proof,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from assent.core.tiles import ENTRIES, TILE_HEIGHT, TILE_WIDTH, Tile, encode_entries, hashes_in_tiles
from assent.ports import Ledger, Tx
from assent.stores.rows.moments import stamp
from assent.stores.tree import Step
from assent.stores.tx import LedgerTx
from assent.stores.view import LedgerView

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The newest checkpoint: its signed note, and the size and root that the note says."""

    note: bytes
    size: int
    root: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Inclusion:
    """That `leaf` stands at `index` of the tree that `head` signs."""

    leaf: bytes
    index: int
    hashes: tuple[bytes, ...]
    head: Head


class LedgerTree:
    """The tree over the records of a ledger, whatever database that is in."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def head(self) -> Head | None:
        """Return the newest checkpoint, or None before the first."""
        return await self._look(_head)

    async def last_note(self) -> bytes | None:
        """Return the note of the newest checkpoint, or None before the first."""
        head = await self.head()
        return None if head is None else head.note

    async def first_note(self) -> bytes | None:
        """Return the note of the smallest checkpoint, or None before the first."""
        return await self._look(_first_note)

    async def unsigned(self) -> int:
        """Return how many records no checkpoint covers yet."""
        return await self._look(_unsigned)

    async def note_at(self, size: int) -> bytes | None:
        """Return the note of the checkpoint of exactly that size, or None."""
        return await self._look(lambda view: _note_at(view, size))

    async def frontier(self, size: int) -> Frontier:
        """Return the edge of the tree at `size`, from the stored tiles."""
        return await self._look(lambda view: frontier_at(size, _hash_at(view, size)))

    async def leaves(self, first: int, limit: int) -> Sequence[bytes]:
        """Return the leaves from index `first` on. Raises VerificationFailed for a record that cannot be believed."""
        return await self._look(lambda view: _believed(view, first, limit))

    async def tile(self, tile: Tile) -> bytes | None:
        """Return the bytes of a tile or an entry bundle, None when the newest checkpoint does not cover it."""
        return await self._look(lambda view: _tile_or_bundle(view, tile))

    async def inclusion(self, index: int) -> Inclusion:
        """Return the proof that record `index` is in the log.

        Raises:
            NotFound: the newest checkpoint does not cover it yet.
            VerificationFailed: the stored tree does not lead to its checkpoint.

        """
        return await self._look(lambda view: _inclusion(view, index))

    async def consistency(self, old_size: int, new_size: int) -> tuple[bytes, ...]:
        """Return the proof that the tree of `new_size` begins with that of `old_size`, both signed.

        Raises:
            NotFound: one of the two was never signed.
            VerificationFailed: the stored tree does not lead to its checkpoints.

        """
        return await self._look(lambda view: _consistency(view, old_size, new_size))

    async def grow(self, step: Step) -> None:
        """Store a step. Raises Stale when the tree has another size by now."""

        async def work(tx: Tx) -> None:
            _grow(cast("LedgerTx", tx), step)

        await self._ledger.transact(work)

    async def _look(self, question: Callable[[LedgerView], T]) -> T:
        async def work(view: Any) -> T:  # noqa: ANN401  # its views are those of the stores here
            return question(view)

        return await self._ledger.read(cast("Callable[[object], Awaitable[T]]", work))


def _head(view: LedgerView) -> Head | None:
    row = view.fetch_one(view.sql.last_note)
    if row is None:
        return None
    checkpoint = parse_checkpoint(row[1].rpartition("\n\n")[0] + "\n")
    return Head(note=row[1].encode(), size=checkpoint.size, root=checkpoint.root)


def _first_note(view: LedgerView) -> bytes | None:
    row = view.fetch_one(view.sql.first_note)
    return None if row is None else str(row[0]).encode()


def _unsigned(view: LedgerView) -> int:
    head = _head(view)
    signed = 0 if head is None else head.size
    (last,) = view.fetch_one(view.sql.last_from, (signed,))
    return 0 if last is None else int(last) + 1 - signed


def _covered(view: LedgerView) -> Head:
    head = _head(view)
    if head is None:
        raise NotFound("the log has no checkpoint yet", hint="ask again in a second")
    return head


def _note_at(view: LedgerView, size: int) -> bytes | None:
    row = view.fetch_one(view.sql.note_at, (size,))
    return None if row is None else str(row[0]).encode()


def _hash_at(view: LedgerView, size: int) -> HashAt:
    return hashes_in_tiles(lambda tile: _hashes(view, tile), size)


def _hashes(view: LedgerView, tile: Tile) -> bytes:
    row = view.fetch_one(view.sql.tile, (tile.level, tile.index))
    return b"" if row is None else bytes(row[0][: tile.width * HASH_BYTES])


def _believed(view: LedgerView, first: int, limit: int) -> Sequence[bytes]:
    leaves: list[bytes] = []
    for index, row in enumerate(view.fetch(view.sql.leaves, (first, limit)), start=first):
        if row[0] != index:
            raise VerificationFailed(f"record {index} is missing from the log", index=index)
        try:
            leaves.append(view.record_of(row).leaf)
        except Forged as error:
            raise VerificationFailed(f"record {index} carries no valid MAC", index=index, hint=error.hint) from error
    return leaves


def _tile_or_bundle(view: LedgerView, tile: Tile) -> bytes | None:
    head = _head(view)
    level = max(tile.level, 0)
    if head is None or tile.index * TILE_WIDTH + tile.width > head.size >> TILE_HEIGHT * level:
        return None
    if tile.level == ENTRIES:
        return encode_entries(_believed(view, tile.index * TILE_WIDTH, tile.width))
    return _hashes(view, tile)


def _inclusion(view: LedgerView, index: int) -> Inclusion:
    head = _covered(view)
    if not 0 <= index < head.size:
        raise NotFound(f"no checkpoint covers record {index} yet", hint="ask again in a second")
    (leaf,) = _believed(view, index, 1)
    hashes = inclusion_proof(index, head.size, _hash_at(view, head.size))
    verify_inclusion(leaf=leaf_hash(leaf), index=index, size=head.size, proof=hashes, root=head.root)
    return Inclusion(leaf=leaf, index=index, hashes=hashes, head=head)


def _consistency(view: LedgerView, old_size: int, new_size: int) -> tuple[bytes, ...]:
    old, new = (_root_at(view, size) for size in (old_size, new_size))
    if not 1 <= old_size <= new_size:
        raise NotFound(f"no proof leads from size {old_size} to size {new_size}")
    proof = consistency_proof(old_size, new_size, _hash_at(view, new_size))
    verify_consistency(old_size=old_size, old_root=old, new_size=new_size, new_root=new, proof=proof)
    return proof


def _root_at(view: LedgerView, size: int) -> bytes:
    note = _note_at(view, size)
    if note is None:
        raise NotFound(f"the log has no checkpoint of size {size}")
    return parse_checkpoint(note.decode().rpartition("\n\n")[0] + "\n").root


def _grow(tx: LedgerTx, step: Step) -> None:
    tx.hold_tree()
    last = tx.fetch_one(tx.sql.last_note)
    if step.old_size != (0 if last is None else last[0]):
        raise Stale("another broker integrated these records", hint="call again")
    for place, nodes in groupby(_kept(step.nodes), key=_place):
        _extend(tx, place, list(nodes))
    tx.write(tx.sql.sign, (step.new_size, stamp(tx.now), step.note.decode()))


def _extend(tx: LedgerTx, place: tuple[int, int], nodes: Sequence[Node]) -> None:
    row = tx.fetch_one(tx.sql.tile, place)
    hashes = b"" if row is None else bytes(row[0])
    if len(hashes) != nodes[0].index % TILE_WIDTH * HASH_BYTES:
        raise VerificationFailed(f"tile {place[1]} of level {place[0]} is not as wide as the log made it")
    tx.write(tx.sql.keep_tile, (*place, hashes + b"".join(node.hash for node in nodes)))


def _kept(nodes: Sequence[Node]) -> Sequence[Node]:
    """Return the nodes that stand in tiles, tile by tile, each in its order."""
    return sorted((node for node in nodes if node.level % TILE_HEIGHT == 0), key=lambda node: (node.level, node.index))


def _place(node: Node) -> tuple[int, int]:
    return node.level // TILE_HEIGHT, node.index // TILE_WIDTH
