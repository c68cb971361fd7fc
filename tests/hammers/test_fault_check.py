"""The checker of the fault matrix finds what it is for: a second tree, and what was told and is not on record."""

import base64
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from assent.core.merkle import leaf_hash, root
from tests.hammers import fault_check
from tests.hammers.storm_check import Broken, check_stopped

FACTS: dict[str, Any] = {"versions": {"one": {"approvers": ["eve"]}}, "needs": {"default": 1}}
DECIDED = {
    "action": "act_1",
    "agent": "a",
    "decision": "allow",
    "detail": {"impact": "read", "state": "executing"},
    "environment": "staging",
    "id": "rec_2",
    "kind": "action.decided",
    "policy": "one",
    "time": "2026-01-01T00:00:02Z",
    "tool": "t.read",
}
LEAVES: list[dict[str, Any]] = [
    {"id": "rec_1", "kind": "policy.activated", "policy": "one", "time": "2026-01-01T00:00:01Z"},
    DECIDED,
    {"id": "rec_3", "kind": "broker.stopped", "time": "2026-01-01T00:00:03Z"},
]
BEGAN = {
    "who": "a",
    "what": "began",
    "status": 200,
    "told": {},
    "sent": 1,
    "heard": 2,
    "action": "act_1",
    "agent": "a",
    "tool": "t.read",
    "environment": "staging",
}


def note(size: int, of: Iterable[str]) -> str:
    """Return a checkpoint of the tree over `of`, signed by nobody: signatures are somebody else's to verify."""
    hashed = base64.b64encode(root(leaf_hash(line.encode()) for line in of)).decode()
    return f"assent/local\n{size}\n{hashed}\n\n— signature\n"


def check(tmp_path: Path, *journal: dict[str, Any], leaves: list[dict[str, Any]] = LEAVES) -> None:
    log, facts, told = tmp_path / "log", tmp_path / "facts", tmp_path / "journal"
    log.write_text("".join(json.dumps(leaf) + "\n" for leaf in leaves))
    facts.write_text(json.dumps(FACTS))
    told.write_text("".join(json.dumps(line) + "\n" for line in journal))
    fault_check.main(log, facts, told)


@pytest.mark.parametrize("size", range(1, 40))
def test_its_tree_is_that_of_the_broker(size: int) -> None:
    lines = [f"leaf {number}".encode() for number in range(40)]
    assert fault_check.roots(lines, {size}) == {size: root(map(leaf_hash, lines[:size]))}


def test_what_is_as_it_was_told_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = [json.dumps(leaf) for leaf in LEAVES]
    checkpoints = [{"what": "checkpoint", "note": note(size, shown[:size])} for size in (1, 3, 2, 3)]
    check(tmp_path, BEGAN, {"who": "a", "what": "effect", "action": "act_1"}, *checkpoints)
    counts = json.loads(capsys.readouterr().out)
    assert (counts["effects"], counts["checkpoints shown"], counts["records"]) == (1, 3, 3)


@pytest.mark.parametrize("size", [2, 9])
def test_a_checkpoint_of_another_tree_is_found(tmp_path: Path, size: int) -> None:
    with pytest.raises(Broken, match="not of this log"):
        check(tmp_path, {"what": "checkpoint", "note": note(size, ["another", "log"])})


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"who": "a", "what": "effect", "action": "act_9"}, "the log holds no start of it"),
        ({"who": "a", "what": "refused", "code": "rule_denied", "action": "act_9"}, "not on record"),
    ],
)
def test_what_ran_or_was_told_and_is_not_on_record_is_found(tmp_path: Path, line: dict[str, Any], said: str) -> None:
    with pytest.raises(Broken, match=said):
        check(tmp_path, line)


def test_a_run_that_was_begun_and_is_on_record_as_not_begun_is_found(tmp_path: Path) -> None:
    waits = {**DECIDED, "detail": {"impact": "read", "state": "ready"}}
    with pytest.raises(Broken, match="acknowledged and not in the log"):
        check(tmp_path, BEGAN, leaves=[LEAVES[0], waits, LEAVES[2]])


def test_a_run_that_began_after_a_trip_was_answered_is_found() -> None:
    journal = [
        {"who": "eve", "what": "trip", "status": 200, "sent": 1, "heard": 2, "scope": {"all": True}, "told": {}},
        {**BEGAN, "sent": 3, "heard": 4},
        {"who": "eve", "what": "reset", "status": 200, "sent": 5, "heard": 6, "told": {}},
    ]
    with pytest.raises(Broken, match="passed after"):
        check_stopped(journal)
