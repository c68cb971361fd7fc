"""What every kind of signals promises: wake-ups that are not lost, counters that are right or unreadable, buckets."""

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assent.config.redis_places import RedisPlace
from assent.core.windows import Count, first_covered, slice_of
from assent.ports import Known, Signals
from assent.stores.redis_signals import Access, RedisSignals, connecting, library
from assent.stores.signals_local import LocalSignals
from tests.valkey_server import ValkeyServer

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
    close: Callable[[], Awaitable[None]]

    def let_pass(self, seconds: float) -> None:
        self.clock.seconds += seconds


def local(_request: pytest.FixtureRequest) -> Place:
    clock = Steady()

    async def close() -> None:
        return

    return Place(clock, LocalSignals(clock), close)


def in_redis(request: pytest.FixtureRequest) -> Place:
    server: ValkeyServer = request.getfixturevalue("valkey")
    clock = ServerClock(server)
    signals = signals_at(server, clock=clock)
    return Place(clock, signals, signals.close)


class ServerClock(Steady):
    """The clock of a server whose functions read it where a test sets it."""

    def __init__(self, server: ValkeyServer) -> None:
        self._client = server.client()
        self.key = f"clock:{secrets.token_hex(8)}"
        super().__init__()

    @property
    def seconds(self) -> float:
        return self._seconds

    @seconds.setter
    def seconds(self, seconds: float) -> None:
        self._seconds = seconds
        self._client.set(self.key, int(seconds * SECOND), ex=600)


def signals_at(server: ValkeyServer, *, clock: ServerClock, secret: bytes | None = None) -> RedisSignals:
    told = f"local time = redis.call('GET', '{clock.key}')\n    return tonumber(time)"
    text = library.shipped()
    by_test = text.replace("local time = redis.call('TIME')\n    return time[1] * 1000000 + time[2]", told)
    assert by_test != text
    return RedisSignals(
        connecting(RedisPlace.of(server.url), Access()),
        name=server.url,
        secret=secret or secrets.token_bytes(32),
        monotonic=clock,
        library=by_test,
    )


PLACES: dict[str, Callable[[pytest.FixtureRequest], Place]] = {"in one process": local, "in redis": in_redis}


@pytest.fixture(params=list(PLACES))
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    made = PLACES[request.param](request)
    yield made
    await made.close()


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
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
    fresh = PLACES[request.node.callspec.params["place"]](request)
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
    await fresh.close()


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


@pytest.mark.requirement("T8")
async def test_what_was_claimed_is_not_claimed_again(place: Place) -> None:
    await place.signals.begin([])
    assert await place.signals.claim("a", seconds=60)
    assert [await place.signals.claim("a", seconds=60), await place.signals.claim("b", seconds=60)] == [False, True]


@pytest.mark.requirement("T14")
async def test_of_many_claims_at_once_one_is_the_first(place: Place) -> None:
    await place.signals.begin([])
    claimed = await asyncio.gather(*(place.signals.claim("a", seconds=60) for _ in range(12)))
    assert sorted(map(bool, claimed)) == [False] * 11 + [True]


async def test_many_who_count_at_once_are_each_told_a_sum_of_their_own(place: Place) -> None:
    await place.signals.begin([])
    sums = await asyncio.gather(*(one(place) for _ in range(600)))
    assert sorted(found for found in sums if found is not None) == list(range(1, 601))
