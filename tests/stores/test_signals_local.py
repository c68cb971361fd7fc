"""Signals of one process: no wake-up is lost, and a bucket only ever says no for a while."""

import asyncio

import pytest

from assent.core.windows import Count
from assent.stores.signals_local import LocalSignals


class Seconds:
    """A clock that a story sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_wake_up_between_subscribing_and_waiting_is_not_lost() -> None:
    signals = LocalSignals()
    subscription = signals.subscribe(["a", "b"])
    signals.wake("b")
    assert await subscription.wait(1.0)
    assert not await subscription.wait(0.0)
    subscription.close()


async def test_a_wake_up_reaches_everybody_who_waits_and_nobody_else() -> None:
    signals = LocalSignals()
    mine, yours, other = (signals.subscribe([topic]) for topic in ("a", "a", "b"))
    waits = asyncio.gather(mine.wait(5), yours.wait(5))
    await asyncio.sleep(0)
    signals.wake("a")
    async with asyncio.timeout(5):
        assert all(await waits)
    assert not await other.wait(0.0)


async def test_a_closed_subscription_is_forgotten() -> None:
    signals = LocalSignals()
    subscription = signals.subscribe(["a"])
    subscription.close()
    subscription.close()
    signals.wake("a")
    assert not await subscription.wait(0.0)


@pytest.mark.requirement("T14")
def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    seconds = Seconds()
    signals = LocalSignals(seconds)
    assert [signals.take("a", per_second=2.0, burst=3) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert signals.take("a", per_second=2.0, burst=3) == pytest.approx(0.5)
    assert signals.take("b", per_second=2.0, burst=3) == 0.0
    seconds.now = 0.5
    assert signals.take("a", per_second=2.0, burst=3) == 0.0
    assert signals.take("a", per_second=2.0, burst=3) > 0.0


@pytest.mark.requirement("T14")
def test_a_flood_of_new_names_does_not_fill_the_memory() -> None:
    seconds = Seconds()
    signals = LocalSignals(seconds)
    for number in range(150_000):
        signals.take(f"caller-{number}", per_second=1.0, burst=2)
        seconds.now += 0.01
    assert len(signals._buckets) <= 100_000  # noqa: SLF001  # the bound is the promise, and it has no other face


@pytest.mark.requirement("T14")
async def test_a_flood_of_things_to_count_forgets_what_was_silent_longest() -> None:
    seconds, second = Seconds(), 1_000_000
    signals = LocalSignals(seconds, max_counters=100)
    await signals.begin([])
    await signals.count([Count("silent", 60 * second, 5)])
    for number in range(500):
        seconds.now += 0.01
        await signals.count([Count("busy", 60 * second), Count(f"flood {number}", 60 * second)])
    assert await signals.count([Count("busy", 60 * second, 0), Count("silent", 60 * second, 0)]) == [500, 0]
    assert len(signals._counters or {}) <= 100  # noqa: SLF001  # the bound is the promise, and it has no other face
