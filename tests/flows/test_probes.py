"""What opened because it failed is tried again: probes are reserved in the ledger, and what becomes of them decides."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from assent.core.actions import ActionState
from assent.core.approvals import DenialCategory, Step
from assent.core.breaker_rules import BreakerRule, TooOften
from assent.core.breakers import Breaker, BreakerState, Scope
from assent.flows import trip_breaker
from assent.flows.answers import Answered
from assent.flows.authenticate import AgentCaller
from assent.flows.end_action import cancel_action
from assent.flows.resolve_approval import approve_action, deny_action
from assent.flows.run_action import Redemption, Report, redeem_as_agent, report_outcome
from assent.flows.tick import tick
from assent.flows.watch_actions import watch_action
from assent.ports import View
from tests.flows.world import World

RULE = BreakerRule(
    id="failing",
    scope=Scope(tool="*"),
    conditions=(TooOften(0.5),),
    minimum_calls=2,
    wait_in_open=timedelta(seconds=60),
)
STAGING = {"env": "staging", "path": "a"}


async def breaker_over(world: World, scope: Scope) -> Breaker:
    async def work(view: View) -> Sequence[Breaker]:
        return await view.breakers()

    (found,) = [one for one in await world.ledger.read(work) if one.scope == scope]
    return found


async def fail(world: World, caller: AgentCaller, tool: str = "files.read") -> None:
    for _ in range(2):
        asked = await world.ask(caller, tool, arguments=STAGING)
        await world.report(caller, asked, "failed")


async def tried(world: World, tool: str = "files.read") -> list[AgentCaller]:
    """Let a tool fail for three agents, wait, and return the callers; the breaker over the tool is half open then."""
    world.declare("bot", "other", "third", "fourth")
    await world.rule(RULE)
    callers = [await world.agent(name) for name in ("bot", "other", "third")]
    for caller in callers:
        await fail(world, caller, tool)
    world.clock.forward(seconds=61)
    await tick(world.broker)
    assert (await breaker_over(world, Scope(tool=tool))).state is BreakerState.HALF_OPEN
    return callers


def code(answered: Answered) -> str:
    return answered.decision.reasons[0].code if answered.decision.reasons else answered.action.state.value


async def test_an_open_breaker_says_when_to_come_back_and_lets_nothing_through_before(world: World) -> None:
    await world.rule(RULE)
    bot = await world.agent()
    await fail(world, bot)
    world.clock.forward(seconds=20)
    await tick(world.broker)
    stopped = await world.ask(bot, "files.read")
    assert (code(stopped), stopped.retry_after) == ("breaker_open", 40)
    assert stopped.decision.breaker is not None
    assert stopped.decision.breaker.by == "rule:failing"


async def test_reads_of_two_agents_that_succeed_close_it(world: World) -> None:
    bot, other, third = await tried(world)
    probes = [await world.ask(caller, "files.read") for caller in (bot, other)]
    assert [code(one) for one in probes] == ["executing", "executing"]
    assert code(await world.ask(third, "files.read")) == "breaker_open"
    await world.report(bot, probes[0])
    assert code(await world.ask(third, "files.read")) == "breaker_open"
    await world.report(other, probes[1])
    closed = await breaker_over(world, Scope(tool="files.read"))
    assert (closed.state, closed.changed_by) == (BreakerState.CLOSED, "rule:failing")
    assert code(await world.ask(third, "files.read")) == "executing"
    kinds = await world.kinds(tool="files.read")
    assert kinds.count("breaker.probed") == 3
    assert kinds[-2:] == ["breaker.moved", "action.decided"]


@pytest.mark.requirement("T25")
async def test_one_agent_that_reports_success_closes_nothing(world: World) -> None:
    bot, _other, third = await tried(world)
    probe = await world.ask(bot, "files.read")
    await world.report(bot, probe)
    assert (await breaker_over(world, Scope(tool="files.read"))).state is BreakerState.HALF_OPEN
    # Its next goes before a human; the place is taken then, so nobody else gets through either.
    again = await world.ask(bot, "files.read")
    assert again.action.state is ActionState.PENDING
    assert code(await world.ask(third, "files.read")) == "breaker_open"


async def test_a_probe_that_fails_opens_it_for_twice_as_long_and_cuts_off_what_waits(world: World) -> None:
    bot, other, _third = await tried(world)
    failing, waiting = await world.ask(bot, "files.read"), await world.ask(other, "files.read", arguments=STAGING)
    await world.report(other, waiting)
    asked = await world.ask(other, "files.read")
    assert code(asked) == "breaker_open"
    await world.report(bot, failing, "failed")
    breaker = await breaker_over(world, Scope(tool="files.read"))
    assert breaker.state is BreakerState.OPEN
    assert breaker.healing is not None
    assert breaker.healing.half_open_at == world.clock.now + timedelta(seconds=120)
    stopped = await world.ask(bot, "files.read")
    assert stopped.retry_after == 120


async def test_what_waits_for_a_human_is_cut_off_when_another_probe_fails(world: World) -> None:
    bot, other, _third = await tried(world, "files.write")
    waiting = await world.ask(bot, arguments=STAGING)
    assert waiting.action.state is ActionState.PENDING
    failing = await granted(world, other, arguments=STAGING)
    await report(world, other, failing, "failed")
    seen = await watch_action(world.broker, bot, waiting.action.id)
    assert (seen.action.state, code_of_last(seen)) == (ActionState.CANCELLED, "breaker_open")


def code_of_last(answered: Answered) -> str:
    return answered.action.reasons[-1].code


async def granted(world: World, caller: AgentCaller, tool: str = "files.write", **changes: object) -> Redemption:
    """Ask, have a human agree, redeem: return what may run."""
    asked = await world.ask(caller, tool, **changes)
    assert asked.approval is not None
    eve = await world.operator("eve")
    agreed = await approve_action(world.broker, eve, asked.approval.id, digest_prefix=asked.action.digest)
    assert agreed.refused is None, agreed.refused
    ready = await watch_action(world.broker, caller, asked.action.id)
    assert ready.grant is not None
    return await redeem_as_agent(
        world.broker, caller, ready.grant.id, attempt="a" * 22, digest=asked.action.digest, arguments=None
    )


async def report(world: World, caller: AgentCaller, redeemed: Redemption, status: str) -> None:
    assert redeemed.refused is None, redeemed.refused
    told = Report(attempt="a" * 22, status=ActionState(status))
    await report_outcome(world.broker, caller, redeemed.action.id, told)


async def test_a_change_that_nobody_would_have_asked_about_goes_to_a_human_as_a_probe(world: World) -> None:
    bot, _other, _third = await tried(world, "files.write")
    redeemed = await granted(world, bot, arguments=STAGING)
    assert redeemed.action.probe_of
    await report(world, bot, redeemed, "succeeded")
    assert (await breaker_over(world, Scope(tool="files.write"))).state is BreakerState.CLOSED


@pytest.mark.requirement("T25")
async def test_what_an_agent_broke_for_itself_is_closed_by_no_read_of_its_own(world: World) -> None:
    await world.rule(RULE)
    later = Step(after=timedelta(minutes=4), tell=("slack:C0LEADS",))
    steps = (later, Step(after=timedelta(0), tell=("slack:C0ROOM",)))
    usual = replace(world.policy.routes["default"], steps=steps)
    world.policy = replace(world.policy, routes={"default": usual})
    bot = await world.agent()
    await fail(world, bot)
    world.clock.forward(seconds=61)
    await tick(world.broker)
    scope = Scope(agent="bot", tool="files.read")
    assert (await breaker_over(world, scope)).state is BreakerState.HALF_OPEN
    asked = await world.ask(bot, "files.read")
    assert asked.action.state is ActionState.PENDING
    assert asked.approval is not None
    (route,) = asked.approval.routes
    assert (route.name, [step.tell for step in route.steps]) == ("default", [("slack:C0ROOM",)])
    redeemed = await granted(world, bot, "files.read", arguments={"env": "production", "path": "b"})
    await report(world, bot, redeemed, "succeeded")
    assert (await breaker_over(world, scope)).state is BreakerState.CLOSED


async def test_a_probe_that_a_human_denies_frees_its_place(world: World) -> None:
    bot, _other, _third = await tried(world, "files.write")
    eve = await world.operator("eve")
    asked = await world.ask(bot, arguments=STAGING)
    assert asked.approval is not None
    assert (await breaker_over(world, Scope(tool="files.write"))).probes
    await deny_action(world.broker, eve, asked.approval.id, category=DenialCategory.OTHER, comment="")
    assert not (await breaker_over(world, Scope(tool="files.write"))).probes


async def test_a_probe_that_is_withdrawn_expires_or_is_not_picked_up_frees_its_place(world: World) -> None:
    bot, _other, _third = await tried(world, "files.write")
    eve = await world.operator("eve")

    async def places() -> int:
        return len((await breaker_over(world, Scope(tool="files.write"))).probes)

    asked = await world.ask(bot, arguments=STAGING)
    await cancel_action(world.broker, bot, asked.action.id, "")
    assert await places() == 0
    await world.ask(bot, arguments=STAGING)
    world.clock.forward(hours=1)
    await tick(world.broker)
    assert await places() == 0
    asked = await world.ask(bot, arguments=STAGING)
    assert asked.approval is not None
    await approve_action(world.broker, eve, asked.approval.id, digest_prefix=asked.action.digest)
    assert await places() == 1
    world.clock.forward(hours=1)
    await tick(world.broker)
    assert await places() == 0


async def test_a_probe_that_is_never_heard_of_opens_it_again(world: World) -> None:
    bot, _other, _third = await tried(world)
    await world.ask(bot, "files.read")
    world.clock.forward(minutes=6)
    await tick(world.broker)
    assert (await breaker_over(world, Scope(tool="files.read"))).state is BreakerState.OPEN


async def test_the_whole_tool_opens_although_somebody_waits_to_try_it_again(world: World) -> None:
    world.declare("bot", "other", "third")
    await world.rule(RULE)
    bot, other, third = [await world.agent(name) for name in ("bot", "other", "third")]
    for caller in (bot, other):
        await fail(world, caller)
    world.clock.forward(seconds=61)
    await tick(world.broker)
    waiting = await world.ask(bot, "files.read")
    assert waiting.action.state is ActionState.PENDING
    await fail(world, third)
    assert (await breaker_over(world, Scope(tool="files.read"))).state is BreakerState.OPEN
    taken_over = await breaker_over(world, Scope(agent="bot", tool="files.read"))
    assert (taken_over.state, taken_over.probes) == (BreakerState.CLOSED, ())
    assert (await watch_action(world.broker, bot, waiting.action.id)).action.state is ActionState.CANCELLED


async def test_what_falls_due_in_the_tick_that_cuts_it_off_holds_up_no_timer(world: World) -> None:
    bot, other, _third = await tried(world, "files.write")
    eve = await world.operator("eve")
    await granted(world, bot, arguments=STAGING)
    asked = await world.ask(other, arguments={"env": "staging", "path": "b"})
    assert asked.approval is not None
    await approve_action(world.broker, eve, asked.approval.id, digest_prefix=asked.action.digest)
    # A lease and the time to pick up are over at once: the first opens the breaker, and that ends the other.
    world.clock.forward(hours=1)
    await tick(world.broker)
    assert (await breaker_over(world, Scope(tool="files.write"))).state is BreakerState.OPEN
    ended = await watch_action(world.broker, other, asked.action.id)
    assert (ended.action.state, ended.decision.reasons[0].code) == (ActionState.CANCELLED, "breaker_open")


@pytest.mark.requirement("P6")
async def test_a_trip_by_hand_stops_a_probe_that_was_granted(world: World) -> None:
    bot, _other, _third = await tried(world, "files.write")
    eve = await world.operator("eve")
    asked = await world.ask(bot, arguments=STAGING)
    assert asked.approval is not None
    await approve_action(world.broker, eve, asked.approval.id, digest_prefix=asked.action.digest)
    ready = await watch_action(world.broker, bot, asked.action.id)
    assert ready.grant is not None
    await trip_breaker.trip(world.broker, eve, Scope(tool="files.write"))
    late = await redeem_as_agent(
        world.broker, bot, ready.grant.id, attempt="a" * 22, digest=asked.action.digest, arguments=None
    )
    assert late.refused is not None
    assert (late.refused.code, late.breaker and late.breaker.by) == ("breaker_open", "eve")


async def test_a_person_may_reset_what_the_machine_opened(world: World) -> None:
    await tried(world)
    breaker = await breaker_over(world, Scope(tool="files.read"))
    for name in ("eve", "sam"):
        await trip_breaker.reset(world.broker, await world.operator(name), breaker.id, reason="the disk was full")
    assert (await breaker_over(world, Scope(tool="files.read"))).state is BreakerState.CLOSED


async def test_somebody_is_reminded_once_and_nothing_closes(world: World) -> None:
    eve = await world.operator("eve")
    await trip_breaker.trip(world.broker, eve, Scope(agent="bot"), ttl=timedelta(minutes=30))
    for minutes in (29, 2, 60):
        world.clock.forward(minutes=minutes)
        await tick(world.broker)
    assert await world.kinds(kind="breaker.reminded") == ["breaker.reminded"]
    assert (await breaker_over(world, Scope(agent="bot"))).state is BreakerState.FORCED_OPEN


async def test_the_next_moment_at_which_a_breaker_moves_is_known(world: World) -> None:
    await world.rule(RULE)
    await fail(world, await world.agent())

    async def work(view: View) -> object:
        return await view.next_due()

    assert await world.ledger.read(work) == world.clock.now + timedelta(seconds=60)
