"""Each story gets a world of its own."""

from collections.abc import AsyncIterator

import pytest

from tests.flows.world import World, a_world


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = a_world()
    yield made
    await made.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has
