"""Which policy is active is one row, believed only together with the log; published versions come back as they were."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from assent.core.errors import Forged
from assent.core.publications import ACTIVE, ActivePolicy, Publication, PublicationId
from assent.core.records import RecordKind
from assent.flows.active_policy import Activating, activate, active_policy
from assent.ports import Gate, Ledger, Tx, View
from assent.stores.ledger import StoredLedger
from assent.stores.ledger_time import LedgerTime
from assent.stores.postgres import Place
from assent.stores.postgres.link import Link
from tests.contracts import samples
from tests.contracts.conftest import OPENERS
from tests.contracts.samples import Clock, Ids

pytestmark = pytest.mark.requirement("T23", "P8")

ByHand = Callable[[str], list[tuple[Any, ...]]]
FIRST, SECOND = "a1" * 32, "b2" * 32
ON_DISK = ["sqlite in a file", "postgresql"]


class Store:
    """A ledger that somebody else writes to as well, in the words of its database."""

    def __init__(self, kind: str, request: pytest.FixtureRequest) -> None:
        self._kind = kind
        self._request = request
        self.clock, self.ids = Clock(), Ids()

    def open(self) -> StoredLedger:
        return OPENERS[self._kind](self._request, LedgerTime(self.clock, lambda: self.clock.steady), self.ids)

    def by_hand(self, statement: str, *values: object) -> list[Any]:
        if self._kind == "postgresql":
            place: Place = self._request.getfixturevalue("place")
            with ThreadPoolExecutor(1) as beside:  # a link blocks on a loop of its own
                return beside.submit(_on_postgresql, place, statement, values).result()
        path: Path = self._request.getfixturevalue("tmp_path")
        with closing(sqlite3.connect(path / "ledger.db", isolation_level=None)) as database:
            return database.execute(statement, values).fetchall()

    def kept(self) -> dict[str, list[Any]]:
        """Return what somebody kept of the row and of the roster that vouches for it."""
        return {
            "active_policy": self.by_hand("SELECT id, revision, facts, sealed, mac FROM active_policy"),
            "ledger": self.by_hand("SELECT latches, mac FROM ledger"),
        }

    def put_back(self, kept: dict[str, list[Any]], *, rosters: bool) -> None:
        """Put back what was kept, the row alone or with its roster."""
        self.by_hand("DELETE FROM active_policy")
        one, two, three, four, five = self._places(5)
        for row in kept["active_policy"]:
            self.by_hand(
                f"INSERT INTO active_policy (id, revision, facts, sealed, mac) VALUES ({one}, {two}, {three}, {four},"
                f" {five})",
                *row,
            )
        if rosters:
            self.by_hand(f"UPDATE ledger SET latches = {one}, mac = {two}", *kept["ledger"][0])

    def _places(self, count: int) -> list[str]:
        return [f"${n}" if self._kind == "postgresql" else f"?{n}" for n in range(1, count + 1)]


def _on_postgresql(place: Place, statement: str, values: tuple[object, ...]) -> list[Any]:
    link = Link(place)
    try:
        link.open()
        return [tuple(row) for row in link.fetch(statement, values)]
    finally:
        link.close()


@pytest.fixture(params=ON_DISK)
def store(request: pytest.FixtureRequest) -> Store:
    return Store(request.param, request)


def activating(version: str, previous: str | None = None) -> Callable[[Tx], Awaitable[Publication | None]]:
    async def work(tx: Tx) -> Publication | None:
        return await activate(tx, Activating(version=version, previous=previous, changes=None))

    return work


async def activated(ledger: Ledger, *versions: str) -> None:
    for version in versions:
        await ledger.transact(activating(version), gate=Gate.EXCLUSIVE)


async def active(ledger: Ledger) -> tuple[str, int] | None:
    """Return what a reader and a writer both see."""
    found = [await ledger.read(active_policy), await ledger.transact(active_policy)]
    assert found[0] == found[1]
    return None if found[0] is None else (found[0].version, found[0].revision)


async def holding(view: View) -> object:
    return await view.open_breakers()


async def refused(ledger: Ledger) -> None:
    """Return only where neither a decision nor anybody who looks believes what stands there."""
    for work in (active_policy, holding):
        with pytest.raises(Forged):
            await ledger.transact(work)
        with pytest.raises(Forged):
            await ledger.read(work)


async def test_the_ledger_names_the_version_that_became_active_last(ledger: Ledger) -> None:
    assert await active(ledger) is None
    await activated(ledger, FIRST, SECOND)
    assert await active(ledger) == (SECOND, 2)


async def test_what_was_undone_was_never_active(ledger: Ledger) -> None:
    await activated(ledger, FIRST)

    async def work(tx: Tx) -> None:
        await activating(SECOND)(tx)
        raise KeyError

    with pytest.raises(KeyError):
        await ledger.transact(work, gate=Gate.EXCLUSIVE)
    assert await active(ledger) == (FIRST, 1)


async def test_two_that_take_up_a_version_at_once_leave_one_and_a_record_of_each(ledger: Ledger) -> None:
    await asyncio.gather(*(ledger.transact(activating(one), gate=Gate.EXCLUSIVE) for one in (FIRST, SECOND)))
    found = await active(ledger)
    assert found is not None
    assert found[1] == 2


async def test_a_name_without_its_record_is_believed_by_nobody(store: Store) -> None:
    row = ActivePolicy(id=ACTIVE, version=FIRST, since=samples.T0)

    async def work(tx: Tx) -> None:
        await tx.add(row)

    ledger = store.open()
    await ledger.transact(work, gate=Gate.EXCLUSIVE)
    await ledger.close()
    again = store.open()
    await refused(again)
    await again.close()


async def test_old_records_of_activations_name_no_row(ledger: Ledger) -> None:
    async def work(tx: Tx) -> None:
        await tx.append(samples.entry(RecordKind.POLICY_ACTIVATED, policy=FIRST, payload={}, detail={}))

    await ledger.transact(work)
    assert await active(ledger) is None
    await activated(ledger, SECOND)
    assert await active(ledger) == (SECOND, 1)


@pytest.mark.parametrize("rosters", [False, True], ids=["alone", "with its roster"])
@pytest.mark.parametrize("before", [(), (FIRST,)], ids=["removed", "an older one"])
async def test_a_row_that_was_removed_or_put_back_is_forged(
    store: Store, before: tuple[str, ...], rosters: bool
) -> None:
    ledger = store.open()
    await activated(ledger, *before)
    kept = store.kept()
    await activated(ledger, SECOND)
    store.put_back(kept, rosters=rosters)
    if rosters or store._kind != "postgresql":  # noqa: SLF001  # this file's own
        await refused(ledger)
    await ledger.close()
    again = store.open()
    await refused(again)
    with pytest.raises(Forged):
        await activated(again, FIRST)
    await again.close()


@pytest.mark.parametrize("column", ["facts", "mac", "revision"])
async def test_a_row_changed_by_hand_is_forged(store: Store, column: str) -> None:
    ledger = store.open()
    await activated(ledger, FIRST)
    await ledger.close()
    (row,) = store.kept()["active_policy"]
    changed = {"facts": str(row[2]).replace(FIRST, SECOND), "mac": b"0" * 32, "revision": 2}[column]
    (place,) = store._places(1)  # noqa: SLF001  # this file's own
    store.by_hand(f"UPDATE active_policy SET {column} = {place}", changed)
    again = store.open()
    await refused(again)
    await again.close()


async def test_the_newest_publication_is_the_one_with_the_highest_id(ledger: Ledger) -> None:
    older = replace(samples.FULL_PUBLICATION, id=PublicationId("pub_00000002"), version=FIRST)

    async def put(tx: Tx) -> None:
        assert await tx.newest_publication() is None
        await tx.add(samples.FULL_PUBLICATION)
        await tx.add(older)

    await ledger.transact(put)

    async def newest(view: View) -> Publication | None:
        return await view.newest_publication()

    assert await ledger.read(newest) == samples.FULL_PUBLICATION
    assert await ledger.transact(newest) == samples.FULL_PUBLICATION
