"""A ledger is brought forward with a copy kept beside; whenever that is interrupted, it is the old one or the new."""

import asyncio
import os
import shutil
import sqlite3
from contextlib import closing
from importlib.resources import files
from pathlib import Path

import pytest

from assent.core.errors import LedgerUnavailable
from assent.stores.sqlite import migrations
from assent.stores.sqlite.copies import check_integrity
from assent.stores.sqlite.migrations import shipped
from tests.stores.files import adding, contents, open_at, opened, outside
from tests.stores.killed import was_killed

pytestmark = pytest.mark.requirement("T20")

NAMES = ("one", "two")
LATER = """
CREATE TABLE later (id TEXT);
INSERT INTO later (id) VALUES ('first');
ALTER TABLE later ADD COLUMN more TEXT;
"""
PROGRAM = f'''
import asyncio, sys
from pathlib import Path
from assent.stores.sqlite.migrations import shipped
from tests.stores.files import open_at

asyncio.run(open_at(Path(sys.argv[1]), scripts=[*shipped(), """{LATER}"""]).close())
'''
BEFORE, AFTER = len(shipped()), len(shipped()) + 1


async def filled(path: Path) -> None:
    async with opened(path) as ledger:
        for name in NAMES:
            await ledger.transact(adding(name))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "folder" / "ledger.db"
    path.parent.mkdir()
    asyncio.run(filled(path))
    return path


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as database:
        return migrations.version(database)


async def held_in(path: Path, *more: str) -> list[str]:
    async with opened(path, scripts=[*shipped(), *more]) as ledger:
        return (await contents(ledger, *NAMES))[0]


def kept_beside(path: Path) -> Path:
    return path.with_name(f"ledger.db.version-{BEFORE}")


async def test_whenever_a_migration_is_killed_the_ledger_is_the_old_one_or_the_new_one_and_goes_on(
    path: Path, tmp_path: Path
) -> None:
    (tmp_path / "bring_forward.py").write_text(PROGRAM)
    versions, killed = set(), True
    for step in range(1, 60):
        folder = tmp_path / str(step)
        shutil.copytree(path.parent, folder)
        ledger = folder / "ledger.db"
        killed = was_killed(folder, step, "bring_forward", ledger, search=tmp_path)
        with closing(sqlite3.connect(ledger)) as database:
            found = migrations.version(database)
            assert bool(database.execute("SELECT 1 FROM sqlite_master WHERE name = 'later'").fetchone()) == (
                found == AFTER
            )
        versions.add(found)
        if found == AFTER or kept_beside(ledger).exists():
            check_integrity(kept_beside(ledger))
        assert await held_in(ledger, LATER) == list(NAMES)
        assert await held_in(kept_beside(ledger)) == list(NAMES)
        if not killed:
            break
    assert not killed, "there are more steps than were tried"
    assert versions == {BEFORE, AFTER}


async def test_the_copy_is_for_its_owner_alone_whatever_lay_there_before(path: Path) -> None:
    kept_beside(path).write_bytes(b"of an interrupted migration")
    kept_beside(path).chmod(0o644)
    before = os.umask(0)
    try:
        assert await held_in(path, LATER) == list(NAMES)
    finally:
        os.umask(before)
    assert kept_beside(path).stat().st_mode & 0o777 == 0o600
    assert await held_in(kept_beside(path)) == list(NAMES)


async def test_a_ledger_of_which_no_copy_can_be_kept_is_not_brought_forward(path: Path) -> None:
    kept_beside(path).with_name(f".{kept_beside(path).name}.new.partial").mkdir()
    with pytest.raises(LedgerUnavailable, match=f"version {BEFORE} and stays as it is") as refused:
        open_at(path, scripts=[*shipped(), LATER])
    assert f"version {AFTER}" in str(refused.value.hint)
    assert version(path) == BEFORE
    assert await held_in(path) == list(NAMES)


async def test_a_newer_ledger_is_refused_with_both_versions_named_and_the_copy_opens(path: Path) -> None:
    assert await held_in(path, LATER) == list(NAMES)
    with pytest.raises(LedgerUnavailable, match=f"version {AFTER} and this broker knows versions up to {BEFORE}"):
        open_at(path)
    with outside(path) as database:
        assert database.execute("SELECT id FROM later").fetchall() == [("first",)]
    shutil.copy(kept_beside(path), path)
    assert await held_in(path) == list(NAMES)


@pytest.mark.parametrize("first", range(1, len(shipped()) + 1))
async def test_a_ledger_of_every_earlier_version_is_brought_to_this_one(tmp_path: Path, first: int) -> None:
    path = tmp_path / "ledger.db"
    async with opened(path, scripts=shipped()[:first]):
        pass
    async with opened(path) as ledger:
        await ledger.transact(adding("one"))
    assert version(path) == len(shipped())
    assert path.with_name(f"ledger.db.version-{first}").exists() == (first < len(shipped()))


def test_migrations_are_numbered_without_a_gap_and_no_number_twice() -> None:
    names = sorted(one.name for one in files("assent.stores.sqlite.migrations").iterdir() if one.name.endswith(".sql"))
    assert [int(name.partition("_")[0]) for name in names] == list(range(1, len(names) + 1))
