"""A work lease changes hands by its row alone; the times fit together, whoever's seconds they are."""

from assent.core.work_leases import (
    BELIEVED_SECONDS,
    LEFT_FOR_SECONDS,
    RENEW_EACH_SECONDS,
    TAKEN_AFTER_SECONDS,
    Work,
    WorkLease,
    let_go,
    renewed,
    taken,
)

MINE = WorkLease(id=Work.LOG, holder="life_1")


def test_a_renewed_lease_is_another_row_in_the_same_hands() -> None:
    assert renewed(MINE) == WorkLease(id=Work.LOG, holder="life_1", term=1, revision=2)


def test_a_lease_in_other_hands_begins_another_term() -> None:
    assert taken(renewed(MINE), "life_2") == WorkLease(id=Work.LOG, holder="life_2", term=2, revision=3)


def test_a_lease_that_was_let_go_of_is_nobodys() -> None:
    assert let_go(MINE) == WorkLease(id=Work.LOG, holder="", term=1, revision=2)


def test_nobody_takes_what_its_holder_still_believes_in_and_somebody_does_within_ten_seconds() -> None:
    one_look = 1.0
    assert 2 * RENEW_EACH_SECONDS < BELIEVED_SECONDS < TAKEN_AFTER_SECONDS
    assert one_look + TAKEN_AFTER_SECONDS + one_look < 10
    assert 2 * one_look < LEFT_FOR_SECONDS
