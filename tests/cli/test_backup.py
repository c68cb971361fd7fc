"""`assent backup` and `assent restore`: a copy that verifies, and one that never forgets without a word."""

import json
import shutil
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from assent.cli.exits import Exit
from tests.cli.conftest import Said, Shell
from tests.serving.broker_process import WAIT_SECONDS, BrokerProcess, Home
from tests.stores.files import outside
from tests.stores.killed import was_killed

SECRET = "kettle-orbit-marzipan"
TODAY = datetime.now(UTC).date().isoformat()


@pytest.fixture
def home(made: Home, tmp_path: Path) -> Home:
    return made.copied(tmp_path / "broker")


@pytest.fixture
def serving(home: Home) -> Iterator[BrokerProcess]:
    with BrokerProcess(home=home, env={"ASSENT_CHECKPOINT_SECONDS": "0.05"}) as broker:
        yield broker


def backup(shell: Shell, home: Home, target: Path) -> dict[str, Any]:
    said = shell("backup", str(target), "--config", str(home.config), "--json")
    assert said.code == 0, said.err
    facts: dict[str, Any] = json.loads(said.out)
    return facts


def restore(shell: Shell, home: Home, file: Path, *more: str) -> Said:
    return shell("restore", str(file), "--config", str(home.config), *more)


def restored(shell: Shell, home: Home, file: Path, *more: str) -> dict[str, Any]:
    said = restore(shell, home, file, *more, "--json")
    assert said.code == 0, said.err
    facts: dict[str, Any] = json.loads(said.out)
    return facts


def files_of_the_ledger(home: Home) -> list[Path]:
    """Returns the ledger's files; the copies of policies beside it are a folder, and none of them."""
    return [path for path in home.directory.glob("ledger.db*") if path.is_file()]


def give_up(*more: str) -> tuple[str, ...]:
    return ("--forget", TODAY, "--reason", "the disk died", *more)


@pytest.mark.requirement("P8", "T24")
def test_a_backup_beside_a_serving_broker_verifies_and_is_for_its_owner_alone(
    shell: Shell, serving: BrokerProcess, tmp_path: Path
) -> None:
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            serving.ask("files.write", path=f"prod/{SECRET}", content=SECRET)

    asking = threading.Thread(target=ask)
    asking.start()
    made = [backup(shell, serving.home, tmp_path / f"{number}.db") for number in range(3)]
    stop.set()
    asking.join(WAIT_SECONDS)
    sizes = [facts["records"] for facts in made]
    assert sizes == sorted(sizes)
    for number, facts in enumerate(made):
        file = tmp_path / f"{number}.db"
        assert file.stat().st_mode & 0o777 == 0o600
        assert SECRET.encode() not in file.read_bytes()
        key = (serving.home.directory / "ledger.db.pub").read_text().strip()
        said = shell("audit", "verify", "--ledger", str(file), "--key", key, "--json")
        assert json.loads(said.out)["records"] == facts["records"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["0.db", "1.db", "2.db", "broker"]


def test_it_says_under_which_checkpoint_it_is_and_what_it_does_not_hold(
    shell: Shell, serving: BrokerProcess, tmp_path: Path
) -> None:
    note = wait_until_signed(shell, serving.home, tmp_path)
    facts = backup(shell, serving.home, tmp_path / "one.db")
    assert int(facts["checkpoint"].split("\n")[1]) >= int(note.split("\n")[1])
    said = shell("backup", str(tmp_path / "two.db"), "--config", str(serving.home.config)).out
    assert f"the keys in {serving.home.directory / 'keys'}" in said
    assert "signed" in said


def wait_until_signed(shell: Shell, home: Home, tmp_path: Path) -> str:
    kept = tmp_path / "kept.note"
    for _ in range(200):
        if shell("audit", "verify", "--config", str(home.config), "--save-checkpoint", str(kept)).code == 0:
            return kept.read_text()
    pytest.fail("nothing was signed")


def test_a_directory_gets_a_file_named_after_the_time(shell: Shell, home: Home, tmp_path: Path) -> None:
    (tmp_path / "copies").mkdir()
    facts = backup(shell, home, tmp_path / "copies")
    assert [str(file) for file in (tmp_path / "copies").iterdir()] == [facts["file"]]


def test_what_is_there_is_not_overwritten(shell: Shell, home: Home, tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"mine")
    said = shell("backup", str(tmp_path / "mine"), "--config", str(home.config))
    assert (said.code, "nothing is overwritten" in said.err) == (Exit.USAGE, True)
    assert (tmp_path / "mine").read_bytes() == b"mine"


@pytest.mark.requirement("P8", "T19")
def test_a_ledger_that_somebody_changed_is_not_called_a_backup(shell: Shell, home: Home, tmp_path: Path) -> None:
    with outside(home.ledger) as database:
        database.execute("UPDATE credential SET principal = 'somebody'")
    said = shell("backup", str(tmp_path / "copy.db"), "--config", str(home.config))
    assert said.code == Exit.VERIFICATION_FAILED
    assert [file.name for file in tmp_path.iterdir()] == ["broker"]


@pytest.mark.requirement("P8")
def test_a_ledger_that_was_put_back_by_hand_is_not_called_a_backup(
    shell: Shell, serving: BrokerProcess, tmp_path: Path
) -> None:
    home = serving.home
    backup(shell, home, tmp_path / "old.db")
    worked(serving, 5)
    shutil.copy(tmp_path / "old.db", home.ledger)
    said = shell("backup", str(tmp_path / "new.db"), "--config", str(home.config))
    assert said.code == Exit.VERIFICATION_FAILED
    assert not (tmp_path / "new.db").exists()


def worked(broker: BrokerProcess, count: int) -> None:
    """Let something happen, all of it signed, and stop."""
    for number in range(count):
        broker.ask("files.read", path=f"prod/{number}")
    assert broker.stop() == 0


def test_without_the_keys_nothing_is_copied(shell: Shell, home: Home, tmp_path: Path) -> None:
    (home.directory / "keys" / "payload_key").unlink()
    said = shell("backup", str(tmp_path / "copy.db"), "--config", str(home.config))
    assert (said.code, "payload_key" in said.err) == (Exit.USAGE, True)
    assert not (tmp_path / "copy.db").exists()


@pytest.mark.requirement("T20")
def test_a_backup_goes_to_a_fresh_place_and_serves_there(
    shell: Shell, serving: BrokerProcess, made: Home, tmp_path: Path
) -> None:
    asked = serving.ask("files.write", path="prod/a", content="x")
    backup(shell, serving.home, tmp_path / "copy.db")
    serving.crash()
    fresh = made.copied(tmp_path / "fresh")
    for file in files_of_the_ledger(fresh):
        file.unlink()
    done = restored(shell, fresh, tmp_path / "copy.db")
    assert (done["forgotten"], done["unknown"], done["replaced"]) == (0, 1, None)
    with BrokerProcess(home=fresh) as broker:
        found = broker.as_agent("GET", f"/v1/actions/{asked['action_id']}")
        assert (found["state"], found["decision"]) == ("unknown", "deny")
        assert broker.ask("files.read", path="prod/a")["decision"] == "allow"
        (record,) = broker.records("ledger.restored")
        assert "forgotten" not in record["detail"]
        assert broker.stop() == 0
    keys = str(fresh.directory / "keys")
    assert shell("audit", "verify", "--config", str(fresh.config), "--keys", keys).code == 0


@pytest.mark.requirement("P4", "P8", "T20")
def test_what_is_known_to_have_happened_is_not_forgotten_without_todays_date_and_a_reason(
    shell: Shell, serving: BrokerProcess, tmp_path: Path
) -> None:
    home = serving.home
    backup(shell, home, tmp_path / "copy.db")
    worked(serving, 3)
    before = {file.name: file.read_bytes() for file in files_of_the_ledger(home)}
    refusals = [
        restore(shell, home, tmp_path / "copy.db"),
        restore(shell, home, tmp_path / "copy.db", "--forget", TODAY),
        restore(shell, home, tmp_path / "copy.db", "--forget", "2020-01-01", "--reason", "x"),
    ]
    assert [said.code for said in refusals] == [Exit.VERIFICATION_FAILED, Exit.VERIFICATION_FAILED, Exit.USAGE]
    assert "would be forgotten" in refusals[0].err
    assert f"--forget {TODAY}" in refusals[0].err
    assert {file.name: file.read_bytes() for file in files_of_the_ledger(home)} == before
    done = restored(shell, home, tmp_path / "copy.db", *give_up())
    assert done["forgotten"] >= 3
    with BrokerProcess(home=home) as broker:
        (record,) = broker.records("ledger.restored")
        assert record["detail"]["forgotten"] == done["forgotten"]
        assert (record["detail"]["dated"], record["detail"]["stopped"]) == (TODAY, True)
        assert broker.ask("files.read", path="prod/a")["reasons"][0]["code"] == "breaker_open"


@pytest.mark.requirement("P8")
def test_a_checkpoint_kept_elsewhere_counts_where_nothing_is_left_here(
    shell: Shell, serving: BrokerProcess, made: Home, tmp_path: Path
) -> None:
    backup(shell, serving.home, tmp_path / "copy.db")
    worked(serving, 3)
    kept = tmp_path / "kept.note"
    shell("audit", "verify", "--config", str(serving.home.config), "--save-checkpoint", str(kept))
    fresh = made.copied(tmp_path / "fresh")
    for file in files_of_the_ledger(fresh):
        file.unlink()
    said = restore(shell, fresh, tmp_path / "copy.db", "--checkpoint", str(kept))
    assert (said.code, "would be forgotten" in said.err) == (Exit.VERIFICATION_FAILED, True)
    assert "not known" in restore(shell, fresh, tmp_path / "copy.db").out


@pytest.mark.requirement("P8")
def test_a_backup_of_another_log_with_the_same_keys_is_refused(shell: Shell, made: Home, tmp_path: Path) -> None:
    homes = [made.copied(tmp_path / name) for name in ("one", "two")]
    for number, home in enumerate(homes):
        with BrokerProcess(home=home, env={"ASSENT_CHECKPOINT_SECONDS": "0.05"}) as broker:
            worked(broker, 3 + number)
    backup(shell, homes[1], tmp_path / "copy.db")
    said = restore(shell, homes[0], tmp_path / "copy.db", *give_up())
    assert (said.code, "of another log" in said.err) == (Exit.VERIFICATION_FAILED, True)


def test_while_a_broker_serves_nothing_is_put_in_its_ledgers_place(
    shell: Shell, serving: BrokerProcess, tmp_path: Path
) -> None:
    backup(shell, serving.home, tmp_path / "copy.db")
    said = restore(shell, serving.home, tmp_path / "copy.db", *give_up())
    assert (said.code, "another broker serves" in said.err) == (Exit.UNREACHABLE, True)
    assert serving.ask("files.read", path="prod/a")["decision"] == "allow"


def test_the_replaced_ledger_is_kept_whole_and_can_be_put_back(
    shell: Shell, serving: BrokerProcess, tmp_path: Path
) -> None:
    home = serving.home
    backup(shell, home, tmp_path / "copy.db")
    asked = serving.ask("files.read", path="prod/a")
    serving.crash()
    done = restored(shell, home, tmp_path / "copy.db", *give_up("--without-stop"))
    replaced = Path(done["replaced"])
    assert replaced.stat().st_mode & 0o777 == 0o600
    backup(shell, home, tmp_path / "second.db")
    said = restore(shell, home, replaced)
    assert (said.code, "of another log" in said.err) == (Exit.VERIFICATION_FAILED, True)
    for file in files_of_the_ledger(home):
        if ".replaced-" not in file.name and file.suffix != ".pub":
            file.unlink()
    restored(shell, home, replaced)
    with BrokerProcess(home=home) as broker:
        assert broker.as_agent("GET", f"/v1/actions/{asked['action_id']}")["action_id"] == asked["action_id"]


@pytest.mark.parametrize("content", [b"", b"no ledger" * 1_000])
def test_what_is_no_backup_changes_nothing(shell: Shell, home: Home, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "copy.db").write_bytes(content)
    before = home.ledger.read_bytes()
    assert restore(shell, home, tmp_path / "copy.db", *give_up()).code in {Exit.UNREACHABLE, Exit.VERIFICATION_FAILED}
    assert restore(shell, home, tmp_path / "nothing.db").code == Exit.USAGE
    assert home.ledger.read_bytes() == before


@pytest.mark.requirement("T19", "T24")
def test_a_backup_that_somebody_changed_is_not_put_in_place(shell: Shell, home: Home, tmp_path: Path) -> None:
    backup(shell, home, tmp_path / "copy.db")
    with outside(tmp_path / "copy.db") as database:
        database.execute("UPDATE credential SET principal = 'somebody'")
    before = home.ledger.read_bytes()
    assert restore(shell, home, tmp_path / "copy.db", *give_up()).code == Exit.VERIFICATION_FAILED
    assert home.ledger.read_bytes() == before


@pytest.mark.requirement("T20")
def test_whenever_a_restore_is_killed_it_can_be_run_again_and_no_ledger_is_lost(
    shell: Shell, made: Home, tmp_path: Path
) -> None:
    backup(shell, made, tmp_path / "copy.db")
    killed = True
    for step in (*range(1, 400, 13), 1_000):
        home = made.copied(tmp_path / str(step))
        arguments = ("restore", tmp_path / "copy.db", "--config", home.config)
        killed = was_killed(home.directory, step, "assent", *arguments)
        done = restored(shell, home, tmp_path / "copy.db", *give_up("--without-stop")) if killed else {"records": 2}
        assert done["records"] == 2
        keys = str(home.directory / "keys")
        assert shell("audit", "verify", "--config", str(home.config), "--keys", keys).code == 0
        assert list(home.directory.glob(".ledger.db-*")) == []
        if not killed:
            break
    assert not killed
