"""Deliveries: what stands where, what was handed over and never confirmed, and who is told by which step."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from assent.core import deliveries
from assent.core.actions import ActionState
from assent.core.approvals import ApprovalId, ApprovalState, Step
from assent.core.deliveries import Delivery, DeliveryId, DeliveryState
from assent.core.errors import IllegalMove
from tests.core.samples import NOW, a_route, an_action, an_approval, an_operator

SECOND = timedelta(seconds=1)
PLACE = "C1/171.5"


def a_delivery(**changes: Any) -> Delivery:
    usual = Delivery(id=DeliveryId("apr_1.0"), approval=ApprovalId("apr_1"), destination="slack:C1", step=0, due_at=NOW)
    return replace(usual, **changes)


def difference(before: Delivery, after: Delivery) -> dict[str, Any]:
    """Return what changed, after checking that it is one revision later."""
    assert after.revision == before.revision + 1
    names = [name for name in before.__dataclass_fields__ if name != "revision"]
    return {name: getattr(after, name) for name in names if getattr(after, name) != getattr(before, name)}


def test_a_first_card_that_was_handed_over_is_looked_for_after_ten_seconds() -> None:
    before = a_delivery()
    assert difference(before, deliveries.hand_over(before, now=NOW)) == {
        "state": DeliveryState.SENT,
        "handed_over_at": NOW,
        "attempts": 1,
        "due_at": NOW + 10 * SECOND,
    }


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(0, 1), (1, 2), (2, 4), (3, 8), (4, 16), (5, 32), (6, 60), (7, 60), (50, 60)]
)
def test_a_change_that_nobody_confirms_is_repeated_more_and_more_slowly(attempts: int, seconds: int) -> None:
    before = a_delivery(state=DeliveryState.CURRENT, place=PLACE, attempts=attempts)
    after = deliveries.hand_over(before, now=NOW)
    assert (after.state, after.attempts) == (DeliveryState.STALE, attempts + 1)
    assert after.due_at == NOW + seconds * SECOND


@pytest.mark.parametrize("state", [DeliveryState.SENT, DeliveryState.OVER, DeliveryState.DEAD])
def test_what_is_under_way_or_ended_is_not_handed_over(state: DeliveryState) -> None:
    with pytest.raises(IllegalMove):
        deliveries.hand_over(a_delivery(state=state), now=NOW)


@pytest.mark.parametrize(("over", "state"), [(False, DeliveryState.CURRENT), (True, DeliveryState.OVER)])
def test_what_arrived_shows_what_it_says_and_has_no_trouble_any_more(*, over: bool, state: DeliveryState) -> None:
    before = a_delivery(
        state=DeliveryState.SENT, attempts=3, why="slow", handed_over_at=NOW, due_at=NOW + SECOND, place=None
    )
    after = deliveries.arrived(before, place=PLACE, shown="2.1", over=over, now=NOW)
    assert difference(before, after) == {
        "state": state,
        "place": PLACE,
        "shown": "2.1",
        "attempts": 0,
        "why": "",
        "due_at": NOW,
        "handed_over_at": None,
    }


@pytest.mark.parametrize(("place", "state"), [(None, DeliveryState.QUEUED), (PLACE, DeliveryState.STALE)])
def test_what_was_put_off_waits_until_then(place: str | None, state: DeliveryState) -> None:
    before = a_delivery(state=DeliveryState.SENT, place=place, handed_over_at=NOW)
    after = deliveries.put_off(before, until=NOW + SECOND, why="busy")
    assert difference(before, after) == {"state": state, "due_at": NOW + SECOND, "why": "busy"}


def test_what_nobody_knows_stays_as_it_is_and_says_why() -> None:
    before = a_delivery(state=DeliveryState.SENT)
    assert difference(before, deliveries.unheard(before, why="no answer")) == {"why": "no answer"}


def test_what_cannot_be_looked_for_now_is_looked_for_later_and_only_that() -> None:
    before = a_delivery(state=DeliveryState.SENT, handed_over_at=NOW)
    after = deliveries.sought_later(before, until=NOW + SECOND, why="busy")
    assert difference(before, after) == {"due_at": NOW + SECOND, "why": "busy"}
    for state in set(DeliveryState) - {DeliveryState.SENT}:
        with pytest.raises(IllegalMove):
            deliveries.sought_later(a_delivery(state=state), until=NOW, why="")


def test_what_is_handed_over_again_was_first_tried_when_it_was_first_tried() -> None:
    before = a_delivery(handed_over_at=NOW, attempts=1)
    after = deliveries.hand_over(before, now=NOW + SECOND)
    assert (after.handed_over_at, after.due_at) == (NOW, NOW + 11 * SECOND)


def test_a_first_card_that_is_not_found_is_sent_anew_and_only_that() -> None:
    before = a_delivery(state=DeliveryState.SENT, handed_over_at=NOW)
    expected = {"state": DeliveryState.QUEUED, "due_at": NOW + SECOND}
    assert difference(before, deliveries.lost(before, now=NOW + SECOND)) == expected
    with pytest.raises(IllegalMove):
        deliveries.lost(a_delivery(state=DeliveryState.CURRENT), now=NOW)


def test_a_dead_one_is_told_nothing_more() -> None:
    before = a_delivery(state=DeliveryState.SENT, handed_over_at=NOW)
    expected = {"state": DeliveryState.DEAD, "why": "gone", "handed_over_at": None}
    assert difference(before, deliveries.dead(before, why="gone")) == expected


def test_a_later_step_is_hurried_and_never_put_off_by_it() -> None:
    later, earlier = a_delivery(due_at=NOW + SECOND), a_delivery(due_at=NOW - SECOND)
    assert deliveries.hurried(later, now=NOW).due_at == NOW
    assert deliveries.hurried(earlier, now=NOW).due_at == NOW - SECOND
    assert deliveries.hurried(later, now=NOW).revision == 2


def test_a_card_that_was_taken_away_is_told_anew() -> None:
    before = a_delivery(state=DeliveryState.CURRENT, place=PLACE, shown="2.1", handed_over_at=NOW)
    assert difference(before, deliveries.gone(before, now=NOW + SECOND)) == {
        "state": DeliveryState.QUEUED,
        "place": None,
        "shown": "",
        "due_at": NOW + SECOND,
        "handed_over_at": None,
    }


def test_a_card_shows_another_name_whenever_one_of_the_two_moved() -> None:
    assert deliveries.shows(an_approval(revision=3), an_action(revision=2)) == "3.2"


@pytest.mark.parametrize(
    ("approval", "action", "over"),
    [
        (ApprovalState.PENDING, ActionState.PENDING, False),
        (ApprovalState.APPROVED, ActionState.READY, False),
        (ApprovalState.APPROVED, ActionState.EXECUTING, False),
        (ApprovalState.APPROVED, ActionState.UNKNOWN, False),
        (ApprovalState.APPROVED, ActionState.SUCCEEDED, True),
        (ApprovalState.DENIED, ActionState.DENIED, True),
        (ApprovalState.PARTIAL, ActionState.SUCCEEDED, False),
    ],
)
def test_it_is_over_when_nothing_can_change_any_more(
    approval: ApprovalState, action: ActionState, *, over: bool
) -> None:
    assert deliveries.is_over(an_approval(state=approval), an_action(state=action)) is over


# --- steps that reached nobody ----------------------------------------------------------------------------------------

HANDED = {"state": DeliveryState.SENT, "handed_over_at": NOW}
DEAD = {"state": DeliveryState.DEAD}
ARRIVED = {"state": DeliveryState.CURRENT, "place": PLACE}


@pytest.mark.parametrize(
    ("steps", "seconds", "silent"),
    [
        ([], 60, None),
        ([{"step": 0}], 60, None),
        ([{"step": 0, **HANDED}], 19, None),
        ([{"step": 0, **HANDED}], 20, 0),
        ([{"step": 0, **DEAD}], 0, 0),
        ([{"step": 0, **HANDED}, {"step": 0, **DEAD}], 19, None),
        ([{"step": 0, **HANDED}, {"step": 0, **DEAD}], 20, 0),
        ([{"step": 0, **HANDED}, {"step": 0, **ARRIVED}], 60, None),
        ([{"step": 0, **HANDED}, {"step": 1, **ARRIVED}], 60, 0),
        ([{"step": 0, **HANDED}, {"step": 1, **HANDED}, {"step": 2}], 60, 1),
        ([{"step": 0, **ARRIVED}, {"step": 1, **DEAD}], 60, 1),
    ],
)
def test_the_latest_step_that_reached_nobody_within_twenty_seconds_is_named(
    steps: list[dict[str, Any]], seconds: int, silent: int | None
) -> None:
    found = [a_delivery(**step) for step in steps]
    assert deliveries.unconfirmed_step(found, now=NOW + seconds * SECOND) == silent


# --- who is told ------------------------------------------------------------------------------------------------------


def someone(name: str, *groups: str, away: bool = False, account: bool = True) -> Any:
    return an_operator(name, *groups, away=away, identities={"slack": f"T1/U{name.upper()}"} if account else {})


PEOPLE = (
    someone("eve", "oncall"),
    someone("omar", "oncall"),
    someone("sam", "security"),
    someone("kim", "oncall", account=False),
)
AWAY = (someone("eve", "oncall", away=True), *PEOPLE[1:])
ALL_AWAY = (someone("eve", "oncall", away=True), someone("omar", "oncall", away=True), PEOPLE[2])


@pytest.mark.parametrize(
    ("tell", "people", "told"),
    [
        ("slack:C0PROD", PEOPLE, ("slack:C0PROD",)),
        ("dm:oncall", PEOPLE, ("slack:UEVE", "slack:UOMAR")),
        ("dm:oncall:primary", PEOPLE, ("slack:UEVE",)),
        ("dm:oncall:secondary", PEOPLE, ("slack:UOMAR",)),
        ("dm:oncall", AWAY, ("slack:UOMAR",)),
        ("dm:oncall:primary", AWAY, ("slack:UOMAR",)),
        ("dm:oncall:secondary", AWAY, ("slack:UOMAR",)),
        ("dm:oncall", ALL_AWAY, ("slack:UEVE", "slack:UOMAR")),
        ("dm:oncall:secondary", ALL_AWAY, ("slack:UOMAR",)),
        ("dm:nobody", PEOPLE, ()),
        ("dm:nobody:primary", PEOPLE, ()),
    ],
)
def test_a_step_names_channels_and_people_who_have_an_account_and_are_not_away(
    tell: str, people: tuple[Any, ...], told: tuple[str, ...]
) -> None:
    assert deliveries.resolved(tell, people) == told


SERVING = {"S0DUTY": frozenset({"UOMAR", "USTRANGER"})}


@pytest.mark.parametrize(
    ("tell", "people", "on_duty", "told"),
    [
        ("dm:oncall@S0DUTY", PEOPLE, SERVING, ("slack:UOMAR",)),
        ("dm:oncall@S0DUTY:primary", PEOPLE, SERVING, ("slack:UOMAR",)),
        ("dm:oncall@S0DUTY:secondary", PEOPLE, SERVING, ("slack:UOMAR",)),
        ("dm:oncall@S0DUTY", ALL_AWAY, SERVING, ("slack:UOMAR",)),
        ("dm:oncall@S0DUTY", PEOPLE, {}, ("slack:UEVE", "slack:UOMAR")),
        ("dm:oncall@S0DUTY:primary", PEOPLE, {}, ("slack:UEVE", "slack:UOMAR")),
        ("dm:oncall@S0DUTY", AWAY, {}, ("slack:UEVE", "slack:UOMAR")),
        ("dm:oncall@S0DUTY:primary", PEOPLE, {"S0DUTY": frozenset[str]()}, ("slack:UEVE", "slack:UOMAR")),
        ("dm:oncall@S0DUTY", PEOPLE, {"S0DUTY": frozenset({"USTRANGER"})}, ("slack:UEVE", "slack:UOMAR")),
        ("dm:oncall@S0OTHER", PEOPLE, SERVING, ("slack:UEVE", "slack:UOMAR")),
        ("dm:nobody@S0DUTY", PEOPLE, SERVING, ()),
        ("slack:C0PROD", PEOPLE, SERVING, ("slack:C0PROD",)),
    ],
)
def test_a_live_user_group_chooses_whom_of_a_group_to_tell_and_where_nobody_knows_all_are(
    tell: str, people: tuple[Any, ...], on_duty: dict[str, frozenset[str]], told: tuple[str, ...]
) -> None:
    assert deliveries.resolved(tell, people, on_duty) == told


@pytest.mark.parametrize(
    ("tell", "barred", "told"),
    [
        ("dm:oncall", {"eve"}, ("slack:UEVE", "slack:UOMAR")),
        ("dm:oncall:primary", {"eve"}, ("slack:UOMAR",)),
        ("dm:oncall:secondary", {"eve"}, ("slack:UOMAR",)),
        ("dm:oncall:primary", {"eve", "omar", "kim"}, ("slack:UEVE",)),
        ("dm:oncall@S0DUTY", {"omar"}, ("slack:UEVE", "slack:UOMAR")),
        ("dm:oncall@S0DUTY:primary", {"omar"}, ("slack:UEVE", "slack:UOMAR")),
        ("dm:oncall@S0DUTY", {"eve"}, ("slack:UOMAR",)),
    ],
)
def test_whoever_may_not_answer_is_not_the_only_one_who_is_told(
    tell: str, barred: set[Any], told: tuple[str, ...]
) -> None:
    assert deliveries.resolved(tell, PEOPLE, SERVING, barred) == told


def test_the_owner_of_the_agent_is_nobodys_primary() -> None:
    asked = an_approval(a_route((1, "oncall"), steps=(Step(after=timedelta(0), tell=("dm:oncall:primary",)),)))
    people = (someone(asked.owner, "oncall"), *PEOPLE)
    assert list(deliveries.destinations(asked, people)) == ["slack:UEVE"]


def test_the_user_groups_of_routes_are_known_by_their_ids() -> None:
    told = ("dm:oncall@S0DUTY:primary", "email:oncall@S0MAIL", "dm:oncall", "slack:C1@S0NOT")
    asked = a_route((1, "oncall"), steps=(Step(after=timedelta(0), tell=told),))
    assert deliveries.user_groups([asked, a_route((1, "oncall"))]) == {"S0DUTY", "S0MAIL"}


def test_every_destination_is_told_once_and_with_its_earliest_step() -> None:
    routes = (
        a_route((1, "oncall"), steps=(Step(after=timedelta(0), tell=("slack:C1", "dm:oncall:primary")),)),
        a_route(
            (1, "oncall"),
            name="other",
            steps=(
                Step(after=60 * SECOND, tell=("dm:oncall",)),
                Step(after=30 * SECOND, tell=("slack:C2", "slack:C1")),
            ),
        ),
    )
    asked = an_approval(*routes)
    found = deliveries.destinations(asked, PEOPLE)
    assert list(found.items()) == [
        ("slack:C1", (0, timedelta(0))),
        ("slack:UEVE", (0, timedelta(0))),
        ("slack:C2", (1, 30 * SECOND)),
        ("slack:UOMAR", (2, 60 * SECOND)),
    ]
    planned = deliveries.planned(asked, PEOPLE)
    assert [(one.id, one.approval, one.destination, one.step, one.due_at) for one in planned] == [
        ("apr_1.0", "apr_1", "slack:C1", 0, NOW),
        ("apr_1.1", "apr_1", "slack:UEVE", 0, NOW),
        ("apr_1.2", "apr_1", "slack:C2", 1, NOW + 30 * SECOND),
        ("apr_1.3", "apr_1", "slack:UOMAR", 2, NOW + 60 * SECOND),
    ]
    assert {one.state for one in planned} == {DeliveryState.QUEUED}
