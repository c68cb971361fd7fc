"""How the tree is cut into tiles and its records into bundles: the storage and HTTP form of a public log.

Source: C2SP tlog-tiles. A tile is up to 256 hashes of one tile level, each the root of a whole subtree of 256**level
leaves; the entry bundle beside a level-0 tile holds the records themselves. Full tiles never change; a partial one is
only ever a prefix of the full one. Nothing here reads or writes: a reader comes in as a callable.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from assent.core.merkle import HASH_BYTES, HashAt, ProofInvalid, root

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT
ENTRIES: Final = -1  # the level of entry bundles
MAX_LEVEL: Final = 63
MAX_RECORD_BYTES: Final = 65_535

_LENGTH_BYTES: Final = 2
_PATH = re.compile(r"tile/(entries|[0-9]{1,2})/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([0-9]{1,3}))?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One tile (or, at level `ENTRIES`, one bundle): the `index`-th of its level, `width` hashes or records wide."""

    level: int
    index: int
    width: int = TILE_WIDTH

    def __post_init__(self) -> None:
        if not (ENTRIES <= self.level <= MAX_LEVEL and self.index >= 0 and 1 <= self.width <= TILE_WIDTH):
            raise ValueError(f"no tile has level {self.level}, index {self.index}, width {self.width}")

    @property
    def path(self) -> str:
        """The public path below the log's prefix, `tile/0/x001/x234/067.p/9`."""
        rest, last = divmod(self.index, 1000)
        number = f"{last:03d}"
        while rest:
            rest, part = divmod(rest, 1000)
            number = f"x{part:03d}/{number}"
        level = "entries" if self.level == ENTRIES else str(self.level)
        partial = f".p/{self.width}" if self.width < TILE_WIDTH else ""
        return f"tile/{level}/{number}{partial}"


def parse_tile_path(path: str) -> Tile | None:
    """Return the tile that has exactly this path, or None: no second spelling names a tile."""
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    level, number, width = match.groups()
    try:
        tile = Tile(
            level=ENTRIES if level == "entries" else int(level),
            index=int(number.replace("x", "").replace("/", "")),
            width=TILE_WIDTH if width is None else int(width),
        )
    except ValueError:
        return None
    return tile if tile.path == path else None


def tiles_between(old_size: int, new_size: int) -> tuple[Tile, ...]:
    """Return every tile and bundle that a log writes when it grows from `old_size` to `new_size`, bundles first.

    From size 0 on these are all the tiles of a tree. Raises ValueError when the log would shrink.
    """
    if not 0 <= old_size <= new_size:
        raise ValueError(f"a log does not go from size {old_size} to size {new_size}")
    tiles: list[Tile] = []
    level = ENTRIES
    while new_size >> _shift(level):
        tiles += _level_between(level, old_size >> _shift(level), new_size >> _shift(level))
        level += 1
    return tuple(tiles)


def hashes_in_tiles(read: Callable[[Tile], bytes], size: int) -> HashAt:
    """Return a `HashAt` over the tiles of the tree of `size`, for proofs.

    `read` is asked for the width a tile has in that tree and returns exactly that much; it may cut a wider tile, which
    is the same tile later.
    The `HashAt` raises ProofInvalid for a subtree outside the tree and for a tile of another length. A wrong hash
    inside a tile shows when the proof is verified.
    """

    def hash_at(level: int, index: int) -> bytes:
        tile_level, height = divmod(level, TILE_HEIGHT)
        tile_index, first = divmod(index << height, TILE_WIDTH)
        width = min(TILE_WIDTH, (size >> _shift(tile_level)) - tile_index * TILE_WIDTH)
        end = first + (1 << height)
        if end > width:
            raise ProofInvalid(f"the tree of size {size} has no whole subtree {index} of level {level}")
        tile = Tile(level=tile_level, index=tile_index, width=width)
        return root(_hashes(_whole(tile, read(tile)), first, end))

    return hash_at


def decode_tile(tile: Tile, raw: bytes) -> tuple[bytes, ...]:
    """Return the hashes of a tile. Raises ProofInvalid when there are not exactly `tile.width`."""
    return _hashes(_whole(tile, raw), 0, tile.width)


def encode_entries(records: Sequence[bytes]) -> bytes:
    """Return a bundle: each record behind its length as 2 big-endian bytes. Raises ValueError beyond 65,535 bytes."""
    longest = max(map(len, records), default=0)
    if longest > MAX_RECORD_BYTES:
        raise ValueError(f"a record is {longest} bytes long, {MAX_RECORD_BYTES} are allowed")
    return b"".join(len(record).to_bytes(_LENGTH_BYTES, "big") + record for record in records)


def decode_entries(tile: Tile, raw: bytes) -> tuple[bytes, ...]:
    """Return the records of a bundle. Raises ProofInvalid when there are not exactly `tile.width` and nothing else."""
    records = tuple(_entries(raw))
    # Writing it again is the check: a record cut short, or half a length, comes out different.
    if len(records) != tile.width or encode_entries(records) != raw:
        raise ProofInvalid(f"bundle `{tile.path}` does not hold exactly {tile.width} records")
    return records


def _whole(tile: Tile, raw: bytes) -> bytes:
    if len(raw) != tile.width * HASH_BYTES:
        raise ProofInvalid(f"tile `{tile.path}` is {len(raw)} bytes long, not {tile.width * HASH_BYTES}")
    return raw


def _hashes(raw: bytes, first: int, end: int) -> tuple[bytes, ...]:
    return tuple(raw[start : start + HASH_BYTES] for start in range(first * HASH_BYTES, end * HASH_BYTES, HASH_BYTES))


def _entries(raw: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(raw):
        length = int.from_bytes(raw[start : start + _LENGTH_BYTES], "big")
        yield raw[start + _LENGTH_BYTES : start + _LENGTH_BYTES + length]
        start += _LENGTH_BYTES + length


def _level_between(level: int, old: int, new: int) -> Iterator[Tile]:
    if old == new:
        return
    full, partial = divmod(new, TILE_WIDTH)
    for index in range(old // TILE_WIDTH, full):
        yield Tile(level=level, index=index)
    if partial:
        yield Tile(level=level, index=full, width=partial)


def _shift(level: int) -> int:
    return TILE_HEIGHT * max(level, 0)
