"""Each story of the console gets a world of its own."""

from collections.abc import AsyncIterator

import pytest

from tests.console.town import ConsoleTown
from tests.flows.world import a_world


@pytest.fixture
async def town() -> AsyncIterator[ConsoleTown]:
    world = a_world()
    yield ConsoleTown(world)
    await world.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has
