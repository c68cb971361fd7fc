"""Budgets: how much the actions under one rule may come to within a window; reserved when decided, never overdrawn.

An amount is reserved when an action is allowed or asked about, and released when it ends without having run. What ran,
or may have run, stays counted until it leaves the window. Amounts are what agents asked for, so they are payload.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NewType

from assent.core.canonical import Json
from assent.core.windows import Slices, added, first_covered, microseconds, moment_us, slice_of, total

BudgetId = NewType("BudgetId", str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What is reserved under one rule and scope; a row of the ledger that begins empty."""

    id: BudgetId
    window: timedelta
    revision: int = 1
    slices: Slices = ()


@dataclass(frozen=True, slots=True)
class Reservation:
    """What one action holds of a budget: so much, in the slice of the moment it was decided in."""

    budget: BudgetId
    place: int
    amount: Decimal


def amount_of(arguments: Json, name: str) -> Decimal:
    """Return what an action with these arguments takes: the size of the number `name`, 0 where there is none.

    The size, because no mixture of signs may make room.
    """
    value = arguments.get(name) if isinstance(arguments, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Decimal()
    return abs(Decimal(repr(value)))


def reserved(budget: Budget, now: datetime) -> Decimal:
    """Return how much is reserved within the window that ends at `now`."""
    return total(budget.slices, since=first_covered(moment_us(now), microseconds(budget.window)))


def reserve(budget: Budget, amount: Decimal, now: datetime) -> tuple[Budget, Reservation]:
    """Return the budget with `amount` reserved at `now`, and what to keep for giving it back.

    The caller must have checked that it fits, in the transaction that stores both.
    """
    at, window = moment_us(now), microseconds(budget.window)
    place = slice_of(at, window)
    slices = added(budget.slices, place, amount, since=first_covered(at, window))
    return replace(budget, slices=slices, revision=budget.revision + 1), Reservation(budget.id, place, amount)


def release(budget: Budget, reservation: Reservation, now: datetime) -> Budget:
    """Return the budget without `reservation`; one that has left the window changes nothing."""
    since = first_covered(moment_us(now), microseconds(budget.window))
    slices = added(budget.slices, reservation.place, -reservation.amount, since=since)
    return replace(budget, slices=slices, revision=budget.revision + 1)
