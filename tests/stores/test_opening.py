"""Opening a ledger: made for its owner alone, recovered after a crash, brought forward, or refused with what to do."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from assent.core.errors import KeysInvalid, LedgerUnavailable
from assent.stores.sealing import LedgerKeys
from assent.stores.sqlite.migrations import shipped
from tests.contracts.samples import OTHER_KEYS
from tests.stores.files import adding, contents, open_at, opened, outside

NAMES = ("one", "two", "three", "four", "five")
OTHER_PAYLOAD_KEY = LedgerKeys(ledger_key=b"l" * 32, payload_key=b"P" * 32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


async def filled(path: Path, *names: str) -> None:
    async with opened(path) as ledger:
        for name in names:
            await ledger.transact(adding(name))


@pytest.mark.requirement("P2")
async def test_what_was_stored_is_there_when_it_is_opened_again(path: Path) -> None:
    await filled(path, "one", "two")
    async with opened(path) as ledger:
        assert await contents(ledger, *NAMES) == (["one", "two"], ["one", "one", "two", "two"])


@pytest.mark.requirement("P9")
async def test_all_files_of_a_ledger_are_for_their_owner_alone(path: Path) -> None:
    async with opened(path) as ledger:
        await ledger.transact(adding("one"))
        modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    assert modes == dict.fromkeys(("ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db.knock"), 0o600)


@pytest.mark.requirement("T24")
@pytest.mark.parametrize("keys", [OTHER_KEYS, OTHER_PAYLOAD_KEY], ids=["ledger key", "payload key"])
async def test_other_keys_do_not_open_a_ledger_not_even_an_empty_one(path: Path, keys: LedgerKeys) -> None:
    for names in ((), ("one",)):
        await filled(path, *names)
        with pytest.raises(KeysInvalid, match="written with") as refused:
            open_at(path, keys=keys)
        assert "put back" in str(refused.value.hint)


async def test_a_ledger_of_a_newer_broker_is_refused_untouched(path: Path) -> None:
    await filled(path, "one")
    with outside(path) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(LedgerUnavailable, match="version 99") as refused:
        open_at(path)
    assert "newer broker" in str(refused.value.hint)
    with outside(path) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (99,)


NEXT = """
-- a comment; with a semicolon
CREATE TABLE later (id TEXT);
CREATE TRIGGER never BEFORE DELETE ON later
BEGIN SELECT RAISE(ABORT, 'no; never'); END;
"""


async def test_an_older_ledger_is_brought_forward_and_a_copy_of_it_is_kept(path: Path) -> None:
    await filled(path, "one")
    async with opened(path, scripts=[*shipped(), NEXT]) as ledger:
        assert (await contents(ledger, *NAMES))[0] == ["one"]
        await ledger.transact(adding("two"))
    copy = path.with_name(f"ledger.db.version-{len(shipped())}")
    assert copy.stat().st_mode & 0o777 == 0o600
    async with opened(copy) as kept:
        assert (await contents(kept, *NAMES))[0] == ["one"]
    with outside(path) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (len(shipped()) + 1,)
        assert database.execute("SELECT count(*) FROM later").fetchone() == (0,)


async def test_a_migration_that_fails_changes_nothing(path: Path) -> None:
    await filled(path, "one")
    with pytest.raises(LedgerUnavailable):
        open_at(path, scripts=[*shipped(), NEXT + "CREATE TABLE later (id TEXT);"])
    async with opened(path) as ledger:
        assert (await contents(ledger, *NAMES))[0] == ["one"]
    with outside(path) as database, pytest.raises(sqlite3.OperationalError, match="no such table"):
        database.execute("SELECT * FROM later")


async def test_a_new_ledger_keeps_no_copy_of_nothing(path: Path) -> None:
    async with opened(path, scripts=[*shipped(), NEXT]):
        pass
    assert not path.with_name("ledger.db.version-0").exists()


def scribbled(path: Path) -> None:
    path.write_bytes(b"this was a ledger once" * 1_000)


def cut(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 4_096)


def cut_to_the_first_page(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(4_096)


@pytest.mark.requirement("T5", "T20")
@pytest.mark.parametrize("harm", [scribbled, cut, cut_to_the_first_page])
async def test_a_damaged_ledger_is_refused_with_the_next_step(path: Path, harm: Callable[[Path], None]) -> None:
    await filled(path, *NAMES)
    harm(path)
    with pytest.raises((LedgerUnavailable, KeysInvalid)) as refused:
        open_at(path)
    assert "restore a backup" in str(refused.value.hint)


@pytest.mark.requirement("T16")
@pytest.mark.parametrize("index", [3, 8])
async def test_a_ledger_with_a_record_missing_near_its_end_is_refused(path: Path, index: int) -> None:
    await filled(path, *NAMES)
    with outside(path) as database:
        database.execute("DROP TRIGGER record_is_never_deleted")
        database.execute("DELETE FROM record WHERE idx = ?", (index,))
    with pytest.raises(LedgerUnavailable, match="missing"):
        open_at(path)


@pytest.mark.requirement("T16", "T24")
async def test_a_ledger_whose_last_record_was_written_by_somebody_else_is_refused(path: Path) -> None:
    await filled(path, *NAMES)
    with outside(path) as database:
        database.execute("UPDATE record SET mac = zeroblob(32) WHERE idx = 9")
    with pytest.raises(KeysInvalid, match="written with"):
        open_at(path)


@pytest.mark.parametrize("where", ["missing/ledger.db", "."])
def test_a_place_that_cannot_hold_a_ledger_is_refused(tmp_path: Path, where: str) -> None:
    with pytest.raises(LedgerUnavailable, match="cannot be opened"):
        open_at(tmp_path / where)


@pytest.mark.requirement("T20")
async def test_a_torn_end_is_recovered_to_a_finished_commit_wherever_it_was_torn(path: Path, tmp_path: Path) -> None:
    async with opened(path):
        pass  # made and closed: the log of what follows begins at its first byte
    async with opened(path) as ledger:
        sizes = []
        for name in NAMES:
            await ledger.transact(adding(name))
            sizes.append(path.with_name("ledger.db-wal").stat().st_size)
        whole = {suffix: path.with_name(f"ledger.db{suffix}").read_bytes() for suffix in ("", "-wal")}
    seen = set()
    for length in range(sizes[2], sizes[4] + 1, 1_031):
        torn = tmp_path / "torn" / f"{length}.db"
        torn.parent.mkdir(exist_ok=True)
        torn.write_bytes(whole[""])
        torn.with_name(f"{torn.name}-wal").write_bytes(whole["-wal"][:length])
        async with opened(torn) as recovered:
            assert recovered.was_left_open
            stored, records = await contents(recovered, *NAMES)
            assert records == [name for name in stored for _ in range(2)]
            assert stored == list(NAMES[: len(stored)])
            assert len(stored) >= 3
            seen.add(len(stored))
            assert await recovered.transact(adding("next")) == "next"
        shutil.rmtree(torn.parent)
    assert {3, 4} <= seen


async def test_a_ledger_of_the_first_version_is_brought_forward_with_what_it_holds(path: Path) -> None:
    async with opened(path, scripts=shipped()[:1]) as ledger:
        # What is latched lay in fewer tables then; nobody decides before such a ledger is brought forward.
        await ledger.transact(adding("one", looks=False))
    async with opened(path) as ledger:
        assert (await contents(ledger, *NAMES))[0] == ["one"]
        await ledger.transact(adding("two"))
    with outside(path) as database:
        assert database.execute("SELECT count(*) FROM budget").fetchone() == (0,)
    assert path.with_name("ledger.db.version-1").exists()
