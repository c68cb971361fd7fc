"""The README and the quick start do what they say: every command and program in them is run as written.

What differs from a reader's clone: `./run` and `.venv/demo-*` lead to this environment, the port is free, and codes and
ids are the real ones.
"""

import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SECONDS = 60
CODE, BREAKER = "K7Q-4MX", "brk_0123456789"
ASK, YES = b"[y/N]", b"y\n"


def blocks(page: str, after: str) -> list[str]:
    """Returns the shell blocks and programs of a page below a heading, in order."""
    text = (ROOT / page).read_text()
    return [found[2] for found in BLOCK.finditer(text[text.index(after) :])]


class Reader:
    """Somebody who types what a page says, in a folder that looks like a clone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = "8420"
        self.started: list[subprocess.Popen[str]] = []
        python = shlex.quote(sys.executable)
        self._script(folder / "run", f'[ "$1" = assent ] && shift\nexec {python} -m assent "$@"')
        (folder / ".venv/demo-3/bin").mkdir(parents=True)
        self._script(folder / ".venv/demo-3/bin/python", f'exec {python} "$@"')

    def types(self, block: str, expect: int = 0) -> str:
        """Runs a block to its end and returns what it printed."""
        done = subprocess.run(
            ["/bin/sh", "-e", "-c", self._here(block)],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout + done.stderr

    def keeps_typing(self, block: str) -> str:
        """Runs a block again until the broker has taken up what it needs, and returns what it printed then."""
        until = time.monotonic() + SECONDS
        while True:
            try:
                return self.types(block)
            except AssertionError:
                if time.monotonic() > until:
                    raise

    def starts(self, block: str) -> "subprocess.Popen[str]":
        """Runs a block that goes on, in a terminal of its own."""
        command = ["/bin/sh", "-e", "-c", self._here(block)]
        with (self.folder / "terminal.log").open("a") as log:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self._environment,
                text=True,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def answers(self, block: str) -> str:
        """Runs a block at a terminal, says yes when it asks, and returns what the terminal showed."""
        ours, theirs = pty.openpty()
        command = ["/bin/sh", "-e", "-c", self._here(block)]
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=self._environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        shown, answered = b"", False
        while more := _read(ours):
            shown += more
            if ASK in shown and not answered:
                answered = os.write(ours, YES) > 0
        os.close(ours)
        assert process.wait(timeout=SECONDS) == 0, shown.decode()
        return shown.decode()

    def code(self, yours: str) -> str:
        """Returns the code of what waits, as soon as something does."""
        until = time.monotonic() + SECONDS
        while not (listed := self.types(f"{yours}\n./run assent approvals list")):
            assert time.monotonic() < until
        return listed.split("\t", 1)[0]

    def writes(self, name: str, program: str) -> None:
        (self.folder / name).write_text(self._here(program))

    def leaves(self) -> None:
        for process in reversed(self.started):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=SECONDS)
            assert process.stdout
            process.stdout.close()

    @property
    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ASSENT_")}
        own = {"ASSENT_PORT": "0", "ASSENT_URL": f"http://127.0.0.1:{self.port}", "HOME": str(self.folder)}
        return kept | own

    def _here(self, text: str) -> str:
        return text.replace("8420", self.port)

    def _script(self, path: Path, body: str) -> None:
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:
        return b""  # Linux says so when the last process at the terminal has ended


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    reader = Reader(tmp_path)
    yield reader
    reader.leaves()


def line_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout
    return process.stdout.readline()


def test_the_pages_take_a_reader_to_a_tool_that_is_guarded_stopped_and_on_record(reader: Reader) -> None:
    init, policy, serve, program, run_agent, answer = blocks("README.md", "## Your own tool in five minutes")
    agents, yours = run_agent.splitlines()[0], answer.splitlines()[0]

    assert "my-broker/credentials.env" in reader.types(init)
    reader.types(policy)
    serving = reader.starts(serve)
    found = re.search(r"serves http://127\.0\.0\.1:(\d+),", line_of(serving))
    assert found
    reader.port = found[1]
    reader.writes("newsletter.py", program)
    agent = reader.starts(run_agent.replace("/python ", "/python -u "))
    assert line_of(agent) == "to colleagues: lunch is at noon\n"
    shown = reader.answers(answer.replace(CODE, reader.code(yours)))
    assert 'subject = "we are open on Saturday"' in shown
    assert line_of(agent) == "to customers: we are open on Saturday\n"
    assert agent.wait(timeout=SECONDS) == 0

    steps = blocks("docs/quick-start.md", "# Quick start")
    later, ask, approve, ask_again, run_again, deny, trip, run_stopped, reset, declare, sign_in, tail, verify = steps
    reader.writes("later.py", later)
    assert "waits for a person: " in reader.types(f"{agents}\n{ask}")
    reader.answers(f"{yours}\n{approve.replace(CODE, reader.code(yours))}")
    assert reader.types(f"{agents}\n{ask_again}") == "to customers: closed on Monday\n"
    agent = reader.starts(f"{agents}\n{run_again}")
    reader.types(f"{yours}\n{deny.replace(CODE, reader.code(yours))}")
    assert agent.wait(timeout=SECONDS) == 1

    reader.types(f"{yours}\n{trip}")
    assert "BreakerOpen" in reader.types(f"{agents}\n{run_stopped}", expect=1)
    breaker = reader.types(f"{yours}\n./run assent breakers list").split("\t", 1)[0]
    reader.types(f"{yours}\n{reset.replace(BREAKER, breaker)}")
    assert "dana.token, for you alone" in reader.types(declare)
    assert "dana  approver, operator" in reader.keeps_typing(sign_in)
    told = reader.types(f"{yours}\n{tail}")
    assert "token.issued" in told
    assert "breaker.tripped" in told
    assert "we are open on Saturday" not in told
    assert "verified" in reader.types(f"{yours}\n{verify}")
    assert (reader.folder / "elsewhere.note").read_text().startswith("assent")
