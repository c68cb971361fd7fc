"""A serving broker follows the active policy: woken by who is refused, logged once, told to who asks if it is ready."""

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from assent.core.errors import PolicyBehind
from assent.core.privileges import Activation
from assent.flows.follow_policy import follow_policy
from assent.serving import upkeep
from assent.serving.readiness import ReadinessProbe
from assent.serving.upkeep import AFTER_FAILED_LOAD_SECONDS, PolicyFollow, PolicyWatch, tell_of
from tests.flows.policy_town import Town, with_admin
from tests.flows.replica_town import Replica, published
from tests.flows.test_follow_policy import Older
from tests.policy.directory import NOW, write
from tests.policy.edits import NARROWS, WIDENS

pytestmark = pytest.mark.requirement("T23")

MORE, LESS = with_admin(WIDENS[5]), with_admin(NARROWS[5])


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    (tmp_path / "one").mkdir()
    made = Town(tmp_path / "one")
    await made.start()
    yield made
    await made.close()


@pytest.fixture
async def other(town: Town, tmp_path: Path) -> Replica:
    (tmp_path / "two").mkdir()
    made = Replica(town, tmp_path / "two")
    await made.start()
    return made


def events(logged: list[MutableMapping[str, Any]]) -> list[str]:
    return [str(line["event"]) for line in logged]


async def test_who_is_refused_has_the_active_policy_loaded_at_once(town: Town, other: Replica) -> None:
    bot, ada = await town.agent(), await town.operator()
    follow = PolicyFollow(other.broker)
    looking = asyncio.create_task(follow.look())
    await asyncio.sleep(0)
    await published(town.broker, ada, write(town.directory, LESS))
    with pytest.raises(PolicyBehind):
        await other.ask(bot)
    assert await looking == 0.0, "it waits for no second"
    other.broker.following.kick()
    with capture_logs() as logged:
        assert await follow.look() == 0.0
    assert events(logged) == ["policy_taken_up"]
    assert other.holder.current.version == town.holder.current.version


async def test_who_is_woken_through_signals_looks_as_well(town: Town, other: Replica) -> None:
    other.broker = replace(other.broker, signals=town.broker.signals)
    looking = asyncio.create_task(PolicyFollow(other.broker).look())
    await asyncio.sleep(0)
    ada = await town.operator()
    await published(town.broker, ada, write(town.directory, LESS))
    assert await looking == 0.0


async def test_what_cannot_be_loaded_is_said_once_and_tried_again_later(town: Town, other: Replica) -> None:
    ada = await town.operator()
    await published(town.broker, ada, write(town.directory, LESS))
    older = Older(other.directory, lambda: NOW)
    broker = replace(other.broker, policy=lambda: older.current, policies=older)
    follow = PolicyFollow(broker)
    probe = ReadinessProbe(broker, None)
    with capture_logs() as logged:
        assert [await follow.look() for _ in range(2)] == [AFTER_FAILED_LOAD_SECONDS] * 2
    assert [(line["event"], line["decides"]) for line in logged] == [("policy_not_loaded", "reads only")]
    found = await probe.look()
    assert (found.ready, found.ledger_writable, found.policy_loaded) == (False, True, False)
    assert "cannot be loaded" in found.notes[0]


async def test_a_version_that_waits_and_cannot_be_loaded_keeps_nobody_from_deciding(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    town = Town(tmp_path / "one", Activation.CONFIRM)
    await town.start()
    other = Replica(town, tmp_path / "two")
    await other.start()
    await published(town.broker, await town.operator(), write(town.directory, MORE))
    older = Older(other.directory, lambda: NOW)
    broker = replace(other.broker, policy=lambda: older.current, policies=older)
    with capture_logs() as logged:
        assert await PolicyFollow(broker).look() == AFTER_FAILED_LOAD_SECONDS
    assert [line["decides"] for line in logged] == ["by the active policy"]
    assert (await ReadinessProbe(broker, None).look()).ready
    other.broker.following.kick()
    with capture_logs() as logged:
        await PolicyFollow(other.broker).look()
    assert events(logged) == ["policy_held"]
    await town.close()


async def test_until_it_is_loaded_a_broker_is_not_ready_and_says_what_it_does(town: Town, other: Replica) -> None:
    await published(town.broker, await town.operator(), write(town.directory, LESS))
    found = await ReadinessProbe(other.broker, None).look()
    assert (found.ready, "is being loaded" in found.notes[0]) == (False, True)
    await follow_policy(other.broker)
    assert (await ReadinessProbe(other.broker, None).look()).ready


async def test_a_directory_that_changes_is_not_read_where_policies_are_published(town: Town) -> None:
    await published(town.broker, await town.operator(), write(town.directory, LESS))
    before = town.holder.current.version
    watch = PolicyWatch(town.broker, town.holder, town.directory, look_each_seconds=None)
    write(town.directory, MORE)
    watch.ask()
    with capture_logs() as logged:
        await watch.look()
    assert events(logged) == ["policy_directory_not_read"]
    assert town.holder.current.version == before
    town.restart()
    with capture_logs() as logged:
        tell_of(await town.start())
    assert events(logged)[0] == "policy_directory_not_read"
    assert upkeep.FOLLOW_EACH_SECONDS <= 1.0, "five seconds are promised"
