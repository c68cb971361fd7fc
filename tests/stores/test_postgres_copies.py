"""A ledger moves between a SQLite file and PostgreSQL with every MAC and every proof; what is forged stays found."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from assent.core.errors import Forged, LedgerUnavailable, VerificationFailed
from assent.core.merkle import leaf_hash, verify_inclusion
from assent.ports import Tx, View
from assent.stores.ledger_tree import LedgerTree
from assent.stores.postgres import Place, PostgresLedger
from assent.stores.postgres.copying import copy_from_file, copy_to_file
from assent.stores.rows import TABLES
from assent.stores.sqlite import SqliteLedger
from assent.stores.tree import Integrator
from assent.stores.verify import verify_file
from assent.wiring import fresh
from tests.contracts import samples
from tests.contracts.samples import Clock, Ids
from tests.postgres_server import Server
from tests.stores.log_keys import KEY, KEYS

pytestmark = pytest.mark.requirement("P8", "T16", "T24")

RECORDS = 300


def on_postgres(place: Place) -> PostgresLedger:
    return PostgresLedger.open(place, KEYS.ledger_keys(), clock=Clock(), new_id=fresh.new_id)


def in_a_file(path: Path) -> SqliteLedger:
    return SqliteLedger.open(path, KEYS.ledger_keys(), clock=Clock(), new_id=Ids())


async def rows(tx: Tx) -> None:
    for row in samples.ALL_ROWS:
        await tx.add(row)


async def some_records(tx: Tx) -> None:
    for _ in range(RECORDS):
        await tx.append(samples.entry(action=None))


async def filled(ledger: SqliteLedger | PostgresLedger) -> None:
    """Store one row of each kind and a log of 300 records, all of it signed."""
    await ledger.transact(rows, within_seconds=30)
    await ledger.transact(some_records, within_seconds=30)
    await Integrator(LedgerTree(ledger), key=KEY, sign=KEYS.sign_log).integrate_once()
    await ledger.close()


def dump(path: Path) -> list[object]:
    with closing(sqlite3.connect(path)) as database:
        names = [*(f'"{table.name}"' for table in TABLES.values()), "ledger", "tile", "checkpoint", "record"]
        return [database.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in names]


async def test_there_and_back_is_the_same_ledger_to_the_byte(place: Place, tmp_path: Path) -> None:
    await filled(in_a_file(tmp_path / "old.db"))
    assert await asyncio.to_thread(copy_from_file, tmp_path / "old.db", place) == RECORDS
    assert copy_to_file(place, tmp_path / "new.db") == RECORDS
    assert dump(tmp_path / "new.db") == dump(tmp_path / "old.db")
    before, after = (verify_file(tmp_path / name, key=KEY, keys=KEYS.ledger_keys()) for name in ("old.db", "new.db"))
    assert before == after
    assert after.signed == RECORDS


async def test_it_goes_on_where_it_was_and_its_old_proofs_hold(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    await filled(in_a_file(path))
    copy_from_file(path, place)
    ledger = on_postgres(place)
    tree = LedgerTree(ledger)
    await ledger.transact(some_records, within_seconds=30)
    await Integrator(tree, key=KEY, sign=KEYS.sign_log).integrate_once()
    proof = await tree.inclusion(7)
    verify_inclusion(leaf=leaf_hash(proof.leaf), index=7, size=2 * RECORDS, proof=proof.hashes, root=proof.head.root)
    assert await tree.consistency(RECORDS, 2 * RECORDS)
    assert await ledger.read(lambda view: view.open_breakers())
    await ledger.close()
    copy_to_file(place, tmp_path / "new.db")
    kept = [(await LedgerTree(in_a_file(path)).last_note()) or b""]
    assert verify_file(tmp_path / "new.db", key=KEY, keys=KEYS.ledger_keys(), kept=kept).signed == 2 * RECORDS


async def test_a_database_that_holds_a_ledger_is_left_as_it_is(place: Place, tmp_path: Path) -> None:
    await filled(in_a_file(tmp_path / "old.db"))
    await filled(on_postgres(place))
    with pytest.raises(LedgerUnavailable, match="a ledger in this database already"):
        copy_from_file(tmp_path / "old.db", place)


async def test_a_copy_takes_no_files_place(place: Place, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    with pytest.raises(FileExistsError):
        copy_to_file(place, tmp_path / "there")


FORGED: dict[str, str] = {
    "a record": "UPDATE record SET leaf = replace(leaf, 'deploy', 'destroy') WHERE idx = 5",
    "a record that is gone": "DELETE FROM record WHERE idx = 5",
    "its place": "UPDATE record SET idx = 100000 WHERE idx = 5",
    "a payload": "UPDATE record SET sealed = NULL WHERE idx = 5",
    "a checkpoint": "UPDATE checkpoint SET note = replace(note, 'assent', 'absent')",
    "a tile": "UPDATE tile SET hashes = substring(hashes FROM 33) WHERE level = 0 AND idx = 0",
    "an approval": "UPDATE approval SET state = 'approved'",
    "a grant": "UPDATE \"grant\" SET state = 'issued', revision = revision + 1",
    "a breaker": "DELETE FROM breaker",
}


@pytest.mark.parametrize("script", list(FORGED.values()), ids=list(FORGED))
async def test_what_somebody_changed_in_the_database_is_found(
    place: Place, postgres: Server, tmp_path: Path, script: str
) -> None:
    await filled(on_postgres(place))
    changed = postgres.run(f"SET search_path = assent; SET session_replication_role = replica; {script}", place.url)
    assert not changed.endswith(" 0"), "it changed nothing"
    copy_to_file(place, tmp_path / "copy.db")
    with pytest.raises(VerificationFailed):
        verify_file(tmp_path / "copy.db", key=KEY, keys=KEYS.ledger_keys())


async def one(tx: Tx) -> None:
    await tx.append(samples.entry())


HOLDING: dict[str, tuple[str, Callable[[Tx], object]]] = {
    "a breaker that is gone": ("DELETE FROM breaker", lambda tx: tx.open_breakers()),
    "one that was closed": ("UPDATE breaker SET state = 'closed'", lambda tx: tx.open_breakers()),
    "a suspension that is gone": ("DELETE FROM agent_status", lambda tx: tx.open_breakers()),
    "the last record": ("UPDATE record SET time = time + 1 WHERE idx = (SELECT max(idx) FROM record)", one),
}


@pytest.mark.parametrize(("script", "work"), list(HOLDING.values()), ids=list(HOLDING))
async def test_what_would_mean_yes_holds_all_decisions_when_it_was_changed(
    place: Place, postgres: Server, script: str, work: Callable[[Tx], object]
) -> None:
    await filled(on_postgres(place))
    postgres.run(f"SET search_path = assent; SET session_replication_role = replica; {script}", place.url)
    if "record" in script:
        with pytest.raises(Exception, match="keys at hand"):
            on_postgres(place)
        return
    ledger = on_postgres(place)
    with pytest.raises(Forged):
        await ledger.transact(work)  # type: ignore[arg-type]  # questions of several kinds
    await ledger.close()


async def test_a_row_of_another_is_not_believed(place: Place, postgres: Server) -> None:
    await filled(on_postgres(place))
    postgres.run("SET search_path = assent; UPDATE approval SET state = 'approved'", place.url)
    ledger = on_postgres(place)

    async def ask(view: View) -> object:
        return await view.approval_by_code(samples.approval().code)

    with pytest.raises(Forged):
        await ledger.read(ask)
    await ledger.close()
