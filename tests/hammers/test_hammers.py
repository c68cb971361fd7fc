"""Each hammer for PROOF_SECONDS; the seed is printed, PROOF_SEED repeats it. Full counts: `./run prove`."""

from pathlib import Path

import pytest

from tests.hammers import (
    clicks,
    clock,
    crashes,
    double_spend,
    fault_matrix,
    hostile,
    mutation_score,
    mutations,
    reloads,
    replica_trips,
    sabotage,
    sinks,
    storm,
    tampering,
    trips,
)
from tests.hammers.budget import short_budget
from tests.replicas import fleet

# On a machine that is busy with other things everybody finishes, only later.
pytestmark = [pytest.mark.hammer, pytest.mark.timeout(400)]


@pytest.mark.requirement("P4", "T2")
def test_a_grant_is_redeemed_once_whoever_tries(tmp_path: Path) -> None:
    print(double_spend.run(tmp_path, short_budget()))


@pytest.mark.requirement("P4", "P5", "T18")
def test_an_approval_ends_once_whoever_clicks_where_and_how_often(tmp_path: Path) -> None:
    print(clicks.run(tmp_path, short_budget()))


@pytest.mark.requirement("P3", "T1")
def test_what_was_approved_runs_and_nothing_else(tmp_path: Path) -> None:
    print(mutations.run(tmp_path, short_budget()))


@pytest.mark.requirement("P6", "T11")
def test_after_a_trip_is_answered_nothing_in_its_scope_passes(tmp_path: Path) -> None:
    print(trips.run(tmp_path, short_budget()))


@pytest.mark.requirement("P6", "T11")
@pytest.mark.skipif(fleet.why_not() is not None, reason=str(fleet.why_not()))
def test_after_a_trip_is_answered_by_one_broker_nothing_passes_at_another(tmp_path: Path) -> None:
    print(replica_trips.run(tmp_path, short_budget()))


@pytest.mark.requirement("P1", "T12")
def test_hostile_json_is_refused_before_anything_looks_at_it(tmp_path: Path) -> None:
    print(hostile.run(tmp_path, short_budget()))


@pytest.mark.requirement("P2", "P4", "T20", "T21")
def test_a_crash_anywhere_loses_nothing_acknowledged_and_runs_nothing_twice(tmp_path: Path) -> None:
    print(crashes.run(tmp_path, short_budget()))


@pytest.mark.requirement("P2", "P7", "T5")
def test_when_the_ledger_fails_nothing_is_allowed_and_nothing_is_lost(tmp_path: Path) -> None:
    print(sinks.run(tmp_path, short_budget()))


@pytest.mark.requirement("P4", "P7", "T15")
def test_a_clock_that_is_set_ends_nothing_early_and_keeps_nothing_alive(tmp_path: Path) -> None:
    print(clock.run(tmp_path, short_budget()))


@pytest.mark.requirement("P1", "T6")
def test_every_decision_is_that_of_one_whole_version(tmp_path: Path) -> None:
    print(reloads.run(tmp_path, short_budget()))


@pytest.mark.requirement("P8", "T16")
def test_every_changed_byte_of_a_log_is_found_and_its_record_named(tmp_path: Path) -> None:
    print(tampering.run(tmp_path, short_budget()))


@pytest.mark.requirement("P1", "P2", "P4", "P5", "P6", "T5", "T11", "T18", "T20")
def test_nothing_happens_in_a_storm_that_must_never_happen(tmp_path: Path) -> None:
    print(storm.run(tmp_path, short_budget()))


@pytest.mark.requirement("P2", "P4", "P5", "P6", "P7", "P8", "T5", "T11", "T15", "T20")
@pytest.mark.skipif(fleet.why_not() is not None, reason=str(fleet.why_not()))
def test_whatever_fails_beside_several_brokers_nothing_wrong_passes(tmp_path: Path) -> None:
    print(fault_matrix.run(tmp_path, short_budget()))


@pytest.mark.requirement("P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "P9")
def test_a_promise_that_is_broken_on_purpose_is_noticed(tmp_path: Path) -> None:
    print(sabotage.run(tmp_path, short_budget()))


@pytest.mark.requirement("P1", "P3", "P4", "P5", "P6")
def test_nothing_changes_unnoticed_where_core_decides_votes_and_redeems(tmp_path: Path) -> None:
    print(mutation_score.run(tmp_path, short_budget()))
