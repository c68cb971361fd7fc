"""Cards follow the ledger: told once where the route says, changed in place, sought when nobody knows; on record."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from assent.core.approvals import Step
from assent.core.breakers import Scope
from assent.core.deliveries import DeliveryFault, LockedOut, NobodyKnows, NotNow, Undeliverable
from assent.core.errors import LedgerUnavailable, Stale
from assent.flows.answers import Answered
from assent.flows.deliver import AT_ONCE, Round, deliver
from assent.flows.resolve_approval import approve_action
from assent.flows.trip_breaker import trip
from assent.ports import Gate, Ledger
from assent.stores.sqlite import SqliteLedger
from tests.flows.card_town import FIRST_STEP, NEXT, ROOM, SECOND_STEP, Full, Town, Wall, policy
from tests.flows.world import KEYS, CountedIds, SetClock, World, a_world


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    world = a_world(policy=policy(FIRST_STEP, SECOND_STEP))
    yield Town(world, Wall())
    await world.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has


async def ask(town: Town, **more: Any) -> Answered:
    return await town.world.ask(await town.world.agent(), **more)


# --- a card from its beginning to its end -----------------------------------------------------------------------------


async def test_each_step_is_told_when_its_time_has_come_and_nothing_is_told_twice(town: Town) -> None:
    assert await town.round() == Round(looked_at=0, next_due=None)
    await ask(town)
    began = town.world.clock.now
    assert await town.round() == Round(looked_at=1, next_due=began + SECOND_STEP.after)
    assert await town.states() == {ROOM: "current", NEXT: "queued"}
    assert (await town.round(minutes=3)).looked_at == 0
    assert (await town.round(minutes=1)).looked_at == 1
    assert (await town.round(minutes=1)) == Round(looked_at=0, next_due=None)
    assert town.wall.calls == ["announce kitchen", "announce attic"]


@pytest.mark.requirement("P2")
async def test_what_people_saw_is_on_record_with_where_and_a_digest(town: Town) -> None:
    asked = await ask(town)
    assert asked.approval is not None
    await town.round()
    (leaf,) = await town.shown()
    assert (leaf["action"], leaf["approval"]) == (asked.action.id, asked.approval.id)
    assert leaf["detail"] == {
        "destination": ROOM,
        "place": "kitchen/1",
        "card": "5" * 64,
        "revision": asked.approval.revision,
        "state": "pending",
        "approvable": True,
    }


async def test_a_card_names_who_can_vote_and_is_over_once_somebody_said_no(town: Town) -> None:
    asked = await ask(town)
    await town.round()
    assert town.wall.cards == {"kitchen/1": "pending eve,sam"}
    await town.no(asked)
    await town.round()
    assert town.wall.cards == {"kitchen/1": "denied"}
    assert [leaf["detail"]["state"] for leaf in await town.shown()] == ["pending", "denied"]
    # Nobody is told at minute four of what was over before that.
    await town.round(minutes=4)
    assert await town.states() == {ROOM: "over", NEXT: "dead"}
    assert (await town.deliveries())[NEXT].why == "it was over before it was told here"
    assert [call for call in town.wall.calls if call.endswith("attic")] == []


async def test_a_vote_that_decides_nothing_yet_changes_the_card_in_place(town: Town) -> None:
    town.world.policy = policy(FIRST_STEP, people=2)
    asked = await ask(town)
    assert asked.approval is not None
    await town.round()
    eve = await town.world.operator("eve")
    await approve_action(town.world.broker, eve, asked.approval.id, digest_prefix=asked.action.digest)
    await town.round()
    assert town.wall.cards == {"kitchen/1": "partial sam"}
    assert await town.states() == {ROOM: "current"}


@pytest.mark.requirement("P6")
async def test_a_trip_that_withdraws_the_question_reaches_its_card(town: Town) -> None:
    await ask(town)
    await town.round()
    await trip(town.world.broker, await town.world.operator("eve"), Scope(agent="bot"))
    await town.round()
    assert town.wall.cards == {"kitchen/1": "cancelled"}
    assert (await town.states())[ROOM] == "over"


async def test_a_round_takes_a_hundred_and_the_next_one_goes_on(town: Town) -> None:
    town.world.policy = policy(Step(after=timedelta(0), tell=tuple(f"wall:{number}" for number in range(60))))
    await ask(town)
    await ask(town, arguments={"env": "production", "path": "b"})
    assert [(await town.round()).looked_at for _ in range(3)] == [AT_ONCE, 120 - AT_ONCE, 0]
    assert len(town.wall.cards) == len(await town.shown()) == 120


# --- what a channel may answer ----------------------------------------------------------------------------------------


def not_now(seconds: float) -> NotNow:
    fault = NotNow("too many messages")
    fault.retry_after_seconds = seconds
    return fault


@pytest.mark.parametrize(("fault", "seconds"), [(not_now(7), 7), (LockedOut("the token was revoked"), 60)])
async def test_a_channel_that_did_nothing_is_asked_again_when_it_said(
    town: Town, fault: DeliveryFault, seconds: int
) -> None:
    await ask(town)
    town.wall.faults["announce"] = fault
    await town.round()
    waiting = (await town.deliveries())[ROOM]
    assert (waiting.state.value, waiting.why) == ("queued", fault.message)
    assert await town.shown() == []
    town.wall.faults.clear()
    await town.round(seconds=seconds - 1)
    assert (await town.states())[ROOM] == "queued"
    # It says itself that nobody is told here in time: the next step begins after twenty seconds, not four minutes.
    assert (await town.states())[NEXT] == ("current" if seconds > 20 else "queued")
    await town.round(seconds=1)
    assert (await town.states())[ROOM] == "current"
    assert (await town.deliveries())[ROOM].why == ""


async def test_a_place_that_can_never_be_told_is_given_up_and_the_next_step_starts_at_once(town: Town) -> None:
    await ask(town)
    town.wall.faults["announce"] = Undeliverable("the room was torn down")
    await town.round()
    town.wall.faults.clear()
    await town.round()
    assert await town.states() == {ROOM: "dead", NEXT: "current"}
    assert (await town.deliveries())[ROOM].why == "the room was torn down"


@pytest.mark.requirement("T20")
async def test_a_card_whose_answer_got_lost_is_looked_for_and_hangs_there_once(town: Town) -> None:
    await ask(town)
    town.wall.answers_get_lost = True
    await town.round()
    town.wall.answers_get_lost = False
    assert (await town.states())[ROOM] == "sent"
    assert (await town.round(seconds=9)).looked_at == 0
    await town.round(seconds=1)
    await town.round()
    assert town.wall.calls == ["announce kitchen", "find kitchen", "update kitchen"]
    assert (len(town.wall.cards), (await town.states())[ROOM]) == (1, "current")


@pytest.mark.requirement("T20")
async def test_a_card_that_never_arrived_is_announced_again(town: Town) -> None:
    await ask(town)
    town.wall.faults["announce"] = NobodyKnows("the line broke")
    await town.round()
    town.wall.faults.clear()
    await town.round(seconds=10)
    assert (await town.states())[ROOM] == "queued"
    await town.round()
    assert town.wall.calls == ["announce kitchen", "find kitchen", "announce kitchen"]
    assert len(town.wall.cards) == 1


@pytest.mark.requirement("T20")
@pytest.mark.parametrize(
    ("fault", "seconds"),
    [(not_now(7), 7), (LockedOut("no"), 60), (NobodyKnows("no answer"), 10), (DeliveryFault("?"), 10)],
)
async def test_a_card_that_cannot_be_looked_for_is_not_hung_a_second_time(
    town: Town, fault: DeliveryFault, seconds: int
) -> None:
    await ask(town)
    town.wall.answers_get_lost = True
    await town.round()
    town.wall.answers_get_lost = False
    town.wall.faults["find"] = fault
    await town.round(seconds=10)
    sought = (await town.deliveries())[ROOM]
    assert (sought.state.value, sought.why) == ("sent", fault.message)
    # It is left alone as long as it wants to be, and not asked again in the same breath.
    assert (await town.round(seconds=seconds - 1)).looked_at == 0
    town.wall.faults.clear()
    await town.round(seconds=1)
    await town.round()
    assert town.wall.calls == ["announce kitchen", "find kitchen", "find kitchen", "update kitchen"]
    assert (len(town.wall.cards), (await town.states())[ROOM]) == (1, "current")


async def test_a_room_that_went_away_before_the_card_was_found_is_given_up(town: Town) -> None:
    await ask(town)
    town.wall.answers_get_lost = True
    await town.round()
    town.wall.faults["find"] = Undeliverable("the room was torn down")
    await town.round(seconds=10)
    assert (await town.states())[ROOM] == "dead"


async def test_twenty_seconds_without_a_word_start_the_next_step(town: Town) -> None:
    await ask(town)
    town.wall.faults = {name: NobodyKnows("no answer") for name in ("announce", "find")}
    await town.round()
    await town.round(seconds=10)
    assert (await town.deliveries())[NEXT].due_at > town.world.clock.now
    await town.round(seconds=10)
    assert (await town.deliveries())[NEXT].due_at == town.world.clock.now
    town.wall.faults.clear()
    await town.round()
    assert (await town.states())[NEXT] == "current"


@pytest.mark.parametrize(
    "faults",
    [
        {"announce": not_now(5)},
        {"announce": NobodyKnows("no answer")},  # and what is looked for is not there
    ],
)
async def test_a_channel_that_tells_nobody_for_twenty_seconds_starts_the_next_step_whatever_it_answers(
    town: Town, faults: dict[str, DeliveryFault]
) -> None:
    await ask(town)
    town.wall.faults = dict(faults)
    for _ in range(5):
        await town.round(seconds=5)
        await town.round()
    assert "announce attic" in town.wall.calls
    town.wall.faults.clear()
    for _ in range(3):
        await town.round(seconds=10)
    assert await town.states() == {ROOM: "current", NEXT: "current"}


async def test_a_change_that_nobody_confirmed_is_repeated_more_and_more_slowly(town: Town) -> None:
    asked = await ask(town)
    await town.round()
    await town.no(asked)
    town.wall.answers_get_lost = True
    for seconds in (0, 1, 2, 4):
        assert (await town.round(seconds=seconds)).looked_at == 1
        assert (await town.round(seconds=0)).looked_at == 0
    assert (await town.deliveries())[ROOM].why == "no answer came"
    assert len(await town.shown()) == 1
    town.wall.answers_get_lost = False
    await town.round(seconds=8)
    assert (await town.states())[ROOM] == "over"
    assert town.wall.calls == ["announce kitchen"] + ["update kitchen"] * 5
    assert len(await town.shown()) == 2


async def test_a_card_that_was_taken_away_is_hung_anew_while_people_decide(town: Town) -> None:
    town.world.policy = policy(FIRST_STEP, people=2)
    asked = await ask(town)
    assert asked.approval is not None
    await town.round()
    eve = await town.world.operator("eve")
    await approve_action(town.world.broker, eve, asked.approval.id, digest_prefix=asked.action.digest)
    town.wall.faults["update"] = Undeliverable("no such card")
    await town.round()
    await town.round()
    assert town.wall.calls == ["announce kitchen", "update kitchen", "announce kitchen"]
    assert (await town.deliveries())[ROOM].place == "kitchen/3"


async def test_a_card_that_was_taken_away_after_it_was_decided_is_not_hung_anew(town: Town) -> None:
    asked = await ask(town)
    await town.round()
    await town.no(asked)
    town.wall.faults["update"] = Undeliverable("no such card")
    await town.round()
    assert (await town.states())[ROOM] == "dead"
    assert (await town.round()).looked_at == 0


async def test_what_is_decided_while_a_card_is_being_hung_is_told_next(town: Town) -> None:
    asked = await ask(town)

    async def decide() -> None:
        await town.no(asked)

    town.wall.before_answer = decide
    await town.round()
    assert (await town.states())[ROOM] == "current"
    (leaf,) = await town.shown()
    assert leaf["detail"]["state"] == "pending"
    await town.round()
    assert town.wall.cards == {"kitchen/1": "denied"}


# --- processes that die, and two of them ------------------------------------------------------------------------------


class Killed(Exception):
    """The end of a process, in a story."""


@pytest.mark.requirement("T20")
async def test_a_process_that_died_before_it_heard_leaves_a_card_that_the_next_one_finds(town: Town) -> None:
    await ask(town)

    async def die() -> None:
        raise Killed

    town.wall.before_answer = die
    with pytest.raises(Killed):
        await town.round()
    assert (await town.states())[ROOM] == "sent"
    await town.round(seconds=10)
    await town.round()
    assert (len(town.wall.cards), (await town.states())[ROOM]) == (1, "current")


@pytest.mark.requirement("P2", "T5")
async def test_nothing_leaves_before_it_is_on_record_that_it_does(town: Town) -> None:
    await ask(town)
    full: Any = Full(town.world.ledger, good=0)
    with pytest.raises(LedgerUnavailable):
        await deliver(replace(town.world.broker, ledger=full), "wall", town.wall)
    assert town.wall.calls == []
    assert (await town.states())[ROOM] == "queued"


@pytest.mark.requirement("P2", "T5", "T20")
async def test_where_a_card_hangs_and_what_it_showed_are_stored_together_or_not_at_all(town: Town) -> None:
    await ask(town)
    full: Any = Full(town.world.ledger, good=1)
    with pytest.raises(LedgerUnavailable):
        await deliver(replace(town.world.broker, ledger=full), "wall", town.wall)
    kept = (await town.deliveries())[ROOM]
    assert (kept.state.value, kept.place, await town.shown()) == ("sent", None, [])
    await town.round(seconds=10)
    await town.round()
    assert (len(town.wall.cards), len(await town.shown())) == (1, 1)


async def test_two_processes_hang_one_card(town: Town) -> None:
    await ask(town)
    await asyncio.gather(town.round(), town.round())
    assert town.wall.calls == ["announce kitchen"]


async def test_what_another_process_settled_meanwhile_stays_settled(town: Town) -> None:
    asked = await ask(town)
    await town.round()
    await town.no(asked)

    async def settled_by_another() -> None:
        await town.round(seconds=1)

    town.wall.before_answer = settled_by_another
    await town.round()
    assert town.wall.calls == ["announce kitchen", "update kitchen", "update kitchen"]
    assert (await town.states())[ROOM] == "over"
    assert len(await town.shown()) == 2


class Outrun:
    """A ledger where somebody else is first whenever something is settled, as a store without one writer may say."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._calls = 0

    async def transact(self, work: Any, *, within_seconds: float = 2.0, gate: Gate = Gate.SHARED) -> Any:
        self._calls += 1
        if self._calls == 2:
            raise Stale("somebody else was first")
        return await self._ledger.transact(work, within_seconds=within_seconds, gate=gate)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)


async def test_who_is_outrun_settles_nothing_and_goes_on(town: Town) -> None:
    await ask(town)
    outrun: Any = Outrun(town.world.ledger)
    done = await deliver(replace(town.world.broker, ledger=outrun), "wall", town.wall)
    assert done.looked_at == 1
    assert (await town.states())[ROOM] == "sent"


# --- rows that were edited by hand ------------------------------------------------------------------------------------


@dataclass
class OnDisk(Town):
    """A broker whose ledger somebody else can write."""

    path: Path

    def damage(self, table: str, key: str) -> None:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as stranger:
            changed = stranger.execute(f"UPDATE {table} SET mac = x'00' WHERE id = ?", (key,)).rowcount  # our own words
        assert changed == 1


@pytest.fixture
async def on_disk(tmp_path: Path) -> AsyncIterator[OnDisk]:
    path, clock, ids = tmp_path / "ledger.sqlite", SetClock(), CountedIds()
    ledger = SqliteLedger.open(path, KEYS, clock=clock, new_id=ids, unsafe_not_durable="a short story")
    yield OnDisk(World(ledger, clock, policy(FIRST_STEP, SECOND_STEP), ids), Wall(), path)
    await ledger.close()


@pytest.mark.requirement("T19")
@pytest.mark.parametrize("table", ["approval", "action"])
async def test_a_question_that_was_edited_by_hand_is_shown_to_nobody_and_holds_nobody_up(
    on_disk: OnDisk, table: str
) -> None:
    edited, sound = await ask(on_disk), await ask(on_disk)
    assert edited.approval is not None
    on_disk.damage(table, edited.approval.id if table == "approval" else edited.action.id)
    assert (await on_disk.round()).looked_at == 2
    (leaf,) = await on_disk.shown()
    assert leaf["action"] == sound.action.id
    # It is looked at again, but not again and again.
    assert (await on_disk.round(seconds=59)).looked_at == 0
    assert (await on_disk.round(seconds=1)).looked_at == 1
    assert on_disk.wall.calls == ["announce kitchen"]


@pytest.mark.requirement("T19")
async def test_a_card_nobody_heard_of_stays_looked_for_while_its_question_cannot_be_believed(on_disk: OnDisk) -> None:
    asked = await ask(on_disk)
    on_disk.wall.answers_get_lost = True
    await on_disk.round()
    on_disk.damage("action", asked.action.id)
    await on_disk.round(seconds=10)
    assert (await on_disk.states())[ROOM] == "sent"


@pytest.mark.requirement("T19")
async def test_a_later_step_that_was_edited_by_hand_does_not_keep_a_card_from_being_told(on_disk: OnDisk) -> None:
    asked = await ask(on_disk)
    assert asked.approval is not None
    on_disk.damage("delivery", f"{asked.approval.id}.1")
    on_disk.wall.faults["announce"] = not_now(5)
    await on_disk.round()
    on_disk.wall.faults.clear()
    await on_disk.round(seconds=5)
    assert len(await on_disk.shown()) == 1
