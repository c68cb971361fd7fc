"""Budgets: what is reserved stays within the window, what is given back makes room, and no sign makes any."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.core.budgets import Budget, BudgetId, Reservation, amount_of, release, reserve, reserved
from assent.core.canonical import Json
from tests.core.samples import NOW

DAY = timedelta(days=1)
EMPTY = Budget(id=BudgetId("b"), window=DAY)


@pytest.mark.parametrize(
    ("value", "amount"),
    [(12, "12"), (12.5, "12.5"), (0.1, "0.1"), (-7, "7"), (True, "0"), ("12", "0"), (None, "0"), ([12], "0")],
)
def test_an_amount_is_the_size_of_a_number(value: Json, amount: str) -> None:
    assert amount_of({"amount": value}, "amount") == Decimal(amount)
    assert amount_of({"other": value}, "amount") == 0
    assert amount_of([value], "amount") == 0


def test_a_tenth_ten_times_is_one() -> None:
    budget = EMPTY
    for _ in range(10):
        budget, _held = reserve(budget, amount_of({"n": 0.1}, "n"), NOW)
    assert reserved(budget, NOW) == 1


def test_what_was_reserved_leaves_the_window_with_time() -> None:
    budget, _held = reserve(EMPTY, Decimal(7), NOW)
    assert reserved(budget, NOW + DAY) == 7
    assert reserved(budget, NOW + DAY + DAY / 20) == 0


@given(
    steps=st.lists(
        st.tuples(st.integers(0, 40), st.integers(1, 99), st.booleans(), st.integers(0, 9)), min_size=1, max_size=25
    )
)
def test_reserving_and_giving_back_come_to_what_a_list_says(steps: list[tuple[int, int, bool, int]]) -> None:
    now, budget, held = NOW, EMPTY, list[tuple[Reservation, int]]()
    for hours, amount, gives_back, which in steps:
        now += timedelta(hours=hours)
        if gives_back and held:
            reservation, _ = held.pop(which % len(held))
            budget = release(budget, reservation, now)
        budget, reservation = reserve(budget, Decimal(amount), now)
        held.append((reservation, amount))
        first = reservation.place - 20
        assert reserved(budget, now) == sum(amount for one, amount in held if one.place >= first)
    assert budget.revision > 1


def test_giving_back_what_has_left_the_window_changes_nothing() -> None:
    budget, old = reserve(EMPTY, Decimal(7), NOW)
    budget, _new = reserve(budget, Decimal(5), NOW + 2 * DAY)
    assert reserved(release(budget, old, NOW + 2 * DAY), NOW + 2 * DAY) == 5


def test_each_change_is_one_revision_later() -> None:
    assert EMPTY.revision == 1
    budget, held = reserve(EMPTY, Decimal(7), NOW)
    assert (budget.revision, release(budget, held, NOW).revision) == (2, 3)
