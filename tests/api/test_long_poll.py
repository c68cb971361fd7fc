"""Long waits: woken by what happens, and over when the caller hangs up or the process goes."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from assent.api import ApiSettings
from assent.stores.signals_local import LocalSignals, LocalSubscription
from tests.api.client import Exchange, bearer, http_scope
from tests.api.town import Town
from tests.flows.world import a_world

BOUND_SECONDS = 10


class Parked:
    """A long-poll on its way; `ended` waits for it, bounded."""

    def __init__(self, town: Town, token: str, target: str) -> None:
        self.exchange = Exchange(deque([b""]))
        scope = http_scope("GET", target, [bearer(token)])
        self._task = asyncio.ensure_future(town.app(scope, self.exchange.receive, self.exchange.send))

    async def ended(self) -> None:
        await asyncio.wait_for(self._task, BOUND_SECONDS)

    @property
    def is_waiting(self) -> bool:
        return not self._task.done()


class WatchedSignals(LocalSignals):
    """Signals that tell when somebody begins to wait, and when they stop."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = asyncio.Event()
        self.over = asyncio.Event()

    def subscribe(self, topics: Sequence[str]) -> LocalSubscription:
        self.begun.set()
        return super().subscribe(topics)

    def end(self, subscription: LocalSubscription) -> None:
        self.over.set()
        super().end(subscription)


async def reached(event: asyncio.Event) -> None:
    await asyncio.wait_for(event.wait(), BOUND_SECONDS)


@pytest.fixture
def signals() -> WatchedSignals:
    return WatchedSignals()


@pytest.fixture
async def town(signals: WatchedSignals) -> AsyncIterator[Town]:
    world = a_world()
    world.broker = replace(world.broker, signals=signals)
    yield Town(world)
    await world.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has


async def test_a_waiting_agent_hears_of_the_yes_as_soon_as_it_is_given(town: Town, signals: WatchedSignals) -> None:
    key, voter = await town.agent(), await town.operator()
    asked = await town.ask(key)
    wait = Parked(town, key, f"/v1/actions/{asked['action_id']}?wait=55&after={asked['revision']}")
    await reached(signals.begun)
    body = {"digest_prefix": asked["digest"][:8]}
    assert (await town.post(voter, f"/v1/approvals/{asked['approval']['id']}/approve", body)).status == 200
    await wait.ended()
    assert json.loads(wait.exchange.heard().body)["state"] == "ready"


async def test_resume_workers_hear_of_the_first_decision(town: Town, signals: WatchedSignals) -> None:
    key, voter = await town.agent(), await town.operator()
    asked = await town.ask(key)
    wait = Parked(town, key, "/v1/actions?state=decided&wait=55")
    await reached(signals.begun)
    await town.post(voter, f"/v1/approvals/{asked['approval']['id']}/deny", {"category": "other", "reason": "x"})
    await wait.ended()
    assert [item["state"] for item in json.loads(wait.exchange.heard().body)["items"]] == ["denied"]


async def test_without_a_revision_to_wait_for_the_answer_comes_at_once(town: Town) -> None:
    key = await town.agent()
    asked = await town.ask(key)
    wait = Parked(town, key, f"/v1/actions/{asked['action_id']}?wait=55")
    await wait.ended()
    assert wait.exchange.heard().status == 200


async def test_hanging_up_ends_the_wait(town: Town, signals: WatchedSignals) -> None:
    key = await town.agent()
    asked = await town.ask(key)
    wait = Parked(town, key, f"/v1/actions/{asked['action_id']}?wait=55&after=1")
    await reached(signals.begun)
    wait.exchange.hang_up()
    await wait.ended()
    assert signals.over.is_set()


async def test_a_shutdown_ends_waits_with_what_is_known(town: Town, signals: WatchedSignals) -> None:
    key = await town.agent()
    asked = await town.ask(key)
    wait = Parked(town, key, f"/v1/actions/{asked['action_id']}?wait=55&after=1")
    await reached(signals.begun)
    assert wait.is_waiting
    town.closing.set()
    await wait.ended()
    assert json.loads(wait.exchange.heard().body)["state"] == "pending"


async def test_while_shutting_down_nobody_begins_to_wait(town: Town) -> None:
    key = await town.agent()
    asked = await town.ask(key)
    town.closing.set()
    await Parked(town, key, f"/v1/actions/{asked['action_id']}?wait=55&after=1").ended()


async def test_a_caller_too_many_is_answered_at_once() -> None:
    world = a_world()
    town = Town(world, ApiSettings(max_waits=0))
    key = await town.agent()
    asked = await town.ask(key)
    await Parked(town, key, f"/v1/actions/{asked['action_id']}?wait=55&after=1").ended()
    await world.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has


@pytest.mark.parametrize("query", ["wait=-1", "wait=x", "wait=nan", "after=-1", "after=x", "wiat=1"])
async def test_a_wait_that_cannot_be_understood_is_refused(town: Town, query: str) -> None:
    key = await town.agent()
    asked = await town.ask(key)
    heard = await town.get(key, f"/v1/actions/{asked['action_id']}?{query}")
    assert (heard.status, heard.code) == (400, "bad_request")
