"""What was asked and said about an action is forgotten, on record, by somebody who had no hand in it."""

from dataclasses import replace
from typing import Any

import pytest

from assent.core.actions import Action, ActionState
from assent.core.approvals import Approval, DenialCategory
from assent.core.decisions import Answer
from assent.core.errors import Forbidden, IllegalMove, NotFound
from assent.core.operators import Operator, OperatorId, Permission
from assent.flows.authenticate import OperatorCaller
from assent.flows.erase_payload import HadAHand, erase_action
from assent.flows.resolve_approval import deny_action
from assent.flows.reveal_payload import reveal_action
from assent.flows.tell_story import leaf_of
from assent.flows.tick import tick
from tests.flows.world import World

pytestmark = pytest.mark.requirement("P9")
TOLD: dict[str, Any] = {"arguments": {"env": "production", "path": "canary"}, "reason": "canary words"}
BASIS = "GDPR Art. 17"


async def eraser(world: World, name: str = "pam", *more: Permission) -> OperatorCaller:
    """Return somebody who may erase, and read payload."""
    may = frozenset({Permission.AUDIT_ERASE, Permission.AUDIT_PAYLOADS, *more})
    others = tuple(person for person in world.policy.people if person.id != name)
    found = next((person for person in world.policy.people if person.id == name), Operator(id=OperatorId(name)))
    world.policy = replace(world.policy, people=(*others, replace(found, permissions=found.permissions | may)))
    return await world.operator(name)


async def ended(world: World) -> Action:
    """Return an action that a person denied, with words of their own."""
    asked = (await world.ask(await world.agent(), **TOLD)).approval
    assert asked is not None
    eve, no = await world.operator("eve"), DenialCategory.NOT_NEEDED
    return (await deny_action(world.broker, eve, asked.id, category=no, comment="canary comment")).action


async def stored(world: World, action: Action) -> tuple[Action, Approval | None]:
    async def look(view: Any) -> tuple[Action, Approval | None]:
        return await view.get(Action, action.id), await view.approval_of(action.id)

    return await world.ledger.read(look)


async def test_what_was_asked_is_gone_and_the_records_stay(world: World) -> None:
    action = await ended(world)
    before = {record.id: record.leaf for record in await world.records()}
    erased = await erase_action(world.broker, await eraser(world), action.id, basis=BASIS, reason="they asked")
    row, approval = await stored(world, action)
    assert approval is not None
    assert (approval.comment, approval.decided_by) == ("", "eve")
    assert (row.arguments, row.nonce, row.resource, row.reason, row.how_bad) == (b"{}", b"", "", "", "")
    assert (row.state, row.erased_by, row.digest) == (action.state, erased.record, action.digest)
    shown = await reveal_action(world.broker, await eraser(world), action.id, reason="")
    left = {str(leaf_of(record)["kind"]) for record in shown.items if record.disclosed}
    assert left == {"payload.erased"}
    after = {record.id: record.leaf for record in await world.records()}
    assert {key: after[key] for key in before} == before
    (said,) = await world.records(kind="payload.erased")
    leaf = leaf_of(said)
    assert (said.id, leaf["operator"], leaf["action"]) == (erased.record, "pam", action.id)
    assert leaf["detail"] == {"records": erased.records, "basis": BASIS}
    assert erased.records >= 1
    assert b"they asked" not in said.leaf


async def test_erased_again_is_answered_and_nothing_new_is_recorded(world: World) -> None:
    action, caller = await ended(world), await eraser(world)
    first = await erase_action(world.broker, caller, action.id, basis=BASIS, reason="")
    again = await erase_action(world.broker, caller, action.id, basis=BASIS, reason="")
    assert (again.record, again.records, again.seen_by) == (first.record, 0, ())
    assert len(await world.records(kind="payload.erased")) == 1


async def test_who_saw_it_before_is_named(world: World) -> None:
    action, caller = await ended(world), await eraser(world)
    await reveal_action(world.broker, caller, action.id, reason="a look")
    erased = await erase_action(world.broker, caller, action.id, basis=BASIS, reason="")
    assert (erased.seen_by, erased.shown_at) == (("pam",), ())


async def test_what_is_open_is_not_erased(world: World) -> None:
    action = (await world.ask(await world.agent(), **TOLD)).action
    assert action.state is ActionState.PENDING
    with pytest.raises(IllegalMove, match="what is open is not erased"):
        await erase_action(world.broker, await eraser(world), action.id, basis=BASIS, reason="")
    row, _ = await stored(world, action)
    assert row.arguments == action.arguments


async def test_nothing_is_erased_under_a_legal_hold(world: World) -> None:
    action = await ended(world)
    world.broker = replace(world.broker, legal_hold="case 7")
    with pytest.raises(IllegalMove, match="`case 7` has to be kept"):
        await erase_action(world.broker, await eraser(world), action.id, basis=BASIS, reason="")
    assert await world.records(kind="payload.erased") == []


async def test_nobody_erases_what_they_had_a_hand_in(world: World) -> None:
    action = await ended(world)
    for involved in (
        world.policy.profiles["bot"].owner,
        "eve",
        "admin",
    ):
        with pytest.raises(HadAHand, match="had a hand"):
            await erase_action(world.broker, await eraser(world, involved), action.id, basis=BASIS, reason="")
    assert await world.records(kind="payload.erased") == []


@pytest.mark.requirement("P4")
async def test_what_nobody_knows_the_end_of_is_still_found_and_not_run_again(world: World) -> None:
    agent = await world.agent()
    quick: dict[str, Any] = {"arguments": {"env": "staging", "path": "canary"}, "run_id": "r", "attempt": "a" * 32}
    begun = (await world.ask(agent, **quick)).action
    assert begun.state is ActionState.EXECUTING
    world.clock.forward(days=1)
    await tick(world.broker)
    await erase_action(world.broker, await eraser(world), begun.id, basis=BASIS, reason="")
    row, _ = await stored(world, begun)
    assert (row.state, row.arguments, row.content) == (ActionState.UNKNOWN, b"{}", begun.content)
    again = await world.ask(agent, **{**quick, "attempt": "b" * 32})
    assert (again.action.id, again.decision.answer) == (begun.id, Answer.DENY)


@pytest.mark.parametrize("who", ["sam", "owner"])
async def test_it_takes_a_permission(world: World, who: str) -> None:
    action = await ended(world)
    with pytest.raises(Forbidden):
        await erase_action(world.broker, await world.operator(who), action.id, basis=BASIS, reason="")
    with pytest.raises(NotFound):
        await erase_action(world.broker, await eraser(world), "act_none", basis=BASIS, reason="")
