"""Payload is shown to whoever may read it and asks; the log says so before a value leaves, and holds none."""

from dataclasses import replace
from typing import Any

import pytest

from assent.core.canonical import commitment_of, load
from assent.core.errors import Forbidden, LedgerUnavailable, NotFound
from assent.core.operators import Operator, OperatorId, Permission
from assent.core.records import RecordId
from assent.flows.authenticate import OperatorCaller
from assent.flows.reveal_payload import reveal_action, reveal_record
from assent.flows.tell_story import leaf_of
from tests.flows.world import World

pytestmark = pytest.mark.requirement("P9")
TOLD: dict[str, Any] = {"arguments": {"env": "production", "path": "canary"}, "reason": "canary words"}


async def payload_reader(world: World) -> OperatorCaller:
    pam = Operator(id=OperatorId("pam"), permissions=frozenset({Permission.AUDIT_PAYLOADS}))
    world.policy = replace(world.policy, people=(*world.policy.people, pam))
    return await world.operator("pam")


async def test_what_was_asked_is_shown_with_what_proves_it_and_the_log_says_to_whom(world: World) -> None:
    action = (await world.ask(await world.agent(), **TOLD)).action
    shown = await reveal_action(world.broker, await payload_reader(world), action.id, reason="case 7")
    (decided,) = shown.items
    assert load(decided.disclosed["arguments"][1]) == TOLD["arguments"]
    committed = leaf_of(decided)["commit"]
    assert isinstance(committed, dict)
    assert {name: commitment_of(name, *kept) for name, kept in decided.disclosed.items()} == committed
    (record,) = await world.records(kind="payload.revealed")
    leaf = leaf_of(record)
    assert (record.id, leaf["operator"], leaf["action"], leaf["agent"]) == (shown.record, "pam", action.id, "bot")
    assert leaf["detail"] == {"records": [decided.id], "fields": ["arguments", "nonce", "reason", "resource"]}
    assert b"canary" not in record.leaf
    assert b"case 7" not in record.leaf


async def test_one_record_is_shown_alone(world: World) -> None:
    action = (await world.ask(await world.agent(), **TOLD)).action
    shown = await reveal_record(world.broker, await payload_reader(world), RecordId(action.record_id), reason="")
    assert [record.id for record in shown.items] == [action.record_id]


@pytest.mark.parametrize("who", ["eve", "sam", "owner"])
async def test_who_may_only_read_the_log_is_shown_nothing(world: World, who: str) -> None:
    action = (await world.ask(await world.agent(), **TOLD)).action
    caller = await world.operator(who)
    with pytest.raises(Forbidden):
        await reveal_action(world.broker, caller, action.id, reason="")
    with pytest.raises(Forbidden):
        await reveal_record(world.broker, caller, RecordId(action.record_id), reason="")
    assert await world.records(kind="payload.revealed") == []


async def test_nothing_is_shown_of_nothing(world: World) -> None:
    reader = await payload_reader(world)
    for story in (
        reveal_action(world.broker, reader, "act_none", reason=""),
        reveal_record(world.broker, reader, RecordId("rec_none"), reason=""),
    ):
        with pytest.raises(NotFound):
            await story
    assert await world.records(kind="payload.revealed") == []


@pytest.mark.requirement("P2")
async def test_what_cannot_be_recorded_is_not_shown(world: World) -> None:
    action = (await world.ask(await world.agent(), **TOLD)).action
    reader = await payload_reader(world)

    class ReadOnly:
        """The world's ledger, whose disk takes nothing any more."""

        read = staticmethod(world.ledger.read)

        async def transact(self, work: object, **_: object) -> object:
            raise LedgerUnavailable("the disk is full")

    world.broker = replace(world.broker, ledger=ReadOnly())  # type: ignore[arg-type]  # what the flow asks of it is there
    with pytest.raises(LedgerUnavailable):
        await reveal_action(world.broker, reader, action.id, reason="")
