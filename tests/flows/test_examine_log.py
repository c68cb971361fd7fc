"""What a human should look at: each question is quiet while all is well, and speaks when its own thing happens."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from assent.core.actions import Action, ActionState
from assent.core.breakers import Scope
from assent.core.errors import Forbidden, LedgerUnavailable, Unauthenticated
from assent.core.operators import Operator, SinglePerson
from assent.core.records import Entry, RecordKind
from assent.flows import manage_principals
from assent.flows.examine_log import CHECKS, Finding, examine
from assent.flows.resolve_approval import approve_action
from assent.flows.run_action import redeem_as_agent
from assent.flows.run_broker import record_verification
from assent.flows.tell_story import leaf_of
from assent.flows.tick import tick
from assent.flows.trip_breaker import trip
from assent.flows.watch_actions import watch_action
from assent.ports import View
from tests.flows.world import START, World

ME = "a" * 22


async def findings(world: World) -> dict[str, Finding]:
    found = await examine(world.broker, await world.operator("eve"))
    assert [one.check for one in found] == list(CHECKS)
    return {one.check: one for one in found}


async def spoken(world: World) -> list[str]:
    """Return which questions found something, apart from the signing and verifying that no test broker does."""
    others = {"signed", "verified"}
    return [name for name, one in (await findings(world)).items() if not one.ok and name not in others]


async def approved(world: World, who: str = "eve", **more: Any) -> Action:
    bot = await world.agent()
    answered = await world.ask(bot, **more)
    assert answered.approval is not None
    action = answered.action
    voted = await approve_action(
        world.broker, await world.operator(who), answered.approval.id, digest_prefix=action.digest[:8]
    )
    assert voted.refused is None, voted.refused
    grant = (await watch_action(world.broker, bot, action.id)).grant
    assert grant is not None
    for attempt in (ME, *(("b" * 22,) if more else ())):
        await redeem_as_agent(world.broker, bot, grant.id, attempt=attempt, digest=action.digest, arguments=None)
    return action


async def ran(world: World) -> Action:
    return await approved(world)


async def nobody_said_how_it_ended(world: World) -> str:
    action = await ran(world)
    world.clock.forward(minutes=6)
    await tick(world.broker)
    return action.id


async def a_grant_was_presented_again(world: World) -> str:
    return (await approved(world, reason="twice")).id


async def somebody_involved_voted(world: World) -> str:
    alone = SinglePerson(reason="holidays", until=START + timedelta(days=9))
    people = tuple(replace(p, single_person=alone) if p.id == "owner" else p for p in world.policy.people)
    world.policy = replace(world.policy, people=people)
    return (await approved(world, who="owner")).id


async def a_timer_stands_still(world: World) -> str:
    await world.ask(await world.agent())
    world.clock.forward(minutes=17)
    return "1 things should have ended"


async def an_agent_left_with_its_key(world: World) -> str:
    await world.agent("other")
    profiles = {name: p for name, p in world.policy.profiles.items() if name != "other"}
    world.policy = replace(world.policy, profiles=profiles)
    return "other"


async def an_operator_left_with_their_token(world: World) -> str:
    await world.operator("sam")
    world.policy = replace(world.policy, people=tuple(p for p in world.policy.people if p.id != "sam"))
    return "sam"


async def an_agent_expired_with_its_key(world: World) -> str:
    await world.agent("other")
    other = replace(world.policy.profiles["other"], expires=START)
    world.policy = replace(world.policy, profiles={**world.policy.profiles, "other": other})
    return "other"


async def a_policy_was_refused(world: World) -> str:
    for kind in (RecordKind.BROKER_STARTED, RecordKind.POLICY_ACTIVATED, RecordKind.POLICY_REFUSED):
        await recorded(world, kind)
    return "refused 0 s ago"


async def recorded(world: World, kind: RecordKind) -> None:
    await world.ledger.transact(lambda tx: tx.append(Entry(kind=kind)))


async def a_breaker_was_forgotten(world: World) -> str:
    tripped = await trip(world.broker, await world.operator("sam"), Scope(agent="other"))
    world.clock.forward(hours=25)
    return tripped.breaker.id


async def a_breaker_is_to_be_asked_about(world: World) -> str:
    sam = await world.operator("sam")
    tripped = await trip(world.broker, sam, Scope(agent="other"), ttl=timedelta(minutes=5))
    world.clock.forward(minutes=5)
    return tripped.breaker.id


STORIES: dict[Callable[[World], Awaitable[str]], str] = {
    nobody_said_how_it_ended: "outcomes",
    a_grant_was_presented_again: "replays",
    somebody_involved_voted: "self_approved",
    a_timer_stands_still: "timers",
    an_agent_left_with_its_key: "credentials",
    an_operator_left_with_their_token: "credentials",
    an_agent_expired_with_its_key: "credentials",
    a_policy_was_refused: "policy",
    a_breaker_was_forgotten: "breakers",
    a_breaker_is_to_be_asked_about: "breakers",
}


async def test_where_all_is_well_nothing_is_found(world: World) -> None:
    await ran(world)
    await trip(world.broker, await world.operator("sam"), Scope(agent="other"))
    assert await spoken(world) == []
    assert [one.do for one in (await findings(world)).values()] == [""] * len(CHECKS)


@pytest.mark.parametrize(("story", "check"), STORIES.items(), ids=lambda value: getattr(value, "__name__", value))
async def test_what_happened_is_found_named_and_what_to_do_is_said(
    world: World, story: Callable[[World], Awaitable[str]], check: str
) -> None:
    named = await story(world)
    assert await spoken(world) == [check]
    found = (await findings(world))[check]
    assert named in found.what
    assert found.do


async def test_what_was_long_ago_or_is_over_is_not_found_again(world: World) -> None:
    await nobody_said_how_it_ended(world)
    await a_grant_was_presented_again(world)
    await tick(world.broker)
    world.clock.forward(days=8)
    await tick(world.broker)
    assert await spoken(world) == []


async def test_a_policy_that_was_corrected_is_not_found(world: World) -> None:
    await a_policy_was_refused(world)
    await recorded(world, RecordKind.POLICY_ACTIVATED)
    assert await spoken(world) == []


async def test_records_that_nobody_signs_are_found_after_a_minute(world: World) -> None:
    await world.ask(await world.agent(), "files.read")
    assert (await findings(world))["signed"].ok
    world.clock.forward(seconds=61)
    late = (await findings(world))["signed"]
    assert (late.ok, "for 1 min" in late.what) == (False, True)


@pytest.mark.requirement("P8")
async def test_a_log_that_is_not_verified_any_more_or_did_not_verify_is_found(world: World) -> None:
    await world.ask(await world.agent(), "files.read")
    assert (await findings(world))["verified"].what == "the log is not a day old yet"
    world.clock.forward(days=2, seconds=1)
    assert (await findings(world))["verified"].what == "the broker has not verified its log for 2 d"
    await record_verification(world.broker, {"verified": True, "records": 2, "root": "aa"})
    world.clock.forward(hours=3)
    well = (await findings(world))["verified"]
    assert (well.ok, well.what) == (True, "the broker verified its log 3 h ago")
    await record_verification(world.broker, {"verified": False, "index": 7, "problem": "record 7 is not canonical"})
    wrong = (await findings(world))["verified"]
    (_, record) = await world.records(kind="log.verified")
    assert (wrong.ok, record.id in wrong.what) == (False, True)
    assert (leaf_of(record)["detail"], b"canonical" in record.leaf) == ({"verified": False, "index": 7}, False)


@pytest.mark.requirement("P1")
async def test_a_question_that_cannot_be_answered_is_a_finding_and_the_others_go_on(world: World) -> None:
    ledger, asked = world.ledger, iter(range(100))

    class Reluctant:
        """The world's ledger, which does not answer the third question."""

        blind = staticmethod(ledger.blind)
        transact = staticmethod(ledger.transact)

        async def read(self, work: Callable[[View], Awaitable[Any]]) -> Any:
            if next(asked) == 3:
                raise LedgerUnavailable("no answer within 2 s")
            return await ledger.read(work)

    eve = await world.operator("eve")
    world.broker = replace(world.broker, ledger=Reluctant())  # type: ignore[arg-type]  # what the flow asks of it is there
    found = await examine(world.broker, eve)
    assert [(one.check, one.what) for one in found if not one.ok] == [
        ("rows", "could not be looked at: no answer within 2 s")
    ]


async def test_only_who_may_read_the_log_is_told(world: World) -> None:
    eve = await world.operator("eve")
    await manage_principals.revoke_credential(world.broker, eve.token.id, by="admin")
    with pytest.raises(Unauthenticated):
        await examine(world.broker, eve)
    world.policy = replace(world.policy, people=(Operator(id=eve.operator.id),))
    with pytest.raises(Forbidden):
        await findings(world)


async def test_a_run_that_goes_on_is_no_unknown_end(world: World) -> None:
    action = await ran(world)
    assert action.state is ActionState.PENDING
    world.clock.forward(minutes=4)
    assert await spoken(world) == []
