"""After a no the same is not asked again for a while; whoever may say yes, or said the no, may let it be asked."""

from dataclasses import replace
from typing import Any

import pytest

from assent.core.actions import Action, ActionState
from assent.core.approvals import DenialCategory, Need, Route
from assent.core.canonical import load
from assent.core.operators import Assurance
from assent.core.reasons import Reason
from assent.flows.authenticate import AgentCaller
from assent.flows.resolve_approval import Resolved, deny_action, let_ask_again, revoke_approval, show_approval
from tests.flows.world import World

PRODUCTION = {"env": "production", "path": "a"}


async def denied(world: World, bot: AgentCaller, by: str = "eve", **asked: Any) -> tuple[Action, str, Resolved]:
    answered = await world.ask(bot, **asked)
    assert answered.approval is not None, answered.decision
    code = answered.approval.code
    no = await deny_action(world.broker, await world.operator(by), code, category=DenialCategory.OTHER, comment="no")
    return answered.action, code, no


async def asked_again(world: World, bot: AgentCaller, **asked: Any) -> str:
    """Return what asking comes to: `pending`, or the code of the refusal."""
    answered = await world.ask(bot, **asked)
    if answered.approval is not None:
        return "pending"
    assert answered.action.state is ActionState.DENIED
    return answered.decision.reasons[0].code


async def free(world: World, code: str, by: str = "eve") -> Resolved:
    return await let_ask_again(world.broker, await world.operator(by), code)


@pytest.mark.requirement("T14")
async def test_the_same_is_refused_until_it_has_cooled_off_and_nobody_is_asked(world: World) -> None:
    bot = await world.agent()
    await denied(world, bot)
    assert await asked_again(world, bot) == "cooling_off"
    assert await asked_again(world, bot, on_behalf_of=("operator:sam",), reason="please") == "cooling_off"
    assert await asked_again(world, bot, arguments=PRODUCTION | {"path": "b"}) == "pending"
    world.clock.forward(minutes=29, seconds=59)
    assert await asked_again(world, bot) == "cooling_off"
    world.clock.forward(seconds=1)
    assert await asked_again(world, bot) == "pending"


async def test_what_needs_no_human_and_what_others_ask_is_not_held_up(world: World) -> None:
    bot = await world.agent()
    await denied(world, bot)
    staging = await world.ask(bot, arguments=PRODUCTION | {"env": "staging"})
    assert staging.action.state is ActionState.EXECUTING
    assert await asked_again(world, await world.agent("other")) == "pending"


@pytest.mark.requirement("T14")
async def test_two_denials_under_one_rule_stop_the_asking_for_a_day(world: World) -> None:
    bot = await world.agent()
    await denied(world, bot)
    _, _, second = await denied(world, bot, arguments=PRODUCTION | {"path": "b"})
    assert second.again.alike_at is not None
    assert await asked_again(world, bot, arguments=PRODUCTION | {"path": "c"}) == "cooling_off"
    assert await asked_again(world, bot, tool="db.run") == "pending"
    world.clock.forward(hours=24)
    assert await asked_again(world, bot, arguments=PRODUCTION | {"path": "c"}) == "pending"


@pytest.mark.requirement("P2")
async def test_a_refusal_while_it_cools_off_is_a_record_like_any_other(world: World) -> None:
    bot = await world.agent()
    _, _, no = await denied(world, bot)
    refused = await world.ask(bot)
    (leaf,) = [load(record.leaf) for record in await world.records(action=refused.action.id)]
    assert isinstance(leaf, dict)
    assert (leaf["decision"], leaf["reasons"]) == ("deny", ["cooling_off"])
    assert isinstance(leaf["detail"], dict)
    assert leaf["detail"]["denied_as"] == no.approval.id


async def test_who_denies_hears_from_when_on_it_may_be_asked_again(world: World) -> None:
    bot = await world.agent()
    _, code, no = await denied(world, bot)
    in_half_an_hour = world.clock.now.replace(minute=30)
    assert (no.again.same_at, no.again.alike_at) == (in_half_an_hour, None)
    seen = await show_approval(world.broker, await world.operator("sam"), code)
    assert seen.again == no.again


async def test_the_record_of_a_no_says_how_sure_we_were_and_until_when_it_cools(world: World) -> None:
    action, _, _ = await denied(world, await world.agent())
    (leaf,) = [load(r.leaf) for r in await world.records(kind="approval.moved", action=action.id)]
    assert isinstance(leaf, dict)
    assert (leaf["operator"], leaf["detail"]) == (
        "eve",
        {
            "assurance": "token",
            "surface": "api",
            "category": "other",
            "cools_until": "2026-11-23T10:30:00.000000Z",
            "state": "denied",
        },
    )


async def test_letting_again_lifts_it_once_and_is_recorded(world: World) -> None:
    bot = await world.agent()
    _, code, _ = await denied(world, bot)
    lifted = await let_ask_again(world.broker, await world.operator("sam"), code, reason="the freeze is over")
    assert (lifted.refused, lifted.again.same_at) == (None, None)
    await free(world, code)
    (record,) = await world.records(kind="approval.let_again")
    leaf = load(record.leaf)
    assert isinstance(leaf, dict)
    assert (leaf["operator"], leaf["approval"]) == ("sam", lifted.approval.id)
    assert leaf["detail"] == {"assurance": "token", "surface": "api", "lifted": [lifted.approval.id]}
    assert b"freeze" not in record.leaf
    assert await asked_again(world, bot) == "pending"


async def test_letting_one_again_lets_the_like_be_asked_but_not_the_other_that_was_denied(world: World) -> None:
    bot = await world.agent()
    _, first, _ = await denied(world, bot)
    await denied(world, bot, arguments=PRODUCTION | {"path": "b"})
    await free(world, first)
    assert await asked_again(world, bot, arguments=PRODUCTION | {"path": "b"}) == "cooling_off"
    assert await asked_again(world, bot, arguments=PRODUCTION | {"path": "c"}) == "pending"


@pytest.mark.requirement("P5", "T4")
@pytest.mark.parametrize(("who", "may"), [("owner", False), ("admin", True), ("sam", True), ("eve", True)])
async def test_who_could_not_say_yes_cannot_let_it_be_asked_again(world: World, who: str, *, may: bool) -> None:
    bot = await world.agent(issued_by="nobody")
    _, code, _ = await denied(world, bot)
    answer = await free(world, code, who)
    assert (answer.refused is None) == may
    assert await asked_again(world, bot) == ("pending" if may else "cooling_off")
    assert ("approval.vote_refused" in await world.kinds()) != may


async def test_who_said_no_may_take_that_back_even_who_could_never_say_yes(world: World) -> None:
    bot = await world.agent()
    _, code, _ = await denied(world, bot, by="owner")
    assert (await free(world, code, "owner")).refused is None
    assert await asked_again(world, bot) == "pending"


@pytest.mark.requirement("T22")
async def test_a_token_is_not_enough_where_a_yes_wants_more(world: World) -> None:
    surer = Route(name="default", needs=(Need(count=1, of="oncall"),), assurance=Assurance.SLACK)
    world.policy = replace(world.policy, routes={"default": surer})
    _, code, _ = await denied(world, await world.agent())
    refused = (await free(world, code, "sam")).refused
    assert refused is not None
    assert refused.code == "step_up_required"


async def test_only_what_was_denied_can_be_let_again(world: World) -> None:
    answered = await world.ask(await world.agent())
    assert answered.approval is not None
    refused = (await free(world, answered.approval.code)).refused
    assert refused == Reason.of("not_denied", "it is `pending`")
    early = await revoke_approval(world.broker, await world.operator("eve"), answered.approval.code, reason="")
    assert early.refused == Reason.of("not_approved")
