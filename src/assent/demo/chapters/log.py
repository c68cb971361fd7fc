"""The log verifies with a public key alone; a copy that somebody edited, or put back to an older state, does not."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from assent.demo.scene import OK, Scene
from assent.demo.wrong import must

VERIFY_SECONDS: Final = 60.0
VERIFICATION_FAILED: Final = 9
ASKED: Final = "action.decided"
# What somebody with the database in hand would like the refund's decision to say.
_NEVER_ASKED: Final = (
    """UPDATE record SET leaf = replace(leaf, '"decision":"pending"', '"decision":"allow"') WHERE idx = ?"""
)
_EARLIER_SIZE: Final = "SELECT max(size) FROM checkpoint WHERE size < ?"
_GUARDS: Final = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
_ROLL_BACK: Final = (
    "DELETE FROM checkpoint WHERE size > ?",
    "DELETE FROM record WHERE idx >= ?",
    # The story is short: all of its tree is one tile of 32-byte hashes.
    "UPDATE tile SET hashes = substr(hashes, 1, 32 * ?)",
)


@dataclass(frozen=True, slots=True)
class Said:
    """What `assent audit verify` answered."""

    exit_code: int
    facts: dict[str, Any]


def verified(scene: Scene) -> None:
    """Verify the log as it is, and keep a checkpoint of it elsewhere."""
    said = _verify(scene, scene.ledger, "--save-checkpoint", str(_kept(scene)))
    must(said.exit_code == 0 and said.facts["verified"], "the log verifies", said)
    must(said.facts["signed"] > _index_of_refund(scene), "the refund stands under a signature", said)
    scene.narrator.kept(
        "P8",
        f"assent audit verify, with the public key alone: {said.facts['records']} records, "
        f"{said.facts['signed']} of them under {said.facts['checkpoints']} signed checkpoints",
    )


def edited(scene: Scene) -> None:
    """Edit a copy so that nobody seems to have been asked about the refund."""
    index, copy = _index_of_refund(scene), _copy(scene, "edited")
    with _tampering(copy) as database:
        changed = database.execute(_NEVER_ASKED, (index,)).rowcount
    must(changed == 1, "one record of the copy was edited", changed)
    said = _verify(scene, copy)
    must(said.exit_code == VERIFICATION_FAILED, "the edited copy does not verify", said)
    must(said.facts["index"] == index, f"the verifier names the edited record, {index}", said)
    scene.narrator.kept(
        "P8", f"a copy in which the refund was never asked about: exit {said.exit_code}, record {index}"
    )


def rolled_back(scene: Scene) -> None:
    """Put a copy back to an older state that was signed, and hold the kept checkpoint against it."""
    copy = _copy(scene, "rolled-back")
    with _tampering(copy) as database:
        size = database.execute(_EARLIER_SIZE, (_kept_size(scene),)).fetchone()[0]
        for statement in _ROLL_BACK:
            database.execute(statement, (size,))
    must(_verify(scene, copy).exit_code == 0, "an older state in itself is sound", copy)
    said = _verify(scene, copy, "--checkpoint", str(_kept(scene)))
    must(said.exit_code == VERIFICATION_FAILED, "against the kept checkpoint it does not verify", said)
    must(said.facts["index"] == size, f"the verifier names the first missing record, {size}", said)
    scene.narrator.kept(
        "P8", f"a copy put back to an older state, against a checkpoint kept elsewhere: record {size} is gone"
    )


def _verify(scene: Scene, ledger: Path, *options: str) -> Said:
    command = ["audit", "verify", "--ledger", str(ledger), "--key", f"{scene.ledger}.pub", "--json", *options]
    done = subprocess.run(
        [sys.executable, "-m", "assent", *command], capture_output=True, text=True, check=False, timeout=VERIFY_SECONDS
    )
    must(done.stdout.strip(), "the verifier answers", done.stderr)
    return Said(done.returncode, json.loads(done.stdout))


@contextmanager
def _tampering(copy: Path) -> Iterator[sqlite3.Connection]:
    """Open a ledger as somebody who owns the database can: what refuses changes in it is removed first."""
    with closing(sqlite3.connect(copy)) as database, database:
        for (guard,) in database.execute(_GUARDS).fetchall():
            database.execute(f'DROP TRIGGER "{guard}"')
        yield database


def _copy(scene: Scene, name: str) -> Path:
    copy = scene.setting.folder / f"ledger-{name}.db"
    with closing(sqlite3.connect(scene.ledger)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return copy


def _kept(scene: Scene) -> Path:
    return scene.setting.folder / "checkpoint-kept-elsewhere"


def _kept_size(scene: Scene) -> int:
    """Return how many records the kept checkpoint speaks of: its second line (C2SP tlog-checkpoint)."""
    return int(_kept(scene).read_text().splitlines()[1])


def _index_of_refund(scene: Scene) -> int:
    reply = scene.noor.records(scene.errand("refund").asked["action"])
    must(reply.status == OK, "noor reads the records", reply)
    return next(int(item["index"]) for item in reply.body["items"] if item["leaf"]["kind"] == ASKED)
