"""A user group of Slack chooses who is told: asked now and then, forgotten when Slack does not answer."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from assent.core.approvals import ApprovalState, Step
from assent.demo.workspace.server import StandIn
from assent.demo.workspace.state import Fault
from assent.ports import View
from assent.slack.on_duty import LOOK_EACH_SECONDS, DutyWatch
from assent.slack.web import SlackWeb
from tests.flows.world import World, a_world
from tests.slack.conftest import Seconds
from tests.slack.office import town_policy

TELL = Step(after=timedelta(0), tell=("dm:oncall@S0DUTY:primary",))
ASKED = "usergroups.users.list"


@pytest.fixture
async def town() -> AsyncIterator[World]:
    world = a_world(policy=town_policy(steps=(TELL,)))
    yield world
    await world.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has


def calls(slack: StandIn) -> int:
    return sum(call.method == ASKED for call in slack.slack.calls)


async def told(world: World) -> list[str]:
    """Ask for something; return who is told of it."""
    asked = await world.ask(await world.agent())
    assert asked.approval is not None
    approval = asked.approval.id

    async def work(view: View) -> list[str]:
        return sorted(one.destination for one in await view.deliveries_of(approval))

    return await world.ledger.read(work)


ALL = ["slack:U0EVE", "slack:U0OWNER", "slack:U0SAM"]


async def test_who_is_in_the_group_is_told_and_where_nobody_said_all_are(
    town: World, slack: StandIn, web: SlackWeb, seconds: Seconds
) -> None:
    slack.slack.groups["S0DUTY"] = ("U0SAM", "U0STRANGER")
    watch = DutyWatch(town.broker, now_seconds=seconds)
    assert await told(town) == ALL

    await watch.look(web)
    assert await told(town) == ["slack:U0SAM"]


async def test_slack_is_asked_once_a_minute_and_at_once_for_another_group(
    town: World, slack: StandIn, web: SlackWeb, seconds: Seconds
) -> None:
    slack.slack.groups |= {"S0DUTY": ("U0SAM",), "S0OTHER": ("U0EVE",)}
    watch = DutyWatch(town.broker, now_seconds=seconds)
    for _ in range(5):
        await watch.look(web)
    assert calls(slack) == 1
    town.policy = town_policy(steps=(TELL, Step(after=timedelta(0), tell=("dm:oncall@S0OTHER",))))
    await watch.look(web)
    assert calls(slack) == 2
    assert await told(town) == ["slack:U0EVE", "slack:U0SAM"]

    slack.slack.groups["S0DUTY"] = ("U0OWNER",)
    seconds.now += LOOK_EACH_SECONDS
    await watch.look(web)
    # Whose agent asks may not answer it: with nobody else on duty, everybody is told.
    assert await told(town) == ["slack:U0EVE", "slack:U0OWNER", "slack:U0SAM"]
    town.policy = town_policy(steps=())
    await watch.look(web)
    assert town.broker.on_duty.now == {}


@pytest.mark.requirement("P7")
@pytest.mark.parametrize("how", ["429", "500", "reset_before", "garbage", "slow", "missing_scope", "no_such_subteam"])
async def test_while_slack_does_not_say_who_is_on_duty_everybody_is_told(
    town: World, slack: StandIn, web: SlackWeb, seconds: Seconds, how: str
) -> None:
    slack.slack.groups["S0DUTY"] = ("U0SAM",)
    watch = DutyWatch(town.broker, now_seconds=seconds)
    await watch.look(web)
    slack.slack.faults.append(Fault(method=ASKED, how=how))
    seconds.now += LOOK_EACH_SECONDS
    await watch.look(web)
    assert await told(town) == ALL

    seconds.now += LOOK_EACH_SECONDS
    await watch.look(web)
    assert await told(town) == ["slack:U0SAM"]
    watch.forget()
    assert await told(town) == ALL


async def test_a_group_says_who_is_told_and_never_who_may_answer(
    town: World, slack: StandIn, web: SlackWeb, seconds: Seconds
) -> None:
    slack.slack.groups["S0DUTY"] = ("U0STRANGER", "U0SAM")
    await DutyWatch(town.broker, now_seconds=seconds).look(web)
    asked = await town.ask(await town.agent())
    assert asked.approval is not None
    assert asked.who == ("eve", "sam")
    assert replace(asked.approval, state=ApprovalState.PENDING) == asked.approval
