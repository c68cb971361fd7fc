"""What a broker does by itself: what could not be done is done at the next look."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from assent.core.errors import LedgerUnavailable
from assent.serving.upkeep import PolicyWatch
from tests.flows.card_town import Full
from tests.flows.policy_town import Town, with_admin
from tests.policy.directory import write
from tests.policy.edits import Edit


@pytest.mark.requirement("P1", "T6")
async def test_a_reload_that_met_a_busy_ledger_is_made_up_for(tmp_path: Path) -> None:
    town = Town(tmp_path)
    await town.start()
    busy: Any = Full(town.world.ledger, good=0)
    watch = PolicyWatch(replace(town.broker, ledger=busy), town.holder, town.directory, look_each_seconds=0.01)
    before = town.holder.current.version
    write(town.directory, with_admin(Edit("roles/deployer.yaml", "{max: 20}", "{max: 2}", "")))
    watch.ask()
    with pytest.raises(LedgerUnavailable):
        await watch.look()
    assert town.holder.current.version == before
    busy.good = 1_000
    await watch.look()
    assert town.holder.current.version != before
    assert [leaf["policy"] for leaf in await town.records("policy.activated")][-1] == town.holder.current.version
    await town.close()
