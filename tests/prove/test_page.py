"""The page of proofs: a run renews its own section, keeps the others, and names what was never run in full."""

from datetime import date

import pytest

from tests.hammers.budget import Report
from tests.prove.__main__ import PAGE, budget_of
from tests.prove.hammers import HAMMERS
from tests.prove.page import Announced, Proven, renewed

ANNOUNCED = {
    "spend": Announced(promise="once, whoever tries", requirements=("P4", "T2")),
    "swap": Announced(promise="what you saw runs", requirements=("P3",)),
    "crash": Announced(promise="nothing is lost", requirements=("P2",)),
}
ON = date(2026, 11, 25)


def proven(name: str, seconds: float = 1.0, **counts: int) -> Proven:
    report = Report(counts=dict(counts), listed_as="seen", listed=("`one`",))
    return Proven(name=name, report=report, count="2,000 hits", seed=7, seconds=seconds)


def test_a_proof_that_never_ran_in_full_is_named_as_such() -> None:
    page = renewed("", [proven("spend", attempts=100_000)], ANNOUNCED, ON)
    assert "| `swap` | what you saw runs | [P3](promises.md#p3) | not run yet |" in page
    assert "| `spend` | [once, whoever tries](#once-whoever-tries)" in page
    assert "| 2026-11-25, 2,000 hits |" in page


def test_a_run_renews_its_own_section_and_keeps_the_others_in_order() -> None:
    first = renewed("", [proven("crash", kills=1), proven("spend", attempts=1)], ANNOUNCED, ON)
    page = renewed(first, [proven("spend", attempts=2)], ANNOUNCED, date(2026, 12, 1))
    assert [line for line in page.splitlines() if line.startswith("## ")] == [
        "## Once, whoever tries",
        "## Nothing is lost",
    ]
    assert "| attempts | 2 |" in page
    assert "| attempts | 1 |" not in page
    assert "| kills | 1 |" in page
    assert page.count("- `one`") == 2


def test_what_was_seen_of_each_hit_is_a_table_below_the_counts() -> None:
    report = Report(counts={"hits": 2}, head=("what", "s"), rows=(("cut", "1"), ("late", "2")))
    once = Proven(name="crash", report=report, count="2 hits", seed=7, seconds=1.0)
    page = renewed("", [once], ANNOUNCED, ON)
    assert page.endswith("| hits | 2 |\n\n| what | s |\n| --- | --- |\n| cut | 1 |\n| late | 2 |\n")
    assert renewed(page, [], ANNOUNCED, ON) == page


def test_a_section_of_a_proof_that_is_gone_goes_with_it() -> None:
    page = renewed(renewed("", [proven("swap", hits=1)], ANNOUNCED, ON), [], {"spend": ANNOUNCED["spend"]}, ON)
    assert "what you saw" not in page.lower()


def test_writing_nothing_new_changes_nothing() -> None:
    page = renewed("", [proven("swap", hits=1)], ANNOUNCED, ON)
    assert renewed(page, [], ANNOUNCED, date(2027, 1, 1)) == page


def test_the_page_names_every_proof_that_there_is() -> None:
    announced = {name: Announced(promise=one.promise, requirements=one.requirements) for name, one in HAMMERS.items()}
    page = PAGE.read_text()
    assert renewed(page, [], announced, ON) == page


@pytest.mark.parametrize("name", HAMMERS)
def test_every_proof_has_a_full_size(name: str) -> None:
    budget, size = budget_of(HAMMERS[name], 1, None, None)
    assert budget.hits or budget.seconds
    assert size == HAMMERS[name].full


def test_another_size_can_be_asked_for() -> None:
    assert budget_of(HAMMERS["trips"], 1, 20, None)[1] == "20 hits"
    assert budget_of(HAMMERS["trips"], 1, None, 0.5)[0].seconds == 30.0
