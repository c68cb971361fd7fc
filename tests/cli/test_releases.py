"""Release keys on the command line: made once, sign what would serve, and a broker takes their word."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from assent.cli.exits import Exit
from assent.core.releases import claimed
from assent.policy.files import RELEASE
from tests.cli.conftest import Said, Shell
from tests.policy.directory import SAMPLE, edited, write
from tests.policy.edits import NARROWS, WIDENS
from tests.serving.broker_process import BrokerProcess, Home, make_home

pytestmark = pytest.mark.requirement("T23")

LOG = "assent/example"


def make_key(shell: Shell, file: Path, *more: str) -> str:
    said = shell("keys", "release", str(file), "--json", *more)
    assert said.code == 0, said.err
    return str(json.loads(said.out)["public"])


def sign(shell: Shell, directory: Path, key: Path, replaces: str, *more: str) -> Said:
    return shell(
        *("policy", "sign", str(directory), "--key-file", str(key), "--log", LOG, "--replaces", replaces), *more
    )


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return write(tmp_path / "old", SAMPLE)


@pytest.fixture
def new(tmp_path: Path) -> Path:
    return write(tmp_path / "new", WIDENS[5].files())


@pytest.fixture
def key(shell: Shell, tmp_path: Path) -> Path:
    make_key(shell, tmp_path / "release.pem")
    return tmp_path / "release.pem"


def test_a_key_is_made_for_its_owner_alone_and_never_over_another(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "release.pem"
    said = shell("keys", "release", str(file))
    assert said.code == 0
    assert 'release_keys = ["assent/release+' in said.out
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = file.read_bytes()
    again = shell("keys", "release", str(file))
    assert (again.code, "never overwritten" in again.err, file.read_bytes()) == (Exit.USAGE, True, before)
    named = make_key(shell, tmp_path / "second.pem", "--name", "acme/ci")
    assert named.startswith("acme/ci+")
    bad = shell("keys", "release", str(tmp_path / "third.pem"), "--name", "a name")
    assert bad.code != 0
    assert not (tmp_path / "third.pem").exists()


def test_what_is_signed_is_told_with_what_it_lets_through(shell: Shell, old: Path, new: Path, key: Path) -> None:
    said = sign(shell, new, key, str(old))
    assert said.code == 0, said.err
    assert said.out.startswith("widens:\n  rule scale-stg: now allows")
    assert "signed by assent/release+" in said.out
    file = new / RELEASE
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    facts: dict[str, Any] = json.loads(sign(shell, new, key, str(old), "--json", "--valid-for", "2h").out)
    release = claimed(file.read_bytes())
    assert (facts["version"], facts["replaces"], facts["log"]) == (release.policy, release.replaces, LOG)
    by_digest: dict[str, Any] = json.loads(sign(shell, new, key, release.replaces, "--json").out)
    assert (by_digest["version"], by_digest["changes"]) == (release.policy, None)
    assert [path.name for path in new.parent.iterdir() if path.name.startswith(".")] == []


def test_a_note_of_other_files_is_advice(shell: Shell, old: Path, new: Path, key: Path) -> None:
    sign(shell, new, key, str(old))
    assert RELEASE not in shell("policy", "check", str(new)).out
    write(new, NARROWS[5].files())
    assert f"{new / RELEASE}:1:1: advice: vouches for `" in shell("policy", "check", str(new)).out
    (new / RELEASE).write_bytes(b"nothing")
    assert f"{new / RELEASE}:1:1: advice: vouches for nothing" in shell("policy", "check", str(new)).out


@pytest.mark.parametrize("fault", ["replaces", "short", "long", "key", "open key", "no key", "errors", "case", "log"])
def test_what_could_not_count_is_not_signed(shell: Shell, old: Path, new: Path, key: Path, fault: str) -> None:
    replaces, more = str(old), ["--valid-for", "1d"]
    if fault == "replaces":
        replaces = "nowhere"
    elif fault == "short":
        replaces = "a" * 12
    elif fault == "long":
        more = ["--valid-for", "32d"]
    elif fault == "key":
        key.write_text("no key\n")
    elif fault == "open key":
        key.chmod(0o644)
    elif fault == "no key":
        key.unlink()
    elif fault == "errors":
        write(new, edited("agents.yaml", "bot: {owner: dana", "bot: {owner: dan"))
    elif fault == "case":
        case = "{cluster: stg-1, namespace: n, deployment: d, replicas: 3}, expect: {decision: deny}"
        write(new, {"tests/a.yaml": f"- {{name: a, agent: bot, tool: k8s.scale, arguments: {case}}}\n"})
    else:
        more = ["--log", "a name"]
    said = sign(shell, new, key, replaces, *more)
    assert said.code != 0
    assert said.err
    assert not (new / RELEASE).exists()


def test_a_broker_takes_the_word_of_its_release_key_and_of_no_other(shell: Shell, tmp_path: Path) -> None:
    home = make_home(tmp_path / "broker")
    policies = home.directory / "policies"
    allow(home, "operators.yaml", "may: [approver, operator]", "may: [security_admin]")
    key, strange = tmp_path / "release.pem", tmp_path / "strange.pem"
    public = make_key(shell, key)
    make_key(shell, strange)
    env = {
        "ASSENT_POLICY_WATCH_SECONDS": "0",
        "ASSENT_ACTIVATION": "confirm",
        "ASSENT_LOG_ORIGIN": LOG,
        "ASSENT_RELEASE_KEYS": public,
    }
    with BrokerProcess(home=home, env=env) as broker:
        serving = json.loads(shell("policy", "status", "--json", **broker.operator).out)["version"]
        allow(home, "environments.yaml", "production: {}", "production: {nonproduction: true}")
        assert sign(shell, policies, strange, serving).code == 0
        said = shell("policy", "reload", **broker.operator)
        assert "its release.note does not count: no known key signed this note" in said.out
        assert "does not count" in shell("policy", "status", **broker.operator).out
        assert broker.ask("files.write", path="prod/a", content="x")["decision"] == "pending"
        assert sign(shell, policies, key, serving).code == 0
        said = shell("policy", "reload", **broker.operator)
        assert "serves now" in said.out
        assert "vouched for by assent/release+" in said.out
        (newest, *_) = broker.records("policy.activated")
        assert newest["detail"]["release"]["keys"] == ["+".join(public.split("+")[:2])]


def allow(home: Home, file: str, old: str, new: str) -> None:
    path = home.directory / "policies" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
