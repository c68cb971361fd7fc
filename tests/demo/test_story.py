"""The demo as its reader meets it: a process that is started, read, answered with keys, and interrupted."""

import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from assent.demo.story import CHAPTERS
from tests.demo.stage import DEMO_SECONDS, demo_command, demo_environment, processes_of, run_demo

ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
COLUMNS = 100


@pytest.mark.requirement("P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "P9", "T1", "T2", "T4", "T20")
def test_the_whole_story_comes_out_as_told_and_leaves_its_folder_and_no_process(tmp_path: Path) -> None:
    told = run_demo(tmp_path, "--auto", ASSENT_PORT="1", ASSENT_LEDGER_FILE="/nowhere/else.db")
    assert (told.returncode, told.stderr) == (0, ""), told.stdout + told.stderr
    for chapter in CHAPTERS:
        assert f". {chapter.title}\n" in told.stdout
    assert set(re.findall(r"^    ok (P\d)", told.stdout, re.MULTILINE)) == {f"P{number}" for number in range(1, 10)}
    # Paths are told whole, however long they are here.
    assert all(len(line) <= COLUMNS for line in told.stdout.splitlines() if str(tmp_path) not in line)
    assert "\x1b" not in told.stdout
    (folder,) = tmp_path.iterdir()
    assert f"  {folder}\n" in told.stdout
    assert (folder / "broker/ledger.db").is_file()
    assert (folder / "broker/policies/routes.yaml").is_file()
    assert folder.stat().st_mode & 0o077 == 0
    assert processes_of(tmp_path) == []


class Terminal:
    """A terminal with a reader in front of it, who reads everything and presses keys."""

    def __init__(self, file: int) -> None:
        self._file = file
        self.shown = ""

    def until(self, is_there: Callable[[str], bool]) -> str:
        """Returns what was shown since the last call, once `is_there` says so of it."""
        since, end = len(self.shown), time.monotonic() + DEMO_SECONDS
        while not is_there(self.shown[since:]) and time.monotonic() < end:
            if not (more := self._read(end - time.monotonic())):
                break
            self.shown += more
        assert is_there(self.shown[since:]), self.shown
        return self.shown[since:]

    def press(self, key: str) -> None:
        os.write(self._file, key.encode())

    def _read(self, seconds: float) -> str:
        ready, _, _ = select.select([self._file], [], [], seconds)
        try:
            return ESCAPES.sub("", os.read(self._file, 65_536).decode()) if ready else ""
        except OSError:
            return ""  # Linux says so when the last process at the terminal has ended


@contextmanager
def demo_at_a_terminal(folder: Path) -> Iterator[tuple[Terminal, "subprocess.Popen[bytes]"]]:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        demo_command(),
        env=demo_environment(folder, TERM="xterm", COLUMNS="100"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield Terminal(ours), process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
        os.close(ours)


def asks(shown: str) -> bool:
    return "press a: approve" in shown


def test_a_reader_who_denies_everything_hears_the_story_go_on_truthfully(tmp_path: Path) -> None:
    with demo_at_a_terminal(tmp_path) as (terminal, process):
        card = terminal.until(asks)
        assert re.search(r'database = "prod"\s.*order = 7\s.*status = "refunded"', card, re.DOTALL)
        terminal.press("d")
        assert "noor denied it" in terminal.until(asks)
        assert "denied is denied: order 7 is still paid" in terminal.shown
        assert "order 7 is refunded" not in terminal.shown
        terminal.press("d")
        assert "there is no grant to misuse" in terminal.until(asks)
        assert "the same grant a second time was refused" in terminal.shown
        terminal.press("d")
        assert "the waiting agent heard the denial after all" in terminal.until(lambda shown: "my-broker" in shown)
        assert process.wait(timeout=30) == 0
    assert processes_of(tmp_path) == []


def test_a_reader_who_approves_and_then_presses_ctrl_c_leaves_no_process_behind(tmp_path: Path) -> None:
    with demo_at_a_terminal(tmp_path) as (terminal, process):
        terminal.until(asks)
        terminal.press("x")  # no answer at all
        terminal.press("a")
        terminal.until(lambda shown: "noor approved it" in shown and asks(shown.split("noor approved it")[1]))
        assert "order 7 is refunded" in terminal.shown
        process.send_signal(signal.SIGINT)
        terminal.until(lambda shown: "ended by you" in shown)
        assert process.wait(timeout=30) == 130
    assert processes_of(tmp_path) == []
