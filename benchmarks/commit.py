"""The other floor: one durable commit of SQLite with nothing around it, on the disk that the ledger would use.

`python -m benchmarks.commit FOLDER SECONDS` prints p50 and p99 in microseconds as JSON. What is durable here is what
the disk says is durable.
"""

import json
import os
import sqlite3
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from benchmarks.pinned import SERVER_CORE, pin

ROW_BYTES: Final = 2_048  # about what one decision adds: an action, a record, their payload and MACs


def measure(path: Path, seconds: float) -> list[int]:
    """Return the nanoseconds of each commit of one row, in order of size."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("CREATE TABLE row (id INTEGER PRIMARY KEY, content BLOB NOT NULL)")
    content = os.urandom(ROW_BYTES)
    spent: list[int] = []
    stop = time.perf_counter() + seconds
    while time.perf_counter() < stop:
        began = time.perf_counter_ns()
        database.execute("BEGIN IMMEDIATE")
        database.execute("INSERT INTO row (content) VALUES (?)", (content,))
        database.execute("COMMIT")
        spent.append(time.perf_counter_ns() - began)
    database.close()
    return sorted(spent)


def main() -> None:
    """Measure what the command line names and print it."""
    pin(SERVER_CORE)
    with tempfile.TemporaryDirectory(dir=sys.argv[1]) as folder:
        spent = measure(Path(folder) / "commit.db", float(sys.argv[2]))
    p50, p99 = spent[len(spent) // 2], spent[len(spent) * 99 // 100]
    print(json.dumps({"p50_us": p50 / 1_000, "p99_us": p99 / 1_000}))


if __name__ == "__main__":
    main()
