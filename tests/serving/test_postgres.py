"""A broker on PostgreSQL, as it is set up, used and lost: prepared, moved to, served, killed with its database."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from assent.stores.postgres.migrations import shipped
from tests.postgres_server import Server, started, why_not
from tests.serving.broker_process import BrokerProcess, Home, make_home, run

SETTLED = {"ASSENT_CHECKPOINT_SECONDS": "0.05"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return make_home(tmp_path_factory.mktemp("made") / "broker")


@pytest.fixture
def server() -> Iterator[Server]:
    """Start a server that a test may kill, with a role for a broker."""
    if why_not() is not None:
        pytest.skip(str(why_not()))
    server = started()
    if server.given is not None:
        pytest.skip("the server that is named is not this test's to kill")
    server.run("CREATE ROLE broker LOGIN")
    yield server
    server.stop()


def prepared(home: Home, server: Server) -> Home:
    """Prepare a database as its owner, and name it in the settings."""
    owner = server.fresh()
    said = run("ledger", "prepare", "--owner-url", owner, "--role", "broker", "--json")
    assert json.loads(said.stdout) == {"version": len(shipped()), "role": "broker"}, said.stderr
    with home.config.open("a") as settings:
        settings.write(f'ledger_url = "{owner.replace("postgres@", "broker@")}"\n')
    return home


@pytest.fixture
def home(made: Home, tmp_path: Path, server: Server) -> Home:
    return prepared(made.copied(tmp_path / "broker"), server)


def moved(home: Home) -> Home:
    said = run("migrate", "--config", str(home.config), "--json")
    assert said.returncode == 0, said.stderr
    assert not home.ledger.exists()
    assert Path(json.loads(said.stdout)["aside"]).exists()
    return home


def verified(home: Home) -> dict[str, object]:
    keys = ("--keys", str(home.directory / "keys"))
    said = run("audit", "verify", "--config", str(home.config), *keys, "--json")
    assert said.returncode == 0, said.stderr
    found: dict[str, object] = json.loads(said.stdout)
    return found


@pytest.mark.requirement("P6")
def test_what_was_stopped_in_the_file_is_stopped_in_the_database(home: Home) -> None:
    text = home.config.read_text()
    home.config.write_text("".join(line for line in text.splitlines(True) if not line.startswith("ledger_url")))
    mine = {"ASSENT_OPERATOR_TOKEN": home.operator_token}
    stopped = run("stop", "--all", "--direct", "--reason", "x", cwd=home.directory, env=mine)
    assert stopped.returncode == 0, stopped.stderr
    home.config.write_text(text)
    refused = run("serve", "--config", str(home.config), "--port", "0")
    assert (refused.returncode, "assent migrate" in refused.stderr) == (8, True)
    with BrokerProcess(home=moved(home)) as broker:
        answered = broker.ask("files.write", path="staging/x", content="x")
        assert (answered["decision"], answered["reasons"][0]["code"]) == ("deny", "breaker_open")


@pytest.mark.requirement("P2", "T5", "T20")
def test_a_database_that_is_killed_is_told_and_used_again(home: Home, server: Server) -> None:
    with BrokerProcess(home=moved(home), env=SETTLED) as broker:
        allowed = broker.ask("files.write", path="staging/one", content="1")
        assert allowed["decision"] == "allow"
        server.kill()
        assert broker.as_operator("GET", "/readyz")["ready"] is False
        server.start()
        assert broker.ask("files.write", path="staging/two", content="2")["decision"] == "allow"
        assert broker.stop() == 0
    found = verified(home)
    assert (found["verified"], found["macs_checked"]) == (True, True)


@pytest.mark.requirement("P8")
def test_a_second_broker_does_not_serve_beside_the_first(home: Home, tmp_path: Path) -> None:
    other = moved(home).copied(tmp_path / "other")
    with BrokerProcess(home=home):
        refused = run("serve", "--config", str(other.config), "--port", "0")
    assert (refused.returncode, "another broker serves this ledger" in refused.stderr) == (8, True)
    with BrokerProcess(home=other) as broker:
        assert broker.ask("files.write", path="staging/x", content="x")["decision"] == "allow"


@pytest.mark.requirement("P8", "T16")
def test_a_database_that_was_put_back_is_not_served(home: Home, server: Server) -> None:
    with BrokerProcess(home=moved(home), env=SETTLED) as broker:
        broker.ask("files.write", path="staging/one", content="1")
        broker.stop()
    url = next(line for line in home.config.read_text().splitlines() if line.startswith("ledger_url")).split('"')[1]
    cut = "SET session_replication_role = replica; SET search_path = assent;"
    later = "DELETE FROM record WHERE idx > 1; DELETE FROM checkpoint; DELETE FROM tile"
    server.run(f"{cut} {later}", url.replace("broker@", "postgres@"))
    refused = run("serve", "--config", str(home.config), "--port", "0")
    assert (refused.returncode, "was put back to an older state" in refused.stderr) == (9, True)


def test_what_the_doctor_finds_and_what_is_copied_and_what_is_not_put_back(home: Home, server: Server) -> None:
    assert "assent migrate" in run("doctor", "--config", str(home.config)).stdout
    moved(home)
    said = run("doctor", "--config", str(home.config)).stdout
    assert "ok     ledger's role: it may read and add" in said
    assert "ok     ledger: 2 records" in said
    backup = home.directory / "backup.db"
    assert run("backup", str(backup), "--config", str(home.config)).returncode == 0
    with closing(sqlite3.connect(backup)) as copy:
        assert copy.execute("SELECT count(*) FROM record").fetchone() == (2,)
    refused = run("restore", str(backup), "--config", str(home.config))
    assert (refused.returncode, "with its own tools" in refused.stderr) == (2, True)
    assert "current" in run("keys", "list", "--config", str(home.config)).stdout
    owner = home.config.read_text().replace("broker@", "postgres@")
    home.config.write_text(owner)
    assert "may change and delete what is on record" in run("doctor", "--config", str(home.config)).stdout


def test_a_ledger_is_moved_once_and_into_nothing_that_is_there(home: Home, made: Home, tmp_path: Path) -> None:
    bare = made.copied(tmp_path / "bare")
    assert run("migrate", "--config", str(bare.config)).returncode == 2
    moved(home)
    assert run("migrate", "--config", str(home.config)).returncode == 2
    bare.config.write_text(home.config.read_text())
    refused = run("migrate", "--config", str(bare.config))
    assert (refused.returncode, "a ledger in this database already" in refused.stderr) == (8, True)
    assert bare.ledger.exists()


@pytest.mark.parametrize("url", ["mysql://x/y", "postgresql://a:b@/c", "postgresql://a@far.example/c"])
def test_an_owner_is_not_asked_over_a_line_that_others_read(url: str) -> None:
    refused = run("ledger", "prepare", "--owner-url", url, "--role", "broker")
    assert (refused.returncode, "a:b" in refused.stderr) == (2, False)
