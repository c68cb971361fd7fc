"""`assent init`: everything a first broker needs, made once; secrets shown once, and never to a pipe."""

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Shell
from tests.cli.terminal import on_a_terminal
from tests.serving.broker_process import BrokerProcess, Home, clean_environment, run

SECRETS = ("aso_", "asn_")


def everything_in(directory: Path) -> dict[str, tuple[int, bytes]]:
    files = (path for path in sorted(directory.rglob("*")) if path.is_file())
    return {str(path.relative_to(directory)): (path.stat().st_mode, path.read_bytes()) for path in files}


def test_it_makes_what_the_contract_names_for_its_owner_alone(made: Home) -> None:
    files = everything_in(made.directory)
    assert {"assent.toml", "agent.py", "ledger.db", "policies/agents.yaml", "policies/tools/files.yaml"} <= files.keys()
    keys = {name: mode for name, (mode, _) in files.items() if name.startswith("keys/")}
    assert {stat.S_IMODE(mode) for mode in keys.values()} == {0o600}
    assert len(keys) == 4
    assert stat.S_IMODE(made.ledger.stat().st_mode) == 0o600


@pytest.mark.requirement("P9")
def test_git_adds_nothing_of_it_by_accident(made: Home, tmp_path: Path) -> None:
    made.copied(tmp_path / "broker")
    git = ["git", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "add", "--all"], check=True)
    assert subprocess.run([*git, "ls-files"], check=True, capture_output=True).stdout == b""


def test_the_agent_has_twelve_lines_that_are_python(made: Home) -> None:
    program = (made.directory / "agent.py").read_text()
    assert len(program.splitlines()) == 12
    compile(program, "agent.py", "exec")


def test_a_second_run_changes_nothing_and_says_so(made: Home, shell: Shell) -> None:
    before = everything_in(made.directory)
    said = shell("init", str(made.directory))
    assert (said.code, everything_in(made.directory)) == (0, before)
    assert said.out == f"{made.config} is there: nothing was changed\n"
    as_json = json.loads(shell("init", str(made.directory), "--json").out)
    assert as_json == {"config": str(made.config), "unchanged": True}


def test_remains_of_an_unfinished_run_are_not_built_upon(made: Home, tmp_path: Path, shell: Shell) -> None:
    home = made.copied(tmp_path / "broker")
    home.config.unlink()
    before = everything_in(home.directory)
    said = shell("init", str(home.directory))
    assert said.code == 2
    assert "nothing is overwritten" in said.err
    assert everything_in(home.directory) == before


@pytest.mark.requirement("P9", "T22")
def test_without_a_terminal_only_the_path_of_a_private_file_is_printed(tmp_path: Path) -> None:
    said = run("init", str(tmp_path / "broker"))
    file = Path(said.stdout.strip())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [secret for secret in SECRETS if secret in said.stdout + said.stderr] == []
    assert [secret for secret in SECRETS if secret not in file.read_text()] == []


def test_on_a_terminal_both_credentials_are_shown_with_three_commands_to_try(tmp_path: Path) -> None:
    shown = on_a_terminal("init", str(tmp_path / "broker")).text
    assert [shown.count(secret) for secret in SECRETS] == [1, 1]
    steps = ("  assent serve", f"  {sys.executable} ", "  assent approvals approve CODE --sha")
    assert [step for step in steps if step not in shown] == []
    assert "credentials.env" not in everything_in(tmp_path / "broker")


def test_the_commands_to_try_are_those_that_work_where_they_are_read(tmp_path: Path) -> None:
    shown = on_a_terminal("init", str(tmp_path / "my broker"), env={"CALLED_AS": "./run assent"}).text
    assert f"  ./run assent serve --config '{tmp_path / 'my broker' / 'assent.toml'}'" in shown
    assert f"  {sys.executable} '{tmp_path / 'my broker' / 'agent.py'}'" in shown
    assert "  ./run assent approvals approve CODE --sha …   # both stand in `./run assent approvals list`" in shown


@pytest.mark.requirement("T4", "T22")
def test_nobody_who_answers_is_told_to_have_issued_the_agents_key(made: Home, tmp_path: Path) -> None:
    with BrokerProcess(home=made.copied(tmp_path / "broker")) as broker:
        issued = broker.records("key.issued")[0]
        token = broker.records("token.issued")[0]
    assert (issued["detail"]["for"], issued["operator"]) == ("demo-agent", "demo-owner")
    assert (token["detail"]["for"], token["operator"]) == ("you", "assent init")


def test_the_agent_runs_against_the_broker_that_was_made(made: Home, tmp_path: Path) -> None:
    with BrokerProcess(home=made.copied(tmp_path / "broker")) as broker:
        program = broker.home.directory / "agent.py"
        program.write_text(program.read_text().replace("http://127.0.0.1:8420", broker.url))
        more = {"ASSENT_AGENT_KEY": broker.home.agent_key, "ASSENT_SPOOL": str(tmp_path / "spool")}
        env = clean_environment({**more, "PYTHONUNBUFFERED": "1"})
        with subprocess.Popen([sys.executable, str(program)], cwd=tmp_path, env=env, stdout=subprocess.PIPE) as agent:
            assert agent.stdout is not None
            assert agent.stdout.readline() == b"wrote town/staging/hello.txt\n"
            code = only_open_code(broker)
            shown = broker.as_operator("GET", f"/v1/approvals/{code}")
            said = run("approvals", "approve", code, "--sha", shown["digest"][:12], env=broker.operator)
            assert said.returncode == 0, said.stderr
            assert agent.stdout.readline() == b"wrote town/prod/hello.txt\n"
            assert agent.wait(timeout=60) == 0
    assert (tmp_path / "town" / "prod" / "hello.txt").read_text() == "hello"


def only_open_code(broker: BrokerProcess) -> str:
    for _ in range(2_000):
        items = broker.as_operator("GET", "/v1/approvals")["items"]
        if items:
            return str(items[0]["code"])
    pytest.fail("the agent asked nobody")


def test_what_the_terminal_showed_works_as_it_is_copied(tmp_path: Path) -> None:
    shown = on_a_terminal("init", str(tmp_path / "broker"), env={"COLUMNS": "300"}).text
    yours, theirs = re.findall(r"^  (export \S+)", shown, re.MULTILINE)
    serve, agent, approve = shown.partition("try next")[2].strip().splitlines()[1:]
    listed = re.findall(r"`(assent [^`]+)`", approve)[0]
    token, key = (line.partition("=")[2] for line in (yours, theirs))
    home = Home(directory=tmp_path / "broker", operator_token=token, agent_key=key)
    assert serve.split() == ["assent", "serve", "--config", str(home.config)]
    bin_folder = Path(sys.executable).parent
    with BrokerProcess(home=home) as broker:
        program = home.directory / "agent.py"
        program.write_text(program.read_text().replace("http://127.0.0.1:8420", broker.url))
        more = {"ASSENT_URL": broker.url, "ASSENT_SPOOL": str(tmp_path / "spool"), "PYTHONUNBUFFERED": "1"}
        env = clean_environment({**more, "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}"})

        def typed(*lines: str) -> "subprocess.Popen[str]":
            command = ["/bin/sh", "-ec", "\n".join(lines)]
            return subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True)

        with typed(theirs, agent.strip()) as running:
            assert running.stdout is not None
            assert running.stdout.readline() == "wrote town/staging/hello.txt\n"
            only_open_code(broker)
            with typed(yours, listed) as asking:
                code, sha = asking.communicate(timeout=60)[0].split("\t")[:2]
            said = approve.split("   #")[0].strip().replace("CODE", code).replace("…", sha)
            with typed(yours, said) as approving:
                assert "approved: the agent may now run it" in approving.communicate(timeout=60)[0]
            assert running.stdout.readline() == "wrote town/prod/hello.txt\n"
            assert running.wait(timeout=60) == 0
