"""Work is done by one broker at a time, whoever is stopped, slow or gone; no clock is compared with another's."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from assent.core.work_leases import BELIEVED_SECONDS, LEFT_FOR_SECONDS, TAKEN_AFTER_SECONDS, Work, WorkLease
from assent.flows.broker import Broker
from assent.flows.keep_lease import Kept, LeaseHold, keep_lease, leave
from assent.ports import Tx, View
from tests.flows.world import SetClock, World, a_world

BROKERS = 3
LOOKS = st.tuples(st.just("look"), st.integers(0, BROKERS - 1))
SLOW_LOOKS = st.tuples(st.just("slow look"), st.integers(0, BROKERS - 1), st.sampled_from([1.0, 4.9, 6.5, 9.0]))
LEAVES = st.tuples(st.just("leave"), st.integers(0, BROKERS - 1))
TIMES = st.tuples(st.just("time"), st.sampled_from([0.5, 1.0, 1.5, 3.0, 5.0, 6.5, 30.0]))


@dataclass
class Slow:
    """A ledger whose transactions take so long before they run, and as long again until somebody hears of it."""

    ledger: Any
    clock: SetClock
    seconds: float

    async def read(self, work: Callable[[View], Awaitable[Any]]) -> Any:  # what the work returns
        return await self.ledger.read(work)

    async def transact(self, work: Callable[[Tx], Awaitable[Any]]) -> Any:  # what the work returns
        self.clock.forward(seconds=self.seconds)
        try:
            return await self.ledger.transact(work)
        finally:
            self.clock.forward(seconds=self.seconds)


@dataclass
class Office:
    """Three brokers on one ledger; each counts seconds from another beginning."""

    world: World
    holds: list[LeaseHold] = field(default_factory=list)

    def __post_init__(self) -> None:
        for number in range(BROKERS):
            self.holds.append(LeaseHold(Work.TIMERS, f"life_{number}", self._seconds(number * 1_000.0)))

    def _seconds(self, offset: float) -> Callable[[], float]:
        return lambda: self.world.clock.steady() + offset

    @property
    def holders(self) -> list[int]:
        return [number for number, hold in enumerate(self.holds) if hold.is_held]

    async def look(self, number: int, broker: Broker | None = None) -> Kept:
        return await keep_lease(broker or self.world.broker, self.holds[number])

    async def looks_for(self, number: int, seconds: int) -> float | None:
        """Let one look each second; return after how many it holds the lease."""
        for second in range(seconds + 1):
            if await self.look(number) is not Kept.OTHERS:
                return float(second)
            self.world.clock.forward(seconds=1)
        return None

    async def row(self) -> WorkLease | None:
        async def work(view: View) -> WorkLease | None:
            return await view.get(WorkLease, Work.TIMERS)

        return await self.world.ledger.read(work)


async def test_the_first_takes_it_and_keeps_it_as_long_as_it_looks(world: World) -> None:
    office = Office(world)
    assert [await office.look(0), await office.look(1), await office.look(0)] == [Kept.TAKEN, Kept.OTHERS, Kept.HELD]
    for _ in range(30):
        world.clock.forward(seconds=1.5)
        assert [await office.look(0), await office.look(1)] == [Kept.HELD, Kept.OTHERS]
        assert office.holders == [0]
    assert (await office.row()) == WorkLease(id=Work.TIMERS, holder="life_0", term=1, revision=32)


async def test_whoever_is_gone_is_followed_within_ten_seconds_and_not_before_its_time(world: World) -> None:
    office = Office(world)
    await office.look(0)
    await office.look(1)
    world.clock.forward(seconds=BELIEVED_SECONDS)
    assert (office.holders, await office.look(1)) == ([], Kept.OTHERS)
    world.clock.forward(seconds=TAKEN_AFTER_SECONDS - BELIEVED_SECONDS)
    assert (await office.look(1), office.holders) == (Kept.TAKEN, [1])
    # Who was stopped and goes on finds that it is another's, before it does anything.
    assert (await office.look(0), office.holders) == (Kept.OTHERS, [1])


async def test_a_lease_that_was_let_go_of_is_taken_at_once_and_left_to_others_first(world: World) -> None:
    office = Office(world)
    await office.look(0)
    await leave(world.broker, office.holds[0])
    assert (office.holders, await office.look(0), await office.look(1)) == ([], Kept.OTHERS, Kept.TAKEN)
    assert (await office.looks_for(0, 20), office.holders) == (TAKEN_AFTER_SECONDS + 0.5, [0])


async def test_where_nobody_else_is_it_comes_back(world: World) -> None:
    office = Office(world)
    await office.look(0)
    await leave(world.broker, office.holds[0])
    assert await office.looks_for(0, 20) == LEFT_FOR_SECONDS


async def test_who_does_not_hold_it_lets_go_of_nothing(world: World) -> None:
    office = Office(world)
    await office.look(0)
    await leave(world.broker, office.holds[1])
    world.clock.forward(seconds=BELIEVED_SECONDS)
    await leave(world.broker, office.holds[0])
    assert (await office.row()) == WorkLease(id=Work.TIMERS, holder="life_0")


async def test_of_two_that_find_it_free_one_gets_it(world: World) -> None:
    office = Office(world)
    overtaken: Any = Overtaken(world.ledger, lambda: office.look(0))
    assert await office.look(1, replace(world.broker, ledger=overtaken)) is Kept.OTHERS
    assert office.holders == [0]


@dataclass
class Overtaken:
    """A ledger on which somebody else is always a little faster."""

    ledger: Any
    first: Callable[[], Awaitable[object]]

    async def read(self, work: Callable[[View], Awaitable[Any]]) -> Any:  # what the work returns
        return await self.ledger.read(work)

    async def transact(self, work: Callable[[Tx], Awaitable[Any]]) -> Any:  # what the work returns
        await self.first()
        return await self.ledger.transact(work)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(LOOKS, SLOW_LOOKS, LEAVES, TIMES), max_size=40), st.integers(0, BROKERS - 1))
def test_two_never_hold_it_at_once_and_the_last_one_left_does_soon(steps: list[Any], last: int) -> None:
    asyncio.run(_lived(steps, last))


async def _lived(steps: list[Any], last: int) -> None:
    world = a_world()
    office = Office(world)
    for what, *values in steps:
        if what == "time":
            world.clock.forward(seconds=values[0])
        elif what == "leave":
            await leave(world.broker, office.holds[values[0]])
        else:
            seconds = values[1] if what == "slow look" else 0.0
            slow: Any = Slow(world.ledger, world.clock, seconds)
            await office.look(values[0], replace(world.broker, ledger=slow))
        assert len(office.holders) <= 1
    found = await office.looks_for(last, 10)
    assert found is not None
    assert office.holders == [last]
    await world.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has
