"""Agents' statuses: suspended by whoever was first, active again when two people want it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from assent.core.agents import AgentId, AgentState, AgentStatus, is_suspended, resume, suspend
from assent.core.operators import Assurance, OperatorId
from assent.core.second_person import FirstAsk
from tests.core.samples import NOW

BOT, EVE, SAM = AgentId("bot"), OperatorId("eve"), OperatorId("sam")
SOON, LATER = NOW + timedelta(minutes=1), NOW + timedelta(hours=1)
SUSPENDED = suspend(None, BOT, by=EVE, now=NOW, reason="odd")


def test_the_first_suspension_says_who_when_and_why() -> None:
    expected = AgentStatus(id=BOT, state=AgentState.SUSPENDED, revision=1, changed_by=EVE, changed_at=NOW, reason="odd")
    assert expected == SUSPENDED
    assert is_suspended(SUSPENDED)


def test_whoever_suspended_first_stays_who_did() -> None:
    assert suspend(SUSPENDED, BOT, by=SAM, now=LATER, reason="me too") is SUSPENDED


def asked(by: OperatorId = EVE) -> AgentStatus:
    return resume(SUSPENDED, by=by, now=NOW, reason="calm", assurance=Assurance.CONSOLE)


@pytest.mark.requirement("P5")
def test_one_person_s_wish_leaves_it_suspended_and_stands_in_its_status() -> None:
    first = asked()
    assert is_suspended(first)
    assert (first.revision, first.changed_by, first.reason) == (2, EVE, "odd")
    assert first.resume_asked == FirstAsk(by=EVE, at=NOW, reason="calm", assurance=Assurance.CONSOLE)


@pytest.mark.requirement("P5")
def test_the_same_person_asking_twice_is_one_person() -> None:
    again = resume(asked(), by=EVE, now=LATER, reason="really")
    assert is_suspended(again)
    assert again.resume_asked == FirstAsk(by=EVE, at=LATER, reason="really")


@pytest.mark.requirement("P5")
@pytest.mark.parametrize(
    ("later", "goes_on"), [(timedelta(minutes=15), True), (timedelta(minutes=15, seconds=1), False)]
)
def test_a_second_person_has_a_quarter_of_an_hour_and_is_the_first_one_after_it(
    later: timedelta, *, goes_on: bool
) -> None:
    second = resume(asked(), by=SAM, now=NOW + later, reason="seen")
    assert is_suspended(second) is not goes_on
    assert (second.resume_asked is None) is goes_on


def test_suspending_again_takes_back_the_wish_and_changes_nothing_else() -> None:
    again = suspend(asked(), BOT, by=SAM, now=LATER, reason="no")
    assert again == replace(SUSPENDED, revision=3)


def test_a_resumed_agent_can_be_suspended_again_and_each_move_is_a_revision() -> None:
    active = resume(asked(), by=SAM, now=SOON, reason="found it")
    assert (active.state, active.revision, active.resume_asked) == (AgentState.ACTIVE, 3, None)
    assert (active.changed_by, active.changed_at, active.reason) == (SAM, SOON, "found it")
    again = suspend(active, BOT, by=EVE, now=LATER, reason="no")
    assert (again.state, again.revision, again.changed_by) == (AgentState.SUSPENDED, 4, EVE)


@pytest.mark.requirement("P1")
def test_only_no_status_and_an_active_one_let_an_agent_ask() -> None:
    assert not is_suspended(None)
    assert not is_suspended(resume(asked(), by=SAM, now=NOW, reason=""))
