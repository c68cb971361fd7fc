"""The machine notices: what an agent does is counted, and from some point on a breaker trips by its rule."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from assent.core.actions import ActionState
from assent.core.approvals import DenialCategory
from assent.core.breaker_rules import BreakerRule, Sign, TooMany, TooOften
from assent.core.breakers import Breaker, Scope
from assent.core.canonical import load
from assent.core.errors import HeldNotDurable, LedgerUnavailable
from assent.core.windows import Count
from assent.flows import trip_breaker
from assent.flows.answers import Answered
from assent.flows.authenticate import AgentCaller
from assent.flows.recount import recount
from assent.flows.resolve_approval import deny_action
from assent.flows.tick import tick
from assent.flows.trip_breaker import write_held
from assent.ports import Gate, Known, Ledger, Tx, View
from assent.stores.signals_local import LocalSignals
from tests.flows.world import World

T = TypeVar("T")

EACH_AGENT = Scope(agent="*")
EACH_TOOL = Scope(tool="*")


def rule(*conditions: Any, scope: Scope = EACH_AGENT, **more: Any) -> BreakerRule:
    return BreakerRule(id=more.pop("id", "r"), scope=scope, conditions=conditions, **more)


def many(sign: Sign, limit: int, **more: Any) -> BreakerRule:
    return rule(TooMany(sign, limit), **more)


FAILING = rule(TooOften(0.5), scope=EACH_TOOL, minimum_calls=3)


def code(answered: Answered) -> str:
    return answered.decision.reasons[0].code if answered.decision.reasons else answered.action.state.value


async def breakers_of(world: World) -> list[tuple[str, str]]:
    async def work(view: View) -> Sequence[Breaker]:
        return await view.breakers()

    return sorted((one.scope.describe(), one.state.value) for one in await world.ledger.read(work))


async def last_trip(world: World) -> dict[str, Any]:
    record = (await world.records(kind="breaker.tripped"))[-1]
    leaf = load(record.leaf)
    assert isinstance(leaf, dict)
    return leaf


async def test_who_keeps_asking_after_a_no_is_stopped_and_the_others_go_on(world: World) -> None:
    await world.rule(many(Sign.DENIALS, 3))
    bot, other = await world.agent(), await world.agent("other")
    asked = [code(await world.ask(bot, "files.delete")) for _ in range(5)]
    assert asked == ["rule_denied"] * 3 + ["breaker_open"] * 2
    stopped = await world.ask(bot, "files.read")
    assert (code(stopped), stopped.retry_after) == ("breaker_open", None)
    assert (await world.ask(other, "files.read")).action.state is ActionState.EXECUTING
    leaf = await last_trip(world)
    assert leaf["detail"]["rule"] == "r"
    assert leaf["detail"]["because"] == "3 asks denied within 5m"
    assert (leaf["agent"], leaf.get("operator"), leaf["detail"]["state"]) == ("bot", None, "forced_open")


async def test_asks_for_tools_that_do_not_exist_count_as_denied(world: World) -> None:
    await world.rule(many(Sign.DENIALS, 2))
    bot = await world.agent()
    asked = [code(await world.ask(bot, f"made.up{n}")) for n in range(3)]
    assert asked == ["unknown_tool", "unknown_tool", "breaker_open"]


async def test_denials_that_lie_apart_are_not_too_many(world: World) -> None:
    await world.rule(many(Sign.DENIALS, 3, window=timedelta(minutes=1)))
    bot = await world.agent()
    for _ in range(6):
        assert code(await world.ask(bot, "files.delete")) == "rule_denied"
        world.clock.forward(seconds=40)


async def test_a_run_of_asks_trips_whatever_they_came_to(world: World) -> None:
    await world.rule(many(Sign.ACTIONS, 3))
    bot = await world.agent()
    pending = await world.ask(bot)
    running = await world.ask(bot, "files.read")
    third = await world.ask(bot, "files.delete")
    assert code(third) == "rule_denied"
    leaf = await last_trip(world)
    assert (leaf["detail"]["cancelled"], leaf["detail"]["running"]) == (1, 1)
    assert code(await world.ask(bot, "files.read")) == "breaker_open"
    assert (pending.action.state, running.action.state) == (ActionState.PENDING, ActionState.EXECUTING)
    assert "action.moved" in await world.kinds(action=pending.action.id)


async def test_the_same_again_and_again_is_stopped_and_other_things_are_not_the_same(world: World) -> None:
    await world.rule(many(Sign.SAME_CONTENT, 3))
    bot = await world.agent()
    for number in range(5):
        other = {"env": "production", "path": str(number)}
        assert (await world.ask(bot, "files.read", arguments=other)).action.state is ActionState.EXECUTING
    assert [code(await world.ask(bot, "files.read")) for _ in range(4)] == ["executing"] * 3 + ["breaker_open"]


async def test_an_ask_that_is_sent_twice_is_counted_once(world: World) -> None:
    await world.rule(many(Sign.SAME_CONTENT, 2), many(Sign.ACTIONS, 2, id="actions"))
    bot = await world.agent()
    for _ in range(5):
        again = await world.ask(bot, "files.read", idempotency_key="k")
        assert again.action.state is ActionState.EXECUTING
    assert await breakers_of(world) == []


async def test_rejections_by_humans_count(world: World) -> None:
    await world.rule(many(Sign.REJECTIONS, 2))
    bot, eve = await world.agent(), await world.operator("eve")
    for tool in ("files.write", "db.run"):
        asked = await world.ask(bot, tool)
        assert asked.approval is not None
        for _ in range(2):  # saying it again is the same no
            await deny_action(
                world.broker, eve, asked.approval.id, category=DenialCategory.TOO_RISKY, comment="not like this"
            )
    assert code(await world.ask(bot, "files.read")) == "breaker_open"
    assert (await last_trip(world))["detail"]["because"] == "2 asks rejected by a human within 5m"


async def fail(world: World, caller: AgentCaller, times: int, *, status: str = "failed", **more: Any) -> list[str]:
    codes = []
    for _ in range(times):
        asked = await world.ask(caller, "files.read")
        codes.append(code(asked))
        if asked.action.state is ActionState.EXECUTING:
            await world.report(caller, asked, status, **more)
    return codes


@pytest.mark.requirement("T25")
async def test_an_agent_that_reports_whatever_it_likes_stops_only_itself_with_that_tool(world: World) -> None:
    await world.rule(FAILING)
    bot, other = await world.agent(), await world.agent("other")
    assert await fail(world, bot, 20) == ["executing"] * 3 + ["breaker_open"] * 17
    assert await breakers_of(world) == [("agent `bot`, tool `files.read`", "open")]
    assert code(await world.ask(other, "files.read")) == "executing"
    assert code(await world.ask(bot, "files.delete")) == "rule_denied"


async def test_slow_calls_open_too(world: World) -> None:
    await world.rule(rule(TooOften(0.8, over_ms=2_000), scope=EACH_TOOL, minimum_calls=3))
    bot = await world.agent()
    assert await fail(world, bot, 5, status="succeeded", duration_ms=2_500) == ["executing"] * 3 + ["breaker_open"] * 2
    assert (await last_trip(world))["detail"]["because"] == "3 of 3 calls took 2 s or longer within 5m"


async def test_a_lease_that_runs_out_counts_as_failed(world: World) -> None:
    await world.rule(FAILING)
    bot = await world.agent()
    for _ in range(3):
        await world.ask(bot, "files.read")
    world.clock.forward(minutes=5)
    await tick(world.broker)
    assert await breakers_of(world) == [("agent `bot`, tool `files.read`", "open")]


async def test_the_whole_tool_opens_when_a_third_agent_fails_and_takes_the_place_of_theirs(world: World) -> None:
    world.declare("bot", "other", "third", "fourth")
    await world.rule(FAILING)
    for name in ("bot", "other"):
        await fail(world, await world.agent(name), 3)
    assert await breakers_of(world) == [
        ("agent `bot`, tool `files.read`", "open"),
        ("agent `other`, tool `files.read`", "open"),
    ]
    await fail(world, await world.agent("third"), 3)
    assert await breakers_of(world) == [
        ("agent `bot`, tool `files.read`", "closed"),
        ("agent `other`, tool `files.read`", "closed"),
        ("tool `files.read`", "open"),
    ]
    assert code(await world.ask(await world.agent("fourth"), "files.read")) == "breaker_open"


async def test_agents_that_failed_long_ago_are_not_failing_at_the_same_time(world: World) -> None:
    world.declare("bot", "other", "third")
    await world.rule(FAILING)
    for name in ("bot", "other", "third"):
        await fail(world, await world.agent(name), 3)
        world.clock.forward(minutes=4)
    assert ("tool `files.read`", "open") not in await breakers_of(world)


async def test_a_rule_that_names_its_agents_never_cuts_a_tool_off_for_all(world: World) -> None:
    world.declare("bot", "other", "third")
    await world.rule(replace(FAILING, scope=Scope(agent="*", tool="*")))
    for name in ("bot", "other", "third"):
        await fail(world, await world.agent(name), 3)
    assert len(await breakers_of(world)) == 3


async def test_a_rule_that_watches_tells_and_stops_nothing(world: World) -> None:
    await world.rule(many(Sign.DENIALS, 3, watches=True))
    bot = await world.agent()
    assert {code(await world.ask(bot, "files.delete")) for _ in range(7)} == {"rule_denied"}
    assert await breakers_of(world) == []
    assert await world.kinds(kind="breaker.watched") == ["breaker.watched"] * 2


async def test_many_agents_at_once_are_stopped_and_somebody_is_paged(world: World) -> None:
    names = [f"bot{n}" for n in range(10)]
    world.declare(*names)
    await world.rule(many(Sign.DENIALS, 1))
    paged = []
    for name in names[:4]:
        await world.ask(await world.agent(name), "files.delete")
        paged.append((await last_trip(world))["detail"].get("agents_at_once"))
    assert paged == [None, None, 3, 4]
    assert len(await breakers_of(world)) == 4


async def test_one_agent_alone_pages_nobody(world: World) -> None:
    world.declare("bot")
    await world.rule(many(Sign.DENIALS, 1))
    await world.ask(await world.agent(), "files.delete")
    assert "agents_at_once" not in (await last_trip(world))["detail"]


async def test_once_it_is_reset_a_rule_begins_anew(world: World) -> None:
    await world.rule(many(Sign.DENIALS, 3))
    bot = await world.agent()
    for _ in range(5):
        await world.ask(bot, "files.delete")
    await reset_by_two(world)
    assert [code(await world.ask(bot, "files.delete")) for _ in range(4)] == ["rule_denied"] * 3 + ["breaker_open"]


async def reset_by_two(world: World) -> None:
    (breaker,) = await trip_breaker.list_breakers(world.broker, await world.operator("eve"))
    await trip_breaker.reset(world.broker, await world.operator("eve"), breaker.id, reason="looked")
    assert (await trip_breaker.reset(world.broker, await world.operator("sam"), breaker.id, reason="so did I")).closed


@pytest.mark.requirement("P5", "T25")
async def test_what_the_machine_tripped_takes_two_people_and_not_the_owner(world: World) -> None:
    await world.rule(many(Sign.DENIALS, 1))
    await world.ask(await world.agent(), "files.delete")
    (breaker,) = await trip_breaker.list_breakers(world.broker, await world.operator("eve"))
    first = await trip_breaker.reset(world.broker, await world.operator("eve"), breaker.id, reason="x")
    assert not first.closed
    owner = await trip_breaker.reset(world.broker, await world.operator("owner"), breaker.id, reason="x")
    assert owner.refused is not None
    assert (await trip_breaker.reset(world.broker, await world.operator("sam"), breaker.id, reason="x")).closed


# --- counters that cannot be read ------------------------------------------------------------------------------------


@pytest.mark.requirement("T11")
async def test_while_counters_cannot_be_read_no_change_in_production_is_decided(world: World) -> None:
    await world.rule(many(Sign.ACTIONS, 100))
    world.broker = replace(world.broker, signals=LocalSignals())  # another epoch: nothing has begun it
    bot = await world.agent()
    assert code(await world.ask(bot)) == "broker_unavailable"
    assert code(await world.ask(bot, "files.read")) == "executing"
    assert code(await world.ask(bot, arguments={"env": "staging", "path": "a"})) == "executing"
    assert code(await world.ask(bot, "files.delete")) == "rule_denied"
    await recount(world.broker)
    assert (await world.ask(bot)).action.state is ActionState.PENDING


@pytest.mark.parametrize(
    "rules", [(), (many(Sign.ACTIONS, 100, watches=True),), (many(Sign.ACTIONS, 100, scope=Scope(agent="other")),)]
)
async def test_what_nothing_has_to_count_does_not_need_counters(world: World, rules: tuple[BreakerRule, ...]) -> None:
    world.policy = replace(world.policy, breakers=rules)
    world.broker = replace(world.broker, signals=LocalSignals())
    assert (await world.ask(await world.agent())).action.state is ActionState.PENDING


class Leaky(LocalSignals):
    """Signals that lose, double and delay counts, as their contract allows."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self.lost = False
        self.doubled = False

    async def count(self, counts: Sequence[Count]) -> Sequence[int] | None:
        if self.lost:
            return None
        once = await super().count(counts)
        return await super().count(counts) if self.doubled else once


async def test_a_lost_count_trips_later_and_a_doubled_one_earlier_and_nothing_else(world: World) -> None:
    leaky = Leaky(world.clock.steady)
    world.broker = replace(world.broker, signals=leaky)
    await world.rule(many(Sign.DENIALS, 4))
    bot = await world.agent()
    leaky.lost = True
    assert code(await world.ask(bot, "files.delete")) == "rule_denied"
    leaky.lost, leaky.doubled = False, True
    assert [code(await world.ask(bot, "files.delete")) for _ in range(3)] == ["rule_denied"] * 2 + ["breaker_open"]


# --- a process that ends ----------------------------------------------------------------------------------------------


async def test_a_process_that_begins_counts_what_the_ledger_knows(world: World) -> None:
    await world.rule(many(Sign.DENIALS, 4), FAILING)
    bot, eve = await world.agent(), await world.operator("eve")
    for _ in range(2):
        await world.ask(bot, "files.delete")
    await fail(world, bot, 2)
    asked = await world.ask(bot)
    assert asked.approval is not None
    await deny_action(world.broker, eve, asked.approval.id, category=DenialCategory.OTHER, comment="")
    world.broker = replace(world.broker, signals=LocalSignals(world.clock.steady))
    await recount(world.broker)
    assert await fail(world, bot, 2) == ["executing", "breaker_open"]
    assert [code(await world.ask(bot, "files.delete")) for _ in range(3)] == ["rule_denied"] * 2 + ["breaker_open"]


async def test_what_led_to_a_trip_is_not_counted_again_by_the_next_process(world: World) -> None:
    await world.rule(many(Sign.DENIALS, 2))
    bot = await world.agent()
    for _ in range(2):
        await world.ask(bot, "files.delete")
    world.clock.forward(seconds=1)
    await reset_by_two(world)
    world.broker = replace(world.broker, signals=LocalSignals(world.clock.steady))
    await recount(world.broker)
    assert [code(await world.ask(bot, "files.delete")) for _ in range(3)] == ["rule_denied"] * 2 + ["breaker_open"]


async def test_an_epoch_begins_with_what_lies_in_the_window_and_no_more(world: World) -> None:
    await world.rule(many(Sign.DENIALS, 5))
    bot = await world.agent()
    for _ in range(3):
        await world.ask(bot, "files.delete")
        world.clock.forward(minutes=2)
    heard: list[Known] = []

    class Listening(LocalSignals):
        async def begin(self, known: Sequence[Known]) -> None:
            heard.extend(known)

    world.broker = replace(world.broker, signals=Listening())
    await recount(world.broker)
    assert sorted(one.ago_us // 60_000_000 for one in heard) == [2, 4]


# --- a ledger that takes nothing --------------------------------------------------------------------------------------


class Stuck:
    """A ledger that can be stopped from taking anything, before or behind the commit."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.takes_nothing = False
        self.commits_unheard = False

    async def transact(
        self,
        work: Callable[[Tx], Awaitable[T]],
        *,
        within_seconds: float = 2.0,
        gate: Gate = Gate.SHARED,
        urgent: bool = False,
    ) -> T:
        if self.takes_nothing:
            raise LedgerUnavailable("the disk hangs")
        value = await self._ledger.transact(work, within_seconds=within_seconds, gate=gate, urgent=urgent)
        if self.commits_unheard:
            raise LedgerUnavailable("nobody heard")
        return value

    async def read(self, work: Callable[[View], Awaitable[T]], *, within_seconds: float = 2.0) -> T:
        return await self._ledger.read(work, within_seconds=within_seconds)

    def blind(self, purpose: str, value: bytes) -> bytes:
        return self._ledger.blind(purpose, value)


@pytest.mark.requirement("P6", "T5")
async def test_a_trip_that_cannot_be_stored_holds_in_memory_and_is_stored_first(world: World) -> None:
    bot, other, eve = await world.agent(), await world.agent("other"), await world.operator("eve")
    stuck = Stuck(world.ledger)
    world.broker = replace(world.broker, ledger=stuck)
    stuck.takes_nothing = True
    with pytest.raises(HeldNotDurable):
        await trip_breaker.trip(world.broker, eve, Scope(agent="bot"), reason="loop")
    with pytest.raises(LedgerUnavailable):
        await write_held(world.broker)
    stuck.takes_nothing = False
    # The ledger is back, and nobody has stored the trip yet: it holds all the same, and only in its scope.
    with pytest.raises(LedgerUnavailable):
        await world.ask(bot, "files.read")
    assert code(await world.ask(other, "files.read")) == "executing"
    assert await write_held(world.broker) == 1
    assert code(await world.ask(bot, "files.read")) == "breaker_open"
    leaf = await last_trip(world)
    assert (leaf["operator"], leaf["detail"]["held"]) == ("eve", True)
    assert world.broker.held.trips == ()


@pytest.mark.requirement("P6")
async def test_what_was_committed_before_a_held_trip_is_not_told_after_it(world: World) -> None:
    bot, eve = await world.agent(), await world.operator("eve")
    stuck = Stuck(world.ledger)

    class Tripping(Stuck):
        """A ledger on which somebody trips, in vain, between a commit and its answer."""

        async def transact(
            self,
            work: Callable[[Tx], Awaitable[T]],
            *,
            within_seconds: float = 2.0,
            gate: Gate = Gate.SHARED,
            urgent: bool = False,
        ) -> T:
            value = await super().transact(work, within_seconds=within_seconds, gate=gate, urgent=urgent)
            if gate is Gate.SHARED:
                stuck.takes_nothing = True
                with pytest.raises(HeldNotDurable):
                    await trip_breaker.trip(replace(world.broker, ledger=stuck), eve, Scope())
            return value

    world.broker = replace(world.broker, ledger=Tripping(world.ledger))
    with pytest.raises(LedgerUnavailable):
        await world.ask(bot, "files.read", idempotency_key="k")
    world.broker = replace(world.broker, ledger=world.ledger)
    await write_held(world.broker)
    assert code(await world.ask(bot, "files.read", idempotency_key="k")) == "breaker_open"


async def test_a_trip_that_was_stored_unheard_is_stored_once_more_and_holds(world: World) -> None:
    bot, eve = await world.agent(), await world.operator("eve")
    stuck = Stuck(world.ledger)
    world.broker = replace(world.broker, ledger=stuck)
    stuck.commits_unheard = True
    with pytest.raises(HeldNotDurable):
        await trip_breaker.trip(world.broker, eve, Scope(agent="bot"))
    stuck.commits_unheard = False
    await write_held(world.broker)
    assert await breakers_of(world) == [("agent `bot`", "forced_open")]
    assert code(await world.ask(bot, "files.read")) == "breaker_open"


@pytest.mark.requirement("P6")
async def test_a_rule_that_cannot_store_its_trip_holds_it_too(world: World) -> None:
    await world.rule(many(Sign.DENIALS, 1))
    bot = await world.agent()
    stuck = Stuck(world.ledger)

    class TripsFail(Stuck):
        async def transact(
            self,
            work: Callable[[Tx], Awaitable[T]],
            *,
            within_seconds: float = 2.0,
            gate: Gate = Gate.SHARED,
            urgent: bool = False,
        ) -> T:
            self.takes_nothing = gate is Gate.EXCLUSIVE
            return await super().transact(work, within_seconds=within_seconds, gate=gate, urgent=urgent)

    world.broker = replace(world.broker, ledger=TripsFail(world.ledger))
    assert code(await world.ask(bot, "files.delete")) == "rule_denied"
    with pytest.raises(LedgerUnavailable):
        await world.ask(bot, "files.read")
    world.broker = replace(world.broker, ledger=stuck)
    await write_held(world.broker)
    assert await breakers_of(world) == [("agent `bot`", "forced_open")]
