"""Copies of a ledger and a ledger in the place of another: whole or not at all, whenever the process is killed."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from assent.core.errors import LedgerUnavailable
from assent.stores.sqlite.copies import check_integrity, copied
from assent.stores.sqlite.exchange import exchange, refuse_interrupted
from assent.stores.sqlite.snapshot import extent, roots_at
from tests.stores.files import adding, contents, open_at, opened
from tests.stores.killed import was_killed

ROOT = Path(__file__).parent.parent.parent
NAMES = ("one", "two", "three")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


async def filled(path: Path, *names: str) -> None:
    async with opened(path) as ledger:
        for name in names:
            await ledger.transact(adding(name))


async def held_in(path: Path) -> list[str]:
    async with opened(path) as ledger:
        return (await contents(ledger, *NAMES))[0]


async def test_a_copy_is_one_file_for_its_owner_alone_with_what_was_committed(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "copies" / "copy.db"
    target.parent.mkdir()
    before = os.umask(0)
    try:
        async with opened(path) as ledger:
            await ledger.transact(adding("one"))
            with copied(path, target):
                pass
            await ledger.transact(adding("two"))
    finally:
        os.umask(before)
    assert {file.name: file.stat().st_mode & 0o777 for file in target.parent.iterdir()} == {"copy.db": 0o600}
    check_integrity(target)
    assert extent(target).records == 2
    assert [file.name for file in target.parent.iterdir()] == ["copy.db"], "looking at it leaves nothing"
    assert await held_in(target) == ["one"]


async def test_what_is_there_already_is_not_overwritten(path: Path) -> None:
    await filled(path, "one")
    target = path.with_name("copy.db")
    target.write_bytes(b"mine")
    with pytest.raises(FileExistsError), copied(path, target):
        pytest.fail("nothing was copied")
    assert target.read_bytes() == b"mine"


async def test_a_link_in_its_place_is_not_followed(path: Path, tmp_path: Path) -> None:
    await filled(path, "one")
    target = path.with_name("copy.db")
    target.symlink_to(tmp_path / "elsewhere.db")
    with pytest.raises(FileExistsError), copied(path, target):
        pytest.fail("nothing was copied")
    assert not (tmp_path / "elsewhere.db").exists()


async def test_a_copy_that_is_refused_leaves_nothing(path: Path) -> None:
    await filled(path, "one")
    before = sorted(path.parent.iterdir())
    with pytest.raises(LedgerUnavailable, match="cannot be read"), copied(path, path.with_name("copy.db")) as copy:
        check_integrity(copy.with_name("other.db"))
    assert sorted(path.parent.iterdir()) == before


def test_what_is_no_ledger_is_not_copied(path: Path) -> None:
    path.write_bytes(b"no ledger" * 1_000)
    with pytest.raises(LedgerUnavailable, match="cannot be read"), copied(path, path.with_name("copy.db")):
        pytest.fail("nothing was copied")
    assert [file.name for file in path.parent.iterdir()] == ["ledger.db"]


def test_every_copy_beside_a_writer_is_of_one_moment(path: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.stores.other_process", str(path), "add for ever"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as writing:
        assert writing.stdout is not None
        sizes = []
        for number in range(5):
            writing.stdout.readline()
            with copied(path, tmp_path / f"{number}.db") as copy:
                check_integrity(copy)
                sizes.append(extent(copy).records)
        writing.kill()
    assert 0 < sizes[0] < sizes[-1]
    assert [size % 2 for size in sizes] == [0] * 5, "each of the writer's works appends two records"


def test_a_disk_that_is_full_is_told_by_the_name_of_the_copy_and_nothing_is_left(path: Path) -> None:
    asyncio.run(filled(path, *NAMES))
    program = (
        "import resource, signal, sys; from pathlib import Path; from assent.stores.sqlite.copies import copied\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "try:\n    with copied(Path(sys.argv[1]), Path(sys.argv[2])): pass\n"
        "except OSError as fault: print(fault.filename)"
    )
    target = path.with_name("copy.db")
    said = subprocess.run(
        [sys.executable, "-c", program, str(path), str(target)], capture_output=True, text=True, check=True, timeout=60
    )
    assert said.stdout.strip() == str(target)
    assert not [file for file in path.parent.iterdir() if "copy" in file.name]


async def test_the_roots_of_a_file_are_those_of_its_records(path: Path) -> None:
    await filled(path, *NAMES)
    found = roots_at(path, [0, 3, 6, 7])
    assert sorted(found) == [0, 3, 6]
    assert len(set(found.values())) == 3


async def test_one_ledger_takes_the_place_of_another_which_is_kept_with_its_log(path: Path) -> None:
    prepared = path.with_name("prepared.db")
    await filled(prepared, "two")
    async with opened(path) as ledger:
        await ledger.transact(adding("one"))
        crashed = path.parent / "crashed"
        crashed.mkdir()
        for suffix in ("", "-wal"):
            shutil.copy(f"{path}{suffix}", crashed / f"ledger.db{suffix}")
    place = crashed / "ledger.db"
    assert exchange(prepared, place, crashed / "kept.db")
    assert await held_in(place) == ["two"]
    assert await held_in(crashed / "kept.db") == ["one"]
    assert not prepared.exists()


async def test_where_nothing_was_there_it_is_put_there(path: Path, tmp_path: Path) -> None:
    await filled(path, "one")
    assert not exchange(path, tmp_path / "place.db", tmp_path / "kept.db")
    assert await held_in(tmp_path / "place.db") == ["one"]


EXCHANGE = """
import sys
from pathlib import Path
from assent.stores.sqlite.exchange import exchange
exchange(*map(Path, sys.argv[1:]))
"""


@pytest.mark.requirement("T20")
async def test_whenever_an_exchange_is_killed_one_of_the_two_is_served_or_none_and_it_can_be_done_again(
    tmp_path: Path,
) -> None:
    program = tmp_path / "exchange_once.py"
    program.write_text(EXCHANGE)
    states, killed = set(), True
    for step in range(1, 30):
        folder = tmp_path / f"step{step}"
        ledger, prepared = folder / "ledger.db", folder / "new.db"
        folder.mkdir()
        await filled(ledger, "one")
        await filled(prepared, "two")
        killed = was_killed(folder, step, program.stem, prepared, ledger, folder / "kept.db", search=tmp_path)
        states.add(await served(ledger))
        if not killed:
            break
        again = folder / "again.db"
        await filled(again, "two")
        exchange(again, ledger, folder / "kept again.db")
        assert await held_in(ledger) == ["two"]
        kept = [file for file in (folder / "kept.db", folder / "kept again.db") if file.exists()]
        assert "one" in [name for file in kept for name in await held_in(file)]
    assert not killed
    assert states == {"one", "two", "none"}


async def served(ledger: Path) -> str:
    try:
        refuse_interrupted(ledger)
    except LedgerUnavailable:
        with pytest.raises(LedgerUnavailable, match="interrupted"):
            open_at(ledger)
        return "none"
    (name,) = await held_in(ledger)
    return name


def test_a_damaged_file_is_found_by_its_structure(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE t (a TEXT)")
        database.executemany("INSERT INTO t VALUES (?)", [("x" * 500,) for _ in range(200)])
        database.commit()
    with path.open("r+b") as file:
        file.seek(4_096 * 5)
        file.write(b"\xff" * 4_096)
    with pytest.raises(LedgerUnavailable):
        check_integrity(path)
