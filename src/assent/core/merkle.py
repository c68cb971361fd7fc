"""The Merkle tree of RFC 6962 over SHA-256: hashes, the growing edge, proofs and their verification.

Rules kept here:
- A leaf is hashed behind 0x00, a node behind 0x01, so that neither passes for the other; every hash is 32 bytes and a
  proof with any other length is refused before it is used.
- Making a proof reads hashes of whole subtrees through a `HashAt`; verifying one needs nothing but its arguments.
- Verification says no by raising ProofInvalid. What returns is proven.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from assent.core.errors import VerificationFailed

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()

# HashAt(level, index) is the root of the whole subtree over leaves index * 2**level up to (index + 1) * 2**level.
HashAt: TypeAlias = Callable[[int, int], bytes]


class ProofInvalid(VerificationFailed):
    """A proof, a tile or a stored edge of the tree does not hold."""


def leaf_hash(record: bytes) -> bytes:
    """Return SHA-256(0x00 ‖ record), 32 bytes. Source: RFC 6962 section 2.1."""
    return hashlib.sha256(b"\x00" + record).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01 ‖ left ‖ right), 32 bytes. Source: RFC 6962 section 2.1."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaf_hashes: Iterable[bytes]) -> bytes:
    """Return the root over `leaf_hashes`; that of no leaves is SHA-256 of nothing."""
    edge: list[bytes] = []
    for index, leaf in enumerate(leaf_hashes):
        _complete(edge, index, leaf)
    return _fold(edge)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """The root of a whole subtree of 2**level leaves, the `index`-th of its level."""

    level: int
    index: int
    hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier:
    """The growing edge of a tree: its size and the roots of the whole subtrees it is made of, the largest first.

    It is all that appending needs: O(log size) hashes, one per bit of the size that is set.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or self.size.bit_count() != len(self.hashes) or set(map(len, self.hashes)) - {HASH_BYTES}:
            raise ProofInvalid(f"these are not the edge hashes of a tree of size {self.size}")

    def append(self, leaf: bytes) -> "Frontier":
        """Return the edge after one more leaf hash."""
        return self.extend([leaf])[0]

    def extend(self, leaf_hashes: Iterable[bytes]) -> tuple["Frontier", tuple[Node, ...]]:
        """Return the edge after `leaf_hashes`, and every node they completed (leaves included) for a store to keep."""
        edge, size, nodes = list(self.hashes), self.size, list[Node]()
        for leaf in leaf_hashes:
            completed = _complete(edge, size, leaf)
            nodes += [Node(level=level, index=size >> level, hash=found) for level, found in enumerate(completed)]
            size += 1
        return Frontier(size=size, hashes=tuple(edge)), tuple(nodes)

    def after(self, leaf_hashes: Iterable[bytes]) -> "Frontier":
        """Return the edge after `leaf_hashes`, for whoever keeps no nodes: a third of the cost of `extend`."""
        edge, size = list(self.hashes), self.size
        for leaf in leaf_hashes:
            _complete(edge, size, leaf)
            size += 1
        return Frontier(size=size, hashes=tuple(edge))

    def root(self) -> bytes:
        """Return the root of the tree, 32 bytes."""
        return _fold(self.hashes)

    def encode(self) -> bytes:
        """Return the size as 8 big-endian bytes, then the hashes."""
        return self.size.to_bytes(8, "big") + b"".join(self.hashes)


def decode_frontier(raw: bytes) -> Frontier:
    """Return what `Frontier.encode` wrote. Raises ProofInvalid for anything else."""
    hashes = tuple(raw[start : start + HASH_BYTES] for start in range(8, len(raw), HASH_BYTES))
    return Frontier(size=int.from_bytes(raw[:8], "big") if len(raw) >= 8 else -1, hashes=hashes)  # noqa: PLR2004  # the size is eight bytes


def frontier_at(size: int, hash_at: HashAt) -> Frontier:
    """Return the edge that the tree had at `size`, from stored hashes; its root is the root of that tree."""
    return Frontier(size=size, hashes=tuple(_edge(0, size, hash_at)))


def inclusion_proof(index: int, size: int, hash_at: HashAt) -> tuple[bytes, ...]:
    """Return the audit path of leaf `index` in the tree of `size`, the leaf's sibling first.

    Raises ValueError when that tree has no such leaf. Source: RFC 6962 section 2.1.1.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of size {size} has no leaf {index}")
    path, start, end = [], 0, size
    while end - start > 1:
        middle = start + _left_size(end - start)
        if index < middle:
            path.append(_range_hash(middle, end, hash_at))
            end = middle
        else:
            path.append(_range_hash(start, middle, hash_at))
            start = middle
    return tuple(reversed(path))


def consistency_proof(old_size: int, new_size: int, hash_at: HashAt) -> tuple[bytes, ...]:
    """Return the proof that the tree of `new_size` begins with the tree of `old_size`.

    Raises ValueError unless 1 <= old_size <= new_size: nothing is proven of an empty tree.
    Source: RFC 6962 section 2.1.2.
    """
    if not 1 <= old_size <= new_size:
        raise ValueError(f"no proof leads from size {old_size} to size {new_size}")
    path, start, end = [], 0, new_size
    while old_size < end:
        middle = start + _left_size(end - start)
        if old_size <= middle:
            path.append(_range_hash(middle, end, hash_at))
            end = middle
        else:
            path.append(_range_hash(start, middle, hash_at))
            start = middle
    if start > 0:  # from 0 on it is the old root itself, which the verifier has
        path.append(_range_hash(start, end, hash_at))
    return tuple(reversed(path))


def verify_inclusion(*, leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Return only when the leaf hash `leaf` stands at `index` in the tree of `size` and `root`.

    The caller must still check where `root` comes from. Raises ProofInvalid. Source: RFC 9162 section 2.1.3.2.
    """
    if not 0 <= index < size:
        raise ProofInvalid(f"a tree of size {size} has no record {index}")
    _require_hashes([leaf, *proof])
    position, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ProofInvalid("the inclusion proof is too long")
        if position & 1 or position == last:
            found = node_hash(sibling, found)
            position, last = _skip_lone_levels(position, last)
        else:
            found = node_hash(found, sibling)
        position, last = position >> 1, last >> 1
    if last != 0 or found != root:
        raise ProofInvalid(f"the inclusion proof of record {index} does not lead to the root of size {size}")


def verify_consistency(
    *, old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Return only when the tree of `new_size` and `new_root` begins with the tree of `old_size` and `old_root`.

    An empty old tree proves nothing and is refused: the caller who holds one has nothing to compare.
    Raises ProofInvalid. Source: RFC 9162 section 2.1.4.2.
    """
    if not 1 <= old_size <= new_size:
        raise ProofInvalid(f"no consistency can lead from size {old_size} to size {new_size}")
    if old_size == new_size:
        if proof or old_root != new_root:
            raise ProofInvalid(f"two roots are claimed for size {old_size}")
        return
    if not proof:
        raise ProofInvalid("the consistency proof is empty")
    _require_hashes([old_root, new_root, *proof])
    if _roots_from_consistency(old_size, new_size, old_root, proof) != (old_root, new_root):
        raise ProofInvalid(f"the tree of size {new_size} does not begin with the tree of size {old_size}")


def _roots_from_consistency(
    old_size: int, new_size: int, old_root: bytes, proof: Sequence[bytes]
) -> tuple[bytes, bytes]:
    # A whole old tree is a node of the new one, so the proof leaves it out.
    whole = old_size.bit_count() == 1
    first, *rest = [old_root, *proof] if whole else proof
    position, last = old_size - 1, new_size - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old = new = first
    for sibling in rest:
        if last == 0:
            raise ProofInvalid("the consistency proof is too long")
        if position & 1 or position == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            position, last = _skip_lone_levels(position, last)
        else:
            new = node_hash(new, sibling)
        position, last = position >> 1, last >> 1
    if last != 0:
        raise ProofInvalid("the consistency proof is too short")
    return old, new


def _skip_lone_levels(position: int, last: int) -> tuple[int, int]:
    # The last node of a level without a sibling goes up as it is.
    while position and not position & 1:
        position, last = position >> 1, last >> 1
    return position, last


def _require_hashes(hashes: Iterable[bytes]) -> None:
    # Two hashes of 31 and 33 bytes would hash to the same node as two of 32.
    if any(len(value) != HASH_BYTES for value in hashes):
        raise ProofInvalid(f"a hash is not {HASH_BYTES} bytes long")


def _complete(edge: list[bytes], size: int, leaf: bytes) -> list[bytes]:
    """Add the leaf at index `size` to `edge` in place and return the hashes it completed, by level."""
    completed = [leaf]
    while size & 1:
        completed.append(node_hash(edge.pop(), completed[-1]))
        size >>= 1
    edge.append(completed[-1])
    return completed


def _fold(edge: Sequence[bytes]) -> bytes:
    if not edge:
        return EMPTY_ROOT
    found = edge[-1]
    for left in reversed(edge[:-1]):
        found = node_hash(left, found)
    return found


def _edge(start: int, end: int, hash_at: HashAt) -> Iterator[bytes]:
    # `start` is a multiple of the largest whole subtree that fits, as every split of the tree is.
    while start < end:
        level = (end - start).bit_length() - 1
        yield hash_at(level, start >> level)
        start += 1 << level


def _range_hash(start: int, end: int, hash_at: HashAt) -> bytes:
    return _fold(list(_edge(start, end, hash_at)))


def _left_size(size: int) -> int:
    """Return the largest power of two below `size`, which is at least 2."""
    return 1 << (size - 1).bit_length() - 1
