"""Sliding windows: every sum is that of a list of everything that was ever counted, over the slices it covers."""

from datetime import timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from assent.core.windows import SLICES, Slices, added, first_covered, microseconds, moment_us, slice_of, total
from tests.core.samples import NOW

WINDOWS = st.integers(1, 10_000_000)
STEPS = st.lists(st.tuples(st.integers(0, 20_000_000), st.integers(1, 9)), min_size=1, max_size=30)


@given(window=WINDOWS, steps=STEPS)
def test_a_sum_is_that_of_everything_counted_in_the_slices_it_covers(window: int, steps: list[tuple[int, int]]) -> None:
    now, kept, everything = 0, (), []
    slices: Slices = kept
    for wait, amount in steps:
        now += wait
        everything.append((now, amount))
        slices = added(slices, slice_of(now, window), Decimal(amount), since=first_covered(now, window))
        since = first_covered(now, window)
        naive = sum(amount for at, amount in everything if slice_of(at, window) >= since)
        assert total(slices, since=since) == naive
        assert len(slices) <= SLICES + 1


@given(window=WINDOWS, now=st.integers(0, 10**15), ago=st.integers(0, 10_000_000))
def test_a_sum_covers_the_window_and_at_most_one_slice_more(window: int, now: int, ago: int) -> None:
    covered = slice_of(now - ago, window) >= first_covered(now, window)
    length = -(-window // SLICES)
    assert covered or ago > window
    assert not covered or ago < (SLICES + 1) * length


@given(window=WINDOWS, now=st.integers(0, 10**12), amounts=st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_what_is_taken_away_again_leaves_nothing_behind(window: int, now: int, amounts: list[int]) -> None:
    place, since = slice_of(now, window), first_covered(now, window)
    slices: Slices = ()
    for amount in (*amounts, *(-amount for amount in amounts)):
        slices = added(slices, place, Decimal(amount), since=since)
    assert slices == ()


def test_moments_and_windows_are_counted_in_microseconds() -> None:
    assert moment_us(NOW + timedelta(microseconds=1)) - moment_us(NOW) == 1
    assert microseconds(timedelta(minutes=5)) == 300_000_000
