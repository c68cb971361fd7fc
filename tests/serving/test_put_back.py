"""A ledger that was put back, exchanged or lost by hand is not served: what happened since would be forgotten."""

import json
import shutil
from pathlib import Path

import pytest

from tests.serving.broker_process import BrokerProcess, Home, run

pytestmark = pytest.mark.requirement("P4", "P8", "T20")

OFTEN = {"ASSENT_CHECKPOINT_SECONDS": "0.05"}


def kept(home: Home) -> Path:
    return home.directory / "ledger.db.checkpoint"


def worked(home: Home, count: int = 3) -> None:
    with BrokerProcess(home=home, env=OFTEN) as broker:
        for number in range(count):
            broker.ask("files.read", path=f"prod/{number}")
        assert broker.stop() == 0


def served(home: Home) -> tuple[int, str]:
    ended = run("serve", "--config", str(home.config), "--port", "0", "--json")
    assert ended.stdout == ""
    return ended.returncode, ended.stderr


def test_the_newest_checkpoint_is_kept_beside_the_ledger_for_its_owner_alone(home: Home) -> None:
    worked(home)
    first = kept(home).read_text()
    assert kept(home).stat().st_mode & 0o777 == 0o600
    assert run("audit", "verify", "--config", str(home.config), "--checkpoint", str(kept(home))).returncode == 0
    worked(home)
    assert int(kept(home).read_text().split("\n")[1]) > int(first.split("\n")[1])


def test_a_ledger_of_yesterday_is_not_served_and_the_one_of_today_is_again(home: Home, tmp_path: Path) -> None:
    worked(home)
    shutil.copy(home.ledger, tmp_path / "yesterday.db")
    worked(home)
    shutil.copy(home.ledger, tmp_path / "today.db")
    shutil.copy(tmp_path / "yesterday.db", home.ledger)
    code, said = served(home)
    assert (code, "was put back to an older state" in said) == (9, True)
    assert "assent restore FILE" in said
    shutil.copy(tmp_path / "today.db", home.ledger)
    worked(home)


def test_a_ledger_that_is_gone_is_not_made_anew(home: Home) -> None:
    worked(home)
    home.ledger.unlink()
    code, said = served(home)
    assert (code, "there is no ledger" in said) == (8, True)
    assert not home.ledger.exists()


def test_a_ledger_that_went_another_way_is_not_served(made: Home, home: Home, tmp_path: Path) -> None:
    worked(home, 2)
    other = made.copied(tmp_path / "other")
    worked(other, 5)
    shutil.copy(other.ledger, home.ledger)
    code, said = served(home)
    assert (code, "is not the ledger" in said) == (9, True)


@pytest.mark.parametrize("content", [b"", b"garbage\n", b"assent/local\n9\nAAAA\n\n\xe2\x80\x94 assent/local AAAA\n"])
def test_what_nobody_signed_stops_nobody_and_is_told(home: Home, content: bytes) -> None:
    kept(home).write_bytes(content)
    with BrokerProcess(home=home, env=OFTEN) as broker:
        assert broker.ask("files.read", path="prod/a")["decision"] == "allow"
        assert broker.stop() == 0
        events = [json.loads(line)["event"] for line in broker.log().splitlines()]
    assert "kept_checkpoint_is_none" in events
    assert kept(home).read_bytes() != content


def test_a_checkpoint_that_cannot_be_kept_is_told_once_and_stops_nobody(home: Home) -> None:
    kept(home).mkdir()
    with BrokerProcess(home=home, env=OFTEN) as broker:
        for number in range(20):
            broker.ask("files.read", path=f"prod/{number}")
        assert broker.stop() == 0
        events = [json.loads(line)["event"] for line in broker.log().splitlines()]
    assert events.count("checkpoint_not_kept") == 1


def test_while_a_restore_is_under_way_nobody_opens_the_ledger(home: Home) -> None:
    (home.directory / "ledger.db.restoring").touch()
    code, said = served(home)
    assert (code, "was interrupted" in said) == (8, True)
    assert "assent restore" in said
