"""Reads a ledger's log without the broker: a copy of the file, the standard library, and nothing that wrote it."""

import json
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.hammers.budget import expect

Leaf = dict[str, Any]


def read(ledger: Path) -> list[Leaf]:
    """Return every record in order, after checking that none is missing in between.

    Raises:
        Disproved: the log has a gap.

    """
    with tempfile.TemporaryDirectory() as folder:
        for suffix in ("", "-wal"):
            if (part := ledger.with_name(ledger.name + suffix)).exists():
                shutil.copyfile(part, Path(folder) / f"copy.db{suffix}")
        with closing(sqlite3.connect(Path(folder) / "copy.db")) as database:
            rows = database.execute("SELECT idx, leaf FROM record ORDER BY idx").fetchall()
    expect([index for index, _ in rows] == list(range(len(rows))), "the log has a gap")
    return [json.loads(leaf) for _, leaf in rows]


def of_kind(log: list[Leaf], kind: str) -> list[Leaf]:
    """Return the records of one kind, in order."""
    return [leaf for leaf in log if leaf["kind"] == kind]
