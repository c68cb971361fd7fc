"""`assent keys`: what keys there are, and a new one in the place of an old one, beside a serving broker and without."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from assent.cli import key_rotation
from assent.cli.exits import Exit
from assent.core.errors import LedgerUnavailable
from assent.stores.key_places import NAMES
from tests.cli.conftest import Shell
from tests.serving.broker_process import WAIT_SECONDS, BrokerProcess, Home

pytestmark = pytest.mark.requirement("P8")


@pytest.fixture
def home(made: Home, tmp_path: Path) -> Home:
    return made.copied(tmp_path / "broker")


def listed(shell: Shell, home: Home) -> list[dict[str, Any]]:
    said = shell("keys", "list", "--config", str(home.config), "--json")
    assert said.code == 0, said.err
    items: list[dict[str, Any]] = json.loads(said.out)["items"]
    return items


def rotated(shell: Shell, home: Home, which: str, *more: str) -> dict[str, Any]:
    said = shell("keys", "rotate", which, "--config", str(home.config), "--json", *more)
    assert said.code == 0, said.err
    done: dict[str, Any] = json.loads(said.out)
    return done


def test_every_key_is_listed_with_its_state_and_age(shell: Shell, home: Home) -> None:
    keys = listed(shell, home)
    assert [(key["key"], key["state"]) for key in keys] == [
        ("log", "current"),
        ("grant", "current"),
        ("ledger", "current"),
        ("payload", "current"),
    ]
    assert len({key["id"] for key in keys}) == 4
    lines = shell("keys", "list", "--config", str(home.config)).out.splitlines()
    assert [line.split("\t")[1] for line in lines] == [key["id"] for key in keys]


@pytest.mark.requirement("P9")
def test_nothing_that_is_shown_is_secret(shell: Shell, home: Home) -> None:
    directory = home.directory / "keys"
    secrets = [line for name in NAMES for line in (directory / name).read_text().split() if len(line) > 20]
    assert len(secrets) == 4
    shown = [
        shell("keys", "list", "--config", str(home.config)),
        shell("keys", "list", "--config", str(home.config), "--json"),
        shell("keys", "rotate", "log", "--config", str(home.config)),
        shell("keys", "rotate", "grant", "--config", str(home.config), "--json"),
    ]
    secrets += [line for name in NAMES for line in (directory / name).read_text().split() if len(line) > 20]
    assert [secret for secret in secrets for said in shown if secret in said.out + said.err] == []


def test_without_a_broker_the_rotation_is_on_record_when_the_command_ends(shell: Shell, home: Home) -> None:
    before = home.directory / "before.pub"
    before.write_text((home.directory / "ledger.db.pub").read_text())
    done = rotated(shell, home, "log")
    assert done["taken_up_by_broker"] is False
    states = {(key["key"], key["id"]): key["state"] for key in listed(shell, home)}
    assert (states["log", done["new"]], states["log", done["old"]]) == ("current", "overlap")
    assert (home.directory / "ledger.db.pub").read_text().strip() == done["public"]
    for key in (str(before), done["public"]):
        said = shell("audit", "verify", "--ledger", str(home.ledger), "--key", key)
        assert said.code == 0, said.err
        assert done["public"] in said.out


@pytest.mark.parametrize("which", ["log", "grant"])
def test_a_serving_broker_takes_it_up_by_itself(shell: Shell, home: Home, which: str) -> None:
    with BrokerProcess(home=home) as broker:
        jwks = broker.as_operator("GET", "/.well-known/jwks.json")["keys"]
        done = rotated(shell, home, which)
        assert done["taken_up_by_broker"] is True
        (record,) = broker.records("broker.key_rotated")
        assert (record["detail"]["key"], set(record["detail"]["by_hand"])) == (which, {"os_user", "host"})
        if which == "grant":
            assert done["new"] in [key["kid"] for key in broker.as_operator("GET", "/.well-known/jwks.json")["keys"]]
            assert done["old"] == jwks[0]["kid"]
        assert broker.ask("files.read", path="prod/a")["decision"] == "allow"
        assert broker.stop() == 0
    keys = str(home.directory / "keys")
    said = shell("audit", "verify", "--config", str(home.config), "--keys", keys)
    assert said.code == 0, said.err


@pytest.mark.requirement("P2", "T20")
def test_keys_are_rotated_under_load_and_nobody_notices(shell: Shell, home: Home) -> None:
    with BrokerProcess(home=home) as broker:
        kept = home.directory / "kept.note"
        wait_until_signed(shell, home, kept)
        stop, answers = threading.Event(), list[Any]()

        def ask() -> None:
            while not stop.is_set():
                what = {"tool": "files.read", "arguments": {"path": "prod/a"}, "attempt": "a" * 22}
                answers.append(broker.as_agent("POST", "/v1/actions", what).get("decision"))

        asking = threading.Thread(target=ask)
        asking.start()
        for which in ("grant", "log", "grant"):
            rotated(shell, home, which)
        rotated(shell, home, "log", "--stolen")
        stop.set()
        asking.join(WAIT_SECONDS)
        assert set(answers) == {"allow"}
        assert broker.stop() == 0
    more = ("--keys", str(home.directory / "keys"), "--checkpoint", str(kept))
    said = shell("audit", "verify", "--config", str(home.config), *more, "--json")
    assert said.code == 0, said.err
    assert len(json.loads(said.out)["key_rotated_by_records"]) == 2


def wait_until_signed(shell: Shell, home: Home, kept: Path) -> None:
    for _ in range(200):
        if shell("audit", "verify", "--config", str(home.config), "--save-checkpoint", str(kept)).code == 0:
            return
    pytest.fail("nothing was signed")


@pytest.mark.parametrize("which", ["ledger", "payload"])
def test_the_keys_that_a_ledger_is_written_with_are_never_rotated_and_it_says_what_to_do(
    shell: Shell, home: Home, which: str
) -> None:
    before = {path.name: path.read_bytes() for path in (home.directory / "keys").iterdir()}
    said = shell("keys", "rotate", which, "--config", str(home.config))
    assert said.code == Exit.USAGE
    assert f"the {which} key is never rotated" in said.err
    assert "assent init" in said.err
    assert {path.name: path.read_bytes() for path in (home.directory / "keys").iterdir()} == before


def test_a_key_that_there_is_not_is_told(shell: Shell, home: Home) -> None:
    said = shell("keys", "rotate", "lgo", "--config", str(home.config))
    assert (said.code, "rotate `log` or `grant`" in said.err) == (Exit.USAGE, True)


@pytest.mark.parametrize("overlap", ["soon", "0d", "400d"])
def test_an_overlap_that_is_none_changes_nothing(shell: Shell, home: Home, overlap: str) -> None:
    said = shell("keys", "rotate", "log", "--overlap", overlap, "--config", str(home.config))
    assert said.code == Exit.USAGE
    assert not (home.directory / "keys" / "handovers").exists()


def test_while_an_old_log_key_signs_along_another_rotation_must_say_that_the_key_was_stolen(
    shell: Shell, home: Home
) -> None:
    rotated(shell, home, "log", "--overlap", "2h")
    said = shell("keys", "rotate", "log", "--config", str(home.config))
    assert (said.code, "--stolen" in said.err) == (Exit.USAGE, True)
    rotated(shell, home, "log", "--stolen")
    assert [key["state"] for key in listed(shell, home) if key["key"] == "log"] == ["current", "over", "over"]


@pytest.mark.parametrize("which", ["log", "grant"])
def test_a_damaged_ledger_is_told_and_nothing_is_exchanged(shell: Shell, home: Home, which: str) -> None:
    home.ledger.write_bytes(b"no ledger" * 1_000)
    before = {path.name: path.read_bytes() for path in (home.directory / "keys").iterdir()}
    said = shell("keys", "rotate", which, "--config", str(home.config))
    assert said.code == Exit.UNREACHABLE
    assert {path.name: path.read_bytes() for path in (home.directory / "keys").iterdir()} == before
    listing = shell("keys", "list", "--config", str(home.config))
    assert (listing.code, len(listing.out.splitlines())) == (0, 4)
    assert "is not known" in listing.err


def test_a_broker_that_does_not_take_the_key_up_is_told_and_goes_on_with_the_old_one(home: Home) -> None:
    with BrokerProcess(home=home) as broker:
        handovers = home.directory / "keys" / "handovers"
        handovers.mkdir(mode=0o700)
        (handovers / "log-0.json").touch(mode=0o600)
        with pytest.raises(LedgerUnavailable, match=r"has not taken it up in 0\.1 s") as refused:
            key_rotation.rotate(home.config, "log", overlap="1d", stolen=False, within_seconds=0.1)
        assert "restarted" in str(refused.value.hint)
        assert broker.ask("files.read", path="prod/a")["decision"] == "allow"


def test_keys_that_lie_elsewhere_serve_rotate_and_verify(shell: Shell, home: Home, tmp_path: Path) -> None:
    vault, env = tmp_path / "vault", dict[str, str]()
    vault.mkdir(mode=0o700)
    for name in NAMES:
        (home.directory / "keys" / name).rename(vault / name)
        env[f"ASSENT_{name.removesuffix('.pem').upper()}_FILE"] = str(vault / name)
    config = ("--config", str(home.config))
    assert shell("serve", *config, "--port", "0").code == Exit.USAGE
    with BrokerProcess(home=home, env=env) as broker:
        assert broker.ask("files.read", path="prod/a")["decision"] == "allow"
        before = (vault / "log_key.pem").read_bytes()
        said = shell("keys", "rotate", "log", *config, **env)
        assert (said.code, (vault / "log_key.pem").read_bytes() != before) == (0, True), said.err
        assert broker.stop() == 0
    assert [key["id"] for key in json.loads(shell("keys", "list", "--json", *config, **env).out)["items"]][1:]
    doctor = shell("doctor", *config, **env)
    assert "log_key.pem" in doctor.out + doctor.err or "keys" in doctor.out
    assert shell("audit", "verify", *config, **env).code == 0


def test_a_key_that_lies_where_nothing_can_be_written_is_not_rotated(
    shell: Shell, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = tmp_path / "vault"
    vault.mkdir(mode=0o700)
    (home.directory / "keys" / "grant_key.pem").rename(vault / "grant_key.pem")
    monkeypatch.setattr("os.access", lambda path, _mode: Path(path) != vault)  # root may write everywhere
    env = {"ASSENT_GRANT_KEY_FILE": str(vault / "grant_key.pem")}
    said = shell("keys", "rotate", "grant", "--config", str(home.config), **env)
    assert said.code == Exit.USAGE
    assert "lies where nothing can be written" in said.err
    assert not list((home.directory / "keys").glob("handovers/*"))
