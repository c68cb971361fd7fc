"""Opens every kind of ledger for the contract suite; another store joins by adding its opener here."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from assent.ports import Ledger
from assent.stores.ledger_time import LedgerTime
from assent.stores.sqlite import SqliteLedger
from tests.contracts.samples import KEYS, Clock, Ids


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ids() -> Ids:
    return Ids()


@pytest.fixture(params=["sqlite in a file", "sqlite in memory"])
async def ledger(
    request: pytest.FixtureRequest, tmp_path: Path, clock: Clock, ids: Callable[[str], str]
) -> AsyncIterator[Ledger]:
    told = LedgerTime(clock, lambda: clock.steady)
    opened = SqliteLedger.open(
        tmp_path / "ledger.db" if request.param == "sqlite in a file" else ":memory:", KEYS, clock=told, new_id=ids
    )
    yield opened
    await opened.close()
