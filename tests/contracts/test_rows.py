"""What is stored comes back as it was; what is unique stays so; replacing is compare-and-swap."""

from dataclasses import replace
from typing import cast

import pytest

from assent.core.actions import Action, ActionState
from assent.core.approvals import ApprovalState
from assent.core.breakers import Scope
from assent.core.errors import Stale
from assent.core.passkeys import Passkey
from assent.ports import Ledger, Row, Tx, View
from tests.contracts import samples


async def put(ledger: Ledger, *rows: Row) -> None:
    async def work(tx: Tx) -> None:
        for row in rows:
            await tx.add(row)

    await ledger.transact(work)


@pytest.mark.parametrize("row", samples.ALL_ROWS, ids=lambda row: f"{type(row).__name__} {row.id}")
async def test_a_row_comes_back_as_it_was_stored(ledger: Ledger, row: Row) -> None:
    async def back(view: View) -> Row | None:
        return await view.get(cast("type[Action]", type(row)), row.id)

    await put(ledger, row)

    assert await ledger.read(back) == row
    assert await ledger.transact(back) == row


@pytest.mark.parametrize("row", samples.FULL_ROWS, ids=lambda row: type(row).__name__)
async def test_a_row_is_replaced_by_its_next_revision(ledger: Ledger, row: Row) -> None:
    new = replace(row, revision=row.revision + 1)

    async def work(tx: Tx) -> Row | None:
        await tx.add(row)
        await tx.replace(row, new)
        return await tx.get(cast("type[Action]", type(row)), row.id)

    assert await ledger.transact(work) == new


async def test_only_the_first_of_two_replaces_of_one_revision_wins(ledger: Ledger) -> None:
    old = samples.action()
    await put(ledger, old)

    async def move(tx: Tx) -> None:
        await tx.replace(old, replace(old, state=ActionState.READY, revision=2))

    await ledger.transact(move)
    with pytest.raises(Stale):
        await ledger.transact(move)


@pytest.mark.parametrize("revision", [1, 3])
async def test_a_replace_that_is_not_one_revision_later_is_stale(ledger: Ledger, revision: int) -> None:
    old = samples.grant()
    await put(ledger, old)

    async def skip(tx: Tx) -> None:
        await tx.replace(old, replace(old, revision=revision))

    with pytest.raises(Stale):
        await ledger.transact(skip)


async def test_a_replace_of_a_row_that_is_not_there_is_stale(ledger: Ledger) -> None:
    async def move(tx: Tx) -> None:
        await tx.replace(samples.breaker(), samples.breaker(revision=2))

    with pytest.raises(Stale):
        await ledger.transact(move)


TWICE = {
    "id": (samples.action(), samples.action(idempotency_key=None)),
    "idempotency key of one agent": (samples.action("a"), samples.action("b", idempotency_key="key of a")),
    "call of one run": (samples.action("a", call_id="c"), samples.action("b", call_id="c")),
    "call without a run": (
        samples.action("a", call_id="c", run_id=None),
        samples.action("b", call_id="c", run_id=None),
    ),
    "open code": (samples.approval("a"), samples.approval("b", action="act_2")),
    "approval of an action": (samples.approval("a"), samples.approval("b", code="X")),
    "grant of an action": (samples.grant("a"), samples.grant("b")),
    "scope of a breaker": (samples.breaker("a"), samples.breaker("b")),
    "scope over everything": (samples.breaker("a", scope=Scope()), samples.breaker("b", scope=Scope())),
    "agent_status": (samples.status(), samples.status()),
    "credential": (samples.credential(), samples.credential()),
    "credential of a passkey": (samples.passkey("a"), samples.passkey("b", credential=b"credential of a")),
}


@pytest.mark.parametrize("rows", TWICE.values(), ids=TWICE.keys())
async def test_what_is_unique_cannot_be_added_twice(ledger: Ledger, rows: tuple[Row, Row]) -> None:
    await put(ledger, rows[0])
    with pytest.raises(Stale):
        await put(ledger, rows[1])


SIDE_BY_SIDE = {
    "same key of another agent": (samples.action("a"), samples.action("b", agent="x", idempotency_key="key of a")),
    "no idempotency keys": (samples.action("a", idempotency_key=None), samples.action("b", idempotency_key=None)),
    "same call of another run": (samples.action("a", call_id="c"), samples.action("b", call_id="c", run_id="other")),
    "a run of no name and no run": (
        samples.action("a", call_id="c", run_id=""),
        samples.action("b", call_id="c", run_id=None),
    ),
    "a code used before": (
        samples.approval("a", state=ApprovalState.EXPIRED),
        samples.approval("b", action="act_2"),
    ),
    "scopes that read alike": (
        samples.breaker("a", scope=Scope(agent="x")),
        samples.breaker("b", scope=Scope(tool="x")),
    ),
}


@pytest.mark.parametrize("rows", SIDE_BY_SIDE.values(), ids=SIDE_BY_SIDE.keys())
async def test_what_only_looks_alike_stands_side_by_side(ledger: Ledger, rows: tuple[Row, Row]) -> None:
    await put(ledger, *rows)
    with pytest.raises(Stale):
        await put(ledger, rows[1])


async def test_after_a_stale_the_same_transaction_can_go_on(ledger: Ledger) -> None:
    async def work(tx: Tx) -> bool:
        await tx.add(samples.action())
        with pytest.raises(Stale):
            await tx.add(samples.action())
        await tx.add(samples.grant())
        return await tx.get(type(samples.grant()), "gra_1") is not None

    assert await ledger.transact(work)


async def test_a_passkey_is_found_by_what_it_calls_itself_whosever_it_is(ledger: Ledger) -> None:
    gone = samples.passkey("b", operator="gus", revoked_at=samples.LATER)
    await put(ledger, samples.passkey("a"), gone)

    async def look(view: View) -> list[Passkey | None]:
        return [await view.passkey_called(one) for one in (gone.credential, b"credential of", b"")]

    assert await ledger.read(look) == [gone, None, None]
    assert await ledger.transact(look) == [gone, None, None]
