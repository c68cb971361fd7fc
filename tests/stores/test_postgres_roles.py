"""The broker's role in the database: all that a broker does, and nothing to what is on record."""

import pytest

from assent.core.errors import LedgerUnavailable
from assent.core.looking import RecordFilter
from assent.core.records import RecordId
from assent.ports import Tx, View
from assent.stores.ledger_tree import LedgerTree
from assent.stores.postgres import Place, PostgresLedger
from assent.stores.postgres.migrations import shipped
from assent.stores.postgres.roles import may_change_records, prepare
from assent.stores.tree import Integrator
from tests.contracts import samples
from tests.contracts.samples import KEYS, Clock, Ids
from tests.postgres_server import Server
from tests.stores import log_keys
from tests.stores.files import adding

pytestmark = pytest.mark.requirement("P8", "T24")

CHANGES = [
    "UPDATE record SET leaf = '{}'",
    "UPDATE record SET sealed = NULL",
    "DELETE FROM record",
    "TRUNCATE record",
    "UPDATE checkpoint SET note = ''",
    "DELETE FROM checkpoint",
    "DELETE FROM action",
    "DELETE FROM breaker",
    "TRUNCATE ledger",
    "DROP TABLE record",
    "ALTER TABLE record DISABLE TRIGGER ALL",
    "CREATE TABLE more (id text)",
    "CREATE OR REPLACE FUNCTION erase_record(record_id text, new_mac bytea) RETURNS bigint LANGUAGE sql AS 'SELECT 1'",
]


@pytest.fixture
def theirs(postgres: Server) -> Place:
    """Give the place of a ledger that another role owns."""
    if postgres.given is not None:
        pytest.skip("the server that is named may have no role for this")
    if not postgres.run("SELECT 1 FROM pg_roles WHERE rolname = 'broker'"):
        postgres.run("CREATE ROLE broker LOGIN")
    owned = postgres.fresh()
    assert prepare(Place(url=owned), "broker") == prepare(Place(url=owned), "broker") == len(shipped())
    return Place(url=owned.replace("postgres@", "broker@"))


def opened(place: Place) -> PostgresLedger:
    return PostgresLedger.open(place, KEYS, clock=Clock(), new_id=Ids())


async def test_it_does_all_that_a_broker_does(theirs: Place) -> None:
    ledger = opened(theirs)
    await ledger.transact(adding("one"))
    integrator = Integrator(LedgerTree(ledger), key=log_keys.KEY, sign=log_keys.KEYS.sign_log)
    assert await integrator.integrate_once() is not None

    async def rest(tx: Tx) -> None:
        await tx.add(samples.breaker())
        await tx.replace(samples.breaker(), samples.breaker(revision=samples.breaker().revision + 1))
        await tx.due(10)
        await tx.deliveries_due("slack", 10)
        await tx.presences_due(10)

    await ledger.transact(rest)
    await ledger.close()
    assert not may_change_records(theirs)


async def test_it_forgets_what_a_record_commits_to_and_nothing_else(theirs: Place) -> None:
    ledger = opened(theirs)
    await ledger.transact(adding("one"))

    async def first(view: View) -> RecordId:
        return (await view.records(RecordFilter(oldest_first=True), limit=1)).records[0].id

    key = await ledger.read(first)
    before = await ledger.read(lambda view: view.record(key))
    await ledger.transact(lambda tx: tx.erase(key))
    after = await ledger.read(lambda view: view.record(key))
    assert before is not None
    assert after is not None
    assert (before.leaf, bool(before.disclosed)) == (after.leaf, True)
    assert not after.disclosed
    await ledger.close()


@pytest.mark.parametrize("script", CHANGES)
async def test_it_may_not_touch_what_is_on_record(theirs: Place, postgres: Server, script: str) -> None:
    await opened(theirs).close()
    with pytest.raises(Exception, match=r"permission denied|must be owner"):
        postgres.run(f"SET search_path = assent; {script}", theirs.url)


@pytest.mark.parametrize("script", CHANGES[:6])
async def test_by_accident_the_owner_does_not_either(place: Place, postgres: Server, script: str) -> None:
    ledger = opened(place)
    await ledger.transact(adding("one"))
    await Integrator(LedgerTree(ledger), key=log_keys.KEY, sign=log_keys.KEYS.sign_log).integrate_once()
    await ledger.close()
    assert may_change_records(place)
    if "sealed" in script:
        postgres.run(f"SET search_path = assent; {script}", place.url)  # which its MAC tells
        return
    with pytest.raises(Exception, match="never changed or deleted"):
        postgres.run(f"SET search_path = assent; {script}", place.url)


async def test_a_role_without_rights_is_told_what_to_do(postgres: Server, theirs: Place) -> None:
    bare = Place(url=postgres.fresh().replace("postgres@", "broker@"))
    with pytest.raises(LedgerUnavailable, match="may not change the tables") as refused:
        opened(bare)
    assert "assent ledger prepare" in str(refused.value.hint)


def test_a_role_has_a_name_that_is_one(place: Place) -> None:
    with pytest.raises(LedgerUnavailable, match="no name of a role"):
        prepare(place, 'x; DROP TABLE "record"')
