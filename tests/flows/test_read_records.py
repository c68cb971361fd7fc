"""Operators read the log: in pages that leave nothing out, a bounded look at a time, without payload."""

from dataclasses import replace
from typing import Any

import pytest

from assent.core.errors import Forbidden, NotFound, Unauthenticated
from assent.core.looking import FoundRecords, RecordFilter
from assent.core.operators import Operator, OperatorId, Permission
from assent.core.records import Record, RecordId
from assent.flows.read_records import LOOKS_AT_ONCE, list_records, show_record
from assent.ports import View
from tests.flows.world import World

ALL = RecordFilter()


async def test_the_newest_come_first_and_the_pages_leave_nothing_out(world: World) -> None:
    eve, bot = await world.operator("eve"), await world.agent()
    for _ in range(3):
        await world.ask(bot, "files.read")
    whole = tuple(reversed(await world.records()))
    found = await list_records(world.broker, eve, ALL, limit=2)
    seen, pages = found.records, 1
    while found.rest is not None:
        found = await list_records(world.broker, eve, ALL.going_on(found.rest), limit=2)
        seen, pages = seen + found.records, pages + 1
    assert (seen, len(whole) > 2, pages) == (whole, True, -(-len(whole) // 2))


async def test_only_what_matches_is_listed_and_nothing_where_nothing_does(world: World) -> None:
    eve, bot = await world.operator("eve"), await world.agent()
    asked = await world.ask(bot)
    found = await list_records(world.broker, eve, RecordFilter(action=asked.action.id), limit=10)
    assert len(found.records) == 2
    none = await list_records(world.broker, eve, RecordFilter(agent="nobody"), limit=10)
    assert none == FoundRecords((), None)


class Far:
    """A ledger of which one look sees one record, as a look at a long log sees a part of it."""

    def __init__(self, world: World) -> None:
        self._ledger = world.ledger
        self.looks = 0

    async def read(self, work: Any, *, within_seconds: float = 2.0) -> Any:
        self.looks += 1

        async def on_a_part(view: View) -> Any:
            return await work(_Part(view))

        return await self._ledger.read(on_a_part, within_seconds=within_seconds)


class _Part:
    def __init__(self, view: View) -> None:
        self._view = view

    async def records(self, which: RecordFilter, *, limit: int) -> FoundRecords:
        unmatched = replace(which, agent=None)
        seen = await self._view.records(unmatched, limit=min(limit, 1))
        matching = await self._view.records(which, limit=1)
        return FoundRecords(tuple(one for one in seen.records if one in matching.records), seen.rest)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view, name)


async def test_what_lies_far_back_is_looked_for_in_a_few_steps_and_then_it_says_where_to_go_on(world: World) -> None:
    eve = await world.operator("eve")
    await world.ask(await world.agent(), "files.delete")
    for _ in range(LOOKS_AT_ONCE + 1):
        await world.operator("sam")
    far: Any = Far(world)
    broker, which = replace(world.broker, ledger=far), RecordFilter(agent="bot", kind=None)
    first = await list_records(broker, eve, which, limit=10)
    assert (first.records, far.looks) == ((), LOOKS_AT_ONCE)
    assert first.rest is not None
    second = await list_records(broker, eve, which.going_on(first.rest), limit=10)
    of_bot = [record for record in reversed(await world.records()) if b'"agent":"bot"' in record.leaf]
    assert (list(second.records), second.rest, len(of_bot)) == (of_bot, None, 2)


async def test_a_page_that_is_full_is_not_looked_further_for(world: World) -> None:
    eve = await world.operator("eve")
    await world.operator("sam")
    far: Any = Far(world)
    found = await list_records(replace(world.broker, ledger=far), eve, ALL, limit=1)
    assert (len(found.records), far.looks) == (1, 1)


@pytest.mark.requirement("P9")
async def test_one_record_is_shown_by_its_id_and_without_what_was_asked(world: World) -> None:
    eve = await world.operator("eve")
    await world.ask(await world.agent(), arguments={"env": "production", "path": "kettle-orbit"}, reason="marzipan")
    (decided,) = await world.records(kind="action.decided")
    shown: Record = await show_record(world.broker, eve, decided.id)
    assert (shown.leaf, shown.index) == (decided.leaf, decided.index)
    assert b"kettle-orbit" not in shown.leaf
    assert b"marzipan" not in shown.leaf
    with pytest.raises(NotFound):
        await show_record(world.broker, eve, RecordId("rec_none"))


async def test_who_may_not_read_the_log_reads_none_of_it(world: World) -> None:
    approver = Operator(id=OperatorId("ann"), permissions=frozenset({Permission.APPROVALS_READ}))
    world.policy = replace(world.policy, people=(*world.policy.people, approver))
    ann = await world.operator("ann")
    key = (await world.records())[0].id
    with pytest.raises(Forbidden):
        await list_records(world.broker, ann, ALL, limit=1)
    with pytest.raises(Forbidden):
        await show_record(world.broker, ann, key)


async def test_an_expired_token_reads_nothing(world: World) -> None:
    eve = await world.operator("eve")
    key = (await world.records())[0].id
    world.clock.forward(days=91)
    with pytest.raises(Unauthenticated):
        await list_records(world.broker, eve, ALL, limit=1)
    with pytest.raises(Unauthenticated):
        await show_record(world.broker, eve, key)
