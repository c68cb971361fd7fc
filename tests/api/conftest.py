"""Each story over HTTP gets a town of its own."""

from collections.abc import AsyncIterator

import pytest

from tests.api.town import Town
from tests.flows.world import a_world


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    world = a_world()
    yield Town(world)
    await world.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has
