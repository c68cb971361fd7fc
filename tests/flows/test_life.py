"""Agents, humans, breakers, time and crashes in any order, through the real flows on a real ledger file."""

import asyncio
import itertools
import tempfile
from collections import Counter
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, multiple, rule

from assent.core.actions import Action, ActionState
from assent.core.approvals import DenialCategory
from assent.core.breakers import Scope
from assent.core.canonical import Json, load
from assent.core.credentials import Kind
from assent.core.decisions import Answer
from assent.core.grants import GrantId
from assent.flows import authenticate, trip_breaker
from assent.flows.answers import Answered
from assent.flows.resolve_approval import approve_action, deny_action, revoke_approval
from assent.flows.run_action import Report, redeem_as_agent, report_outcome
from assent.flows.tick import tick
from assent.stores.sqlite import SqliteLedger
from tests.flows.world import KEYS, CountedIds, SetClock, TownPolicy, World

T = TypeVar("T")
PEOPLE = ("eve", "sam", "owner")
SCOPES = (Scope(), Scope(agent="bot"), Scope(tool="files.*"), Scope(environment="production"))
ATTEMPTS = tuple(letter * 22 for letter in "abc")


class Lives(RuleBasedStateMachine):
    """Many actions at once; the broker may crash and come back between any two steps."""

    actions = Bundle("actions")
    grants = Bundle("grants")
    trips = Bundle("trips")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = SetClock()
        self.ids = CountedIds()
        self.numbers = itertools.count(1)
        self.tokens: dict[str, str] = {}
        self.may_run: dict[str, set[str]] = {}
        self.open: dict[str, Scope] = {}

    @initialize()
    def begin(self) -> None:
        self.start()
        for kind, name in ((Kind.AGENT, "bot"), *((Kind.OPERATOR, person) for person in PEOPLE)):
            self.tokens[name] = self.run(self.world.token(kind, name))

    def start(self) -> None:
        path = Path(self.folder.name) / "ledger.sqlite"
        self.ledger = SqliteLedger.open(
            path, KEYS, clock=self.clock, new_id=self.ids, unsafe_not_durable="thousands of short stories"
        )
        self.world = World(self.ledger, self.clock, TownPolicy(), self.ids)
        self.broker = replace(
            self.world.broker,
            new_code=lambda: f"AAA-{next(self.numbers):04d}",
            new_nonce=lambda: next(self.numbers).to_bytes(32, "big"),
            new_secret=lambda: f"secret{next(self.numbers):038d}",
        )
        self.world.broker = self.broker

    def run(self, story: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(story)

    def teardown(self) -> None:
        self.run(self.check_the_log())
        self.run(self.ledger.close())
        self.runner.close()
        self.folder.cleanup()

    # the agent

    @rule(
        target=actions,
        tool=st.sampled_from(["files.read", "files.write", "files.delete", "no"]),
        env=st.sampled_from(["production", "staging"]),
        path=st.sampled_from("ab"),
        run_id=st.sampled_from([None, "r1", "r2"]),
        attempt=st.sampled_from(ATTEMPTS),
        key=st.sampled_from([None, "k1", "k2"]),
    )
    def asks(self, **asked: Any) -> Any:
        return self.run(self._asks(**asked))

    async def _asks(self, *, env: str, path: str, key: str | None, attempt: str, **asked: Any) -> Any:
        bot = await authenticate.agent(self.broker, self.tokens["bot"])
        content: Json = {"env": env, "path": path}
        named = None if key is None else f"{key}-{asked['tool']}-{env}-{path}"
        answered = await self.world.ask(
            bot, asked["tool"], arguments=content, run_id=asked["run_id"], attempt=attempt, idempotency_key=named
        )
        self.note(answered, attempt)
        return answered.action.id

    def note(self, answered: Answered, attempt: str) -> None:
        action = answered.action
        if answered.decision.answer is not Answer.ALLOW:
            return
        assert not self.stopped(action.agent, action.tool, action.environment), "allowed although a breaker is open"
        if action.state is ActionState.EXECUTING:
            self.may_run.setdefault(action.id, set()).add(attempt)

    def stopped(self, agent: str, tool: str, environment: str) -> bool:
        return any(s.covers(agent=agent, tool=tool, environment=environment) for s in self.open.values())

    @rule(action=actions, attempt=st.sampled_from(ATTEMPTS))
    def redeems(self, action: str, attempt: str) -> None:
        self.run(self._redeems(action, attempt))

    async def _redeems(self, action: str, attempt: str) -> None:
        grant = await self.ledger.read(lambda view: view.grant_of(action))  # type: ignore[arg-type]  # a plain id
        found = await self.ledger.read(lambda view: view.get(Action, action))
        if grant is None or found is None:
            return
        bot = await authenticate.agent(self.broker, self.tokens["bot"])
        redeemed = await redeem_as_agent(
            self.broker, bot, GrantId(grant.id), attempt=attempt, digest=found.digest, arguments=None
        )
        if redeemed.refused is None:
            if found.state is ActionState.READY:
                assert not self.stopped(found.agent, found.tool, found.environment)
            self.may_run.setdefault(action, set()).add(attempt)

    @rule(action=actions, attempt=st.sampled_from(ATTEMPTS), failed=st.booleans())
    def reports(self, action: str, attempt: str, *, failed: bool) -> None:
        self.run(self._reports(action, attempt, ActionState.FAILED if failed else ActionState.SUCCEEDED))

    async def _reports(self, action: str, attempt: str, status: ActionState) -> None:
        bot = await authenticate.agent(self.broker, self.tokens["bot"])
        told = await report_outcome(self.broker, bot, action, Report(attempt=attempt, status=status))  # type: ignore[arg-type]  # a plain id
        if told.refused is None:
            assert self.may_run[action] == {attempt}

    # the humans

    @rule(action=actions, person=st.sampled_from(PEOPLE), act=st.sampled_from(["approve", "deny", "revoke"]))
    def decides(self, action: str, person: str, act: str) -> None:
        self.run(self._decides(action, person, act))

    async def _decides(self, action: str, person: str, act: str) -> None:
        approval = await self.ledger.read(lambda view: view.approval_of(action))  # type: ignore[arg-type]  # a plain id
        if approval is None:
            return
        caller = await authenticate.operator(self.broker, self.tokens[person], "api")
        if act == "approve":
            voted = await approve_action(self.broker, caller, approval.id, digest_prefix=approval.digest)
            assert person != "owner" or voted.refused is not None
        elif act == "deny":
            await deny_action(self.broker, caller, approval.id, category=DenialCategory.OTHER, comment="")
        else:
            await revoke_approval(self.broker, caller, approval.id, reason="")

    @rule(target=trips, scope=st.sampled_from(SCOPES), person=st.sampled_from(PEOPLE))
    def trips_a_breaker(self, scope: Scope, person: str) -> Any:
        return self.run(self._trips(scope, person))

    async def _trips(self, scope: Scope, person: str) -> str:
        caller = await authenticate.operator(self.broker, self.tokens[person], "api")
        tripped = await trip_breaker.trip(self.broker, caller, scope)
        self.open[tripped.breaker.id] = scope
        return tripped.breaker.id

    @rule(breaker=trips)
    def two_people_reset(self, breaker: str) -> None:
        for person in ("eve", "sam"):
            self.run(self._resets(breaker, person))

    async def _resets(self, breaker: str, person: str) -> None:
        caller = await authenticate.operator(self.broker, self.tokens[person], "api")
        answer = await trip_breaker.reset(self.broker, caller, breaker, reason="")  # type: ignore[arg-type]  # a plain id
        if answer.closed:
            self.open.pop(breaker, None)

    # the world

    @rule(minutes=st.sampled_from([-1440, -1, 1, 4, 16, 31]))
    def the_clock_steps_and_ticks(self, minutes: int) -> None:
        self.clock.forward(minutes=minutes)
        self.run(tick(self.broker))

    @rule(target=actions)
    def the_broker_crashes_and_comes_back(self) -> Any:
        self.run(self.ledger.close())
        self.start()
        return multiple()

    # what always holds, read from the log alone

    async def check_the_log(self) -> None:
        leaves = [leaf for r in await self.world.records() if isinstance(leaf := load(r.leaf), dict)]
        started = Counter(str(leaf["action"]) for leaf in leaves if _starts(leaf))
        assert all(count == 1 for count in started.values()), "started twice"
        assert set(self.may_run) <= set(started), "told to run without a record"
        assert all(len(attempts) == 1 for attempts in self.may_run.values()), "two attempts were told to run it"
        decided = {leaf["action"] for leaf in leaves if leaf["kind"] == "action.decided"}
        assert {leaf["action"] for leaf in leaves if "action" in leaf} <= decided, (
            "something moved that was not decided"
        )


def _starts(leaf: dict[str, Json]) -> bool:
    detail = leaf.get("detail")
    at_once = leaf["kind"] == "action.decided" and isinstance(detail, dict) and detail.get("state") == "executing"
    return at_once or leaf["kind"] == "grant.redeemed"


TestLives = pytest.mark.requirement("P2", "P4", "P6", "T15", "T18", "T20", "T21")(Lives.TestCase)
TestLives.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
