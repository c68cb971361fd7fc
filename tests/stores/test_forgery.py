"""Somebody who can write the database file, and has no key, changes nothing that anybody believes."""

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from assent.core.actions import Action, ActionState
from assent.core.approvals import Approval, ApprovalState
from assent.core.breakers import BreakerState, Scope
from assent.core.credentials import Credential, Kind
from assent.core.errors import Forged
from assent.core.grants import Grant
from assent.core.looking import RecordFilter
from assent.core.records import RecordId, RecordKind
from assent.ports import Ledger, Row, Tx, View
from assent.stores.rows import TABLES, journal
from assent.stores.sqlite import SqliteLedger
from assent.stores.sqlite.queries import INSERT_RECORD
from tests.contracts import samples
from tests.contracts.samples import KEYS, OTHER_KEYS
from tests.stores.files import opened, outside

pytestmark = pytest.mark.requirement("T19", "T24", "P8")

COLUMNS = [(row, column) for row in (*samples.FULL_ROWS, samples.action()) for column in TABLES[type(row)].all_columns]
RECORD_COLUMNS = journal.COLUMNS.split(", ")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
async def ledger(path: Path) -> AsyncIterator[SqliteLedger]:
    async with opened(path) as ledger:
        yield ledger


async def put(ledger: Ledger, *rows: Row) -> None:
    async def work(tx: Tx) -> None:
        for row in rows:
            await tx.add(row)
        await tx.append(samples.entry())

    await ledger.transact(work)


def getting(row: Row, key: str) -> Callable[[View], Awaitable[object]]:
    async def work(view: View) -> object:
        return await view.get(cast("type[Action]", type(row)), key)

    return work


async def holding(view: View) -> object:
    return await view.open_breakers()


async def refused(ledger: Ledger, work: Callable[[View], Awaitable[object]]) -> None:
    with pytest.raises(Forged):
        await ledger.transact(work)
    with pytest.raises(Forged):
        await ledger.read(work)


def changed(value: Any) -> Any:  # whatever SQLite stores
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        return value + "x"
    return "x" if value is None else bytes([value[0] ^ 1]) + value[1:]


def others(value: object) -> list[object]:
    """A changed value, the same one as another type, and nothing at all."""
    as_other_type = value.encode() if isinstance(value, str) else value.hex() if isinstance(value, bytes) else b"1"
    return [changed(value), as_other_type, *([] if value is None else [None])]


def forge(database: sqlite3.Connection, table: str, key: str, column: str, value: object) -> bool:
    try:
        database.execute(f"UPDATE {table} SET {column} = ? WHERE id = ?", (value, key))
    except sqlite3.IntegrityError:
        return False
    return True


@pytest.mark.parametrize(("row", "column"), COLUMNS, ids=lambda value: value if isinstance(value, str) else value.id)
async def test_a_changed_column_is_refused(ledger: SqliteLedger, path: Path, row: Row, column: str) -> None:
    table = TABLES[type(row)].name
    await put(ledger, row)
    with outside(path) as database:
        (stored,) = database.execute(f"SELECT {column} FROM {table} WHERE id = ?", (row.id,)).fetchone()
        for value in others(stored) if column != "id" else [changed(stored)]:
            if not forge(database, table, row.id, column, value):
                continue
            key = str(value) if column == "id" else row.id
            await refused(ledger, getting(row, key))
            assert forge(database, table, key, column, stored)
    assert await ledger.transact(getting(row, row.id)) == row
    assert await ledger.read(getting(row, row.id)) == row


@pytest.mark.parametrize("column", ["state", "id", "agent", "revision", "mac"])
async def test_a_breaker_closed_by_hand_holds_all_decisions(ledger: SqliteLedger, path: Path, column: str) -> None:
    await put(ledger, samples.breaker())
    with outside(path) as database:
        assert forge(database, "breaker", "brk_1", column, "closed")
    await refused(ledger, holding)


@pytest.mark.parametrize("table", ["breaker", "agent_status"])
async def test_a_latch_that_was_removed_is_missed(ledger: SqliteLedger, path: Path, table: str) -> None:
    await put(ledger, samples.breaker(), samples.status())
    with outside(path) as database:
        database.execute(f"DELETE FROM {table}")
    with pytest.raises(Forged):
        await ledger.transact(holding)
    with pytest.raises(Forged):
        await ledger.read(holding)


@pytest.mark.parametrize("table", ["breaker", "agent_status"])
async def test_the_next_trip_does_not_make_good_a_latch_that_was_removed(
    ledger: SqliteLedger, path: Path, table: str
) -> None:
    await put(ledger, samples.breaker(), samples.status())
    with outside(path) as database:
        database.execute(f"DELETE FROM {table}")
    with pytest.raises(Forged):
        await put(ledger, samples.FULL_BREAKER)
    with pytest.raises(Forged):
        await ledger.transact(holding)


async def test_a_latch_put_back_to_an_older_state_is_refused(ledger: SqliteLedger, path: Path) -> None:
    closed = samples.breaker(state=BreakerState.CLOSED)
    tripped = replace(closed, state=BreakerState.FORCED_OPEN, revision=2)
    await put(ledger, closed)
    with outside(path) as database:
        old = database.execute("SELECT * FROM breaker").fetchone()

    async def trip(tx: Tx) -> None:
        await tx.replace(closed, tripped)

    await ledger.transact(trip)
    with outside(path) as database:
        database.execute("DELETE FROM breaker")
        database.execute(f"INSERT INTO breaker VALUES ({', '.join('?' * len(old))})", old)
    await refused(ledger, holding)


async def trip(ledger: Ledger, name: str = "brk_1") -> None:
    """Trip as a broker does: the breaker and its record in one transaction."""

    async def work(tx: Tx) -> None:
        await tx.add(samples.breaker(name, scope=Scope(tool=name)))
        await tx.append(samples.entry(RecordKind.BREAKER_TRIPPED, breaker=name, payload={}))

    await ledger.transact(work)


def roster(path: Path) -> tuple[bytes, bytes]:
    with outside(path) as database:
        found: tuple[bytes, bytes] = database.execute("SELECT latches, mac FROM ledger").fetchone()
    return found


def undo(path: Path, known: tuple[bytes, bytes], *breakers: str) -> None:
    """Take breakers away and put the roster back that knew nothing of them."""
    with outside(path) as database:
        database.executemany("DELETE FROM breaker WHERE id = ?", [(name,) for name in breakers])
        database.execute("UPDATE ledger SET latches = ?, mac = ?", known)


@pytest.mark.requirement("P6")
@pytest.mark.parametrize("before", [(), ("earlier",)])
async def test_a_trip_is_not_undone_by_putting_the_roster_back_that_did_not_know_of_it(
    ledger: SqliteLedger, path: Path, before: Sequence[str]
) -> None:
    for name in before:
        await trip(ledger, name)
    known = roster(path)
    await trip(ledger)
    undo(path, known, "brk_1")
    await refused(ledger, holding)
    with pytest.raises(Forged):
        await trip(ledger, "next")
    async with opened(path) as reopened:
        await refused(reopened, holding)


@pytest.mark.requirement("P6")
async def test_a_latch_without_a_record_is_not_undone_where_somebody_has_seen_it(path: Path) -> None:
    async with opened(path) as ledger, opened(path) as another:
        known = roster(path)
        await put(ledger, samples.breaker())
        assert len(cast("list[object]", await another.read(holding))) == 1
        undo(path, known, "brk_1")
        await refused(ledger, holding)
        await refused(another, holding)


@pytest.mark.requirement("P6")
async def test_trips_are_believed_by_every_process_and_after_a_restart(path: Path) -> None:
    async with opened(path) as ledger, opened(path) as another:
        for name in ("one", "two"):
            await trip(ledger, name)
            await trip(another, f"{name} elsewhere")
        for each in (ledger, another):
            assert len(cast("list[object]", await each.read(holding))) == 4
            assert len(cast("list[object]", await each.transact(holding))) == 4
    async with opened(path) as reopened:
        assert len(cast("list[object]", await reopened.read(holding))) == 4


@pytest.mark.parametrize("column", ["created_at", "latches", "sealed", "mac", "id"])
async def test_a_changed_ledger_row_holds_all_decisions(ledger: SqliteLedger, path: Path, column: str) -> None:
    await put(ledger, samples.breaker())
    with outside(path) as database:
        (stored,) = database.execute(f"SELECT {column} FROM ledger").fetchone()
        database.execute(f"UPDATE ledger SET {column} = ?", (changed(stored),))
    await refused(ledger, holding)


@pytest.mark.parametrize("row", samples.ALL_ROWS, ids=lambda row: f"{type(row).__name__} {row.id}")
async def test_a_row_inserted_without_the_key_is_refused(ledger: SqliteLedger, path: Path, row: Row) -> None:
    table = TABLES[type(row)]
    with outside(path) as database:
        database.execute(table.insert, table.dump(cast("Action", row), OTHER_KEYS))
    await refused(ledger, getting(row, row.id))


async def test_a_row_copied_under_another_id_is_refused(ledger: SqliteLedger, path: Path) -> None:
    await put(ledger, samples.credential("k1"))
    with outside(path) as database:
        columns = "revision, kind, principal, issued_at, facts, sealed, mac"
        database.execute(f"INSERT INTO credential (id, {columns}) SELECT 'k9', {columns} FROM credential")
    await refused(ledger, getting(samples.credential(), "k9"))


@pytest.mark.requirement("T24")
async def test_a_list_of_credentials_leaves_out_one_that_was_put_there(ledger: SqliteLedger, path: Path) -> None:
    await put(ledger, samples.credential("k1"))
    with outside(path) as database:
        table = TABLES[Credential]
        database.execute(table.insert, table.dump(cast("Action", samples.credential("k9")), OTHER_KEYS))

    async def work(view: View) -> list[str]:
        return [key.id for key in await view.credentials(Kind.AGENT, "deployer", limit=9)]

    assert await ledger.read(work) == ["k1"]


@pytest.mark.parametrize("column", ["facts", "sealed", "mac"])
async def test_parts_of_two_rows_cannot_be_exchanged(ledger: SqliteLedger, path: Path, column: str) -> None:
    one, two = samples.action("one"), samples.action("two", arguments=b"{}", digest="cd" * 32)
    await put(ledger, one, two)
    with outside(path) as database:
        parts = dict(database.execute(f"SELECT id, {column} FROM action").fetchall())
        for key, other in (("one", "two"), ("two", "one")):
            assert forge(database, "action", key, column, parts[other])
    for row in (one, two):
        await refused(ledger, getting(row, row.id))


async def test_a_sealed_payload_does_not_open_in_another_row(ledger: SqliteLedger) -> None:
    sealed = KEYS.seal("action", "one", ("payload",))
    for table, key in (("action", "two"), ("approval", "one"), ("actio", "none")):
        with pytest.raises(Forged):
            KEYS.unseal(table, key, sealed)


async def test_a_key_that_was_revoked_by_hand_or_given_back_is_refused_at_once(
    ledger: SqliteLedger, path: Path
) -> None:
    await put(ledger, samples.FULL_CREDENTIAL)
    assert await ledger.transact(getting(samples.FULL_CREDENTIAL, "k2")) == samples.FULL_CREDENTIAL
    with outside(path) as database:
        database.execute("UPDATE credential SET facts = replace(facts, 'revoked_by', 'forgotten')")
    await refused(ledger, getting(samples.FULL_CREDENTIAL, "k2"))


DAMAGES = {
    "no MAC": "mac = zeroblob(32)",
    "text that is none": "revision = CAST(x'ff' AS TEXT)",
    "a number that is none": "revision = 1.5",
    "facts that are none": "facts = '{'",
}
SOONER = samples.T0 + timedelta(minutes=1)


def life(name: str, state: ActionState, **changes: object) -> tuple[Action, Approval, Grant]:
    """An action that a human was asked about, with its question and its grant; all of it is due after a while."""
    due = {"pick_up_until": samples.LATER, "lease_expires_at": samples.LATER}
    asked = samples.action(name, state=state, decided_by_human=True, decided_at=samples.T0, **{**due, **changes})
    return (
        asked,
        samples.approval(f"apr {name}", code=name, action=name),
        samples.grant(f"gra {name}", action=name),
    )


async def lists(view: View) -> dict[str, list[str]]:
    due = await view.due(1)
    found: dict[str, Sequence[Row]] = {
        "waiting": await view.waiting(Scope()),
        "running": await view.running(Scope()),
        "decided": await view.decided_for(samples.AGENT, None, 2),
        "due actions": due.actions,
        "approvals": await view.approvals([ApprovalState.PENDING], limit=2),
        "due approvals": due.approvals,
    }
    return {name: [row.id for row in rows] for name, rows in found.items()}


@pytest.mark.requirement("P6")
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
async def test_a_damaged_action_and_its_question_are_left_out_of_every_list_and_hold_up_no_other(
    path: Path, damage: str
) -> None:
    clock = samples.Clock()
    async with opened(path, clock=clock) as ledger:
        for name in ("a", "b"):
            await put(ledger, *life(f"{name} waits", ActionState.READY), *life(f"{name} runs", ActionState.EXECUTING))
        with outside(path) as database:
            database.execute(f"UPDATE action SET {damage} WHERE id LIKE 'a %'")
            database.execute(f"UPDATE approval SET {damage} WHERE action = 'b runs'")
        clock.step(hours=1)
        for found in (await ledger.transact(lists), await ledger.read(lists)):
            assert found == {
                "waiting": ["b waits"],
                "running": ["b runs"],
                "decided": ["b runs", "b waits"],
                "due actions": ["b waits"],
                "approvals": ["apr b waits", "apr a waits"],
                "due approvals": ["apr b waits"],
            }
        await refused(ledger, getting(samples.action(), "a waits"))


@pytest.mark.requirement("P6")
@pytest.mark.parametrize("table", ["approval", "grant"])
async def test_what_cannot_be_ended_with_all_that_belongs_to_it_holds_up_no_trip_and_no_timer(
    path: Path, table: str
) -> None:
    clock = samples.Clock()
    async with opened(path, clock=clock) as ledger:
        await put(ledger, *life("a", ActionState.READY), *life("b", ActionState.READY))
        with outside(path) as database:
            database.execute(f"UPDATE {table} SET mac = zeroblob(32) WHERE action = 'a'")
        clock.step(hours=1)
        found = await ledger.transact(lists)
        assert (found["waiting"], found["due actions"]) == (["b"], ["b"])


async def test_an_ask_reads_none_of_the_actions_that_are_held_already(ledger: SqliteLedger, path: Path) -> None:
    await put(ledger, *(samples.action(name) for name in ("meant", "held", "held too")))
    with outside(path) as database:
        database.execute("UPDATE action SET sealed = zeroblob(1) WHERE id LIKE 'held%'")

    async def like(view: View) -> object:
        found = await view.asked_before(
            samples.AGENT,
            idempotency_key=None,
            run_id=samples.RUN,
            call_id=None,
            content=b"c" * 32,
            excluding=["held", "held too"],
        )
        return None if found is None else found.id

    assert await ledger.transact(like) == "meant"


@pytest.mark.requirement("P6")
@pytest.mark.parametrize("damage", ["due_at = 1", "due_at = -9e18", "due_at = 'x'", "due_at = ~(1 << 63)"])
async def test_a_timer_set_by_hand_neither_stops_the_timers_nor_keeps_them_busy(path: Path, damage: str) -> None:
    async with opened(path) as ledger:
        await put(ledger, *life("a", ActionState.READY), *life("b", ActionState.READY, pick_up_until=SOONER))
        with outside(path) as database:
            database.execute(f"UPDATE action SET {damage} WHERE id = 'a'")

        async def next_due(view: View) -> object:
            return await view.next_due()

        assert await ledger.read(next_due) == SOONER


@pytest.mark.requirement("T16")
@pytest.mark.parametrize("column", RECORD_COLUMNS)
async def test_a_changed_record_is_refused(ledger: SqliteLedger, path: Path, column: str) -> None:
    await put(ledger)
    await put(ledger)

    async def by_id(view: View) -> object:
        return await view.record(key)

    async def listing(view: View) -> object:
        return await view.records(RecordFilter(), limit=10)

    with outside(path) as database:
        database.execute("DROP TRIGGER record_is_never_changed")
        key, stored = database.execute(f"SELECT id, {column} FROM record WHERE idx = 0").fetchone()
        value = -1 if column == "idx" else '{"v":1}' if column == "leaf" else changed(stored)
        database.execute(f"UPDATE record SET {column} = ? WHERE id = ?", (value, key))
        key = RecordId(str(value) if column == "id" else key)
    await refused(ledger, listing)
    await refused(ledger, by_id)


@pytest.mark.requirement("T16")
async def test_the_database_itself_refuses_to_change_or_delete_a_record(ledger: SqliteLedger, path: Path) -> None:
    await put(ledger)
    statements = ["UPDATE record SET leaf = '{}'", "UPDATE record SET idx = 7", "DELETE FROM record"]
    with outside(path) as database:
        for statement in statements:
            with pytest.raises(sqlite3.IntegrityError):
                database.execute(statement)


@pytest.mark.requirement("T16")
async def test_nothing_is_decided_on_top_of_a_record_that_somebody_appended(ledger: SqliteLedger, path: Path) -> None:
    await put(ledger)
    record = await ledger.transact(lambda tx: tx.append(samples.entry()))
    with outside(path) as database:
        database.execute(INSERT_RECORD, journal.dump(replace(record, id=RecordId("rec_forged")), 2, OTHER_KEYS))
    with pytest.raises(Forged):
        await put(ledger)


@pytest.mark.requirement("P9")
async def test_the_files_of_a_ledger_hold_no_payload(ledger: SqliteLedger, path: Path) -> None:
    await put(ledger, *samples.ALL_ROWS)
    found = {file.name: file.read_bytes() for file in path.parent.iterdir()}

    assert any(b"k8s.scale" in content for content in found.values())
    assert [name for name, content in found.items() if samples.SECRET.encode() in content] == []


async def test_whoever_asks_what_is_damaged_hears_of_each_row_and_record(ledger: SqliteLedger, path: Path) -> None:
    await put(ledger, *samples.PLAIN_ROWS)
    await put(ledger)

    async def work(view: View) -> list[str]:
        return list(await view.damaged(100))

    assert await ledger.read(work) == []
    names = [f"{TABLES[type(row)].name} {row.id}" for row in samples.PLAIN_ROWS]
    with outside(path) as database:
        for row in samples.PLAIN_ROWS:
            table = TABLES[type(row)].name
            database.execute(f"UPDATE {table} SET revision = revision + 1 WHERE id = ?", (row.id,))
        database.execute("DROP TRIGGER record_is_never_changed")
        (record,) = database.execute("UPDATE record SET mac = x'00' WHERE idx = 0 RETURNING id").fetchone()
    found = await ledger.read(work)
    assert sorted(found) == sorted([*names, "the breakers and suspensions as a whole", f"record {record}"])


async def test_a_removed_breaker_is_damage_to_all_of_them(ledger: SqliteLedger, path: Path) -> None:
    await put(ledger, samples.breaker())
    with outside(path) as database:
        database.execute("DELETE FROM breaker")

    async def work(view: View) -> list[str]:
        return list(await view.damaged(100))

    assert await ledger.read(work) == ["the breakers and suspensions as a whole"]
