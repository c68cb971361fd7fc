"""Checks one row of the fault matrix: `python -m tests.hammers.fault_check LOG FACTS JOURNAL…`, a process of its own.

LOG is a file of leaves as the database holds them. What is demanded of a storm is demanded here too, of what agents
with the SDK wrote down as well; and every checkpoint that anybody was shown, by whichever broker, must be one of the
one tree that grew from those leaves. It shares no code with the broker. It prints what it counted, or ends with 1.
"""

import base64
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.hammers.storm_check import Broken, Leaf, Log, check_stopped, check_told, demand


def roots(leaves: Iterable[bytes], sizes: set[int]) -> dict[int, bytes]:
    """Return the root over the first so many leaves, for each of `sizes`. Source: RFC 6962 section 2.1."""
    edge: list[tuple[int, bytes]] = []  # complete subtrees from left to right: how many leaves, and the hash over them
    found: dict[int, bytes] = {}
    for size, leaf in enumerate(leaves, 1):
        edge.append((1, hashlib.sha256(b"\x00" + leaf).digest()))
        while len(edge) > 1 and edge[-1][0] == edge[-2][0]:
            (count, left), (_, right) = edge[-2:]
            edge[-2:] = [(2 * count, _node(left, right))]
        if size in sizes:
            found[size] = _folded([hashed for _, hashed in edge])
    return found


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _folded(hashes: list[bytes]) -> bytes:
    *others, root = hashes
    for left in reversed(others):
        root = _node(left, root)
    return root


def check_one_tree(lines: list[str], notes: Iterable[str]) -> Counter[str]:
    """Look that whatever checkpoint anybody was shown is of the tree over these leaves. Raises Broken."""
    shown = {_head(note) for note in notes}
    known = roots((line.encode() for line in lines), {size for size, _ in shown})
    for size, root in sorted(shown):
        demand(known.get(size) == root, f"a checkpoint of {size} records was shown that is not of this log: {root!r}")
    return Counter({"checkpoints shown": len(shown)})


def _head(note: str) -> tuple[int, bytes]:
    _, size, root, *_ = note.split("\n")
    return int(size), base64.b64decode(root)


def check_reported(log: Log, journal: list[Leaf]) -> Counter[str]:
    """Look that whoever was refused an action by its id was told of one that is on record. Raises Broken."""
    refused = [line for line in journal if line["what"] == "refused"]
    for line in refused:
        demand(not line["action"] or line["action"] in log.actions, f"told of an action that is not on record: {line}")
    return Counter({"refused": len(refused)})


def notes_in(journal: list[Leaf]) -> Iterator[str]:
    """Yield the checkpoints that were written down."""
    yield from (line["note"] for line in journal if line["what"] == "checkpoint")


def main(log_file: Path, facts_file: Path, *journals: Path) -> None:
    """Check everything and print what was counted as JSON. Raises Broken."""
    lines = log_file.read_text(encoding="utf-8").splitlines()
    log = Log(json.loads(facts_file.read_text()))
    for line in lines:
        log.take(json.loads(line))
    journal: list[dict[str, Any]] = [
        json.loads(line) for file in journals for line in file.read_text(encoding="utf-8").splitlines()
    ]
    counts = check_told(log, journal) + check_stopped(journal) + check_reported(log, journal)
    counts += check_one_tree(lines, notes_in(journal))
    counts["records"] = len(lines)
    counts["votes"] = log.counts["approval.voted"]
    counts["starts of brokers"] = log.counts["broker.started"]
    print(json.dumps(dict(sorted(counts.items()))))


if __name__ == "__main__":
    try:
        main(*map(Path, sys.argv[1:]))
    except Broken as broken:
        sys.exit(f"broken: {broken}")
