"""The active policy in files: verified with the log, carried to another store and back, absent in an older ledger."""

from pathlib import Path

import pytest

from assent.core.errors import VerificationFailed
from assent.core.publications import ActivePolicy, Bundle, Publication
from assent.core.records import RecordKind
from assent.flows.active_policy import Activating, activate, active_policy
from assent.ports import Gate, Ledger, Tx, View
from assent.stores.keys import Keys
from assent.stores.postgres import Place, PostgresLedger
from assent.stores.postgres.copying import copy_from_file, copy_to_file
from assent.stores.sqlite.migrations import shipped
from assent.stores.sqlite.snapshot import SINCE_PUBLICATIONS
from assent.stores.verify import verify_file
from tests.contracts import samples
from tests.contracts.samples import KEYS, Clock, Ids
from tests.stores.files import adding, opened, outside

pytestmark = pytest.mark.requirement("T23", "P8", "T19")

VERSION = "a1" * 32
KEY = Keys.generate().log_verifier_key("assent/test")


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A ledger in a file, closed, that names an active policy."""
    made = tmp_path / "ledger.db"
    async with opened(made) as ledger:
        await ledger.transact(published, gate=Gate.EXCLUSIVE)
    return made


async def published(tx: Tx) -> None:
    await tx.add(samples.FULL_BUNDLE)
    await tx.add(samples.FULL_PUBLICATION)
    await activate(tx, Activating(version=samples.FULL_PUBLICATION.version, previous=None, changes=None))


async def all_of_it(view: View) -> tuple[ActivePolicy | None, Bundle | None, Publication | None]:
    bundle = await view.get(Bundle, samples.FULL_BUNDLE.id)
    return await active_policy(view), bundle, await view.newest_publication()


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM active_policy", "UPDATE active_policy SET facts = '{}'", "DROP TABLE active_policy"],
)
def test_a_file_whose_active_policy_was_changed_by_hand_does_not_verify(path: Path, statement: str) -> None:
    assert verify_file(path, key=KEY, keys=KEYS).macs_checked
    with outside(path) as database:
        database.execute(statement)
    with pytest.raises(VerificationFailed):
        verify_file(path, key=KEY, keys=KEYS)


async def test_a_ledger_from_before_verifies_and_names_none_when_it_is_brought_forward(tmp_path: Path) -> None:
    path = tmp_path / "older.db"
    async with opened(path, scripts=shipped()[: SINCE_PUBLICATIONS - 1]) as ledger:
        await ledger.transact(adding("one", looks=False))
        await ledger.transact(old_activation)
    assert verify_file(path, key=KEY, keys=KEYS).macs_checked
    async with opened(path) as ledger:
        assert await ledger.read(all_of_it) == (None, None, None)

        async def work(tx: Tx) -> None:
            await activate(tx, Activating(version=VERSION, previous=None, changes=None))

        await ledger.transact(work, gate=Gate.EXCLUSIVE)
        found = (await ledger.read(all_of_it))[0]
        assert found is not None
        assert (found.version, found.revision, found.publication) == (VERSION, 1, None)


async def old_activation(tx: Tx) -> None:
    await tx.append(samples.entry(RecordKind.POLICY_ACTIVATED, policy=VERSION, payload={}, detail={}))


async def test_it_moves_to_another_store_and_back_with_every_mac(path: Path, place: Place, tmp_path: Path) -> None:
    async with opened(path) as ledger:
        before = await ledger.read(all_of_it)
    copy_from_file(path, place)
    moved: Ledger = PostgresLedger.open(place, KEYS, clock=Clock(), new_id=Ids())
    assert await moved.read(all_of_it) == before
    assert await moved.transact(all_of_it) == before
    await moved.close()  # type: ignore[attr-defined]  # the port has no end, the store has
    back = tmp_path / "back.db"
    copy_to_file(place, back)
    async with opened(back) as ledger:
        assert await ledger.read(all_of_it) == before
        assert before[1] == samples.FULL_BUNDLE
