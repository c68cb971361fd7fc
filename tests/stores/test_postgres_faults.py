"""A database that goes away, hangs, fills up or is put back: nothing is answered that is not stored, and it goes on."""

import asyncio
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog

from assent.core.actions import Action
from assent.core.errors import Forged, KeysInvalid, LedgerUnavailable
from assent.core.grants import Grant, GrantState
from assent.core.records import RecordKind
from assent.flows.log_says import believe_log
from assent.ports import Gate, Ledger, Tx, View
from assent.stores.postgres import Place, PostgresLedger, batch
from tests.contracts import samples
from tests.contracts.samples import KEYS, OTHER_KEYS, Clock, Ids
from tests.postgres_server import Server, started, why_not
from tests.stores.cut_line import CutLine
from tests.stores.files import adding, contents, together

pytestmark = pytest.mark.requirement("T5", "P2", "T20")

FOUR = ("one", "two", "three", "four")
# Each is said in the open once: later a statement goes by the name under which the server has prepared it.
WORDS = (b'INSERT INTO "action"', b"end_of_log", b"INSERT INTO record")
PATIENT_SECONDS = 2.5
ENOUGH = 60


def opened(place: Place, ids: Ids | None = None) -> PostgresLedger:
    return PostgresLedger.open(place, KEYS, clock=Clock(), new_id=ids or Ids())


@pytest.fixture
def line(postgres: Server, place: Place) -> Iterator[CutLine]:
    # A socket's path has to be short.
    with tempfile.TemporaryDirectory(prefix="cut") as folder:
        line = CutLine(postgres.folder, Path(folder))
        line.place = Place(url=place.url.replace(str(postgres.folder), folder))  # type: ignore[attr-defined]  # for the tests here
        yield line
        line.close()


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a batch take as long as it takes: what shares one is what was asked together, on a slow machine too."""
    monkeypatch.setattr(batch, "BATCH_SECONDS", 60.0)


@pytest.fixture
async def ledger(line: CutLine) -> AsyncIterator[PostgresLedger]:
    ledger = opened(line.place)  # type: ignore[attr-defined]  # see above
    yield ledger
    await ledger.close()


@pytest.fixture
def own_server() -> Iterator[Server]:
    """Start a server that a test may kill, stop and fill."""
    if why_not() is not None or "ASSENT_TEST_POSTGRES" in os.environ:
        pytest.skip(why_not() or "the server that is named is not this test's to kill")
    server = started()
    yield server
    server.stop()


def refused(answers: Iterable[Any]) -> bool:
    return all(isinstance(answer, LedgerUnavailable) for answer in answers)


async def test_a_line_that_was_cut_while_nothing_ran_costs_nobody_anything(ledger: Ledger, line: CutLine) -> None:
    assert await ledger.transact(adding("one")) == "one"
    line.when(b"BEGIN", "cut before")
    assert await ledger.transact(adding("two")) == "two"
    assert line.met == ["cut before"]


@pytest.mark.parametrize("word", WORDS, ids=bytes.decode)
async def test_a_line_cut_in_a_batch_fails_all_of_it_and_stores_none(
    ledger: Ledger, line: CutLine, word: bytes
) -> None:
    line.when(word, "cut before")
    answers = await together(ledger, *map(adding, FOUR))
    line.rule = lambda _text: "pass"
    assert line.met
    # What shared the batch that was cut heard so; what had not run yet was the next batch, and is stored.
    answered = [name for name, answer in zip(FOUR, answers, strict=True) if answer == name]
    assert refused([answer for answer in answers if not isinstance(answer, str)])
    stored, _ = await contents(ledger, *FOUR)
    assert stored == answered
    assert await ledger.transact(adding("after")) == "after"


@pytest.mark.parametrize(("what", "is_stored"), [("cut before", False), ("cut after", True)])
async def test_a_line_cut_at_the_commit_answers_nobody_and_asking_again_tells(
    ledger: Ledger, line: CutLine, what: str, *, is_stored: bool
) -> None:
    line.when(b"COMMIT\x00", what, after=1)
    answers = await together(ledger, *map(adding, FOUR))
    assert line.met == [what]
    assert refused(answers)
    with structlog.testing.capture_logs() as events:
        assert await ledger.transact(adding("after")) == "after"
    # Before anything else was written, the database was asked what became of it.
    (settled,) = (event for event in events if event["event"] == "commit_was_in_doubt")
    assert settled["became"] == ("committed" if is_stored else "aborted")
    stored, recorded = await contents(ledger, *FOUR)
    assert stored == (list(FOUR) if is_stored else [])
    assert recorded.count("after") == 2


async def test_a_line_that_swallows_everything_is_given_up_in_time(ledger: Ledger, line: CutLine) -> None:
    line.when(b"INSERT INTO", "swallow")
    began = asyncio.get_running_loop().time()
    with pytest.raises(LedgerUnavailable):
        await ledger.transact(adding("one"))
    assert asyncio.get_running_loop().time() - began < PATIENT_SECONDS
    assert await ledger.transact(adding("two"), within_seconds=10) == "two"
    assert (await contents(ledger, "one", "two"))[0] == ["two"]


def redeeming(between: Callable[[], None] = lambda: None) -> Callable[[Tx], Awaitable[str]]:
    """A redemption as a flow makes it: row first, then the log; `between` the two, once, something else happens."""
    happens = iter([between])

    async def work(tx: Tx) -> str:
        action, grant = await tx.get(Action, "act_1"), await tx.get(Grant, "grt_1")
        assert action is not None
        assert grant is not None
        if grant.state is GrantState.SPENT:
            return "spent already"
        next(happens, lambda: None)()
        await believe_log(tx, action, RecordKind.GRANT_REDEEMED)
        await tx.replace(grant, replace(grant, state=GrantState.SPENT, attempt=b"a" * 16, revision=grant.revision + 1))
        await tx.append(samples.entry(kind=RecordKind.GRANT_REDEEMED, action=action.id))
        return "redeemed"

    return work


async def granted(tx: Tx) -> None:
    await tx.add(samples.action("act_1"))
    await tx.add(samples.grant("grt_1", action="act_1"))


@pytest.mark.requirement("P4", "T19")
async def test_what_another_broker_commits_between_two_questions_is_not_taken_for_forgery(
    ledger: PostgresLedger, place: Place
) -> None:
    await ledger.transact(granted)
    other = opened(place, Ids(itertools.count(1_000)))
    with ThreadPoolExecutor(1) as beside:

        def meanwhile() -> None:
            assert beside.submit(asyncio.run, other.transact(redeeming())).result(10) == "redeemed"

        assert await ledger.transact(redeeming(meanwhile), within_seconds=10) == "spent already"
    await other.close()


@pytest.mark.requirement("P4", "T19")
async def test_a_row_that_was_put_back_is_forged_for_who_looks_alone_too(
    ledger: PostgresLedger, place: Place, postgres: Server
) -> None:
    await ledger.transact(granted)
    postgres.run("DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT * FROM assent.grant", place.url)
    assert await ledger.transact(redeeming()) == "redeemed"
    columns = ", ".join(f"{name} = kept.{name}" for name in ("revision", "state", "facts", "sealed", "mac"))
    postgres.run(f"UPDATE assent.grant SET {columns} FROM kept; DROP TABLE kept", place.url)
    with pytest.raises(Forged, match="is on record"):
        await ledger.transact(redeeming())


async def test_a_trip_waits_no_longer_than_two_seconds_for_one_who_hangs_at_the_gate(
    ledger: PostgresLedger, line: CutLine, place: Place
) -> None:
    hanging = opened(place)
    entered, released = threading.Event(), threading.Event()

    async def hang(tx: Tx) -> None:
        await tx.add(samples.action("hangs"))
        entered.set()
        assert released.wait(30)

    task = asyncio.create_task(hanging.transact(hang, within_seconds=30))
    assert await asyncio.to_thread(entered.wait, 10)
    tripped = None
    for _ in range(3):
        try:
            await ledger.transact(lambda tx: tx.add(samples.breaker()), gate=Gate.EXCLUSIVE, within_seconds=5)
            tripped = True
            break
        except LedgerUnavailable:
            continue
    assert tripped
    released.set()
    with pytest.raises(LedgerUnavailable):
        await task
    assert await ledger.read(lambda view: view.get(Action, "hangs")) is None
    await hanging.close()


async def one(tx: Tx) -> int:
    await tx.append(samples.entry())
    return 1


async def test_a_server_that_is_killed_answers_nothing_and_is_used_again_when_it_is_back(own_server: Server) -> None:
    ledger = opened(Place(url=own_server.fresh()))
    answered = [await ledger.transact(adding(name)) for name in FOUR]
    own_server.kill()
    assert refused(await asyncio.gather(ledger.transact(one), ledger.read(nothing), return_exceptions=True))
    own_server.start()
    assert await ledger.transact(adding("after")) == "after"
    assert (await contents(ledger, *FOUR))[0] == answered
    await ledger.close()


async def nothing(view: View) -> None:
    await view.next_due()


async def test_a_server_killed_under_load_loses_nothing_that_was_answered(own_server: Server) -> None:
    ledger = opened(Place(url=own_server.fresh()))
    names, answered, enough = iter(range(10_000)), list[str](), asyncio.Event()

    async def load() -> None:
        for n in names:
            try:
                answered.append(await ledger.transact(adding(f"n{n}")))
                if len(answered) >= ENOUGH:
                    enough.set()
            except LedgerUnavailable:
                return

    tasks = [asyncio.create_task(load()) for _ in range(8)]
    async with asyncio.timeout(30):
        await enough.wait()
    await asyncio.to_thread(own_server.kill)
    await asyncio.gather(*tasks)
    own_server.start()
    stored, _ = await contents(ledger, *answered)
    assert stored == answered
    await ledger.close()


async def test_a_server_that_stands_still_is_not_waited_for(own_server: Server) -> None:
    ledger = opened(Place(url=own_server.fresh()))
    assert await ledger.transact(adding("one")) == "one"
    processes = own_server.backends()
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    began = asyncio.get_running_loop().time()
    assert refused(await asyncio.gather(ledger.transact(one), ledger.read(nothing), return_exceptions=True))
    assert asyncio.get_running_loop().time() - began < PATIENT_SECONDS
    for process in processes:
        os.kill(process, signal.SIGCONT)
    answers = [(await asyncio.gather(ledger.transact(adding("two")), return_exceptions=True))[0] for _ in range(3)]
    assert "two" in answers
    assert (await contents(ledger, "one", "two"))[0] == ["one", "two"]
    await ledger.close()


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """Make a disk of 110 MB, where this machine lets a test do that."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if os.getuid() != 0 or mount is None or umount is None:
        pytest.skip("a disk that fills up is made by root")
    # A socket's path has to be short, and the server's own user has to get there.
    with tempfile.TemporaryDirectory(prefix="sm") as folder:
        mounting = [mount, "-t", "tmpfs", "-o", "size=110m,mode=777", "tmpfs", folder]
        if subprocess.run(mounting, check=False, capture_output=True).returncode != 0:
            pytest.skip("a disk that fills up cannot be made here")
        try:
            yield Path(folder)
        finally:
            subprocess.run([umount, folder], check=True)


async def answered_until_refused(ledger: PostgresLedger) -> tuple[list[str], LedgerUnavailable]:
    answered = []
    for n in range(10_000):
        try:
            answered.append(await ledger.transact(adding(f"n{n}")))
        except LedgerUnavailable as refusal:
            return answered, refusal
    raise AssertionError("it was never refused")


async def test_a_disk_that_is_full_stops_decisions_and_nothing_that_was_answered_is_lost(small_disk: Path) -> None:
    if why_not() is not None or "ASSENT_TEST_POSTGRES" in os.environ:
        pytest.skip(why_not() or "the server that is named has a disk of its own")
    server = started(small_disk)
    try:
        ledger = opened(Place(url=server.fresh()))
        disk = os.statvfs(small_disk)
        (small_disk / "filling").write_bytes(bytes(disk.f_bavail * disk.f_frsize))
        answered, refusal = await answered_until_refused(ledger)
        assert "disk under the ledger's database is full" in refusal.message
        assert refused(await together(ledger, *map(adding, FOUR)))
        (small_disk / "filling").unlink()
        assert await ledger.transact(adding("after")) == "after"
        assert (await contents(ledger, *answered, *FOUR))[0] == answered
        await ledger.close()
    finally:
        server.stop()


@pytest.mark.requirement("P8", "T16")
async def test_a_database_that_is_put_back_under_the_broker_is_refused_for_good(postgres: Server, place: Place) -> None:
    ledger = opened(place)
    for name in FOUR:
        await ledger.transact(adding(name))
    back = "SET session_replication_role = replica; DELETE FROM assent.record WHERE idx > 3"
    postgres.run(back, place.url)
    with pytest.raises(LedgerUnavailable, match="put back to an older state"):
        await ledger.transact(one)
    async with asyncio.timeout(5):
        assert "put back" in (await ledger.failed()).message
    with pytest.raises(LedgerUnavailable, match="put back"):
        await ledger.transact(one)
    await ledger.close()


@pytest.mark.requirement("P8", "T16")
async def test_another_log_of_the_same_length_is_noticed_with_the_next_connection(
    postgres: Server, place: Place
) -> None:
    ledger = opened(place)
    await ledger.transact(adding("one"))
    postgres.run(
        "SET session_replication_role = replica; TRUNCATE assent.record, assent.action, assent.grant", place.url
    )
    other = opened(place, Ids())
    await other.transact(adding("two"))
    await other.close()
    others = "pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
    postgres.run(f"SELECT pg_terminate_backend(pid) FROM {others}", place.url)
    with pytest.raises(LedgerUnavailable, match="put back to an older state"):
        await ledger.transact(one)
    await ledger.close()


async def test_a_transaction_that_the_server_undid_is_no_commit(postgres: Server, place: Place) -> None:
    # A constraint that is looked at when the transaction ends: the commit itself is refused.
    ledger = opened(place)
    await ledger.transact(adding("before"))
    postgres.run(
        "CREATE FUNCTION assent.no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;"
        "CREATE CONSTRAINT TRIGGER no AFTER INSERT ON assent.record DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION assent.no()",
        place.url,
    )
    assert refused(await together(ledger, *map(adding, FOUR)))
    postgres.run("DROP TRIGGER no ON assent.record; DROP FUNCTION assent.no()", place.url)
    assert await ledger.transact(adding("after")) == "after"
    assert (await contents(ledger, *FOUR))[0] == []
    await ledger.close()


async def test_a_ledger_of_other_keys_is_refused(place: Place) -> None:
    await opened(place).close()
    with pytest.raises(KeysInvalid):
        PostgresLedger.open(place, OTHER_KEYS, clock=Clock(), new_id=Ids())


def test_a_database_that_is_not_there_is_said_to_be(postgres: Server) -> None:
    with pytest.raises(LedgerUnavailable, match="no such database"):
        opened(Place(url=postgres.url("nowhere")))
    with pytest.raises(LedgerUnavailable, match="cannot be reached"):
        opened(Place(url="postgresql://x@/x?host=/nowhere"))
