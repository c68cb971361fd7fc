"""Whether the tiles of a ledger are those of its records: what a log publishes beside its checkpoints.

A wrong tile makes no record untrue, but whoever is given a proof that is read from it could not verify what holds. It
takes no key, and believes the records: first they must be known to agree with their checkpoints.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from assent.core.errors import VerificationFailed
from assent.core.merkle import HASH_BYTES, leaf_hash, root
from assent.core.tiles import TILE_HEIGHT, TILE_WIDTH

_LEAVES: Final = "SELECT leaf FROM record WHERE idx < ? ORDER BY idx"
_TILES: Final = "SELECT idx, hashes FROM tile WHERE level = ? ORDER BY idx"
_ABOVE: Final = "SELECT min(level) FROM tile WHERE level >= ?"


def check_tiles(database: sqlite3.Connection, size: int) -> None:
    """Return only when the stored tiles are exactly those of the first `size` records, which stand under a signature.

    Raises:
        VerificationFailed: `index` is the first record below the first hash that is another.

    """
    level = 0
    hashes: Iterable[bytes] = (leaf_hash(leaf.encode()) for (leaf,) in database.execute(_LEAVES, (size,)))
    while size >> TILE_HEIGHT * level:
        hashes = _checked_level(database, level, iter(hashes))
        level += 1
    (beyond,) = database.execute(_ABOVE, (level,)).fetchone()
    if beyond is not None:
        raise _wrong(beyond, 0)


def _checked_level(database: sqlite3.Connection, level: int, hashes: Iterator[bytes]) -> list[bytes]:
    """Return the roots of the full tiles of a level, which are the hashes of the next one."""
    roots: list[bytes] = []
    stored = database.execute(_TILES, (level,))
    number = 0
    while expected := list(islice(hashes, TILE_WIDTH)):
        _check_tile(stored.fetchone(), level, number, expected)
        if len(expected) == TILE_WIDTH:
            roots.append(root(expected))
        number += 1
    if (further := stored.fetchone()) is not None:
        raise _wrong(level, int(further[0]) * TILE_WIDTH)
    return roots


def _check_tile(row: tuple[int, bytes] | None, level: int, number: int, expected: list[bytes]) -> None:
    first = number * TILE_WIDTH
    if row is None or row[0] != number:
        raise _wrong(level, first)
    found = bytes(row[1])
    if found == b"".join(expected):
        return
    parts = [found[at : at + HASH_BYTES] for at in range(0, len(found), HASH_BYTES)]
    pairs = enumerate(zip(parts, expected, strict=False))
    other = next((place for place, (one, two) in pairs if one != two), min(len(parts), len(expected)))
    raise _wrong(level, first + other)


def _wrong(level: int, place: int) -> VerificationFailed:
    index = place << TILE_HEIGHT * level
    return VerificationFailed(
        f"the stored tree is not that of the records: hash {place} of tile level {level}, over record {index}",
        index=index,
        hint="records and checkpoints hold, proofs that are read from this tree do not: restore the ledger's backup",
    )
