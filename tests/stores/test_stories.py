"""A log whose records cannot all be true is refused, and so is a row that is behind what the log says of it."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from assent.core.actions import ActionState
from assent.core.approvals import ApprovalState
from assent.core.breakers import BreakerState
from assent.core.errors import VerificationFailed
from assent.core.grants import GrantState
from assent.core.records import Entry, RecordId, RecordKind, record
from assent.ports import Row, Tx
from assent.stores.keys import Keys
from assent.stores.rows import TABLES
from assent.stores.sqlite import SqliteLedger
from assent.stores.sqlite.migrations import shipped
from assent.stores.verify import Verified, verify_file, verify_log
from tests.contracts import samples
from tests.stores.files import opened, outside

pytestmark = pytest.mark.requirement("P8", "T16", "T19")

LOG = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
KEYS = Keys(log=LOG, grant=LOG, ledger=b"l" * 32, payload=b"p" * 32)
KEY = KEYS.log_verifier_key("assent/example")

DECIDED = Entry(kind=RecordKind.ACTION_DECIDED, action="a", detail={"state": "pending"})
STARTED = replace(DECIDED, detail={"state": "executing"})
APPROVED = Entry(kind=RecordKind.APPROVAL_MOVED, action="a", approval="p", detail={"state": "approved"})
DENIED = replace(APPROVED, detail={"state": "denied"})
COOLING = replace(DENIED, action=None, detail={"state": "denied", "cools_until": "2026-03-01T12:30:00.000000Z"})
MOVED = Entry(kind=RecordKind.ACTION_MOVED, action="a", detail={"state": "cancelled"})
REDEEMED = Entry(kind=RecordKind.GRANT_REDEEMED, action="a", grant="g")
KILLED = Entry(kind=RecordKind.GRANT_KILLED, action="a", grant="g")
UNHEARD = Entry(kind=RecordKind.ACTION_OUTCOME, action="a", detail={"state": "unknown"})
TOLD = replace(UNHEARD, detail={"state": "succeeded"})
TRIPPED = Entry(kind=RecordKind.BREAKER_TRIPPED, breaker="b", detail={"state": "forced_open"})
RESET = Entry(kind=RecordKind.BREAKER_RESET, breaker="b", detail={"state": "closed"})
REVOKED = Entry(kind=RecordKind.KEY_REVOKED, detail={"credential": "k"})
HOSTILE = Entry(kind=RecordKind.GRANT_REDEEMED, action=[1], grant={"a": 1}, detail=["state"])  # type: ignore[arg-type]  # as signed by anybody


def verified(entries: Sequence[Entry]) -> Verified:
    leaves = [
        record(entry, new_id=RecordId(f"rec_{n}"), now=samples.T0, salts=()).leaf for n, entry in enumerate(entries)
    ]
    return verify_log(leaves, notes=(), key=KEY)


@pytest.mark.parametrize(
    "entries",
    [
        (DECIDED, APPROVED, REDEEMED, UNHEARD, TOLD),
        (DECIDED, APPROVED, MOVED, KILLED),
        (DECIDED, REDEEMED, replace(REDEEMED, action="b", grant="h"), replace(REDEEMED, action="c", grant="i")),
        (STARTED, TOLD, TRIPPED, RESET, TRIPPED, REVOKED),
        (replace(HOSTILE, detail={}), REDEEMED, replace(HOSTILE, detail={"state": ["executing"]})),
    ],
)
def test_lives_that_can_be_true_verify(entries: Sequence[Entry]) -> None:
    assert verified(entries).records == len(entries)


@pytest.mark.requirement("P4", "T2")
@pytest.mark.parametrize(
    ("earlier", "redeemed"),
    [
        (REDEEMED, REDEEMED),
        (REDEEMED, replace(REDEEMED, grant="another")),
        (REDEEMED, replace(REDEEMED, action="another")),
        (KILLED, REDEEMED),
        (KILLED, replace(REDEEMED, grant="another")),
        (MOVED, REDEEMED),
        (STARTED, REDEEMED),
        (DENIED, REDEEMED),
    ],
)
def test_a_redemption_that_an_earlier_record_rules_out_is_named(earlier: Entry, redeemed: Entry) -> None:
    with pytest.raises(VerificationFailed, match="record 3 redeems") as failed:
        verified((DECIDED, APPROVED, earlier, redeemed, redeemed))
    assert failed.value.index == 3


@dataclass(frozen=True)
class Case:
    """A row that the log moved on from `old` to `new`, and what the log said of it."""

    old: Row
    new: Row
    said: Entry


def case(old: Row, said: Entry, **changes: Any) -> Case:  # fields of whatever row it is
    return Case(old, replace(old, revision=old.revision + 1, **changes), said)


READY = samples.action("a", state=ActionState.READY)
CASES = {
    "a grant that was redeemed": case(samples.grant("g", action="a"), REDEEMED, state=GrantState.SPENT),
    "a grant that was killed": case(samples.grant("g", action="a"), KILLED, state=GrantState.DEAD),
    "a key that was revoked": case(samples.credential("k"), REVOKED, revoked_at=samples.T0, revoked_by="dana"),
    "a question that was answered": case(samples.approval("p"), DENIED, state=ApprovalState.DENIED),
    "an action that was redeemed": case(READY, replace(REDEEMED, grant=None), state=ActionState.EXECUTING),
    "an action that was cut off": case(READY, MOVED, state=ActionState.CANCELLED),
    "an action that was denied": case(samples.action("a"), replace(DENIED, approval=None), state=ActionState.DENIED),
    "an action that ended": case(samples.action("a", state=ActionState.EXECUTING), TOLD, state=ActionState.SUCCEEDED),
}


async def moved(ledger: SqliteLedger, of: Case) -> None:
    async def before(tx: Tx) -> None:
        if of.said.action not in {None, of.old.id}:
            await tx.add(samples.action("a", state=ActionState.SUCCEEDED))
        await tx.append(samples.entry(RecordKind.BROKER_STARTED))
        await tx.add(of.old)

    async def work(tx: Tx) -> None:
        await tx.replace(of.old, of.new)
        await tx.append(replace(of.said, approval=of.said.approval and of.old.id))

    await ledger.transact(before)
    await ledger.transact(work)


def row(path: Path, of: Row) -> tuple[object, ...]:
    table = TABLES[type(of)]
    with outside(path) as database:
        found: tuple[object, ...] = database.execute(table.select("WHERE id = ?"), (of.id,)).fetchone()
    return found


def put_back(database: sqlite3.Connection, of: Row, old: tuple[object, ...]) -> None:
    table = TABLES[type(of)]
    database.execute(f"DELETE FROM {table.name} WHERE id = ?", (of.id,))
    database.execute(table.insert, old)


@pytest.mark.parametrize("of", CASES.values(), ids=CASES.keys())
async def test_a_row_that_was_put_back_whole_or_taken_away_contradicts_the_log(tmp_path: Path, of: Case) -> None:
    path = tmp_path / "ledger.db"
    table = TABLES[type(of.old)]
    old = table.dump(of.old, samples.KEYS)
    async with opened(path) as ledger:
        await moved(ledger, of)
        sound = verify_file(path, key=KEY, keys=samples.KEYS)
        assert (sound.records, sound.macs_checked) == (2, True)
        with outside(path) as database:
            put_back(database, of.old, old)
        for what in ("was put back", "is gone"):
            with pytest.raises(VerificationFailed, match=f"{table.name} `{of.old.id}` {what}") as failed:
                verify_file(path, key=KEY, keys=samples.KEYS)
            assert failed.value.index == 1
            assert verify_file(path, key=KEY).records == 2, "without the keys a row says nothing"
            with outside(path) as database:
                database.execute(f"DELETE FROM {table.name} WHERE id = ?", (of.old.id,))


@pytest.mark.requirement("P6")
@pytest.mark.parametrize("taken_away", [True, False])
async def test_a_trip_that_was_undone_with_the_ledgers_own_older_rows_is_found(
    tmp_path: Path, taken_away: bool
) -> None:
    path, closed = tmp_path / "ledger.db", samples.breaker("b", state=BreakerState.CLOSED)
    of = case(closed, TRIPPED, state=BreakerState.FORCED_OPEN)
    async with opened(path) as ledger:
        with outside(path) as database:
            empty = database.execute("SELECT latches, mac FROM ledger").fetchone()
        await ledger.transact(lambda tx: tx.add(closed))
        with outside(path) as database:
            known = empty if taken_away else database.execute("SELECT latches, mac FROM ledger").fetchone()
        before = row(path, closed)

        async def trip(tx: Tx) -> None:
            await tx.replace(of.old, of.new)
            await tx.append(of.said)

        await ledger.transact(trip)
        assert verify_file(path, key=KEY, keys=samples.KEYS).records == 1
    with outside(path) as database:
        put_back(database, closed, before)
        if taken_away:
            database.execute("DELETE FROM breaker")
        database.execute("UPDATE ledger SET latches = ?, mac = ?", known)
    with pytest.raises(VerificationFailed, match="breaker `b` " + ("is gone" if taken_away else "was put back")):
        verify_file(path, key=KEY, keys=samples.KEYS)


@pytest.mark.parametrize("table", ["action", "approval", "credential"])
async def test_with_the_keys_a_row_without_its_mac_is_named(tmp_path: Path, table: str) -> None:
    path = tmp_path / "ledger.db"
    async with opened(path) as ledger:

        async def work(tx: Tx) -> None:
            for each in samples.PLAIN_ROWS:
                await tx.add(each)

        await ledger.transact(work)
        with outside(path) as database:
            database.execute(f"UPDATE {table} SET mac = zeroblob(32)")
    with pytest.raises(VerificationFailed, match=f"{table} `"):
        verify_file(path, key=KEY, keys=samples.KEYS)


async def test_a_denial_that_was_taken_away_contradicts_the_log(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"

    async def work(tx: Tx) -> None:
        await tx.add(samples.approval("p", state=ApprovalState.DENIED))
        await tx.add(samples.denial("p"))
        await tx.append(COOLING)

    async with opened(path) as ledger:
        await ledger.transact(work)
        assert verify_file(path, key=KEY, keys=samples.KEYS).records == 1
    for harm in ("DELETE FROM denial", "DROP TABLE denial"):
        with outside(path) as database:
            database.execute(harm)
        with pytest.raises(VerificationFailed, match="denial `p` is gone"):
            verify_file(path, key=KEY, keys=samples.KEYS)


async def test_a_ledger_from_before_denials_were_remembered_verifies(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    async with opened(path, scripts=shipped()[:1]) as ledger:
        await ledger.transact(lambda tx: tx.append(replace(DENIED, action=None, approval=None)))
    assert verify_file(path, key=KEY, keys=samples.KEYS).macs_checked
