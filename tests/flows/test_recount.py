"""An epoch begins with what the ledger knows, which is read only where one could begin."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from assent.core.breaker_rules import Sign
from assent.flows.recount import recount
from assent.ports import Known
from assent.stores.signals_local import LocalSignals
from tests.flows.test_notice import many
from tests.flows.world import World


class Elsewhere(LocalSignals):
    """Counters that lie where somebody answers, or nobody; remembers with what an epoch was to begin."""

    def __init__(self, *, there: bool) -> None:
        super().__init__()
        self.there = there
        self.begun: list[Sequence[Known]] = []

    def is_there(self) -> bool:
        return self.there

    async def begin(self, known: Sequence[Known]) -> None:
        self.begun.append(known)


@pytest.mark.parametrize("there", [True, False])
async def test_where_nobody_could_begin_an_epoch_nothing_is_counted_again(world: World, *, there: bool) -> None:
    await world.rule(many(Sign.ACTIONS, 5))
    await world.ask(await world.agent(), "files.read")
    signals = Elsewhere(there=there)
    world.broker = replace(world.broker, signals=signals)
    await recount(world.broker)
    assert [len(known) for known in signals.begun] == ([1] if there else [])
