"""Opens every kind of ledger for the contract suite; another store joins by adding its opener here."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from assent.ports import Ledger
from assent.stores.ledger import StoredLedger
from assent.stores.ledger_time import LedgerTime
from assent.stores.postgres import Place, PostgresLedger
from assent.stores.sqlite import SqliteLedger
from tests.contracts.samples import KEYS, Clock, Ids


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ids() -> Ids:
    return Ids()


def in_a_file(request: pytest.FixtureRequest, told: LedgerTime, ids: Ids) -> StoredLedger:
    path: Path = request.getfixturevalue("tmp_path")
    return SqliteLedger.open(path / "ledger.db", KEYS, clock=told, new_id=ids)


def in_memory(_request: pytest.FixtureRequest, told: LedgerTime, ids: Ids) -> StoredLedger:
    return SqliteLedger.open(":memory:", KEYS, clock=told, new_id=ids)


def on_postgresql(request: pytest.FixtureRequest, told: LedgerTime, ids: Ids) -> StoredLedger:
    place: Place = request.getfixturevalue("place")
    return PostgresLedger.open(place, KEYS, clock=told, new_id=ids)


OPENERS: dict[str, Callable[[pytest.FixtureRequest, LedgerTime, Ids], StoredLedger]] = {
    "sqlite in a file": in_a_file,
    "sqlite in memory": in_memory,
    "postgresql": on_postgresql,
}


@pytest.fixture(params=list(OPENERS))
async def ledger(request: pytest.FixtureRequest, clock: Clock, ids: Ids) -> AsyncIterator[Ledger]:
    opened = OPENERS[request.param](request, LedgerTime(clock, lambda: clock.steady), ids)
    yield opened
    await opened.close()
