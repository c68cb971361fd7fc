"""People are told of breakers: everything, in order, at least once, and nobody who trips waits for it."""

from datetime import timedelta

import pytest

from assent.core.alerts import Alert, Severity
from assent.core.breaker_rules import BreakerRule, Sign, TooMany
from assent.core.breakers import Scope
from assent.flows import trip_breaker
from assent.flows.raise_alerts import begin_alerts, raise_alerts
from assent.flows.tick import tick
from tests.flows.world import World


class Listener:
    """A destination that keeps what it is told, and may be out of reach."""

    def __init__(self, name: str = "listener") -> None:
        self.name = name
        self.heard: list[Alert] = []
        self.away = False

    async def alert(self, alert: Alert) -> bool:
        if not self.away:
            self.heard.append(alert)
        return not self.away


async def test_a_trip_by_hand_is_told_with_who_why_and_what_was_cut_off(world: World) -> None:
    listener = Listener()
    await begin_alerts(world.broker, listener)
    await world.ask(await world.agent())
    await world.ask(await world.agent(), "files.read")
    await trip_breaker.trip(world.broker, await world.operator("eve"), Scope(agent="bot"), reason="it loops")
    raised = await raise_alerts(world.broker, listener)
    (alert,) = raised.told
    assert listener.heard == [alert]
    assert (alert.event, alert.severity, alert.by, alert.reason) == (
        "breaker.tripped",
        Severity.ALERT,
        "eve",
        "it loops",
    )
    assert (alert.cancelled, alert.running, alert.cut_off_elsewhere) == (1, 1, "revoke bot")
    assert alert.text == "breaker tripped over agent `bot`, by eve: it loops; 1 cut off, 1 still running"


async def test_a_trip_by_a_rule_says_which_and_why(world: World) -> None:
    listener = Listener()
    await begin_alerts(world.broker, listener)
    world.declare("bot", "other")
    rule = BreakerRule(id="refused", scope=Scope(agent="*"), conditions=(TooMany(Sign.DENIALS, 1),))
    await world.rule(rule)
    for name in ("bot", "other"):
        await world.ask(await world.agent(name), "files.delete")
    raised = await raise_alerts(world.broker, listener)
    assert [(one.by, one.reason) for one in raised.told] == [("rule `refused`", "1 asks denied within 5m")] * 2
    assert [one.severity for one in raised.told] == [Severity.ALERT, Severity.PAGE]


async def test_what_happened_before_anybody_listened_is_not_told(world: World) -> None:
    await trip_breaker.trip(world.broker, await world.operator("eve"), Scope(agent="bot"))
    listener = Listener()
    assert (await raise_alerts(world.broker, listener)).told == ()
    await begin_alerts(world.broker, listener)
    assert (await raise_alerts(world.broker, listener)).told == ()


async def test_what_does_not_arrive_is_told_later_and_in_its_order(world: World) -> None:
    listener = Listener()
    await begin_alerts(world.broker, listener)
    eve = await world.operator("eve")
    listener.away = True
    for name in ("bot", "other"):
        await trip_breaker.trip(world.broker, eve, Scope(agent=name))
        assert (await raise_alerts(world.broker, listener)).failed
    listener.away = False
    await raise_alerts(world.broker, listener)
    assert [one.scope.agent for one in listener.heard] == ["bot", "other"]
    assert (await raise_alerts(world.broker, listener)).told == ()


async def test_a_process_that_begins_goes_on_where_the_last_one_ended(world: World) -> None:
    listener = Listener()
    await begin_alerts(world.broker, listener)
    eve = await world.operator("eve")
    await trip_breaker.trip(world.broker, eve, Scope(agent="bot"))
    await raise_alerts(world.broker, listener)
    await trip_breaker.trip(world.broker, eve, Scope(agent="other"))
    again = Listener()
    await begin_alerts(world.broker, again)
    await raise_alerts(world.broker, again)
    assert [one.scope.agent for one in again.heard] == ["other"]


async def test_each_destination_is_told_by_itself(world: World) -> None:
    near, far = Listener("near"), Listener("far")
    far.away = True
    for one in (near, far):
        await begin_alerts(world.broker, one)
    await trip_breaker.trip(world.broker, await world.operator("eve"), Scope(agent="bot"))
    for one in (near, far):
        await raise_alerts(world.broker, one)
    far.away = False
    await raise_alerts(world.broker, far)
    assert near.heard == far.heard != []


async def test_what_cannot_be_told_for_an_hour_is_given_up_and_holds_nothing_up(world: World) -> None:
    listener = Listener()
    await begin_alerts(world.broker, listener)
    eve = await world.operator("eve")
    await trip_breaker.trip(world.broker, eve, Scope(agent="bot"))
    world.clock.forward(minutes=61)
    await trip_breaker.trip(world.broker, eve, Scope(agent="other"))
    listener.away = True
    raised = await raise_alerts(world.broker, listener)
    assert [one.scope.agent for one in raised.given_up] == ["bot"]
    assert raised.failed
    listener.away = False
    assert [one.scope.agent for one in (await raise_alerts(world.broker, listener)).told] == ["other"]


async def test_resets_reminders_and_moves_are_told_as_what_they_are(world: World) -> None:
    listener = Listener()
    await begin_alerts(world.broker, listener)
    eve, sam = await world.operator("eve"), await world.operator("sam")
    tripped = await trip_breaker.trip(world.broker, eve, Scope(agent="bot"), ttl=timedelta(minutes=5))
    world.clock.forward(minutes=6)
    await tick(world.broker)
    for caller in (eve, sam):
        await trip_breaker.reset(world.broker, caller, tripped.breaker.id, reason="found it")
    await raise_alerts(world.broker, listener)
    assert [(one.event, one.severity) for one in listener.heard] == [
        ("breaker.tripped", Severity.ALERT),
        ("breaker.reminded", Severity.ALERT),
        ("breaker.reset_asked", Severity.ALERT),
        ("breaker.reset", Severity.NOTICE),
    ]
    assert listener.heard[-1].text == "breaker reset over agent `bot`, by sam: found it"


async def test_a_drill_is_told_as_a_drill(world: World) -> None:
    listener = Listener()
    await begin_alerts(world.broker, listener)
    await trip_breaker.drill_trip(world.broker, await world.operator("eve"), Scope(environment="staging"))
    (alert,) = (await raise_alerts(world.broker, listener)).told
    assert (alert.severity, alert.drill, alert.text[:6]) == (Severity.NOTICE, True, "drill:")


@pytest.mark.requirement("P9")
async def test_an_alert_holds_nothing_of_what_was_asked(world: World) -> None:
    listener = Listener()
    await begin_alerts(world.broker, listener)
    await world.ask(await world.agent(), arguments={"env": "production", "path": "kettle-orbit"}, reason="marzipan")
    await trip_breaker.trip(world.broker, await world.operator("eve"), Scope(agent="bot"))
    await raise_alerts(world.broker, listener)
    assert "kettle-orbit" not in str(listener.heard)
    assert "marzipan" not in str(listener.heard)
