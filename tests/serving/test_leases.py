"""What a broker does under its leases, and when it lets go of one."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from assent.core.work_leases import LEFT_FOR_SECONDS, Work
from assent.serving.leases import LOOK_EACH_SECONDS, STEPS_ASIDE_EACH_SECONDS, Leases
from tests.flows.world import World, a_world

Round = Callable[[], Awaitable[float]]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = a_world()
    yield world
    await world.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has


def beside_others(world: World) -> Leases:
    return Leases(world.broker, world.clock.steady, is_alone=False)


def said(seconds: float) -> Round:
    async def done() -> float:
        return seconds

    return done


async def keep(leases: Leases) -> set[Work]:
    """Look at every lease once; return which are held then."""
    for look in leases.rounds().values():
        await look()
    return {work for work in Work if leases.holds(work)}


def test_who_serves_alone_does_everything_and_keeps_no_lease(world: World) -> None:
    alone, once = Leases(world.broker, world.clock.steady, is_alone=True), said(7)
    assert (alone.rounds(), alone.under(Work.LOG, once), set(alone.told().values())) == ({}, once, {1})


async def test_work_is_done_by_who_holds_its_lease_and_others_do_the_rest(world: World) -> None:
    one, other = beside_others(world), beside_others(world)
    assert (await keep(one), await keep(other)) == (set(Work), set())
    works = [leases.under(Work.LOG, said(7), said(8)) for leases in (one, other)]
    assert [await work() for work in works] == [7, 8]
    assert await other.under(Work.TIMERS, said(7))() == LOOK_EACH_SECONDS
    assert (set(one.told().values()), set(other.told().values())) == ({1}, {0})


@pytest.mark.requirement("T20")
async def test_who_ends_lets_go_of_everything(world: World) -> None:
    one, other = beside_others(world), beside_others(world)
    await keep(one)
    await one.close()
    assert (await keep(other), await keep(one)) == (set(Work), set())


async def test_who_cannot_reach_people_lets_another_try_and_does_not_give_up_for_good(world: World) -> None:
    one, other = beside_others(world), beside_others(world)
    await keep(one)
    await one.step_aside(Work.PEOPLE, why="Slack is away")
    assert await keep(one) == {Work.TIMERS, Work.LOG}
    assert await keep(other) == {Work.PEOPLE}
    # The other cannot either, and lets go too: it comes back, and is not passed on again for a while.
    await other.step_aside(Work.PEOPLE, why="Slack is away")
    world.clock.forward(seconds=LEFT_FOR_SECONDS)
    assert await keep(one) == set(Work)
    await one.step_aside(Work.PEOPLE, why="Slack is away")
    assert one.holds(Work.PEOPLE)
    for _ in range(int(STEPS_ASIDE_EACH_SECONDS)):
        world.clock.forward(seconds=1)
        await keep(one)
    await one.step_aside(Work.PEOPLE, why="Slack is away")
    assert not one.holds(Work.PEOPLE)
