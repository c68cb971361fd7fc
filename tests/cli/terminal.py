"""A terminal for the command line: what is typed into it, and everything that it shows."""

import os
import pty
import select
import signal
import subprocess
import termios
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from tests.serving.broker_process import clean_environment
from tests.serving.warm import PROGRAM

READ_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Shown:
    """What a terminal showed, with line ends as a file has them, and what the command ended with."""

    code: int
    text: str


def on_a_terminal(*arguments: str, typed: str = "", env: Mapping[str, str] | None = None) -> Shown:
    """Run a command at a terminal at which somebody has typed already."""
    ours, theirs = pty.openpty()
    _do_not_echo(theirs)
    os.write(ours, typed.encode())
    with subprocess.Popen(
        [*PROGRAM, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=clean_environment({"COLUMNS": "200", **(env or {})}),
        start_new_session=True,
    ) as process:
        os.close(theirs)
        shown = bytearray()
        while chunk := _read(ours):
            shown += chunk
        code = process.wait(timeout=60)
    os.close(ours)
    return Shown(code, shown.decode().replace("\r\n", "\n"))


@dataclass(slots=True)
class Screen:
    """A terminal at which a command runs until somebody interrupts it."""

    file: int
    process: "subprocess.Popen[bytes]"
    shown: str = ""

    def until(self, text: str) -> str:
        """Return everything shown so far, once it holds `text`."""
        while text not in self.shown:
            ready, _, _ = select.select([self.file], [], [], READ_SECONDS)
            more = _read(self.file) if ready else b""
            assert more, f"`{text}` was not shown: {self.shown}"
            self.shown += more.decode().replace("\r\n", "\n")
        return self.shown

    def interrupt(self) -> int:
        """Press Ctrl-C; return what the command ended with."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=READ_SECONDS)


@contextmanager
def at_a_terminal(*arguments: str, env: Mapping[str, str]) -> Iterator[Screen]:
    """Run a command at a terminal for as long as the context lasts."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*PROGRAM, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=clean_environment({"TERM": "xterm", **env}),
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield Screen(ours, process)
    finally:
        process.kill()
        process.wait(timeout=READ_SECONDS)
        os.close(ours)


def answering(*arguments: str, asked: str, typed: str, env: Mapping[str, str] | None = None) -> Shown:
    """Run a command at a terminal that shows what is typed, and type only once `asked` stands there."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*PROGRAM, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=clean_environment({"COLUMNS": "200", **(env or {})}),
        start_new_session=True,
    ) as process:
        os.close(theirs)
        shown = bytearray()
        while asked.encode() not in shown and (chunk := _read(ours)):
            shown += chunk
        os.write(ours, typed.encode())
        while chunk := _read(ours):
            shown += chunk
        code = process.wait(timeout=60)
    os.close(ours)
    return Shown(code, shown.decode().replace("\r\n", "\n"))


def _do_not_echo(terminal: int) -> None:
    attributes = termios.tcgetattr(terminal)
    attributes[3] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSANOW, attributes)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # how Linux says that the other side of a terminal is closed
        return b""
