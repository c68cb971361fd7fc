"""`assent stop` when it counts: for somebody who never used it, while the broker hangs, and when there is none."""

import shlex
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from assent.cli.exits import Exit
from tests.cli.conftest import Shell
from tests.cli.terminal import at_a_terminal
from tests.serving.broker_process import BrokerProcess, Home

STRANGER_SECONDS = 15.0
STORED_SECONDS = 30.0


@pytest.fixture
def own(made: Home, tmp_path: Path) -> Iterator[BrokerProcess]:
    """A broker of this test's own: whoever stops something in production cannot undo it alone."""
    with BrokerProcess(home=made.copied(tmp_path / "own")) as running:
        yield running


def decision(broker: BrokerProcess) -> str:
    return str(broker.ask("files.read", path="prod/a")["decision"])


@pytest.mark.requirement("P6")
def test_whoever_never_saw_the_command_line_gets_from_help_to_stopped(own: BrokerProcess, shell: Shell) -> None:
    assert decision(own) == "allow"
    began = time.monotonic()
    helps = shell("--help", **own.operator).out
    assert "stop an agent, a tool, an environment or everything, now" in helps
    # The first thing that help tells them is enough to be told the rest.
    asked = shell("stop", **own.operator)
    assert asked.code == Exit.USAGE
    assert "active in the last 10 minutes: demo-agent" in asked.err
    assert "--agent" in asked.err
    stopped = shell("stop", "--agent", "demo-agent", **own.operator)
    assert stopped.code == 0
    assert time.monotonic() - began < STRANGER_SECONDS
    assert decision(own) == "deny"


@pytest.mark.requirement("P6")
def test_a_broker_that_hangs_is_waited_for_and_what_else_to_do_is_said_meanwhile(own: BrokerProcess) -> None:
    own.send(signal.SIGSTOP)
    with at_a_terminal("stop", "--agent", "demo-agent", "--reason", "x", env=own.operator) as shown:
        said = shown.until("--config FILE")
        assert "no answer yet; at the broker's machine, beside this: " in said
        assert "assent stop --direct --agent demo-agent --config FILE" in said
        own.send(signal.SIGCONT)
        shown.until("tripped: agent `demo-agent`")
    assert decision(own) == "deny"


@pytest.mark.requirement("P6")
def test_without_a_broker_the_way_around_it_is_said_and_works(own: BrokerProcess, shell: Shell) -> None:
    own.crash()
    said = shell("stop", "--tool", "files.*", "--env", "production", **own.operator)
    assert said.code == Exit.UNREACHABLE
    assert "nobody knows whether it is stopped" in said.err
    told = said.err.partition("assent stop ")[2].splitlines()[0]
    assert told == "--direct --tool 'files.*' --env production --config FILE"
    arguments = shlex.split(told.replace("FILE", str(own.home.config)))
    assert shell("stop", *arguments, **own.operator).code == 0
    own.start()
    assert decision(own) == "deny"


@pytest.mark.requirement("P6")
def test_a_ledger_that_is_held_for_a_moment_is_waited_for(own: BrokerProcess) -> None:
    own.crash()
    by_hand = ("stop", "--tool", "files.*", "--direct", "--config", str(own.home.config))
    with closing(sqlite3.connect(own.home.ledger, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with at_a_terminal(*by_hand, env=own.operator) as shown:
            shown.until("not stopped yet: the ledger is held by another process; trying on")
            other.execute("ROLLBACK")
            shown.until("tripped: tool `files.*`")
    own.start()
    assert decision(own) == "deny"


@pytest.mark.requirement("P6", "T5")
def test_what_could_not_be_stored_by_hand_is_not_said_to_be_stopped(own: BrokerProcess, shell: Shell) -> None:
    with closing(sqlite3.connect(own.home.ledger, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        said = shell("stop", "--all", "--direct", "--config", str(own.home.config), **own.operator)
        assert said.code == Exit.UNREACHABLE
        assert "everything is not stopped: the ledger cannot be written" in said.err
        assert "memory" not in said.err
        # The broker that serves holds what it is told, and lets nothing pass: neither then nor later.
        held = shell("stop", "--env", "production", **own.operator)
        assert (held.code, "in the memory of this broker" in held.err) == (Exit.UNREACHABLE, True)
        other.execute("ROLLBACK")
    assert own.ask("files.read", path="prod/a").get("decision") != "allow"
    deadline = time.monotonic() + STORED_SECONDS
    while not (stored := own.records("breaker.tripped")) and time.monotonic() < deadline:
        assert own.ask("files.read", path="prod/a").get("decision") != "allow"
    assert [leaf["detail"].get("held") for leaf in stored] == [True]
    assert decision(own) == "deny"
