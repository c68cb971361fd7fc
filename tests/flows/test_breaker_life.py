"""Breakers driven at random: agents, outcomes, people, clocks and crashes; a naive model agrees on every step."""

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from assent.core.actions import Action, ActionId, ActionState
from assent.core.breaker_rules import BreakerRule, Sign, TooMany, TooOften
from assent.core.breakers import Breaker, BreakerState, Scope
from assent.core.decisions import Limits
from assent.flows import trip_breaker
from assent.flows.answers import Answered
from assent.flows.end_action import cancel_action
from assent.flows.held import Held
from assent.flows.recount import recount
from assent.flows.resolve_approval import approve_action
from assent.flows.run_action import Report, redeem_as_agent, report_outcome
from assent.flows.tick import tick
from assent.flows.watch_actions import watch_action
from assent.ports import View
from assent.stores.signals_local import LocalSignals
from tests.flows.naive_breakers import (
    FAILING_WINDOW,
    PLACES,
    RUNAWAY,
    RUNAWAY_WINDOW,
    WAIT,
    Model,
)
from tests.flows.naive_breakers import Scope as Triple
from tests.flows.world import World, a_world

AGENTS = ("a", "b", "c", "d")
PEOPLE = ("eve", "sam", "owner")
RULES = (
    BreakerRule(
        id="failing",
        scope=Scope(tool="*"),
        conditions=(TooOften(0.5),),
        minimum_calls=2,
        window=timedelta(seconds=FAILING_WINDOW),
        wait_in_open=timedelta(seconds=WAIT),
        probes=PLACES,
    ),
    BreakerRule(
        id="runaway",
        scope=Scope(agent="*"),
        conditions=(TooMany(Sign.ACTIONS, RUNAWAY),),
        window=timedelta(seconds=RUNAWAY_WINDOW),
    ),
)
PLENTY = Limits(
    open_per_agent=1_000, open_per_run=1_000, open_per_route=1_000, ready_per_agent=1_000, asks_per_agent_per_hour=1_000
)
STATES = {
    ActionState.EXECUTING: "executing",
    ActionState.PENDING: "pending",
    ActionState.READY: "ready",
    ActionState.SUCCEEDED: "ran",
    ActionState.FAILED: "ran",
    ActionState.UNKNOWN: "ran",
}
# Reading is allowed everywhere, writing in staging; so no human is asked but about probes.
ASKS = (("files.read", "staging"), ("files.read", "production"), ("files.write", "staging"))
SCOPES: tuple[Triple, ...] = (
    (None, None, None),
    (None, None, "staging"),
    (None, "files.write", None),
    (None, "files.read", None),
    ("a", None, None),
    ("b", "files.read", None),
)
agents = st.sampled_from(AGENTS)
numbers = st.integers(0, 99)


class BreakerLife(RuleBasedStateMachine):
    """Four agents, two tools, three people, and a broker that dies at any time; the ledger stays."""

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._paths = itertools.count(1)
        self.world: World = self._runner.run(self._begun())
        self.model = Model(int(self.world.clock.now.timestamp()))

    async def _begun(self) -> World:
        world = a_world()
        world.declare(*AGENTS)
        world.broker = replace(world.broker, limits=PLENTY)
        await world.rule(*RULES)
        self.callers = {name: await world.agent(name) for name in AGENTS}
        self.people = {name: await world.operator(name) for name in PEOPLE}
        return world

    def teardown(self) -> None:
        self._runner.run(self.world.ledger.close())  # type: ignore[attr-defined]  # the port has no end, the store has
        self._runner.close()

    @rule(agent=agents, what=st.sampled_from(ASKS), times=st.integers(1, 3))
    def ask(self, agent: str, what: tuple[str, str], times: int) -> None:
        for _ in range(times):
            self._ask(agent, *what)

    def _ask(self, agent: str, tool: str, env: str) -> str | None:
        expected = self.model.expected(agent, tool, env)
        blocking = self.model.blocking(agent, tool, env)
        arguments = {"env": env, "path": str(next(self._paths))}
        answered = self._runner.run(self.world.ask(self.callers[agent], tool, arguments=arguments))
        if expected == "denied":
            assert answered.decision.reasons[0].code == "breaker_open"
            self._tells_who_stops_it(answered, [one.scope for one in blocking])
            return None
        assert STATES.get(answered.action.state) == expected
        self.model.ask(answered.action.id, agent, tool, env)
        return answered.action.id

    def _tells_who_stops_it(self, answered: Answered, scopes: list[Triple]) -> None:
        breaker = answered.decision.breaker
        assert breaker is not None
        told = self.model.breakers[_triple(breaker.scope)]
        assert told.scope in scopes
        assert breaker.by == told.by
        waits = {"open": (told.half_open_at or 0) - self.model.now, "half_open": WAIT}
        assert answered.retry_after == waits.get(told.state)

    @rule(agent=agents, what=st.sampled_from(ASKS), succeeds=st.booleans())
    def ask_and_report(self, agent: str, what: tuple[str, str], succeeds: bool) -> None:  # hypothesis passes by name
        key = self._ask(agent, *what)
        if key is not None and self.model.actions[key].state == "executing":
            self._report(key, "succeeded" if succeeds else "failed")

    @rule(agent=agents, tool=st.sampled_from(("files.read", "files.write")))
    def fail_twice(self, agent: str, tool: str) -> None:
        for _ in range(2):
            self.ask_and_report(agent, (tool, "staging"), False)

    @precondition(lambda self: self.model.standing("executing"))
    @rule(which=numbers, status=st.sampled_from(("succeeded", "succeeded", "failed", "unknown")))
    def report(self, which: int, status: str) -> None:
        running = self.model.standing("executing")
        self._report(running[which % len(running)], status)

    def _report(self, key: str, status: str) -> None:
        caller = self.callers[self.model.actions[key].agent]
        told = Report(attempt="a" * 22, status=ActionState(status), duration_ms=None)
        self._runner.run(report_outcome(self.world.broker, caller, ActionId(key), told))
        self.model.report(key, succeeded=status == "succeeded")

    @precondition(lambda self: self.model.standing("pending"))
    @rule(which=numbers)
    def approve(self, which: int) -> None:
        waiting = self.model.standing("pending")
        key = waiting[which % len(waiting)]
        seen = self._runner.run(watch_action(self.world.broker, self.callers[self.model.actions[key].agent], key))
        assert seen.approval is not None
        answered = self._runner.run(
            approve_action(self.world.broker, self.people["eve"], seen.approval.id, digest_prefix=seen.action.digest)
        )
        assert answered.refused is None
        self.model.approve(key)

    @precondition(lambda self: self.model.standing("ready"))
    @rule(which=numbers)
    def redeem(self, which: int) -> None:
        ready = self.model.standing("ready")
        key = ready[which % len(ready)]
        caller = self.callers[self.model.actions[key].agent]
        seen = self._runner.run(watch_action(self.world.broker, caller, ActionId(key)))
        assert seen.grant is not None
        redeemed = self._runner.run(
            redeem_as_agent(
                self.world.broker,
                caller,
                seen.grant.id,
                attempt="a" * 22,
                digest=seen.action.digest,
                arguments=None,
            )
        )
        assert redeemed.refused is None
        self.model.redeem(key)

    @precondition(lambda self: self.model.standing("pending"))
    @rule(which=numbers)
    def withdraw(self, which: int) -> None:
        waiting = self.model.standing("pending")
        key = waiting[which % len(waiting)]
        self._runner.run(cancel_action(self.world.broker, self.callers[self.model.actions[key].agent], key, ""))
        self.model.withdraw(key)

    @rule(scope=st.sampled_from(SCOPES), who=st.sampled_from(("eve", "sam")))
    def trip(self, scope: Triple, who: str) -> None:
        agent, tool, environment = scope
        named = Scope(agent=agent, tool=tool, environment=environment)
        tripped = self._runner.run(trip_breaker.trip(self.world.broker, self.people[who], named))
        waiting = {*self.model.standing("pending"), *self.model.standing("ready")}
        self.model.trip(scope, who)
        left = {*self.model.standing("pending"), *self.model.standing("ready")}
        assert {action.id for action in tripped.cut_off} == waiting - left

    @precondition(lambda self: self.model.breakers)
    @rule(which=numbers, who=st.sampled_from(PEOPLE))
    def reset(self, which: int, who: str) -> None:
        scopes = sorted(self.model.breakers, key=str)
        self._reset(scopes[which % len(scopes)], who)

    @precondition(lambda self: self.model.breakers)
    @rule(which=numbers)
    def reset_by_two(self, which: int) -> None:
        scopes = sorted(self.model.breakers, key=str)
        for who in ("sam", "eve"):
            self._reset(scopes[which % len(scopes)], who)

    def _reset(self, scope: Triple, who: str) -> None:
        key = next(one.id for one in self._stored() if _triple(one.scope) == scope)
        answered = self._runner.run(trip_breaker.reset(self.world.broker, self.people[who], key, reason="found it"))
        became = answered.refused.code if answered.refused else "closed" if answered.closed else "waits"
        assert became == self.model.reset(scope, who)

    @rule(seconds=st.sampled_from((1, 2, 7, 61, 61, 130, 301, 901, 2_000)))
    def let_time_pass(self, seconds: int) -> None:
        self.world.clock.forward(seconds=seconds)
        self._runner.run(tick(self.world.broker))
        self.model.let_pass(seconds)

    @rule()
    def crash(self) -> None:
        signals = LocalSignals(self.world.clock.steady)
        self.world.broker = replace(self.world.broker, signals=signals, held=Held())
        self._runner.run(recount(self.world.broker))
        self.model.crash()

    @invariant()
    def the_model_agrees_on_every_breaker(self) -> None:
        stored = {_triple(one.scope): _shown(one) for one in self._stored()}
        assert stored == {
            one.scope: (
                one.state,
                one.by,
                one.tripped_at,
                one.half_open_at,
                one.probes,
                None if one.asked is None else one.asked[0],
            )
            for one in self.model.breakers.values()
        }

    @invariant()
    def the_model_agrees_on_every_action(self) -> None:
        async def work(view: View) -> list[Action | None]:
            return [await view.get(Action, ActionId(key)) for key in self.model.actions]

        found = self._runner.run(self.world.ledger.read(work))
        states = {one.id: STATES.get(one.state, "over") for one in found if one is not None}
        assert states == {key: one.state for key, one in self.model.actions.items()}

    def _stored(self) -> Sequence[Breaker]:
        async def work(view: View) -> Sequence[Breaker]:
            return await view.breakers()

        return self._runner.run(self.world.ledger.read(work))


def _triple(scope: Scope) -> Triple:
    return scope.agent, scope.tool, scope.environment


def _shown(one: Breaker) -> tuple[Any, ...]:
    half_open_at = None if one.healing is None else one.healing.half_open_at
    is_closed = one.state is BreakerState.CLOSED
    return (
        one.state.value,
        one.by,
        int(one.since.timestamp()),
        None if half_open_at is None or is_closed else int(half_open_at.timestamp()),
        {probe.action: (probe.agent, probe.by_human, probe.succeeded) for probe in one.probes},
        None if one.reset_asked is None else one.reset_asked.by,
    )


TestBreakerLife = BreakerLife.TestCase
TestBreakerLife.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
TestBreakerLife = pytest.mark.requirement("P6", "T18", "T25")(TestBreakerLife)
