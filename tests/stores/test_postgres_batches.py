"""Batches on PostgreSQL: nothing marks where a job began until one has to be undone, and then all of it runs again."""

import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from assent.core.agents import AgentState
from assent.core.credentials import Credential, CredentialId
from assent.core.errors import LedgerUnavailable
from assent.ports import Ledger, Tx, View
from assent.stores.postgres import Place, PostgresLedger, batch
from tests.contracts import samples
from tests.contracts.samples import KEYS, Clock, Ids
from tests.stores.cut_line import CutLine
from tests.stores.files import adding, contents, together
from tests.stores.test_postgres_faults import line  # noqa: F401  # a fixture

pytestmark = pytest.mark.requirement("T5", "P2")

IDS = Ids()
Work = Callable[[Tx], Awaitable[Any]]
# What the writer says where a batch runs again, in the order in which it says it.
CAREFUL_WORDS = (b"ROLLBACK", b"SAVEPOINT job\x00", b"RELEASE SAVEPOINT job", b"ROLLBACK TO", b"INSERT INTO record")


class Broken(Exception):
    """What a work raises."""


def opened(place: Place) -> PostgresLedger:
    return PostgresLedger.open(place, KEYS, clock=Clock(), new_id=IDS)


@pytest.fixture
async def ledger(place: Place) -> AsyncIterator[PostgresLedger]:
    ledger = opened(place)
    yield ledger
    await ledger.close()


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a batch take as long as it takes: what shares one is what was asked together, on a slow machine too."""
    monkeypatch.setattr(batch, "BATCH_SECONDS", 60.0)


def breaking(work: Work) -> Work:
    """A flow that does all of `work` and then fails."""

    async def broken(tx: Tx) -> None:
        await work(tx)
        raise Broken

    return broken


async def refusing(_tx: Tx) -> None:
    raise Broken


class Runs:
    """Counts how often works run."""

    def __init__(self) -> None:
        self.of: Counter[str] = Counter()

    def of_work(self, name: str, work: Work) -> Work:
        async def counted(tx: Tx) -> Any:  # what the work returns
            self.of[name] += 1
            return await work(tx)

        return counted


async def test_one_that_fails_before_it_wrote_costs_nobody_a_second_run(ledger: Ledger) -> None:
    runs = Runs()
    works = [runs.of_work("one", adding("one")), runs.of_work("bad", refusing), runs.of_work("two", adding("two"))]
    one, bad, two = await together(ledger, *works)
    assert (one, type(bad), two) == ("one", Broken, "two")
    assert runs.of == {"one": 1, "bad": 1, "two": 1}


async def test_one_that_fails_after_it_wrote_runs_again_with_those_before_it_and_takes_nobody_along(
    ledger: Ledger,
) -> None:
    runs = Runs()
    bad = runs.of_work("bad", breaking(adding("bad")))
    works = [runs.of_work("one", adding("one")), bad, runs.of_work("two", adding("two"))]
    one, failed, two = await together(ledger, *works)
    assert (one, type(failed), two) == ("one", Broken, "two")
    assert runs.of == {"one": 2, "bad": 2, "two": 1}
    stored, recorded = await contents(ledger, "one", "bad", "two")
    assert (stored, recorded) == (["one", "two"], ["one", "one", "two", "two"])


@pytest.mark.parametrize("word", CAREFUL_WORDS, ids=lambda word: word.decode().strip("\x00"))
async def test_a_line_cut_where_a_batch_runs_again_stores_what_was_answered_and_no_more(
    line: CutLine,  # noqa: F811  # the fixture
    word: bytes,
) -> None:
    ledger = opened(line.place)  # type: ignore[attr-defined]  # set where the line is made
    names = ("one", "bad", "two", "worse", "three")
    works = [breaking(adding(name)) if name in {"bad", "worse"} else adding(name) for name in names]
    line.when(word, "cut before")
    answers = await together(ledger, *works)
    line.rule = lambda _text: "pass"
    assert line.met
    assert all(isinstance(answer, str | Broken | LedgerUnavailable) for answer in answers)
    answered = [answer for answer in answers if isinstance(answer, str)]
    assert (await contents(ledger, *names))[0] == answered
    assert await ledger.transact(adding("after")) == "after"
    await ledger.close()


def suspending(name: str) -> Work:
    """A flow that can only run while nobody else is at the gate, and learns so after it wrote."""

    async def work(tx: Tx) -> str:
        await adding(name)(tx)
        await tx.add(samples.status(f"agent of {name}", state=AgentState.SUSPENDED))
        return name

    return work


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_shares_a_batch_each_hears_what_is_true_of_its_own(ledger: Ledger, seed: int) -> None:
    chance = random.Random(seed)  # a test's choice
    kinds: dict[str, Callable[[str], Work]] = {
        "adds": adding,
        "suspends": suspending,
        "breaks": lambda name: breaking(adding(name)),
    }
    names = [f"work {number}" for number in range(16)]
    chosen = {name: chance.choice([*kinds, "breaks early"]) for name in names}
    works = {name: refusing if kind == "breaks early" else kinds[kind](name) for name, kind in chosen.items()}
    twin = chance.choice(names)
    answers = await together(ledger, *works.values(), works[twin])
    heard = dict(zip(names, answers, strict=False))
    if chosen[twin] in {"adds", "suspends"}:
        # Asked twice, it is stored once, and one of the two hears that it was.
        pair = (heard.pop(twin), answers[-1])
        assert sorted(type(answer).__name__ for answer in pair) == ["Stale", "str"], pair
    expected = {name: "str" if chosen[name] in {"adds", "suspends"} else "Broken" for name in heard}
    assert {name: type(answer).__name__ for name, answer in heard.items()} == expected
    stored, recorded = await contents(ledger, *names)
    wanted = [name for name in names if chosen[name] in {"adds", "suspends"}]
    assert (stored, Counter(recorded)) == (wanted, Counter(wanted * 2))


async def test_a_credential_that_another_broker_revoked_is_remembered_by_nobody(place: Place) -> None:
    one, other = opened(place), opened(place)
    made = samples.credential("remembered")

    async def get(tx: View) -> Credential | None:
        await tx.open_breakers()
        return await tx.get(Credential, CredentialId("remembered"))

    async def revoke(tx: Tx) -> None:
        await tx.replace(made, replace(made, revoked_at=samples.T0, revision=made.revision + 1))

    async def add(tx: Tx) -> None:
        await tx.add(made)

    await one.transact(add)
    for _ in range(3):
        assert [await ledger.transact(get) for ledger in (one, other)] == [made, made]
    await other.transact(revoke)
    found = [await ledger.transact(get) for ledger in (one, other)]
    assert [row is not None and row.revoked_at for row in found] == [samples.T0, samples.T0]
    for ledger in (one, other):
        await ledger.close()


async def test_a_credential_is_asked_for_once_as_long_as_none_changes(
    ledger: PostgresLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    link = ledger._writer._link  # type: ignore[attr-defined]  # noqa: SLF001  # what it asks is what is tested
    fetch_one = link.fetch_one

    def noted(query: str, *more: Any) -> Any:  # what the link returns
        asked.append(query)
        return fetch_one(query, *more)

    monkeypatch.setattr(link, "fetch_one", noted)

    async def add(tx: Tx) -> None:
        await tx.add(samples.credential("remembered"))

    async def get(tx: View) -> Credential | None:
        await tx.open_breakers()
        return await tx.get(Credential, CredentialId("remembered"))

    await ledger.transact(add)
    for _ in range(5):
        assert await ledger.transact(get) is not None
    assert len([query for query in asked if 'FROM "credential"' in query]) == 1
