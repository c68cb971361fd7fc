"""A reader who types what a page says, at terminals of their own, and what pages hold for them to type.

What differs from a reader's folder: `.venv` leads to this environment, the port is free, and codes and ids are the real
ones.
"""

import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(?P<kind>\w+)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
RUN = ("sh", "python")
SECONDS = 60
CODE, BREAKER = "K7Q-4MX", "brk_0123456789"
ASK, YES = b"[y/N]", b"y\n"


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a page: `sh`, `python`, or what is only shown."""

    kind: str
    text: str


def blocks(page: Path) -> list[Block]:
    """Returns the blocks of a page in order."""
    return [Block(found["kind"], found["text"]) for found in BLOCK.finditer(page.read_text())]


def to_run(page: Path) -> list[str]:
    """Returns what a page gives its reader to run: commands and programs, in order."""
    return [block.text for block in blocks(page) if block.kind in RUN]


class Reader:
    """Somebody who types what a page says, in a folder that looks like a clone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = "8420"
        self.started: list[subprocess.Popen[str]] = []
        python, tools = shlex.quote(sys.executable), folder / ".venv/bin"
        tools.mkdir(parents=True)
        self._script(tools / "assent", f'exec {python} -m assent "$@"')
        self._script(tools / "python", f'exec {python} -u "$@"')
        (tools / "activate").write_text(f"PATH={shlex.quote(str(tools))}:$PATH\n")

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
        while not (listed := self.types(f"{yours}\nassent approvals list")):
            assert time.monotonic() < until
        return listed.split("\t", 1)[0]

    def until_tool(self, agents: str, tool: str) -> None:
        """Waits until the broker lists `tool` to the agent: it has noticed the reader's files."""
        program = "import assent; print(*(tool.name for tool in assent.Assent().tools()))"
        until = time.monotonic() + SECONDS
        while tool not in self.types(f"{agents}\npython -c '{program}'").split():
            assert time.monotonic() < until

    def writes(self, name: str, program: str) -> None:
        (self.folder / name).write_text(program.replace("8420", self.port))

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
        return f". .venv/bin/activate\n{text.replace('8420', self.port)}"

    def _script(self, path: Path, body: str) -> None:
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:
        return b""  # Linux says so when the last process at the terminal has ended


def line_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout
    return process.stdout.readline()


def address(reader: Reader, serve: str) -> str:
    """Returns the port that a broker serves on which the page has started."""
    found = re.search(r"serves http://127\.0\.0\.1:(\d+),", line_of(reader.starts(serve)))
    assert found
    return found[1]
