"""The Merkle tree: the published vectors, a second implementation, and every way a proof can be wrong."""

import base64
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.core.merkle import (
    EMPTY_ROOT,
    Frontier,
    HashAt,
    ProofInvalid,
    consistency_proof,
    decode_frontier,
    frontier_at,
    inclusion_proof,
    leaf_hash,
    root,
    verify_consistency,
    verify_inclusion,
)

CASES = Path(os.environ.get("ASSENT_CASES", Path(__file__).parents[3] / "shared" / "cases")) / "merkle" / "testdata"
LEAVES = [leaf_hash(str(number).encode()) for number in range(80)]
SIZES = st.integers(1, len(LEAVES))


def naive_root(records: Sequence[bytes]) -> bytes:
    """RFC 6962 section 2.1 word for word, over records: slow, and nothing of ours in it."""
    if len(records) == 0:
        return hashlib.sha256(b"").digest()
    if len(records) == 1:
        return hashlib.sha256(b"\x00" + records[0]).digest()
    k = 1
    while k * 2 < len(records):
        k *= 2
    return hashlib.sha256(b"\x01" + naive_root(records[:k]) + naive_root(records[k:])).digest()


def stored(leaves: Sequence[bytes]) -> HashAt:
    """What a store keeps: every whole subtree, by level and index."""
    kept = {(node.level, node.index): node.hash for node in Frontier().extend(leaves)[1]}
    return lambda level, index: kept[level, index]


HASH_AT = stored(LEAVES)


# --- the tree ---------------------------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=4), max_size=70))
def test_the_root_is_that_of_rfc_6962_however_it_is_reached(records: list[bytes]) -> None:
    hashes = [leaf_hash(record) for record in records]
    expected = naive_root(records)
    edge = Frontier()
    for leaf in hashes:
        edge = edge.append(leaf)
    assert root(hashes) == expected
    assert edge.root() == expected
    assert Frontier().extend(hashes)[0] == edge
    assert frontier_at(len(hashes), stored(hashes)) == edge


def test_small_trees_have_their_known_roots() -> None:
    assert root([]) == EMPTY_ROOT == bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    assert root([leaf_hash(b"")]).hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert root([leaf_hash(b"a"), leaf_hash(b"b"), leaf_hash(b"c")]) == naive_root([b"a", b"b", b"c"])


@given(st.lists(st.binary(max_size=3), min_size=1, max_size=40), st.data())
def test_any_edit_of_the_records_changes_the_root(records: list[bytes], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(records) - 1))
    other = data.draw(st.integers(0, len(records) - 1))
    swapped = list(records)
    swapped[place], swapped[other] = swapped[other], swapped[place]
    edits = [
        [*records[:place], records[place] + b"\x00", *records[place + 1 :]],
        records[:place] + records[place + 1 :],
        [*records[:place], records[place], *records[place:]],
        records[:-1],
        [*records, records[-1]],
        swapped,
    ]
    before = root(map(leaf_hash, records))
    assert [root(map(leaf_hash, edit)) == before for edit in edits] == [edit == records for edit in edits]


def test_a_node_does_not_pass_for_a_leaf() -> None:
    left, right = LEAVES[:2]
    assert leaf_hash(left + right) != root([left, right])


@given(SIZES, SIZES)
def test_an_edge_goes_on_from_where_it_was_stored(first: int, second: int) -> None:
    old, new = sorted((first, second))
    edge = decode_frontier(Frontier().extend(LEAVES[:old])[0].encode())
    grown, nodes = edge.extend(LEAVES[old:new])
    assert grown == frontier_at(new, HASH_AT)
    assert len(grown.hashes) == new.bit_count()
    assert all(HASH_AT(node.level, node.index) == node.hash for node in nodes)
    assert [node.index for node in nodes if node.level == 0] == list(range(old, new))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00" * 7,
        (1).to_bytes(8, "big"),
        (1).to_bytes(8, "big") + bytes(31),
        (1).to_bytes(8, "big") + bytes(33),
        (3).to_bytes(8, "big") + bytes(32),
        (0).to_bytes(8, "big") + bytes(32),
    ],
)
def test_a_damaged_edge_is_refused(raw: bytes) -> None:
    with pytest.raises(ProofInvalid, match="edge hashes"):
        decode_frontier(raw)


@given(st.integers(0, 40), st.integers(0, 40))
def test_the_edge_alone_is_that_of_the_growth_that_tells_its_nodes(before: int, more: int) -> None:
    edge = Frontier().after(LEAVES[:before])
    assert edge.after(LEAVES[before : before + more]) == edge.extend(LEAVES[before : before + more])[0]
    assert edge.root() == root(LEAVES[:before])


@pytest.mark.parametrize("raw", [b"", bytes(7), bytes(9), (1).to_bytes(8, "big"), (1).to_bytes(8, "big") + bytes(33)])
def test_what_no_edge_was_ever_written_as_is_none(raw: bytes) -> None:
    with pytest.raises(ProofInvalid):
        decode_frontier(raw)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 64, 77])
def test_an_edge_is_read_back_as_it_was_written(size: int) -> None:
    edge = Frontier().after(LEAVES[:size])
    assert edge.encode()[:8] == size.to_bytes(8, "big")
    assert decode_frontier(edge.encode()) == edge


# --- proofs -----------------------------------------------------------------------------------------------------------


def included(size: int, index: int, proof: Sequence[bytes], leaf: bytes, against: bytes) -> bool:
    try:
        verify_inclusion(leaf=leaf, index=index, size=size, proof=proof, root=against)
    except ProofInvalid:
        return False
    return True


def consistent(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> bool:
    try:
        verify_consistency(old_size=old, old_root=old_root, new_size=new, new_root=new_root, proof=proof)
    except ProofInvalid:
        return False
    return True


def test_every_record_of_every_tree_is_proven_included() -> None:
    for size in range(1, 34):
        head = root(LEAVES[:size])
        for index in range(size):
            proof = inclusion_proof(index, size, HASH_AT)
            assert included(size, index, proof, LEAVES[index], head)
            assert len(proof) <= (size - 1).bit_length()


def test_every_two_sizes_are_proven_consistent() -> None:
    for new in range(1, 34):
        for old in range(1, new + 1):
            proof = consistency_proof(old, new, HASH_AT)
            assert consistent(old, new, proof, root(LEAVES[:old]), root(LEAVES[:new]))


@given(SIZES, st.data())
def test_a_proof_fits_one_record_one_index_and_one_size(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof, head = inclusion_proof(index, size, HASH_AT), root(LEAVES[:size])
    wrong_index = data.draw(st.integers(-2, size + 2).filter(lambda other: other != index))
    wrong_leaf = data.draw(st.sampled_from([leaf for leaf in LEAVES if leaf != LEAVES[index]] + [b"", bytes(32)]))
    assert not included(size, wrong_index, proof, LEAVES[index], head)
    assert not included(size, index, proof, wrong_leaf, head)
    assert not included(size, index, proof, LEAVES[index], root(LEAVES[: size - 1]))


@settings(max_examples=40, deadline=None)  # each example is thousands of damaged proofs
@given(st.integers(2, len(LEAVES)), st.data())
def test_every_flipped_bit_of_an_inclusion_proof_is_seen(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof, head = inclusion_proof(index, size, HASH_AT), root(LEAVES[:size])
    for changed in damaged(proof):
        assert not included(size, index, changed, LEAVES[index], head)
    for changed in damaged([head]):
        assert not included(size, index, proof, LEAVES[index], b"".join(changed))


@settings(max_examples=40, deadline=None)  # each example is thousands of damaged proofs
@given(st.integers(2, len(LEAVES)), st.data())
def test_every_flipped_bit_of_a_consistency_proof_is_seen(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, new - 1))
    proof, old_root, new_root = consistency_proof(old, new, HASH_AT), root(LEAVES[:old]), root(LEAVES[:new])
    assert consistent(old, new, proof, old_root, new_root)
    for changed in damaged(proof):
        assert not consistent(old, new, changed, old_root, new_root)
    for changed in damaged([old_root]):
        assert not consistent(old, new, proof, b"".join(changed), new_root)
    for changed in damaged([new_root]):
        assert not consistent(old, new, proof, old_root, b"".join(changed))


def damaged(hashes: Sequence[bytes]) -> list[list[bytes]]:
    """Every single bit flipped, every hash dropped, doubled, cut, and the boundary between two moved."""
    flips = [
        [*hashes[:at], flipped(value, bit), *hashes[at + 1 :]] for at, value in enumerate(hashes) for bit in range(256)
    ]
    drops = [[*hashes[:at], *hashes[at + 1 :]] for at in range(len(hashes))]
    doubles = [[*hashes[:at], hashes[at], *hashes[at:]] for at in range(len(hashes))]
    cuts = [[*hashes[:at], hashes[at][:-1], *hashes[at + 1 :]] for at in range(len(hashes))]
    return flips + drops + doubles + cuts + [[*hashes, bytes(32)]]


def flipped(value: bytes, bit: int) -> bytes:
    return (int.from_bytes(value, "big") ^ 1 << bit).to_bytes(len(value), "big")


@given(SIZES, SIZES, st.data())
def test_a_rewritten_past_is_not_consistent(first: int, second: int, data: st.DataObject) -> None:
    old, new = sorted((first, second))
    rewritten = list(LEAVES[:new])
    rewritten[data.draw(st.integers(0, old - 1))] = leaf_hash(b"rewritten")
    proof = consistency_proof(old, new, stored(rewritten))
    assert not consistent(old, new, proof, root(LEAVES[:old]), root(rewritten))


def test_a_rolled_back_log_is_not_consistent() -> None:
    proof = consistency_proof(5, 9, HASH_AT)
    assert not consistent(9, 5, proof, root(LEAVES[:9]), root(LEAVES[:5]))


def test_an_empty_log_proves_nothing() -> None:
    assert not consistent(0, 0, [], EMPTY_ROOT, EMPTY_ROOT)
    assert not consistent(0, 3, [], EMPTY_ROOT, root(LEAVES[:3]))
    assert not included(0, 0, [], LEAVES[0], EMPTY_ROOT)


def test_no_proof_is_made_of_what_is_not_there() -> None:
    for index, size in [(0, 0), (3, 3), (-1, 3)]:
        with pytest.raises(ValueError, match="has no leaf"):
            inclusion_proof(index, size, HASH_AT)
    for old, new in [(0, 0), (0, 3), (4, 3), (-1, 3)]:
        with pytest.raises(ValueError, match="no proof leads"):
            consistency_proof(old, new, HASH_AT)


def test_hashes_whose_boundary_is_moved_do_not_pass() -> None:
    left, right = LEAVES[:2]
    assert not included(2, 0, [left[31:] + right], left[:31], root([left, right]))


# --- the vectors of transparency-dev/merkle ---------------------------------------------------------------------------


def vectors(kind: str) -> list[Path]:
    return sorted((CASES / kind).rglob("*.json"))


def unbase64(text: str | None) -> bytes:
    return base64.b64decode(text or "")


@pytest.mark.skipif(not CASES.is_dir(), reason=f"no Merkle vectors in {CASES}; set ASSENT_CASES to their folder")
def test_inclusion_agrees_with_every_published_vector() -> None:
    assert len(vectors("inclusion")) > 90
    for path in vectors("inclusion"):
        case = json.loads(path.read_text())
        proof = [unbase64(value) for value in case["proof"] or []]
        leaf, head = unbase64(case["leafHash"]), unbase64(case["root"])
        accepted = included(case["treeSize"], case["leafIdx"], proof, leaf, head)
        assert accepted != case["wantErr"], path


@pytest.mark.skipif(not CASES.is_dir(), reason=f"no Merkle vectors in {CASES}; set ASSENT_CASES to their folder")
def test_consistency_agrees_with_every_published_vector() -> None:
    assert len(vectors("consistency")) > 90
    for path in vectors("consistency"):
        case = json.loads(path.read_text())
        proof = [unbase64(value) for value in case["proof"] or []]
        roots = unbase64(case["root1"]), unbase64(case["root2"])
        accepted = consistent(case["size1"], case["size2"], proof, *roots)
        assert accepted != case["wantErr"], path


def why_not_included(size: int, proof: Sequence[bytes]) -> str:
    with pytest.raises(ProofInvalid) as refused:
        verify_inclusion(leaf=LEAVES[2], index=2, size=size, proof=proof, root=root(LEAVES[:size]))
    return refused.value.message


def why_not_consistent(old: int, new: int, proof: Sequence[bytes]) -> str:
    old_root, new_root = root(LEAVES[:old]), root(LEAVES[:new])
    with pytest.raises(ProofInvalid) as refused:
        verify_consistency(old_size=old, old_root=old_root, new_size=new, new_root=new_root, proof=proof)
    return refused.value.message


def test_a_proof_that_has_the_wrong_length_is_told_so() -> None:
    inclusion, consistency = inclusion_proof(2, 7, HASH_AT), consistency_proof(5, 7, HASH_AT)
    assert "too long" in why_not_included(7, [*inclusion, bytes(32)])
    assert "does not lead to the root" in why_not_included(7, inclusion[:-1])
    assert "empty" in why_not_consistent(5, 7, [])
    assert "too long" in why_not_consistent(5, 7, [*consistency, bytes(32)])
    assert "too short" in why_not_consistent(5, 7, consistency[:-1])


@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize("length", [0, 31, 33])
def test_one_hash_of_another_length_is_enough_to_be_refused(at: int, length: int) -> None:
    inclusion, consistency = list(inclusion_proof(2, 7, HASH_AT)), list(consistency_proof(5, 7, HASH_AT))
    inclusion[at], consistency[at] = bytes(length), bytes(length)
    assert "32 bytes" in why_not_included(7, inclusion)
    assert "32 bytes" in why_not_consistent(5, 7, consistency)


def test_a_log_of_the_same_size_needs_no_proof_and_takes_none() -> None:
    assert consistent(5, 5, [], root(LEAVES[:5]), root(LEAVES[:5]))
    assert "two roots" in why_not_consistent(5, 5, [bytes(32)])
