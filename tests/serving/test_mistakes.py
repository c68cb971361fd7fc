"""What goes wrong on a machine: each is told with what to do about it, and nothing is lost."""

import json
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from assent.cli.exits import Exit
from assent.stores.sqlite.copies import check_integrity
from assent.stores.sqlite.snapshot import extent
from tests.serving.broker_process import BrokerProcess, Home, run
from tests.serving.namespaces import on_full_disk, on_read_only, require_namespaces
from tests.stores.files import outside

pytestmark = pytest.mark.requirement("T5")


@pytest.fixture
def _mounts() -> None:
    require_namespaces()


@pytest.fixture(params=[0o002, 0o000])
def open_to_others(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def told(said: str) -> None:
    """Hold what was said to one line of what is wrong and one of what to do."""
    lines = said.splitlines()
    assert [line[:7] for line in lines] == ["assent:", "  next:"], said
    assert "unforeseen" not in said


READ_ONLY = {
    "serve": (("serve", "--port", "0"), Exit.UNREACHABLE),
    "rotate": (("keys", "rotate", "log"), Exit.USAGE),
    "restore": (("restore", "{copy}"), Exit.UNREACHABLE),
}


@pytest.mark.usefixtures("_mounts")
@pytest.mark.parametrize("what", READ_ONLY)
def test_in_a_read_only_folder_it_is_told_and_nothing_is_changed(home: Home, tmp_path: Path, what: str) -> None:
    copy = tmp_path / "copy.db"
    assert run("backup", str(copy), "--config", str(home.config)).returncode == 0
    before = contents(home.directory)
    words, code = READ_ONLY[what]
    ended = on_read_only(home.directory, *(word.format(copy=copy) for word in words), "--config", str(home.config))
    assert (ended.returncode, "read-only file system" in ended.stderr) == (code, True)
    told(ended.stderr)
    assert contents(home.directory) == before


@pytest.mark.usefixtures("_mounts")
def test_what_only_reads_works_in_a_read_only_folder(home: Home, tmp_path: Path) -> None:
    listed = on_read_only(home.directory, "keys", "list", "--config", home.config)
    assert (listed.returncode, len(listed.stdout.splitlines())) == (0, 4)
    made = on_read_only(home.directory, "backup", tmp_path / "copy.db", "--config", home.config)
    assert made.returncode == 0, made.stderr


@pytest.mark.usefixtures("_mounts")
@pytest.mark.parametrize("words", [("init", "{folder}/new"), ("init", "{folder}")])
def test_nothing_is_made_in_a_read_only_folder(tmp_path: Path, words: tuple[str, ...]) -> None:
    folder = tmp_path / "folder"
    ended = on_read_only(folder, *(word.format(folder=folder) for word in words))
    assert (ended.returncode, list(folder.iterdir())) == (Exit.USAGE, [])
    told(ended.stderr)


FULL = {
    "serve": (("serve", "--port", "0"), Exit.UNREACHABLE),
    "rotate": (("keys", "rotate", "log"), Exit.USAGE),
    "restore": (("restore", "{copy}"), Exit.USAGE),
    "backup": (("backup", "{folder}/copy.db"), Exit.USAGE),
}


@pytest.mark.usefixtures("_mounts")
@pytest.mark.parametrize("what", FULL)
def test_on_a_full_disk_it_is_told_and_nothing_is_lost(home: Home, tmp_path: Path, what: str) -> None:
    copy, folder, left = tmp_path / "copy.db", tmp_path / "disk", tmp_path / "left"
    assert run("backup", str(copy), "--config", str(home.config)).returncode == 0
    words, code = FULL[what]
    spoken = [word.format(copy=copy, folder=folder) for word in words]
    ended = on_full_disk(folder, home.directory, left, *spoken, "--config", folder / "assent.toml")
    assert (ended.returncode, "full" in ended.stderr or "no space left" in ended.stderr) == (code, True), ended.stderr
    told(ended.stderr)
    kept = {name: content for name, content in contents(left).items() if name != "filler.end"}
    assert {name: kept[name] for name in contents(home.directory)} == contents(home.directory)
    check_integrity(left / "ledger.db")
    shutil.rmtree(home.directory)
    shutil.copytree(left, home.directory)
    with BrokerProcess(home=home) as broker:
        assert broker.ask("files.read", path="prod/a")["decision"] == "allow"


@pytest.mark.usefixtures("_mounts")
@pytest.mark.requirement("P9")
def test_a_broker_that_could_not_be_made_whole_is_not_left_in_parts(tmp_path: Path) -> None:
    folder, staged, left = tmp_path / "disk", tmp_path / "staged", tmp_path / "left"
    staged.mkdir()
    ended = on_full_disk(folder, staged, left, "init", folder / "new")
    assert (ended.returncode, "no space left" in ended.stderr) == (Exit.USAGE, True), ended.stderr
    told(ended.stderr)
    assert [path.name for path in left.iterdir()] == ["filler.end"]


@pytest.mark.usefixtures("open_to_others")
@pytest.mark.requirement("P9", "T23")
def test_whatever_the_umask_a_broker_that_was_made_serves_and_its_secrets_are_for_its_owner(tmp_path: Path) -> None:
    made = run("init", str(tmp_path / "broker"), "--json")
    said = json.loads(made.stdout)
    home = Home(directory=tmp_path / "broker", operator_token=said["operator"]["token"], agent_key=said["agent"]["key"])
    with BrokerProcess(home=home) as broker:
        assert broker.ask("files.read", path="prod/a")["decision"] == "allow"
        rotated = run("keys", "rotate", "log", "--config", str(home.config))
        assert rotated.returncode == 0, rotated.stderr
        assert broker.stop() == 0
    private = ("keys", "ledger.db", "ledger.db.checkpoint")
    for path in (path for name in private for path in (home.directory / name, *(home.directory / name).rglob("*"))):
        assert path.stat().st_mode & 0o077 == 0, path
    for path in (home.directory / "policies").rglob("*"):
        assert path.stat().st_mode & 0o022 == 0, path


@pytest.mark.requirement("T15")
def test_a_clock_that_was_set_back_is_told_at_the_start_and_the_broker_goes_on(home: Home) -> None:
    with BrokerProcess(home=home) as broker:
        broker.ask("files.read", path="prod/a")
        assert broker.stop() == 0
    ahead = datetime.now(UTC) + timedelta(hours=1)
    set_forward(home, ahead)
    with BrokerProcess(home=home) as broker:
        assert broker.ask("files.read", path="prod/a")["decision"] == "allow"
        (event,) = [e for line in broker.log().splitlines() if (e := json.loads(line))["event"] == "clock_behind"]
        assert 3_500 < event["seconds"] <= 3_600
        assert "set the clock right" in event["hint"]
        assert broker.records("action.decided")[0]["time"] > ahead.isoformat()[:19]


def set_forward(home: Home, ahead: datetime) -> None:
    """Let a broker whose clock is an hour ahead have written one more record."""
    import asyncio

    from assent.core.records import Entry, RecordKind
    from assent.stores.keys import Keys
    from assent.stores.sqlite import SqliteLedger
    from assent.wiring import fresh

    async def append() -> None:
        keys = Keys.load(home.directory / "keys").ledger_keys()
        ledger = SqliteLedger.open(home.ledger, keys, clock=lambda: ahead, new_id=fresh.new_id)
        await ledger.transact(lambda tx: tx.append(Entry(kind=RecordKind.BROKER_STOPPED, detail={"version": "0"})))
        await ledger.close()

    asyncio.run(append())


CONFIGURATIONS = {
    "a typo": ("prot = 1\n", "`prot`", "did you mean `port`"),
    "out of bounds": ("port = 70000\n", "`port` is `70000`", "correct `port`"),
    "no number": ('port = "x"\n', "`port` is `x`", "correct `port`"),
    "not TOML": ("port = \n", "is not TOML", "correct it at that place"),
    "unsafe": ('host = "0.0.0.0"\n', "`host`", "behind_proxy"),
    "half of TLS": ('tls_key_file = "x"\n', "`tls_certificate_file`", "or neither"),
}


@pytest.mark.parametrize("what", CONFIGURATIONS)
def test_a_mistake_in_the_configuration_names_the_key_and_the_fix(home: Home, what: str) -> None:
    line, key, fix = CONFIGURATIONS[what]
    home.config.write_text(line)
    ended = run("serve", "--config", str(home.config))
    assert ended.returncode == Exit.USAGE
    assert (key in ended.stderr, fix in ended.stderr) == (True, True), ended.stderr
    told(ended.stderr)


def test_a_ledger_of_another_broker_is_refused_and_left_as_it_is(home: Home, made: Home, tmp_path: Path) -> None:
    other = tmp_path / "other"
    assert run("init", str(other), "--json").returncode == 0
    shutil.copy(other / "ledger.db", home.ledger)
    before = home.ledger.read_bytes()
    ended = run("serve", "--config", str(home.config), "--port", "0")
    assert (ended.returncode, "put back `ledger_key`" in ended.stderr) == (Exit.USAGE, True)
    assert home.ledger.read_bytes() == before


def test_a_newer_ledger_is_refused_with_both_versions(home: Home) -> None:
    found = extent(home.ledger).version
    with outside(home.ledger) as database:
        database.execute("PRAGMA user_version = 99")
    ended = run("serve", "--config", str(home.config), "--port", "0")
    assert ended.returncode == Exit.UNREACHABLE
    assert f"version 99 and this broker knows versions up to {found}" in ended.stderr
    told(ended.stderr)
