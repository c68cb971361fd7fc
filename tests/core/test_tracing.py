"""Traces: what an agent says of its own is read as W3C has it or not at all; spans hold ids, names and codes."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.core.actions import Action, ActionState, Outcome
from assent.core.canonical import Json, canonical
from assent.core.decisions import Answer
from assent.core.tracing import Caller, Span, answered, caller_in, caller_of, decided, ran
from tests.core.samples import an_action

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAID = f"00-{TRACE}-{SPAN}-01"
SECOND = timedelta(seconds=1)
GARBAGE = [
    "",
    "x",
    SAID.upper(),
    f" {SAID}",
    f"{SAID}\n",
    f"{SAID}-more",
    f"ff-{TRACE}-{SPAN}-01",
    f"00-{'0' * 32}-{SPAN}-01",
    f"00-{TRACE}-{'0' * 16}-01",
    f"00-{TRACE[1:]}-{SPAN}-01",
    SAID.replace("0af7", "٠af7"),
    f"cc-{TRACE}-{SPAN}-01more",
]


def saying(said: Json, **changes: object) -> Action:
    return replace(an_action(), context=canonical(said), **changes)  # type: ignore[arg-type]  # a builder


def of_decision(action: Action, *, again: bool = False) -> Span:
    span = decided(action, Answer.ALLOW, None, began=5, ended=7, again=again)
    assert span is not None
    return span


def test_what_a_caller_says_is_read() -> None:
    assert caller_of(SAID) == Caller(TRACE, SPAN, sampled=True)
    assert caller_of(SAID.replace("-01", "-02")) == Caller(TRACE, SPAN, sampled=False)
    assert caller_of(f"cc-{TRACE}-{SPAN}-09-later") == Caller(TRACE, SPAN, sampled=True)


@pytest.mark.requirement("T12")
@pytest.mark.parametrize("said", GARBAGE)
def test_garbage_is_nothing(said: str) -> None:
    assert caller_of(said) is None
    span = of_decision(saying({"trace": said}))
    assert (span.parent, len(span.trace), len(span.span)) == ("", 32, 16)


@given(st.text(max_size=80))
def test_whatever_is_said_either_is_one_or_is_none(said: str) -> None:
    found = caller_of(said)
    assert found is None or said[3:52] == f"{found.trace}-{found.span}"


@pytest.mark.parametrize("said", [{}, {"trace": None}, {"trace": 3}, [], "x", {"model": {"name": "m"}}])
def test_a_context_without_a_trace_has_no_caller(said: Json) -> None:
    assert caller_in(saying(said)) is None


def test_spans_of_one_action_stand_in_one_trace_below_their_caller() -> None:
    action = saying({"trace": SAID})
    asked = of_decision(action)
    assert (asked.trace, asked.parent, asked.link) == (TRACE, SPAN, "")
    waited = answered(
        replace(action, decided_by_human=True, decided_at=action.created_at + SECOND, state=ActionState.READY)
    )
    assert waited is not None
    assert (waited.trace, waited.parent, waited.link) == (TRACE, SPAN, asked.span)
    assert waited.ended - waited.began == 1_000_000_000
    assert len({asked.span, waited.span, of_decision(action, again=True).span}) == 3


def test_without_a_caller_all_brokers_choose_the_same_trace_for_an_action_and_another_for_another() -> None:
    one, other = of_decision(an_action()), of_decision(replace(an_action(), id="act_other"))  # type: ignore[arg-type]  # an id
    assert one == of_decision(an_action())
    assert (one.trace == other.trace, one.span == other.span) == (False, False)


def test_what_its_caller_does_not_record_is_not_told() -> None:
    action = saying({"trace": SAID.replace("-01", "-00")})
    assert decided(action, Answer.DENY, "no_rule", began=1, ended=2, again=False) is None


def test_nobody_was_asked_or_they_still_are_and_nothing_is_told_of_it() -> None:
    asked = replace(an_action(), decided_by_human=True)
    assert answered(replace(asked, state=ActionState.PENDING, decided_at=asked.created_at)) is None
    assert answered(replace(asked, state=ActionState.CANCELLED, decided_at=None)) is None
    assert answered(replace(asked, decided_by_human=False, decided_at=asked.created_at)) is None
    assert ran(replace(asked, outcome=None)) is None


@pytest.mark.parametrize(("said_ms", "took"), [(400, 0.4), (10**12, 3.0), (None, 0.0)])
def test_a_run_takes_as_long_as_its_holder_says_within_what_can_be(said_ms: int | None, took: float) -> None:
    action = an_action()
    ended = Outcome(status=ActionState.FAILED, at=action.created_at + 3 * SECOND, reported=True, duration_ms=said_ms)
    span = ran(replace(action, outcome=ended, decided_at=None))
    assert span is not None
    assert (span.ended - span.began, span.failed) == (int(took * 1_000_000_000), True)
    assert span.facts["assent.outcome"] == "failed"


@pytest.mark.requirement("P9")
def test_a_span_says_nothing_that_was_asked_for_and_no_word_that_an_agent_made_up() -> None:
    secret = "canary"
    words: Any = dict.fromkeys(("resource", "reason", "how_bad", "undo", "run_id", "call_id"), secret)
    action = replace(
        saying({"trace": SAID, "model": {"name": secret, "version": secret}}),
        **words,
        arguments=secret.encode(),
        outcome=Outcome(status=ActionState.FAILED, at=an_action().created_at, reported=True, error=secret),
    )
    told = [of_decision(action), ran(action), decided(action, Answer.DENY, secret, began=1, ended=2, again=False)]
    assert secret not in str(told)
    unknown = of_decision(replace(action, tool=secret, environment=secret, definition=""))
    assert secret not in str(unknown)
