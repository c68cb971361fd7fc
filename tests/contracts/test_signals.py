"""What every kind of signals promises: wake-ups that are not lost, counters that are right or unreadable, buckets."""

import asyncio
from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assent.core.windows import Count, first_covered, slice_of
from assent.ports import Known, Signals
from assent.stores.signals_local import LocalSignals

SECOND = 1_000_000
WINDOW = 60 * SECOND


class Steady:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Place:
    """One place where signals are kept, and how a test reaches into it; another kind joins by adding its place here."""

    clock: Steady
    signals: Signals

    def let_pass(self, seconds: float) -> None:
        self.clock.seconds += seconds


def local() -> Place:
    clock = Steady()
    return Place(clock, LocalSignals(clock))


@pytest.fixture(params=[local], ids=["in one process"])
def place(request: pytest.FixtureRequest) -> Place:
    made: Place = request.param()
    return made


async def one(place: Place, counter: str = "c", amount: int = 1, window: int = WINDOW) -> int | None:
    found = await place.signals.count([Count(counter, window, amount)])
    return None if found is None else found[0]


@pytest.mark.requirement("T11")
async def test_before_an_epoch_has_begun_counters_are_unreadable_and_not_zero(place: Place) -> None:
    assert not await place.signals.readable()
    assert await one(place) is None
    assert await one(place, amount=0) is None
    await place.signals.forget(["c"])
    assert await one(place, amount=0) is None


async def test_an_epoch_begins_with_what_is_known(place: Place) -> None:
    known = [Known("c", WINDOW, 2, 59 * SECOND), Known("c", WINDOW, 3, 10 * SECOND), Known("d", WINDOW, 1, 0)]
    await place.signals.begin(known)
    assert await place.signals.readable()
    assert (await one(place), await one(place, "d"), await one(place, "e")) == (6, 2, 1)
    place.let_pass(5)
    assert await one(place, amount=0) == 4


async def test_what_is_known_of_before_the_window_is_not_counted(place: Place) -> None:
    await place.signals.begin([Known("c", WINDOW, 5, 64 * SECOND)])
    assert await one(place, amount=0) == 0


async def test_several_counts_are_told_in_their_order(place: Place) -> None:
    await place.signals.begin([])
    counts = [Count("a", WINDOW), Count("b", WINDOW, 0), Count("a", WINDOW, 2), Count("b", WINDOW, 5)]
    assert await place.signals.count(counts) == [1, 0, 3, 5]
    assert await place.signals.count([]) == []


async def test_a_count_leaves_with_its_slice(place: Place) -> None:
    await place.signals.begin([])
    place.clock.seconds = 1_200.0
    assert await one(place) == 1
    place.let_pass(60)
    assert await one(place, amount=0) == 1
    place.let_pass(3)
    assert await one(place, amount=0) == 0


async def test_forgetting_begins_one_counter_anew_and_leaves_the_others(place: Place) -> None:
    await place.signals.begin([])
    await place.signals.count([Count("a", WINDOW, 3), Count("ab", WINDOW, 4)])
    await place.signals.forget(["a", "never counted"])
    assert await place.signals.count([Count("a", WINDOW, 0), Count("ab", WINDOW, 0)]) == [0, 4]


# The place is made anew for each example; what the fixture made is not used.
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 90_000), st.sampled_from("ab"), st.integers(0, 3)), min_size=1, max_size=40
    ),
    window=st.integers(1, 90 * SECOND),
)
async def test_a_sum_is_that_of_a_list_of_everything_counted(
    request: pytest.FixtureRequest, place: Place, steps: list[tuple[int, str, int]], window: int
) -> None:
    del place
    fresh: Place = request.node.callspec.params["place"]()
    await fresh.signals.begin([])
    everything: list[tuple[int, str, int]] = []
    for milliseconds, counter, amount in steps:
        fresh.clock.seconds += milliseconds / 1_000
        now = int(fresh.clock.seconds * SECOND)
        everything.append((now, counter, amount))
        since = first_covered(now, window)
        naive = Counter[str]()
        for at, name, much in everything:
            naive[name] += much * (slice_of(at, window) >= since)
        assert await one(fresh, counter, amount, window) == naive[counter]


async def test_a_wake_up_between_subscribing_and_waiting_is_not_lost(place: Place) -> None:
    subscription = place.signals.subscribe(["a", "b"])
    place.signals.wake("b")
    assert await subscription.wait(5.0)
    subscription.close()


async def test_everybody_who_waits_for_a_topic_is_woken_and_nobody_else(place: Place) -> None:
    waiting = [place.signals.subscribe(["a"]), place.signals.subscribe(["a", "c"])]
    other = place.signals.subscribe(["b"])
    woken = asyncio.gather(*(one.wait(5.0) for one in waiting))
    place.signals.wake("a")
    assert await woken == [True, True]
    assert not await other.wait(0.0)
    for subscription in (*waiting, other):
        subscription.close()


async def test_a_bucket_says_no_when_it_is_empty_and_when_to_come_back(place: Place) -> None:
    taken = [place.signals.take("b", per_second=2.0, burst=2) for _ in range(3)]
    assert taken == [0.0, 0.0, 0.5]
    place.let_pass(0.5)
    assert place.signals.take("b", per_second=2.0, burst=2) == 0.0
    assert place.signals.take("other", per_second=2.0, burst=2) == 0.0
