"""Budgets in the deciding transaction: what an ask would draw on them, whether that is too much, what it then holds.

The budget's row is replaced by whoever draws on it, so two asks never draw the same amount.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from assent.core import budgets
from assent.core.breaker_rules import Applying, TooMuch
from assent.core.budgets import Budget, Reservation
from assent.core.canonical import Json
from assent.flows.notice import TooMuchOf
from assent.ports import Tx


@dataclass(frozen=True, slots=True)
class Draw:
    """What an ask draws on one budget; `too_much` is what there is to say where it would be overdrawn."""

    budget: Budget
    is_stored: bool
    amount: Decimal
    too_much: TooMuchOf | None


async def draw(tx: Tx, applying: Applying, condition: TooMuch, arguments: Json) -> Draw:
    """Return what an ask with these arguments draws on the budget of `condition`."""
    key = applying.budget_of(condition)
    stored = await tx.get(Budget, key)
    budget = stored or Budget(id=key, window=applying.rule.window)
    amount, held = budgets.amount_of(arguments, condition.argument), budgets.reserved(budget, tx.now)
    is_over = amount > 0 and held + amount > condition.over
    # A rule that only watches lets everything pass, so it speaks once, when the line is crossed.
    speaks = is_over and (not applying.rule.watches or held <= condition.over)
    found = TooMuchOf(applying=applying, why=applying.why_over(condition)) if speaks else None
    return Draw(budget, stored is not None, amount, found)


def overdrawn(draws: Iterable[Draw]) -> str | None:
    """Return why an ask must not pass, or None where it stays within every budget that stops."""
    found = (one.too_much for one in draws)
    return next((one.why for one in found if one is not None and not one.applying.rule.watches), None)


async def reserve(tx: Tx, draws: Iterable[Draw]) -> tuple[Reservation, ...]:
    """Store what is drawn and return what the action holds, to be given back if it never runs."""
    held: list[Reservation] = []
    for one in draws:
        if one.amount:
            budget, reservation = budgets.reserve(one.budget, one.amount, tx.now)
            await (tx.replace(one.budget, budget) if one.is_stored else tx.add(replace(budget, revision=1)))
            held.append(reservation)
    return tuple(held)
