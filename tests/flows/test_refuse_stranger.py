"""Somebody acts on an approval and nobody knows who: nothing counts, all of it is on record, no card is made up."""

from dataclasses import replace
from typing import Any

import pytest

from assent.core.approvals import Approval, ApprovalId
from assent.core.canonical import load
from assent.core.deliveries import NobodyKnows, Showing, Told
from assent.core.errors import LedgerUnavailable, NotFound
from assent.core.reasons import Reason
from assent.flows.deliver import deliver
from assent.flows.refuse_stranger import refuse_stranger, told_of
from assent.flows.resolve_approval import show_approval
from assent.ports import View
from tests.flows.card_town import FIRST_STEP, SECOND_STEP, Full, Wall, policy
from tests.flows.world import World

WHY = Reason.of("not_eligible", "no operator is declared for this account")


async def asked(world: World) -> Approval:
    world.policy = policy(FIRST_STEP, SECOND_STEP)
    approval = (await world.ask(await world.agent())).approval
    assert approval is not None
    return approval


async def refuse(world: World, key: ApprovalId) -> None:
    await refuse_stranger(world.broker, key, account="T1/U9", surface="slack", act="approve", reason=WHY)


@pytest.mark.requirement("P5")
async def test_a_strangers_click_counts_for_nothing_and_names_nobody_as_operator(world: World) -> None:
    approval = await asked(world)
    await refuse(world, approval.id)
    seen = await show_approval(world.broker, await world.operator("eve"), approval.id)
    assert seen.approval == approval
    (record,) = await world.records(kind="approval.vote_refused")
    leaf = load(record.leaf)
    assert isinstance(leaf, dict)
    assert (leaf["approval"], leaf["action"], leaf["reasons"]) == (approval.id, approval.action, ["not_eligible"])
    assert leaf["detail"] == {"act": "approve", "surface": "slack", "account": "T1/U9"}
    assert "operator" not in leaf


@pytest.mark.requirement("P9")
async def test_why_is_told_only_to_whom_may_read_payload(world: World) -> None:
    approval = await asked(world)
    await refuse(world, approval.id)
    (record,) = await world.records(kind="approval.vote_refused")
    assert WHY.message.encode() not in record.leaf

    async def work(view: View) -> bytes:
        found = await view.record(record.id)
        assert found is not None
        return found.disclosed["why"][1]

    assert load(await world.ledger.read(work)) == WHY.message


async def test_every_try_is_a_record_of_its_own(world: World) -> None:
    approval = await asked(world)
    for _ in range(3):
        await refuse(world, approval.id)
    assert len(await world.records(kind="approval.vote_refused")) == 3


async def test_of_an_approval_that_does_not_exist_nothing_is_recorded(world: World) -> None:
    before = await world.kinds()
    with pytest.raises(NotFound):
        await refuse(world, ApprovalId("apr_none"))
    with pytest.raises(NotFound):
        await told_of(world.broker, ApprovalId("apr_none"))
    assert await world.kinds() == before


async def test_a_card_is_one_where_it_is_known_to_stand(world: World) -> None:
    approval = await asked(world)
    before = await told_of(world.broker, approval.id)
    assert (before.approval, before.action.id, before.is_card("kitchen/1")) == (approval, approval.action, False)
    await deliver(world.broker, "wall", Wall())
    told = await told_of(world.broker, approval.id)
    assert (told.places, told.is_unheard) == (frozenset({"kitchen/1"}), False)
    assert (told.is_card("kitchen/1"), told.is_card("kitchen/2"), told.is_card("")) == (True, False, False)


class Silent(Wall):
    """A wall that never says where it hung a card."""

    async def announce(self, where: str, showing: Showing) -> Told:
        del where, showing
        raise NobodyKnows("no answer")


async def test_a_card_that_may_have_arrived_may_stand_anywhere(world: World) -> None:
    approval = await asked(world)
    await deliver(world.broker, "wall", Silent())
    told = await told_of(world.broker, approval.id)
    assert (told.places, told.is_unheard, told.is_card("kitchen/7")) == (frozenset(), True, True)


@pytest.mark.requirement("P2")
async def test_without_a_ledger_nobody_is_told_that_it_was_noted(world: World) -> None:
    approval = await asked(world)
    full: Any = Full(world.ledger, good=0)
    with pytest.raises(LedgerUnavailable):
        await refuse_stranger(
            replace(world.broker, ledger=full), approval.id, account="T1/U9", surface="slack", act="deny", reason=WHY
        )
    assert await world.records(kind="approval.vote_refused") == []
