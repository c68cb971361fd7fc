"""A link holds for the declared account alone; a code is typed once, in time, and not guessed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from assent.core.account_links import (
    CODE_LIVES,
    MOST_TRIES,
    AccountLink,
    ask,
    awaits_code,
    fits,
    holds,
    linked,
    mistyped,
    spent,
    unlinked,
)
from assent.core.operators import Operator, OperatorId

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVE = Operator(id=OperatorId("eve"), identities={"slack": "T0/U0EVE"})
ASKED = ask(None, EVE, account="T0/U0EVE", code_mac=b"right", now=T0)
LINKED = linked(ASKED, now=T0)


@pytest.mark.parametrize(
    ("account", "holds_for"), [("T0/U0EVE", True), ("T0/U0EVE2", False), ("T1/U0EVE", False), (None, False)], ids=str
)
def test_a_link_holds_for_the_account_that_is_declared_now(account: str | None, holds_for: bool) -> None:
    operator = replace(EVE, identities={} if account is None else {"slack": account})
    assert holds(LINKED, operator) is holds_for


def test_who_never_linked_anything_or_only_asked_is_not_linked() -> None:
    for row in (None, AccountLink(id=EVE.id), ASKED, unlinked(LINKED)):
        assert not holds(row, EVE)
    assert not holds(AccountLink(id=EVE.id), replace(EVE, identities={}))


@pytest.mark.parametrize(("seconds", "in_time"), [(0, True), (599, True), (600, False)])
def test_a_code_is_typed_in_time_and_is_the_right_one(seconds: int, in_time: bool) -> None:
    now = T0 + timedelta(seconds=seconds)
    assert timedelta(minutes=10) == CODE_LIVES
    assert fits(ASKED, b"right", now) is in_time
    assert not fits(ASKED, b"wrong", now)


def test_a_code_that_was_spent_fits_nobody_not_even_nothing() -> None:
    for row in (LINKED, spent(ASKED), unlinked(ASKED), AccountLink(id=EVE.id)):
        assert not fits(row, b"right", T0)
        assert not fits(row, b"", T0)


def test_a_few_wrong_codes_end_the_right_one() -> None:
    row = ASKED
    for _ in range(MOST_TRIES):
        assert awaits_code(row, T0)
        row = mistyped(row)
    assert not fits(row, b"right", T0)


def test_asking_again_keeps_the_link_and_ends_the_earlier_code() -> None:
    again = ask(LINKED, EVE, account="T0/U0EVE", code_mac=b"other", now=T0)
    assert holds(again, EVE)
    assert (fits(again, b"right", T0), fits(again, b"other", T0), again.revision) == (False, True, 3)
