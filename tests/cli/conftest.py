"""The command line as somebody types it, in this process, against a real broker that the tests of a module share."""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from assent.cli.main import main
from tests.serving.broker_process import BrokerProcess, Home, clean_environment, make_home


@dataclass(frozen=True, slots=True)
class Said:
    """What a command said and ended with."""

    code: int
    out: str
    err: str


Shell = Callable[..., Said]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return make_home(tmp_path_factory.mktemp("made") / "broker")


@pytest.fixture(scope="module")
def broker(made: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    home = made.copied(tmp_path_factory.mktemp("shared") / "broker")
    many = {"ASSENT_ASKS_PER_AGENT_PER_HOUR": "1000", "ASSENT_OPEN_PER_AGENT": "100"}
    with BrokerProcess(home=home, env=many) as running:
        yield running


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Return what runs a command without a terminal, with the given variables and none of ours besides."""

    def run(*arguments: str, **env: str) -> Said:
        for name in set(os.environ) - set(clean_environment()):
            monkeypatch.delenv(name)
        for name, value in {"HOME": "/nonexistent", **env}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["assent", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        code = ended.value.code
        return Said(code if isinstance(code, int) else 0, said.out, said.err)

    return run


@pytest.fixture
def operator(shell: Shell, broker: BrokerProcess) -> Shell:
    """Return what runs a command as the operator of the shared broker."""
    return lambda *arguments, **env: shell(*arguments, **{**broker.operator, **env})
