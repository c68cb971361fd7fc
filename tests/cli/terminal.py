"""A terminal for the command line: what is typed into it, and everything that it shows."""

import os
import pty
import subprocess
import termios
from collections.abc import Mapping
from dataclasses import dataclass

from tests.serving.broker_process import PROGRAM, clean_environment


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


def _do_not_echo(terminal: int) -> None:
    attributes = termios.tcgetattr(terminal)
    attributes[3] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSANOW, attributes)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # how Linux says that the other side of a terminal is closed
        return b""
