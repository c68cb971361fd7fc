"""Brokers are restarted one after the other while agents work: nobody who uses the SDK hears anything of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.hammers import fault_matrix
from tests.hammers.fault_rows import ROLLED, Load
from tests.replicas import fleet

AT_WORK = Load(workers=12, pause_seconds=0.01)


@pytest.mark.requirement("P2", "P4", "T20")
@pytest.mark.timeout(300)
@pytest.mark.skipif(fleet.why_not() is not None, reason=str(fleet.why_not()))
def test_no_call_fails_while_brokers_are_restarted_one_by_one(tmp_path: Path) -> None:
    # With people who approve, trip and suspend meanwhile, and the log checked afterwards.
    row = replace(ROLLED, load=AT_WORK, answers=True)
    played = fault_matrix.play(row, tmp_path / "row", seed=1, is_short=True)
    assert played.agents[fault_matrix.NOT_NOW] == 0
    assert played.agents["ran"] > 0
    assert played.counts["starts of brokers"] == 2 * row.brokers
