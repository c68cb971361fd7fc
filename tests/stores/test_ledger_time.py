"""The ledger's time: never back, never standing still, and believed when it is set forward."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.ports import View
from assent.stores.ledger_time import LedgerTime
from tests.contracts.samples import T0, Clock
from tests.stores.files import adding, opened

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
STEPS = st.lists(
    st.tuples(st.floats(min_value=0, max_value=90_000), st.floats(min_value=-90_000, max_value=90_000)), max_size=20
)


def told(clock: Clock) -> LedgerTime:
    return LedgerTime(clock, lambda: clock.steady)


def test_it_is_the_clocks_time_while_that_goes_forward() -> None:
    clock = Clock()
    time = told(clock)
    assert time.now(LONG_AGO) == T0
    clock.let_pass(5)
    assert time.now(T0) == T0 + timedelta(seconds=5)
    clock.step(days=1)
    assert time() == T0 + timedelta(days=1, seconds=5)


@pytest.mark.requirement("T15")
def test_a_clock_that_was_set_back_is_met_again_after_twice_the_step() -> None:
    clock = Clock()
    time = told(clock)
    time.now(LONG_AGO)
    clock.step(hours=-1)
    clock.let_pass(7_199)
    assert time() == T0 + timedelta(seconds=3_599.5)
    assert clock.now == T0 + timedelta(seconds=3_599)
    clock.let_pass(2)
    assert time() == clock.now


@pytest.mark.requirement("T15")
@given(STEPS)
def test_whatever_is_done_to_the_clock_an_hour_lasts_at_most_two_and_time_never_goes_back(
    steps: list[tuple[float, float]],
) -> None:
    clock = Clock()
    time = told(clock)
    last = time.now(LONG_AGO)
    for gone_by, step in steps:
        clock.step(seconds=step)
        clock.let_pass(gone_by)
        now = time.now(last)
        assert now - last >= timedelta(seconds=gone_by / 2) - timedelta(microseconds=1)
        assert now >= clock.now
        last = now


@pytest.mark.requirement("T15")
@given(st.floats(min_value=1, max_value=90_000), st.floats(min_value=0, max_value=3_600))
def test_a_clock_that_was_set_back_ends_nothing_early(back: float, gone_by: float) -> None:
    clock = Clock()
    time = told(clock)
    before = time.now(LONG_AGO)
    clock.step(seconds=-back)
    clock.let_pass(gone_by)
    assert time.now(before) - before <= timedelta(seconds=gone_by, microseconds=1)


@pytest.mark.requirement("T15")
async def test_a_ledger_that_is_opened_with_a_clock_behind_it_goes_on_from_its_last_record(tmp_path: Path) -> None:
    async def read(view: View) -> datetime:
        return view.now

    clock = Clock()
    async with opened(tmp_path / "ledger.db", clock=told(clock)) as ledger:
        await ledger.transact(adding("a"))
    clock.step(days=-1)
    time = told(clock)
    assert time() == T0 - timedelta(days=1)
    async with opened(tmp_path / "ledger.db", clock=time) as ledger:
        clock.let_pass(60)
        assert await ledger.read(read) == T0 + timedelta(seconds=30, microseconds=1)
        assert time() == T0 + timedelta(seconds=30, microseconds=1)
