"""Agents' statuses: suspended by whoever was first, active again one revision later."""

from datetime import timedelta

import pytest

from assent.core.agents import AgentId, AgentState, AgentStatus, is_suspended, resume, suspend
from assent.core.operators import OperatorId
from tests.core.samples import NOW

BOT, EVE, SAM = AgentId("bot"), OperatorId("eve"), OperatorId("sam")
LATER = NOW + timedelta(hours=1)
SUSPENDED = suspend(None, BOT, by=EVE, now=NOW, reason="odd")


def test_the_first_suspension_says_who_when_and_why() -> None:
    expected = AgentStatus(id=BOT, state=AgentState.SUSPENDED, revision=1, changed_by=EVE, changed_at=NOW, reason="odd")
    assert expected == SUSPENDED
    assert is_suspended(SUSPENDED)


def test_whoever_suspended_first_stays_who_did() -> None:
    assert suspend(SUSPENDED, BOT, by=SAM, now=LATER, reason="me too") is SUSPENDED


def test_a_resumed_agent_can_be_suspended_again_and_each_move_is_a_revision() -> None:
    active = resume(SUSPENDED, by=SAM, now=LATER, reason="found it")
    assert (active.state, active.revision) == (AgentState.ACTIVE, 2)
    assert (active.changed_by, active.changed_at, active.reason) == (SAM, LATER, "found it")
    again = suspend(active, BOT, by=EVE, now=LATER, reason="no")
    assert (again.state, again.revision, again.changed_by) == (AgentState.SUSPENDED, 3, EVE)


@pytest.mark.requirement("P1")
def test_only_no_status_and_an_active_one_let_an_agent_ask() -> None:
    assert not is_suspended(None)
    assert not is_suspended(resume(SUSPENDED, by=EVE, now=NOW, reason=""))
