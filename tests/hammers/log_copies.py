"""Copies of a ledger to tamper with: the whole of it, and windows of a few records that verify much sooner.

A window is a ledger of its own: the same leaves, the tile over them, and a checkpoint signed by the same key. What is
changed is one byte of the file, where the leaf, the tile or the note stands in it.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from assent.core.checkpoints import Checkpoint
from assent.core.merkle import HASH_BYTES, Frontier, leaf_hash
from assent.core.notes import VerifierKey, sign_note
from assent.core.tiles import TILE_HEIGHT, TILE_WIDTH
from assent.stores.keys import Keys
from assent.stores.verify import verify_file

WINDOW: Final = 8
LARGE: Final = 1_024
LEAF: Final = "leaf"
TILE: Final = "tile of level"
NOTE: Final = "checkpoint"
_COLUMNS: Final = "idx, id, time, leaf, sealed, mac"
_SCHEMA: Final = (
    "SELECT sql FROM sqlite_master WHERE tbl_name IN ('record', 'tile', 'checkpoint') AND type IN ('table', 'index')"
    " AND sql IS NOT NULL ORDER BY type DESC"
)

Row = tuple[int, str, int, str, bytes | None, bytes]


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes of a ledger file that tell of something: a leaf, a hash, a note; `record` is the first they concern."""

    what: str
    record: int
    content: bytes
    offset: int


@dataclass(frozen=True, slots=True)
class LogCopy:
    """A ledger file, how far its records lie behind those of the whole log, and its parts in the file."""

    path: Path
    key: VerifierKey
    first: int
    parts: tuple[Part, ...]

    def verify(self) -> int:
        """Return how many records hold. Raises as `verify_file`."""
        return verify_file(self.path, key=self.key).signed

    @contextmanager
    def changed(self, part: Part, place: int, mask: int) -> Iterator[None]:
        """Let one byte of a part be another within the block."""
        before = part.content[place]
        with _opened(self.path) as file:
            os.pwrite(file, bytes([before ^ mask]), part.offset + place)
            try:
                yield
            finally:
                os.pwrite(file, bytes([before]), part.offset + place)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    file = os.open(path, os.O_WRONLY)
    try:
        yield file
    finally:
        os.close(file)


def whole(ledger: Path, key: VerifierKey, path: Path) -> LogCopy:
    """Return a copy of a whole ledger that nobody has open."""
    with closing(sqlite3.connect(ledger)) as database:
        database.execute("VACUUM INTO ?", (str(path),))
    return LogCopy(path, key, 0, _parts(path))


def windows(ledger: Path, keys: Keys, key: VerifierKey, folder: Path) -> Iterator[LogCopy]:
    """Yield the log in windows of eight records, each as a ledger of its own."""
    with closing(sqlite3.connect(ledger)) as database:
        schema = [sql for (sql,) in database.execute(_SCHEMA)]
        rows = database.execute(f"SELECT {_COLUMNS} FROM record ORDER BY idx").fetchall()
    for first in range(0, len(rows), WINDOW):
        path = folder / f"window-{first}.db"
        _write(path, schema, rows[first : first + WINDOW], keys, key)
        yield LogCopy(path, key, first, _parts(path))


def _write(path: Path, schema: list[str], rows: list[Row], keys: Keys, key: VerifierKey) -> None:
    hashes = [leaf_hash(row[3].encode()) for row in rows]
    head = Checkpoint(origin=key.name, size=len(rows), root=Frontier().after(hashes).root())
    note = sign_note(head.text, key.name, key.key_id, keys.sign_log).decode()
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for sql in schema:
            database.execute(sql)
        numbered = [(place, *row[1:]) for place, row in enumerate(rows)]
        database.executemany(f"INSERT INTO record ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)", numbered)
        database.execute("INSERT INTO tile VALUES (0, 0, ?)", (b"".join(hashes),))
        database.execute("INSERT INTO checkpoint VALUES (?, 0, ?)", (len(rows), note))
        # What moving rows between pages left behind would be found in place of them.
        database.execute("VACUUM")


def _parts(path: Path) -> tuple[Part, ...]:
    content = path.read_bytes()
    with closing(sqlite3.connect(path)) as database:
        leaves = database.execute("SELECT idx, leaf FROM record ORDER BY idx").fetchall()
        tiles = database.execute("SELECT level, idx, hashes FROM tile ORDER BY level, idx").fetchall()
        notes = database.execute("SELECT size, note FROM checkpoint ORDER BY size").fetchall()
    found = [Part(LEAF, index, *_place(content, leaf.encode())) for index, leaf in leaves]
    for level, index, hashes in tiles:
        # A full tile lies on several pages, in pieces: windows have the same hashes in small ones.
        if len(hashes) < LARGE:
            hashed = [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]
            first = index * TILE_WIDTH
            found += [
                Part(f"{TILE} {level}", (first + at) << TILE_HEIGHT * level, *_place(content, one))
                for at, one in enumerate(hashed)
            ]
    sizes = [0, *(size for size, _ in notes)]
    found += [Part(NOTE, size, *_place(content, note.encode())) for size, (_, note) in zip(sizes, notes, strict=False)]
    return tuple(found)


def _place(content: bytes, part: bytes) -> tuple[bytes, int]:
    if content.count(part) != 1:
        raise LookupError(f"{part[:80]!r} stands {content.count(part)} times in the file")
    return part, content.index(part)
