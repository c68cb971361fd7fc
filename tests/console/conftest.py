"""Each story of the console gets a world of its own."""

from collections.abc import AsyncIterator

import pytest

from tests.console.town import ConsoleTown
from tests.flows.world import World, a_world


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = a_world()
    yield world
    await world.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has


@pytest.fixture
async def town(world: World) -> ConsoleTown:
    return ConsoleTown(world)
