"""Metrics: every one is written down, none names anybody, and what is not known is left out."""

import re
from pathlib import Path

import pytest

from assent.core.decisions import Answer
from assent.core.refusals import REFUSALS
from assent.metrics import BUCKETS_SECONDS, FAMILIES, Durations, Measured, Tally, render

PAGE = (Path(__file__).parent.parent / "docs" / "metrics.md").read_text()
ROW = re.compile(r"^\| `(assent_\w+)` \| (\w+) \|", re.MULTILINE)
SAMPLE = re.compile(r"^(?P<name>\w+?)(?:\{(?P<labels>[^}]*)\})? (?P<value>\S+)$", re.MULTILINE)


def samples(text: bytes) -> dict[str, float]:
    """Return every sample by its name with labels, as it is written."""
    return {found[0].rpartition(" ")[0]: float(found["value"]) for found in SAMPLE.finditer(text.decode())}


def measured(found: Measured) -> dict[str, float]:
    """Return the samples of what was measured, without what the routes count."""
    counted = "assent_decision_seconds"
    return {name: value for name, value in samples(render(Tally(), found)).items() if not name.startswith(counted)}


def test_every_metric_stands_on_the_page_with_its_kind_and_no_other_does() -> None:
    assert dict(ROW.findall(PAGE)) == {family.name: family.kind for family in FAMILIES}


def test_what_was_counted_is_told_by_answer_and_reason() -> None:
    tally = Tally()
    tally.decided("deny", "no_rule", 0.002)
    tally.decided("deny", "no_rule", 0.002)
    tally.decided("allow", None, 0.4)
    tally.redeemed(None)
    tally.redeemed("grant_spent")
    found = samples(render(tally, Measured(ready=True)))
    assert found['assent_decisions_total{answer="deny",reason="no_rule"}'] == 2
    assert found['assent_decisions_total{answer="allow",reason="none"}'] == 1
    assert found['assent_redemptions_total{result="redeemed"}'] == 1
    assert found['assent_redemptions_total{result="grant_spent"}'] == 1
    assert found['assent_decision_seconds_bucket{le="0.0025"}'] == 2
    assert found["assent_decision_seconds_count"] == 3


def test_a_copy_of_the_counts_stays_as_it_was() -> None:
    tally = Tally()
    tally.decided("allow", None, 0.4)
    copied = tally.copy()
    tally.decided("allow", None, 0.4)
    assert (copied.decisions["allow", "none"], copied.durations.read()[1]) == (1, 0.4)


def test_what_is_due_is_told_by_channel() -> None:
    found = samples(render(Tally(), Measured(ready=True, deliveries_due={"slack": 3, "email": 0}, signals_up=False)))
    assert found['assent_deliveries_due{channel="slack"}'] == 3
    assert found['assent_deliveries_due{channel="email"}'] == found["assent_signals_up"] == 0


def test_what_could_not_be_found_out_is_left_out() -> None:
    assert measured(Measured(ready=False)) == {"assent_ready": 0}
    known = measured(Measured(ready=True, approvals_open=0, breakers_open=2, ledger_waiting=3))
    assert known == {
        "assent_ready": 1,
        "assent_approvals_open": 0,
        "assent_breakers_open": 2,
        "assent_ledger_waiting": 3,
    }


def test_durations_are_told_in_buckets_that_contain_the_smaller_ones() -> None:
    durations = Durations()
    for seconds in (0.0005, 0.001, 0.02, 60.0):
        durations.took(seconds)
    found = samples(render(Tally(), Measured(ready=True, ledger_seconds=durations.read())))
    assert found['assent_ledger_seconds_bucket{le="0.001"}'] == 2
    assert found['assent_ledger_seconds_bucket{le="0.025"}'] == 3
    assert found['assent_ledger_seconds_bucket{le="2.0"}'] == 3
    assert found['assent_ledger_seconds_bucket{le="+Inf"}'] == found["assent_ledger_seconds_count"] == 4
    assert found["assent_ledger_seconds_sum"] == pytest.approx(60.0215)
    assert len([name for name in found if "ledger_seconds_bucket" in name]) == len(BUCKETS_SECONDS) + 1


@pytest.mark.requirement("P9")
def test_a_label_never_holds_what_somebody_else_chose() -> None:
    tally = Tally()
    for number in range(1_000):
        tally.decided("deny", f"prod/secret-{number}", 0.001)
        tally.redeemed(f"agent-{number}")
    assert set(tally.decisions) == {("deny", "other")}
    assert set(tally.redemptions) == {"other"}


def test_the_number_of_series_is_bounded_by_what_is_written_down() -> None:
    tally = Tally()
    for code in (*REFUSALS, None, "x"):
        tally.redeemed(code)
        for answer in Answer:
            tally.decided(answer, code, 0.001)
    durations = len(BUCKETS_SECONDS) + 3
    assert len(samples(render(tally, Measured(ready=True)))) <= 4 * (len(REFUSALS) + 2) + 1 + durations
