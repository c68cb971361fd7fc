"""The log as a Merkle tree, off the hot path: records are integrated in order and each step is signed.

    integrator = Integrator(tree, key=keys.log_verifier_key(origin), sign=keys.sign_log)
    checkpoint = await integrator.integrate_once()     # None when there is nothing new; call it each second

Rules kept here:
- A record without its MAC, or a gap, stops integration: nothing is signed on top of it.
- What is signed begins with what was signed before: the edge that is read back must have the signed root, under a
  signature by a key that may vouch for it.
- A step is stored by compare-and-swap on the size before anybody sees it, so two integrators never publish a fork.
- Nothing is signed from the record on that hands the log over to a key which is not at hand: whoever has it signs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from assent.core.canonical import load
from assent.core.checkpoints import Checkpoint, claimed_size, open_checkpoint
from assent.core.errors import KeysInvalid, VerificationFailed
from assent.core.handovers import Handover, KeyChain, KeyUse, Sign, open_handover
from assent.core.merkle import Frontier, Node, leaf_hash
from assent.core.notes import NoteInvalid, VerifierKey, claimed_keys, cosign_note, sign_note
from assent.core.records import RecordKind
from assent.stores.keys import verifier

MAX_STEP: Final = 1_024
_ROTATED: Final = RecordKind.BROKER_KEY_ROTATED.encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How the tree grows at once: from one signed size to the next, with the nodes that this completes."""

    old_size: int
    new_size: int
    nodes: Sequence[Node]
    note: bytes


def believed(note: bytes, chain: KeyChain) -> Checkpoint:
    """Return the checkpoint of `note` when a key that may vouch for its size signed it. Raises NoteInvalid."""
    keys = chain.may_vouch(claimed_size(note))
    return open_checkpoint(note, origin=chain.newest.name, verifiers=map(verifier, keys))


def signed_by(note: bytes, key: VerifierKey) -> bool:
    """Whether `note` is a checkpoint that this key signed."""
    try:
        believed(note, KeyChain((key,)))
    except NoteInvalid:
        return False
    return True


class Tree(Protocol):
    """Where tiles and checkpoints are kept, beside the records that they are made of."""

    async def last_note(self) -> bytes | None:
        """Return the note of the largest checkpoint, or None before the first."""
        ...

    async def frontier(self, size: int) -> Frontier:
        """Return the edge of the tree at `size`, from the stored tiles."""
        ...

    async def leaves(self, first: int, limit: int) -> Sequence[bytes]:
        """Return the leaves from index `first` on, at most `limit`.

        Raises:
            VerificationFailed: a record has no valid MAC, or one is missing; `index` says which.

        """
        ...

    async def grow(self, step: Step) -> None:
        """Store the step when the tree still has its old size.

        Raises:
            Stale: it has not; somebody else integrated.

        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """Who signs the next checkpoint: the newest key of `chain`, and beside it each of `cosign` for a while.

    A key that was replaced signs along for whoever knows no other yet; its word alone counts for nothing.
    """

    chain: KeyChain
    sign: Sign
    cosign: tuple[tuple[VerifierKey, Sign], ...] = ()

    def note(self, text: str) -> bytes:
        """Return `text` under all signatures."""
        newest = self.chain.newest
        note = sign_note(text, newest.name, newest.key_id, self.sign)
        for key, sign in self.cosign:
            note = cosign_note(note, key.name, key.key_id, sign)
        return note


class Integrator:
    """Turns records into signed checkpoints; one at a time is enough, two do no harm.

    `signing` may be exchanged between two steps, when the key of the log was rotated.
    """

    def __init__(self, tree: Tree, *, key: VerifierKey, sign: Sign) -> None:
        self.signing = Signing(chain=KeyChain((key,)), sign=sign)
        self._tree = tree
        self._edge = Frontier()

    async def integrate_once(self) -> Checkpoint | None:
        """Integrate at most 1,024 records and return the new checkpoint, or None when there is nothing new.

        Raises:
            VerificationFailed: a record, a tile or the last checkpoint is not what it was.
            KeysInvalid: the log was handed over to a key that is not at hand.
            Stale: another integrator was first; call again.
            LedgerUnavailable: nothing was stored, or not known to be.

        """
        edge = await self._signed_edge()
        leaves = await self._tree.leaves(edge.size, MAX_STEP)
        if not leaves:
            return None
        self._refuse_successor(leaves)
        grown, nodes = edge.extend(map(leaf_hash, leaves))
        checkpoint = Checkpoint(origin=self.signing.chain.newest.name, size=grown.size, root=grown.root())
        note = self.signing.note(checkpoint.text)
        await self._tree.grow(Step(old_size=edge.size, new_size=grown.size, nodes=nodes, note=note))
        self._edge = grown
        return checkpoint

    def _refuse_successor(self, leaves: Sequence[bytes]) -> None:
        for handover in filter(None, map(_log_handover, leaves)):
            if handover.new not in self.signing.chain.keys:
                raise KeysInvalid(
                    f"the log was handed over to the key `{handover.new.encode()}`, which is not here",
                    hint="give this broker the new key files, with the folder `handovers`; another one signs meanwhile",
                )

    def _refuse_stranger(self, note: bytes) -> None:
        # An old key signs along for a while, so whoever has only that would go on believing, and sign alone.
        newest = self.signing.chain.newest
        if claimed_keys(note, newest.name) - {key.key_id for key in self.signing.chain.keys}:
            raise KeysInvalid(
                "the log is signed with a key which is not here",
                hint="give this broker the new key files, with the folder `handovers`; another one signs meanwhile",
            )

    async def _signed_edge(self) -> Frontier:
        note = await self._tree.last_note()
        if note is None:
            return Frontier()
        self._refuse_stranger(note)
        last = believed(note, self.signing.chain)
        if self._edge.size != last.size:
            self._edge = await self._tree.frontier(last.size)
        if self._edge.root() != last.root:
            raise VerificationFailed(
                f"the tiles of the log do not lead to its checkpoint of size {last.size}",
                hint="somebody changed the database: run `assent audit verify`, keep a copy, restore a backup",
            )
        return self._edge


def _log_handover(leaf: bytes) -> Handover | None:
    """Return the handover of the log's key that a record tells of, None for any other record."""
    if _ROTATED not in leaf:
        return None
    value = load(leaf)
    detail = value.get("detail") if isinstance(value, dict) and value.get("kind") == _ROTATED.decode() else None
    if not isinstance(detail, dict) or detail.get("key") != KeyUse.LOG:
        return None
    return open_handover(str(detail.get("note")).encode(), verifier)
