"""The entry point: help is quick because nothing is loaded for it, and every failure ends in one line and a code."""

import subprocess
import sys
from typing import Any

import pytest

from assent.api.problems import TABLE
from assent.cli.exits import BY_CODE, Exit, exit_of
from assent.cli.main import COMMANDS, fail_unexpectedly
from tests.cli.conftest import Shell
from tests.serving.broker_process import clean_environment, run

HEAVY = {
    "rich",
    "pydantic",
    "fastapi",
    "uvicorn",
    "casbin",
    "cryptography",
    "structlog",
    "http",
    "ssl",
    "asyncio",
    "yaml",
}


def modules_after(*arguments: str) -> set[str]:
    program = (
        "import sys\nfrom assent.cli.main import main\n"
        f"sys.argv = ['assent', *{arguments!r}]\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=clean_environment(),
    )
    return set(ended.stdout.splitlines()[-1].split())


def test_help_lists_every_command_and_loads_none() -> None:
    assert modules_after("--help") & HEAVY == set()
    said = run("--help")
    assert said.returncode == 0
    assert [name for name in COMMANDS if f"  {name} " not in said.stdout] == []


@pytest.mark.parametrize("words", [["-h"], ["init", "-h"], ["approvals", "show", "-h"]])
def test_help_has_a_short_name(shell: Shell, words: list[str]) -> None:
    said = shell(*words)
    assert (said.code, said.out.startswith("Usage: assent")) == (0, True)


def test_a_misspelt_command_is_answered_with_the_one_that_was_meant(shell: Shell) -> None:
    said = shell("aproval", "list")
    assert said.code == Exit.USAGE
    assert "Did you mean 'approvals'" in said.err


def test_the_version_is_that_of_the_package(shell: Shell) -> None:
    assert shell("--version").out == "0.1.0\n"


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "demo"])
def test_every_command_explains_itself(shell: Shell, name: str) -> None:
    said = shell(name, "--help")
    assert said.code == 0
    assert "Usage: assent" in said.out


def test_what_nobody_foresaw_is_told_in_one_line_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ASSENT_DEBUG", raising=False)
    with pytest.raises(SystemExit) as ended:
        fail_unexpectedly(ValueError("two\nlines"))
    said = capsys.readouterr().err
    assert ended.value.code == Exit.USAGE
    assert said.splitlines()[0] == r"assent: something unforeseen happened (ValueError: two\u{a}lines)"
    assert "ASSENT_DEBUG=1" in said


def test_who_debugs_sees_where_it_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSENT_DEBUG", "1")
    with pytest.raises(ValueError, match="here"):
        fail_unexpectedly(ValueError("here"))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("assent app", {"approvals"}),
        ("assent audit ex", {"export"}),
        ("assent audit search --ki", {"--kind"}),
        ("assent audit search --kind approval.v", {"approval.voted", "approval.vote_refused"}),
        ("assent approvals deny X --category too", {"too_risky"}),
    ],
)
def test_a_shell_completes_commands_options_and_values(words: str, expected: set[str]) -> None:
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1), "_ASSENT_COMPLETE": "complete_bash"}
    assert set(run(env=asked).stdout.split()) == expected


def test_the_words_that_a_shell_needs_for_that_are_printed() -> None:
    # In a shell of its own: which one it is, is read from the process that calls.
    words = ["bash", "-c", '"$@"; exit $?', "bash", sys.executable, "-m", "assent", "--show-completion"]
    said = subprocess.run(words, env=clean_environment(), capture_output=True, text=True, check=False)
    assert (said.returncode, "complete -o default -F _assent_completion assent" in said.stdout) == (0, True)


@pytest.mark.parametrize("kind", ["bash", "zsh", "fish"])
def test_each_kind_of_shell_has_its_words(kind: str) -> None:
    said = run(env={"_ASSENT_COMPLETE": f"source_{kind}"})
    assert (said.returncode, f"complete_{kind}" in said.stdout) == (0, True)


CONTRACT: dict[str, int] = {
    "not_eligible": 3,
    "forbidden": 3,
    "unauthenticated": 3,
    "not_approved": 3,
    "not_denied": 3,
    "already_decided": 4,
    "approval_expired": 5,
    "digest_changed": 6,
    "step_up_required": 7,
    "broker_unavailable": 8,
    "held_not_durable": 8,
    "unreachable": 8,
    "verification_failed": 9,
    "policy_error": 1,
    "policy_refused": 1,
    "bad_request": 2,
    "not_found": 2,
    "config_invalid": 2,
    "usage": 2,
}


@pytest.mark.parametrize(("code", "number"), CONTRACT.items())
def test_a_problem_ends_with_the_number_of_the_contract(code: str, number: int) -> None:
    assert exit_of(code) == number


def test_no_code_in_the_table_is_one_that_nobody_sends() -> None:
    of_the_client: set[Any] = {"unreachable", "bad_answer", "verification_failed", "row_forged"}
    assert set(BY_CODE) - set(TABLE) - of_the_client == set()


@pytest.mark.parametrize("where", ["/dev/null", "/dev/null/broker", "/proc/broker", "k" * 300, "", " "])
def test_a_place_where_no_broker_can_be_made_is_told_in_one_line(shell: Shell, where: str) -> None:
    said = shell("init", where)
    assert (said.code, "unforeseen" in said.err, said.err.count("\n")) == (Exit.USAGE, False, 2)


@pytest.mark.parametrize("output", [">&-", ">/dev/full"])
def test_an_output_that_takes_nothing_is_told_in_one_line(output: str) -> None:
    command = f'exec "{sys.executable}" -m assent --version {output}'
    said = subprocess.run(
        ["/bin/sh", "-c", command], capture_output=True, text=True, check=False, env=clean_environment()
    )
    assert said.returncode == Exit.USAGE
    assert said.stderr.startswith("assent: standard output cannot be used: ")
    assert said.stderr.count("\n") == 2
