"""Old and new brokers side by side on one schema: what a new version adds, an old one goes on beside."""

import asyncio

import pytest

from assent.core.actions import Action
from assent.core.errors import LedgerUnavailable
from assent.ports import View
from assent.stores.postgres import Place, PostgresLedger, migrations
from assent.stores.postgres.link import Link
from assent.stores.postgres.roles import prepare
from tests.contracts.samples import KEYS, Clock, Ids
from tests.postgres_server import Server
from tests.stores.files import adding

pytestmark = pytest.mark.requirement("T20")

# What a version to come may do: a table more, a column more that need not be filled, an index more.
ADDS = """-- What a version to come adds.
CREATE TABLE later (id text PRIMARY KEY);
ALTER TABLE action ADD COLUMN later text;
ALTER TABLE action ADD COLUMN counted bigint NOT NULL DEFAULT 0;
CREATE INDEX action_later ON action (later) WHERE later IS NOT NULL;
"""
CHANGES = f"{migrations.ENDS_OLDER}\nALTER TABLE action RENAME COLUMN content TO contents;\n"
IDS = Ids()


def opened(place: Place) -> PostgresLedger:
    return PostgresLedger.open(place, KEYS, clock=Clock(), new_id=IDS)


async def rolled_out(place: Place, *scripts: str) -> int:
    """Bring the tables forward as the owner does who has a newer version; return the version that they have then."""

    def brought() -> int:
        link = Link(place)
        link.open()
        try:
            migrations.migrate(link, (*migrations.shipped(), *scripts))
            return migrations.version(link)
        finally:
            link.close()

    # A link blocks on a loop of its own.
    return await asyncio.to_thread(brought)


async def stored(ledger: PostgresLedger, *names: str) -> list[bool]:
    async def work(view: View) -> list[bool]:
        return [await view.get(Action, name) is not None for name in names]

    return await ledger.read(work)


async def test_old_brokers_go_on_and_start_beside_what_a_newer_one_added(postgres: Server) -> None:
    place = Place(url=postgres.fresh())
    running = opened(place)
    assert await running.transact(adding("before")) == "before"
    await rolled_out(place, ADDS)
    assert await running.transact(adding("beside")) == "beside"
    # An old one that is started again in the middle, and one that lost its line.
    started = opened(place)
    assert await started.transact(adding("after")) == "after"
    assert await stored(running, "before", "beside", "after") == [True] * 3
    for ledger in (running, started):
        await ledger.close()


async def test_old_brokers_refuse_what_a_newer_one_changed_and_say_what_to_do(postgres: Server) -> None:
    place = Place(url=postgres.fresh())
    await opened(place).close()
    await rolled_out(place, ADDS, CHANGES)
    with pytest.raises(LedgerUnavailable) as refused:
        opened(place)
    known = len(migrations.shipped())
    assert refused.value.message == f"the ledger has version {known + 2} and this broker knows versions up to {known}"
    assert "run the newer broker again" in str(refused.value.hint)


async def test_what_ended_older_brokers_once_does_so_after_the_next_step_too(postgres: Server) -> None:
    place = Place(url=postgres.fresh())
    await opened(place).close()
    await rolled_out(place, CHANGES)
    await rolled_out(place, CHANGES, ADDS)
    with pytest.raises(LedgerUnavailable):
        opened(place)


async def test_an_older_owner_changes_nothing_of_what_a_newer_one_prepared(postgres: Server) -> None:
    place = Place(url=postgres.fresh())
    postgres.run("DO $$ BEGIN CREATE ROLE older LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    prepare(place, "older")
    await rolled_out(place, ADDS)
    prepare(place, "older")
    assert await rolled_out(place) == len(migrations.shipped()) + 1
