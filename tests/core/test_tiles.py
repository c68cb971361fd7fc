"""Tiles and bundles: one path each, complete at every growth, and proofs that are read from them."""

from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from assent.core.merkle import (
    Frontier,
    ProofInvalid,
    consistency_proof,
    frontier_at,
    inclusion_proof,
    leaf_hash,
    root,
    verify_consistency,
    verify_inclusion,
)
from assent.core.tiles import (
    ENTRIES,
    Tile,
    decode_entries,
    decode_tile,
    encode_entries,
    hashes_in_tiles,
    parse_tile_path,
    tiles_between,
)

LEAVES = [leaf_hash(number.to_bytes(3, "big")) for number in range(70_000)]
NODES = {(node.level, node.index): node.hash for node in Frontier().extend(LEAVES)[1]}
TILES = st.builds(Tile, level=st.integers(-1, 63), index=st.integers(0, 10**12), width=st.integers(1, 256))


def written(tile: Tile) -> bytes:
    """A tile as a store makes it from its nodes."""
    first = tile.index * 256
    return b"".join(NODES[tile.level * 8, index] for index in range(first, first + tile.width))


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(level=0, index=0), "tile/0/000"),
        (Tile(level=0, index=1_234_067), "tile/0/x001/x234/067"),
        (Tile(level=1, index=1000, width=5), "tile/1/x001/000.p/5"),
        (Tile(level=ENTRIES, index=999, width=255), "tile/entries/999.p/255"),
        (Tile(level=63, index=1_000_000), "tile/63/x001/x000/000"),
    ],
)
def test_a_tile_has_the_path_of_the_public_format(tile: Tile, path: str) -> None:
    assert tile.path == path
    assert parse_tile_path(path) == tile


@given(TILES)
def test_a_path_names_its_tile(tile: Tile) -> None:
    assert parse_tile_path(tile.path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0/0",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/x001",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/0/000/",
        "/tile/0/000",
        "tile/0/000\n",
        "tile/0/../000",
        "tile/0/٠٠٠",
        "tile/Entries/000",
        "tile/0/" + "x001/" * 50 + "000",
    ],
)
def test_no_second_spelling_names_a_tile(path: str) -> None:
    assert parse_tile_path(path) is None


@pytest.mark.parametrize("wrong", [{"level": 64}, {"level": -2}, {"index": -1}, {"width": 0}, {"width": 257}])
def test_no_tile_is_made_outside_the_format(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="no tile has"):
        Tile(**{"level": 0, "index": 0, "width": 256} | wrong)


def test_a_tree_of_70_000_has_the_tiles_that_the_format_counts_out() -> None:
    tiles = tiles_between(0, 70_000)
    by_level = [[tile.width for tile in tiles if tile.level == level] for level in (ENTRIES, 0, 1, 2, 3)]
    assert by_level == [[256] * 273 + [112], [256] * 273 + [112], [256, 17], [1], []]
    assert [tile.path for tile in tiles_between(0, 256)] == ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]
    assert tiles_between(0, 0) == tiles_between(300, 300) == ()


@given(st.integers(0, 200_000), st.integers(0, 200_000))
@example(255, 256)
@example(256, 257)
@example(65_535, 65_536)
def test_growth_writes_exactly_the_tiles_that_are_new(first: int, second: int) -> None:
    old, new = sorted((first, second))
    before, after = set(tiles_between(0, old)), set(tiles_between(0, new))
    assert set(tiles_between(old, new)) == after - before
    assert len(tiles_between(old, new)) == len(after - before)


def test_a_log_does_not_shrink() -> None:
    with pytest.raises(ValueError, match="does not go"):
        tiles_between(2, 1)


@settings(max_examples=60, deadline=None)  # each example builds tiles
@given(st.integers(1, 70_000), st.integers(1, 70_000), st.data())
@example(70_000, 69_999, None)
@example(65_536, 256, None)
def test_proofs_are_read_from_the_tiles_of_the_tree_alone(first: int, second: int, data: st.DataObject | None) -> None:
    old, new = sorted((first, second))
    hash_at = hashes_in_tiles(only(set(tiles_between(0, new))), new)
    index = data.draw(st.integers(0, new - 1)) if data else new - 1
    head, old_head = frontier_at(new, hash_at).root(), frontier_at(old, lambda *at: NODES[at]).root()
    proof = inclusion_proof(index, new, hash_at)
    verify_inclusion(leaf=LEAVES[index], index=index, size=new, proof=proof, root=head)
    proof = consistency_proof(old, new, hash_at)
    verify_consistency(old_size=old, old_root=old_head, new_size=new, new_root=head, proof=proof)


def only(tiles: set[Tile]) -> Callable[[Tile], bytes]:
    """A reader that has these tiles and no others."""

    def read(tile: Tile) -> bytes:
        assert tile in tiles
        return written(tile)

    return read


def test_a_tile_above_is_made_of_the_roots_below() -> None:
    above = decode_tile(Tile(level=1, index=0), written(Tile(level=1, index=0)))
    assert above[3] == root(decode_tile(Tile(level=0, index=3), written(Tile(level=0, index=3))))


def test_a_short_or_long_tile_is_refused() -> None:
    tile = Tile(level=0, index=0, width=3)
    for raw in (b"", bytes(95), bytes(97), bytes(128)):
        with pytest.raises(ProofInvalid, match=r"tile `tile/0/000.p/3` is"):
            decode_tile(tile, raw)
    hash_at = hashes_in_tiles(lambda _: bytes(32), 3)
    with pytest.raises(ProofInvalid):
        inclusion_proof(0, 3, hash_at)


def test_what_is_outside_the_tree_is_not_read() -> None:
    hash_at = hashes_in_tiles(only(set(tiles_between(0, 300))), 300)
    for level, index in [(0, 300), (8, 1), (3, 37), (9, 0), (0, 70_000)]:
        with pytest.raises(ProofInvalid, match="no whole subtree"):
            hash_at(level, index)


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=20))
def test_a_bundle_holds_its_records_and_nothing_else(records: list[bytes]) -> None:
    raw, tile = encode_entries(records), Tile(level=ENTRIES, index=0, width=len(records))
    assert decode_entries(tile, raw) == tuple(records)
    for damaged in (raw[:-1], raw + b"\x00", raw + b"\x00\x00", raw[1:], b""):
        with pytest.raises(ProofInvalid, match="does not hold exactly"):
            decode_entries(tile, damaged)


def test_the_longest_record_fits_and_one_byte_more_does_not() -> None:
    longest = bytes(65_535)
    assert decode_entries(Tile(level=ENTRIES, index=0, width=1), encode_entries([longest])) == (longest,)
    assert encode_entries([b"ab"]) == b"\x00\x02ab"
    with pytest.raises(ValueError, match="65536 bytes long"):
        encode_entries([longest + b"x"])
