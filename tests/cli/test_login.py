"""`assent login`: a token is kept for its owner alone, once the broker has said whose it is, and never shown."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from assent.cli.exits import Exit
from tests.cli.conftest import Said, Shell
from tests.cli.terminal import answering
from tests.serving.broker_process import BrokerProcess, clean_environment, run

OTHER = "aso_0000_somebodysecret"


def login(home: Path, given: str, *arguments: str, **env: str) -> Said:
    """Sign in without a terminal, as an account whose home is `home`."""
    ended = subprocess.run(
        [sys.executable, "-m", "assent", "login", *arguments],
        input=given,
        env=clean_environment({"HOME": str(home), **env}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Said(ended.returncode, ended.stdout, ended.stderr)


def kept(home: Path) -> Path:
    return home / ".config" / "assent" / "credentials"


@pytest.mark.requirement("P9")
def test_it_keeps_the_token_for_its_owner_alone_and_says_who_they_are(broker: BrokerProcess, tmp_path: Path) -> None:

    said = login(tmp_path, f"{broker.home.operator_token}\n", "--url", broker.url)
    assert said.code == 0, said.err
    file = kept(tmp_path)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (file, file.parent)] == [0o600, 0o700]
    assert f"{broker.url} knows you as:\nyou  approver, operator\n" in said.out
    assert "agents.manage" in said.out
    assert f"kept in {file}" in said.err
    assert broker.home.operator_token not in said.out + said.err
    listed = run("approvals", "list", env={"HOME": str(tmp_path)})
    assert (listed.returncode, listed.stderr) == (0, "")
    assert list(file.parent.iterdir()) == [file]


def test_at_a_terminal_it_asks_and_does_not_show_what_is_typed(broker: BrokerProcess, tmp_path: Path) -> None:
    env = {"HOME": str(tmp_path), "ASSENT_URL": broker.url}
    asked = "(it is not shown): "
    shown = answering("login", asked=asked, typed=f"{broker.home.operator_token}\n", env=env)
    assert shown.code == 0, shown.text
    assert broker.home.operator_token not in shown.text
    assert broker.home.operator_token in kept(tmp_path).read_text()


def test_what_init_wrote_can_be_given_as_it_is(broker: BrokerProcess, tmp_path: Path) -> None:
    text = f"export ASSENT_OPERATOR_TOKEN={broker.home.operator_token}\nexport ASSENT_AGENT_KEY=asn_0_x\n"
    assert login(tmp_path, text, ASSENT_URL=broker.url).code == 0


@pytest.mark.requirement("T22")
@pytest.mark.parametrize("given", ["", "asn_k1_somebodysecret\n", f"{OTHER} aso_0001_somebodysecret\n", "x" * 100_000])
def test_what_holds_no_token_or_several_is_refused_before_anything_is_asked(tmp_path: Path, given: str) -> None:
    said = login(tmp_path, given, "--url", "http://127.0.0.1:1")
    assert (said.code, "nothing was kept" in said.err) == (Exit.USAGE, True)
    assert "somebodysecret" not in said.out + said.err
    assert not kept(tmp_path).exists()


def test_a_token_that_the_broker_does_not_know_is_not_kept(broker: BrokerProcess, tmp_path: Path) -> None:
    login(tmp_path, broker.home.operator_token, "--url", broker.url)
    before = kept(tmp_path).read_text()
    said = login(tmp_path, OTHER, "--url", broker.url)
    assert (said.code, "not known" in said.err) == (Exit.REFUSED, True)
    assert "what was given to `assent login`" in said.err
    assert kept(tmp_path).read_text() == before
    nobody = login(tmp_path, OTHER, "--url", "http://127.0.0.1:1")
    assert (nobody.code, kept(tmp_path).read_text()) == (Exit.UNREACHABLE, before)


def test_a_broker_that_is_known_already_need_not_be_named_again(broker: BrokerProcess, tmp_path: Path) -> None:
    login(tmp_path, broker.home.operator_token, "--url", broker.url)
    assert login(tmp_path, broker.home.operator_token).code == 0


def test_the_place_that_the_desktop_names_is_used(broker: BrokerProcess, tmp_path: Path) -> None:
    place = tmp_path / "elsewhere"
    env = {"XDG_CONFIG_HOME": str(place)}
    assert login(tmp_path, broker.home.operator_token, "--url", broker.url, **env).code == 0
    assert (place / "assent" / "credentials").is_file()
    assert run("agents", "list", env={"HOME": str(tmp_path), **env}).returncode == 0
    assert run("agents", "list", env={"HOME": str(tmp_path), "XDG_CONFIG_HOME": "relative"}).returncode == Exit.USAGE


def test_a_variable_that_goes_before_the_file_is_pointed_out(broker: BrokerProcess, tmp_path: Path) -> None:
    said = login(tmp_path, broker.home.operator_token, ASSENT_URL=broker.url, ASSENT_OPERATOR_TOKEN=OTHER)
    assert "note: ASSENT_OPERATOR_TOKEN is set and goes before the file" in said.err
    assert "ASSENT_URL" not in said.err


def test_who_one_is_can_be_asked_without_changing_anything(operator: Shell, broker: BrokerProcess) -> None:
    said = operator("login", "--show")
    assert (said.code, "you  approver, operator" in said.out) == (0, True)
    assert "the token is from ASSENT_OPERATOR_TOKEN" in said.err
    told = json.loads(operator("login", "--show", "--json").out)
    assert (told["operator"]["id"], told["assurance"]) == ("you", "token")
    assert told == broker.as_operator("GET", "/v1/operators/me")


@pytest.mark.requirement("P9")
def test_a_token_never_travels_in_the_clear_to_another_machine(tmp_path: Path) -> None:
    said = login(tmp_path, OTHER, "--url", "http://192.0.2.1:8420")
    assert (said.code, "unencrypted" in said.err, kept(tmp_path).exists()) == (Exit.USAGE, True, False)


def test_a_place_where_nothing_can_be_kept_is_told(broker: BrokerProcess, tmp_path: Path) -> None:
    (tmp_path / ".config").write_text("a file")
    said = login(tmp_path, broker.home.operator_token, "--url", broker.url)
    assert (said.code, "unforeseen" in said.err, str(tmp_path / ".config") in said.err) == (Exit.USAGE, False, True)
