"""A log whose keeper edits it: every byte of a thousand records, one at a time, and every record dropped or moved.

Verified without any secret: the file and the public key. Every byte is changed in a ledger file and verified in a
window of eight records, which is a ledger like the whole; some in each record once more in the whole log, and a few
with the command that an auditor types. Each must be found, and the right record named.
"""

import json
import random
import secrets
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, Final

from assent.core.errors import VerificationFailed
from assent.core.notes import VerifierKey, parse_verifier_key
from assent.stores.keys import Keys
from assent.stores.verify import public_key_file, verify_log
from tests.hammers import broker, records
from tests.hammers.broker import Installation
from tests.hammers.budget import Budget, Report, expect
from tests.hammers.calls import Caller
from tests.hammers.log_copies import LEAF, NOTE, TILE, LogCopy, Part, whole, windows

FULL_RECORDS: Final = 1_000
SHORT_RECORDS: Final = 40
IN_THE_WHOLE: Final = 4
BY_COMMAND: Final = 40
BY_COMMAND_SHORT: Final = 2
COMMAND_SECONDS: Final = 60.0
VERIFICATION_FAILED: Final = 9


def run(folder: Path, budget: Budget) -> Report:
    """Make a log of so many records and tamper with all of it, or with as much as there is time for."""
    least = budget.hits or SHORT_RECORDS
    at = _a_log(folder / "tampering", least)
    keys = Keys.load(at.folder / "keys")
    key = parse_verifier_key(public_key_file(at.ledger).read_text().strip())
    rng, caught = budget.random(), Counter[str]()
    log = whole(at.ledger, key, folder / "whole.db")
    expect(log.verify() >= least, f"only {log.verify()} records of {least} are signed")
    _in_windows(windows(at.ledger, keys, key, folder), rng, budget, caught)
    _in_the_whole(log, rng, budget, caught)
    _records_moved(log, key, budget, caught)
    _by_command(log, rng, budget, caught)
    return Report(counts={"records": log.verify(), **caught, "changes that were not found": 0, "named wrongly": 0})


def _a_log(folder: Path, least: int) -> Installation:
    """Let a broker write at least so many records of all that happens every day, and stop it."""
    at = broker.install(folder)
    with broker.serving(at), closing(Caller(at.port, at.agent_keys[0])) as agent, closing(_eve(at)) as eve:
        written = 0
        while written < least:
            written += 3 + _one_story(agent, eve, written)
    # Stopped in good order, it has signed everything; its end is a record too.
    expect(len(records.read(at.ledger)) >= least, "the broker wrote fewer records than it was asked for")
    return at


def _eve(at: Installation) -> Caller:
    return Caller(at.port, at.eve)


def _one_story(agent: Caller, eve: Caller, number: int) -> int:
    """Let routine work run, something be refused, and a production change be approved, run and told; return records."""
    attempt = secrets.token_urlsafe(24)
    agent.post("/v1/actions", {"tool": "notes.read", "arguments": {"path": f"prod/{number}"}, "attempt": attempt})
    agent.post("/v1/actions", {"tool": "notes.delete", "arguments": {"path": f"prod/{number}"}})
    change = {"path": f"prod/{number}", "content": "réplicas"}
    asked = agent.post("/v1/actions", {"tool": "notes.write", "arguments": change, "reason": "more load"}).body
    eve.post(f"/v1/approvals/{asked['approval']['id']}/approve", {"digest_prefix": asked["digest"][:16]})
    ready = agent.get(f"/v1/actions/{asked['action_id']}").body
    claim = {"attempt": attempt, "digest": ready["digest"]}
    agent.post(f"/v1/grants/{ready['grant']['id']}/redeem", claim)
    agent.post(f"/v1/actions/{asked['action_id']}/outcome", {"attempt": attempt, "status": "succeeded"})
    return 6


def _in_windows(copies: Iterator[LogCopy], rng: random.Random, budget: Budget, caught: Counter[str]) -> None:
    """Change every byte of every leaf and of every hash over one."""
    for copy in copies:
        expect(copy.verify(), f"the window at record {copy.first} does not verify before it is touched")
        for part in copy.parts:
            if part.what != NOTE:
                caught[f"bytes changed in a {part.what}"] += _every_byte(copy, part, rng)
        expect(copy.verify(), f"the window at record {copy.first} does not verify after it was put back")
        copy.path.unlink()
        if budget.seconds is not None and budget.spent() > budget.seconds:
            return


def _every_byte(copy: LogCopy, part: Part, rng: random.Random) -> int:
    for place in range(len(part.content)):
        check_found(copy, part, place, rng)
    return len(part.content)


def check_found(copy: LogCopy, part: Part, place: int, rng: random.Random) -> None:
    """Change one byte to another and look that verification names its record. Raises Disproved."""
    mask = rng.randrange(1, 256)
    with copy.changed(part, place, mask):
        seen = f"byte {place} of the {part.what} of record {copy.first + part.record}, changed by {mask:#04x},"
        try:
            copy.verify()
        except VerificationFailed as failed:
            expect(failed.index == part.record, f"{seen} was told as {failed.message} (record {failed.index})")
            return
        expect(holds=False, seen=f"{seen} was not found")


def _in_the_whole(log: LogCopy, rng: random.Random, budget: Budget, caught: Counter[str]) -> None:
    """Change some bytes of every leaf and all of every checkpoint and upper hash, verifying the whole log each time."""
    leaves = [part for part in log.parts if part.what == LEAF]
    for part in _as_long_as(leaves, budget):
        for place in rng.sample(range(len(part.content)), IN_THE_WHOLE):
            check_found(log, part, place, rng)
            caught["of them once more in the whole log"] += 1
    others = [part for part in log.parts if part.what in {NOTE, f"{TILE} 1"}]
    for part in _as_long_as(others, budget):
        caught[f"bytes changed in a {part.what}"] += _every_byte(log, part, rng)


def _as_long_as(parts: Sequence[Part], budget: Budget) -> Sequence[Part]:
    """Return all parts, or a few when there are only seconds."""
    return parts if budget.hits is not None else parts[:: max(1, len(parts) // 5)]


def _records_moved(log: LogCopy, key: VerifierKey, budget: Budget, caught: Counter[str]) -> None:
    """Drop, double, exchange and insert every record, and cut the log before it; each with the gap closed."""
    leaves = [part.content for part in log.parts if part.what == LEAF]
    notes = [part.content for part in log.parts if part.what == NOTE]
    for index in range(0, len(leaves), budget.choose(by_hits=1, by_seconds=5)):
        for what, move in MOVES.items():
            changed = move(leaves, index)
            if changed[: len(leaves)] == leaves:
                continue  # nothing below the last checkpoint is another
            expect(_is_found(changed, notes, key), f"record {index} {what} was not found")
            caught[f"records {what}"] += 1


def _is_found(leaves: list[bytes], notes: list[bytes], key: VerifierKey) -> bool:
    try:
        verify_log(leaves, notes=notes, key=key)
    except VerificationFailed:
        return True
    return False


MOVES: Final[dict[str, Callable[[list[bytes], int], list[bytes]]]] = {
    "dropped": lambda leaves, at: leaves[:at] + leaves[at + 1 :],
    "doubled": lambda leaves, at: leaves[: at + 1] + leaves[at:],
    "exchanged with the next": lambda leaves, at: leaves[:at] + leaves[at : at + 2][::-1] + leaves[at + 2 :],
    "replaced by the first": lambda leaves, at: leaves[:at] + leaves[:1] + leaves[at + 1 :],
    "cut off with all that follow": lambda leaves, at: leaves[:at],
}


def _by_command(log: LogCopy, rng: random.Random, budget: Budget, caught: Counter[str]) -> None:
    """Let `assent audit verify` look at copies of which one byte was changed."""
    public = log.path.with_name("log.pub")
    public.write_text(f"{log.key.encode()}\n")
    copy = log.path.with_name("copy.db")
    expect(_verified(log.path, public)["verified"], "the command does not verify the untouched log")
    for part in rng.sample(log.parts, budget.choose(by_hits=BY_COMMAND, by_seconds=BY_COMMAND_SHORT)):
        with log.changed(part, rng.randrange(len(part.content)), rng.randrange(1, 256)):
            shutil.copyfile(log.path, copy)
        told = _verified(copy, public)
        expect(told == told | {"verified": False, "index": part.record}, f"{part.what} of {part.record}: {told}")
        caught["of them once more with `assent audit verify`"] += 1


def _verified(ledger: Path, public: Path) -> dict[str, Any]:
    """Return what the command says as JSON; its exit code must say the same."""
    command = [sys.executable, "-m", "assent", "audit", "verify", "--ledger", str(ledger), "--key", str(public)]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False)
    told: dict[str, Any] = json.loads(next(islice(done.stdout.splitlines(), 1), "{}"))
    right = 0 if told.get("verified") else VERIFICATION_FAILED
    expect(done.returncode == right, f"the command ended with {done.returncode}: {done.stdout}{done.stderr}")
    return told
