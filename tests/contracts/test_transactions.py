"""One transaction: all of it or nothing, its value only when durable, and a time that never goes back."""

import asyncio
import contextvars
import threading
from collections.abc import Awaitable, Callable, Generator
from dataclasses import replace
from datetime import timedelta

import pytest

from assent.core.actions import Action
from assent.core.breakers import Breaker
from assent.core.canonical import load
from assent.core.errors import AssentError, ForeignAwait, LedgerUnavailable
from assent.core.grants import Grant
from assent.core.looking import RecordFilter
from assent.ports import Gate, Ledger, Tx, View
from tests.contracts import samples
from tests.contracts.samples import T0, Clock

MANY = 100
WAIT_SECONDS = 10.0
REQUEST = contextvars.ContextVar("REQUEST", default="none")


class Refused(Exception):
    """What a flow raises when it changes its mind."""


def adding(name: str) -> Callable[[Tx], Awaitable[str]]:
    async def work(tx: Tx) -> str:
        await tx.add(samples.action(name))
        await tx.append(samples.entry(action=name))
        return name

    return work


def refusing(name: str) -> Callable[[Tx], Awaitable[str]]:
    async def work(tx: Tx) -> str:
        await adding(name)(tx)
        raise Refused(name)

    return work


async def stored(ledger: Ledger, *names: str) -> list[str]:
    async def work(view: View) -> list[str]:
        return [name for name in names if await view.get(Action, name) is not None]

    return await ledger.read(work)


async def indexes(ledger: Ledger) -> list[int | None]:
    async def work(view: View) -> list[int | None]:
        return [record.index for record in (await view.records(RecordFilter(), limit=1_000)).records]

    return await ledger.read(work)


async def test_the_value_of_the_work_comes_back(ledger: Ledger) -> None:
    assert await ledger.transact(adding("a")) == "a"
    assert await stored(ledger, "a") == ["a"]


@pytest.mark.parametrize("gate", Gate)
async def test_both_sides_of_the_gate_pass(ledger: Ledger, gate: Gate) -> None:
    assert await ledger.transact(adding("a"), gate=gate) == "a"


async def test_a_work_that_raises_leaves_nothing_behind(ledger: Ledger) -> None:
    with pytest.raises(Refused):
        await ledger.transact(refusing("a"))
    assert await stored(ledger, "a") == []
    assert await indexes(ledger) == []


@pytest.mark.requirement("P2")
async def test_one_that_raises_among_many_undoes_only_its_own_writes(ledger: Ledger) -> None:
    works = [refusing(f"a{n}") if n % 3 == 0 else adding(f"a{n}") for n in range(MANY)]
    answers = await asyncio.gather(*map(ledger.transact, works), return_exceptions=True)

    kept = [f"a{n}" for n in range(MANY) if n % 3]
    assert [answer for answer in answers if isinstance(answer, str)] == kept
    assert sum(isinstance(answer, Refused) for answer in answers) == MANY - len(kept)
    assert await stored(ledger, *(f"a{n}" for n in range(MANY))) == kept
    assert await indexes(ledger) == list(reversed(range(len(kept))))


async def test_a_transaction_sees_its_own_writes_and_nobody_elses_before_they_are_done(ledger: Ledger) -> None:
    async def work(tx: Tx) -> bool:
        await tx.add(samples.grant())
        return await tx.get(Grant, "gra_1") is not None

    assert await ledger.transact(work)


@pytest.mark.requirement("P6", "T11")
async def test_a_read_after_an_answer_sees_what_was_answered(ledger: Ledger) -> None:
    async def looking(view: View) -> list[str]:
        return [breaker.id for breaker in await view.open_breakers()]

    for n in range(20):
        scope = replace(samples.breaker().scope, agent=f"agent-{n}")
        tripped = samples.breaker(f"brk_{n:02d}", scope=scope)

        async def trip(tx: Tx, tripped: Breaker = tripped) -> None:
            await tx.add(tripped)

        await ledger.transact(trip, gate=Gate.EXCLUSIVE)
        assert tripped.id in await ledger.read(looking)
        assert tripped.id in await ledger.transact(looking)


class Turn:
    """A work that is in the middle of its transaction until it is let go on."""

    def __init__(self, name: str = "turn") -> None:
        self._name = name
        self._entered, self._go_on = threading.Event(), threading.Event()

    async def __call__(self, tx: Tx) -> str:
        self._entered.set()
        assert self._go_on.wait(WAIT_SECONDS)
        return await adding(self._name)(tx)

    async def entered(self) -> None:
        assert await asyncio.to_thread(self._entered.wait, WAIT_SECONDS)

    def go_on(self) -> None:
        self._go_on.set()


class Line:
    """Works that wait behind one that is at its turn, each begun before the next; `order` is how they were stored."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._tasks: list[asyncio.Task[str]] = []

    async def joined_by(self, *works: Callable[[Tx], Awaitable[str]], urgent: bool = False) -> None:
        for work in works:
            asked = self._ledger.transact(work, within_seconds=WAIT_SECONDS, urgent=urgent)
            self._tasks.append(asyncio.create_task(asked))
            await asyncio.sleep(0)

    async def answers(self) -> list[str | BaseException]:
        return await asyncio.gather(*self._tasks, return_exceptions=True)

    async def order(self) -> list[str]:
        async def work(view: View) -> list[str]:
            records = (await view.records(RecordFilter(), limit=1_000)).records
            return [str(load(record.leaf)["action"]) for record in reversed(records)]  # type: ignore[index,call-overload]  # an object

        return await self._ledger.read(work)


@pytest.mark.requirement("P6", "T11")
async def test_what_is_urgent_goes_before_all_that_waits_and_keeps_its_own_order(ledger: Ledger) -> None:
    line, turn = Line(ledger), Turn()
    await line.joined_by(turn)
    await turn.entered()
    await line.joined_by(adding("a"), adding("b"))
    await line.joined_by(adding("u"), adding("v"), urgent=True)
    await line.joined_by(adding("c"))
    turn.go_on()
    assert await line.answers() == ["turn", "a", "b", "u", "v", "c"]
    assert await line.order() == ["turn", "u", "v", "a", "b", "c"]


@pytest.mark.requirement("P2", "P6")
async def test_those_that_are_divided_for_it_lose_nothing_and_keep_their_order(ledger: Ledger) -> None:
    line, first, middle = Line(ledger), Turn("first"), Turn("middle")
    await line.joined_by(first)
    await first.entered()
    # They wait together, so that they begin together; what is urgent comes when the second of them is at its turn.
    await line.joined_by(adding("a"), middle, refusing("b"), adding("c"), adding("d"))
    first.go_on()
    await middle.entered()
    await line.joined_by(adding("u"), urgent=True)
    middle.go_on()
    answers = await line.answers()
    assert isinstance(answers.pop(3), Refused)
    assert answers == ["first", "a", "middle", "c", "d", "u"]
    assert await line.order() == ["first", "a", "middle", "u", "c", "d"]
    assert await indexes(ledger) == list(reversed(range(6)))


async def test_what_is_urgent_and_raises_undoes_only_its_own_writes(ledger: Ledger) -> None:
    line, turn = Line(ledger), Turn()
    await line.joined_by(turn)
    await turn.entered()
    await line.joined_by(adding("a"))
    await line.joined_by(refusing("u"), urgent=True)
    turn.go_on()
    answers = await line.answers()
    assert isinstance(answers[2], Refused)
    assert (answers[:2], await line.order()) == (["turn", "a"], ["turn", "a"])


@pytest.mark.requirement("P6")
async def test_what_is_urgent_and_given_up_before_its_turn_never_runs(ledger: Ledger) -> None:
    line, turn = Line(ledger), Turn()
    await line.joined_by(turn)
    await turn.entered()
    with pytest.raises(LedgerUnavailable):
        await ledger.transact(adding("u"), within_seconds=0.01, urgent=True)
    given_up = asyncio.create_task(ledger.transact(adding("v"), urgent=True))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    turn.go_on()
    assert await line.answers() == ["turn"]
    assert await ledger.transact(adding("w"), urgent=True) == "w"
    assert await line.order() == ["turn", "w"]


async def test_while_what_is_urgent_waits_for_long_everybody_else_goes_on(ledger: Ledger) -> None:
    line, turn = Line(ledger), Turn()
    await line.joined_by(turn)
    await turn.entered()
    await line.joined_by(adding("u"), urgent=True)
    # This runs: the loop is not held until the end.
    turn.go_on()
    assert await line.answers() == ["turn", "u"]


async def sleeping(tx: Tx) -> None:
    await tx.add(samples.action())
    await asyncio.sleep(0)


class Never:
    """Something that is never ready."""

    def __await__(self) -> Generator[None]:
        while True:
            yield


async def waiting_for_ever(tx: Tx) -> None:
    await tx.add(samples.action())
    await Never()


async def swallowing_its_end(tx: Tx) -> None:
    try:
        await sleeping(tx)
    finally:
        await tx.append(samples.entry())


@pytest.mark.parametrize("work", [sleeping, waiting_for_ever, swallowing_its_end], ids=lambda work: work.__name__)
async def test_a_work_that_waits_for_anything_else_is_refused_and_undone(
    ledger: Ledger, work: Callable[[Tx], Awaitable[None]]
) -> None:
    with pytest.raises(ForeignAwait):
        await ledger.transact(work)
    assert await stored(ledger, "act_1") == []
    assert await indexes(ledger) == []
    assert await ledger.transact(adding("b")) == "b"


async def test_a_transaction_that_is_over_answers_nothing(ledger: Ledger) -> None:
    kept: list[Tx] = []

    async def work(tx: Tx) -> None:
        kept.append(tx)

    await ledger.transact(work)
    with pytest.raises(AssentError):
        await kept[0].add(samples.action())
    with pytest.raises(AssentError):
        await kept[0].get(Action, "act_1")


async def test_a_read_that_is_over_answers_nothing(ledger: Ledger) -> None:
    kept: list[View] = []

    async def work(view: View) -> None:
        kept.append(view)

    await ledger.read(work)
    with pytest.raises(AssentError):
        await kept[0].get(Action, "act_1")


async def test_an_error_in_a_read_comes_out(ledger: Ledger) -> None:
    async def work(view: View) -> None:
        raise Refused

    with pytest.raises(Refused):
        await ledger.read(work)


async def test_a_work_runs_in_the_context_of_its_caller(ledger: Ledger) -> None:
    async def work(view: View) -> str:
        return REQUEST.get()

    REQUEST.set("r-17")
    assert await ledger.transact(work) == "r-17"
    assert await ledger.read(work) == "r-17"


async def nows(ledger: Ledger, clock: Clock, *steps: float) -> list[timedelta]:
    seen = []
    for seconds in steps:
        clock.now = T0 + timedelta(seconds=seconds)

        async def work(tx: Tx) -> timedelta:
            record = await tx.append(samples.entry())
            assert record.time == tx.now
            return tx.now - T0

        seen.append(await ledger.transact(work))
    return seen


@pytest.mark.requirement("T15")
async def test_the_ledgers_time_follows_the_clock_and_never_goes_back(ledger: Ledger, clock: Clock) -> None:
    seen = await nows(ledger, clock, 0, 1, -86_400, -1, 1, 2, 86_400, 3)

    assert seen == sorted(seen)
    assert seen[:2] == [timedelta(0), timedelta(seconds=1)]
    assert seen[2] - seen[1] < timedelta(milliseconds=1)
    assert seen[5] == timedelta(seconds=2)
    assert seen[7] >= timedelta(days=1)


@pytest.mark.requirement("T15")
async def test_while_the_clock_stands_behind_the_ledgers_time_goes_on_at_half_the_pace(
    ledger: Ledger, clock: Clock
) -> None:
    async def read(view: View) -> timedelta:
        return view.now - T0

    await nows(ledger, clock, 0)
    clock.step(days=-1)
    seen = []
    for seconds in (60, 60, 3_600):
        clock.let_pass(seconds)
        seen.append(await ledger.read(read))

    assert seen == [timedelta(seconds=30), timedelta(seconds=60), timedelta(seconds=1_860)]
    clock.let_pass(2 * 86_400)
    assert await ledger.read(read) == clock.now - T0


async def test_time_stands_still_within_a_transaction_and_is_utc(ledger: Ledger, clock: Clock) -> None:
    async def work(tx: Tx) -> bool:
        before = tx.now
        clock.step(seconds=1)
        return before == tx.now and tx.now.utcoffset() == timedelta(0)

    assert await ledger.transact(work)


async def test_a_read_has_the_ledgers_time_too(ledger: Ledger, clock: Clock) -> None:
    await nows(ledger, clock, 60)
    clock.now = T0

    async def work(view: View) -> timedelta:
        return view.now - T0

    assert await ledger.read(work) >= timedelta(seconds=60)


@pytest.mark.requirement("P9")
async def test_blinding_tells_equal_values_of_one_purpose_and_nothing_else(ledger: Ledger) -> None:
    blinded = ledger.blind("key", b"secret")

    assert blinded == ledger.blind("key", b"secret")
    assert len({blinded, ledger.blind("key", b"other"), ledger.blind("session", b"secret")}) == 3
    assert b"secret" not in blinded
    assert len(blinded) == 32
