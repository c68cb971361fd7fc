"""Denials: the same is not asked again for a while, and two of a kind stop the asking, until somebody lifts it."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.core.approvals import ApprovalId, ApprovalState
from assent.core.canonical import canonical
from assent.core.denials import (
    Again,
    Denial,
    cooled_content,
    in_force_until,
    let_again,
    remember,
    when_again,
    why_not_ask,
)
from assent.core.operators import OperatorId
from tests.core.samples import NOW, a_route, an_action, an_approval

pytestmark = pytest.mark.requirement("T14")

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def denied(number: int, path: str = "a", at: datetime = NOW, **changes: Any) -> Denial:
    """Return what is left of a denial of writing `path`, under rule `r`."""
    action = an_action(arguments=canonical({"path": path}), rules=("r",))
    approval = an_approval(id=ApprovalId(f"apr_{number}"), state=ApprovalState.DENIED, decided_by=OperatorId("eve"))
    return replace(remember(approval, action, at), **changes)


def again(*denials: Denial, path: str = "a", rules: tuple[str, ...] = ("r",), now: datetime = NOW) -> Again:
    content = cooled_content(agent="bot", tool="k8s.scale", arguments=canonical({"path": path}))
    return when_again(denials, content=content, rules=rules, now=now)


def test_the_same_cools_off_for_as_long_as_the_route_says() -> None:
    approval = an_approval(a_route((1, "a"), cool_off=5 * MINUTE), a_route((1, "b"), cool_off=7 * MINUTE))
    action = an_action(arguments=canonical({"path": "a"}))
    left = remember(approval, action, NOW)
    assert again(left).same_at == NOW + 7 * MINUTE
    assert again(left, now=NOW + 7 * MINUTE - timedelta(microseconds=1)).same_at is not None
    assert again(left, now=NOW + 7 * MINUTE) == Again()


def test_another_driver_does_not_make_it_another_question() -> None:
    asked = an_action(arguments=canonical({"path": "a"}), on_behalf_of=("operator:dana",), content=b"another")
    assert again(remember(an_approval(), asked, NOW)).same_at is not None


def test_one_denial_leaves_everything_else_to_be_asked() -> None:
    assert again(denied(1), path="b") == Again()


@pytest.mark.parametrize("apart", [timedelta(), 23 * 60 * MINUTE])
def test_two_denials_under_one_rule_stop_asking_under_it_whatever_the_arguments(apart: timedelta) -> None:
    first, second = denied(1, "a", NOW - apart), denied(2, "b")
    assert again(first, second, path="c").alike_at == first.denied_at + DAY
    assert again(first, second, path="c", rules=("another", "r")).alike_at is not None
    assert again(first, second, path="c", rules=("another",)) == Again()


def test_two_denials_a_day_apart_stop_nothing() -> None:
    assert again(denied(1, "a", NOW - DAY), denied(2, "b"), path="c") == Again()


def test_what_an_agent_hears_names_the_denial_and_no_rule() -> None:
    earlier = NOW - MINUTE
    held = (
        denied(1, "a", earlier, code="AAA-1"),
        denied(2, "b", code="AAA-2"),
        denied(3, "c", rules=("other",), code="AAA-3"),
    )
    told = [why_not_ask(held, content=content, rules=("r",), now=NOW) for content in (held[0].content, b"else")]
    assert [one and (one.by, one.reason.code) for one in told] == [(held[0], "cooling_off"), (held[1], "cooling_off")]
    assert ["AAA-1" in str(told[0]), "AAA-2" in str(told[1])] == [True, True]
    assert [one and "`r`" in one.reason.message for one in told] == [False, False]
    assert why_not_ask((), content=b"else", rules=("r",), now=NOW) is None


def test_letting_again_frees_the_same_and_what_counted_with_it_and_nothing_else() -> None:
    about, twin, alike = denied(1, "a"), denied(2, "a"), denied(3, "b")
    apart = denied(4, "c", rules=("another",))
    held = {old.id: new for old, new in let_again((about, twin, alike, apart), about)}
    assert set(held) == {about.id, twin.id, alike.id}
    after = (held[about.id], held[twin.id], held[alike.id], apart)
    assert again(*after, path="a") == Again()
    assert again(*after, path="b") == Again(same_at=NOW + 30 * MINUTE)
    assert again(*after, path="c", rules=("another",)) == Again(same_at=NOW + 30 * MINUTE)
    assert [in_force_until(denial) for denial in after] == [None, None, NOW + 30 * MINUTE, NOW + DAY]
    assert {denial.revision for denial in held.values()} == {2}


def test_letting_again_twice_changes_nothing() -> None:
    ((_, once),) = let_again((denied(1),), denied(1))
    assert let_again((once,), once) == ()


@given(
    paths=st.lists(st.sampled_from("abc"), max_size=6),
    minutes=st.lists(st.integers(0, 3_000), min_size=6, max_size=6),
    later=st.integers(0, 3_000),
)
def test_whatever_was_denied_time_and_leave_free_it(paths: list[str], minutes: list[int], later: int) -> None:
    held = [denied(n, path, NOW - minutes[n] * MINUTE) for n, path in enumerate(paths)]
    now = NOW + later * MINUTE
    for path in "abc":
        told = again(*held, path=path, now=now)
        cooling = [d for d, p in zip(held, paths, strict=True) if p == path and d.denied_at + 30 * MINUTE > now]
        counting = [d for d in held if d.denied_at + DAY > now]
        assert (told.same_at is not None, told.alike_at is not None) == (bool(cooling), len(counting) >= 2)
    for about, path in zip(held, paths, strict=True):
        lifted = {old.id: new for old, new in let_again(held, about)}
        assert again(*(lifted.get(d.id, d) for d in held), path=path, now=now) == Again()
