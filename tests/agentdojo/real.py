"""AgentDojo's own environments as worlds: the package lives in an environment of its own, apart from ours.

It brings the clients of every vendor of models along, none of which is used: the calls that solve a task are known, and
nothing is asked of a model.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.agentdojo.worlds import Call

HERE: Final = Path(__file__).parent
REQUIREMENTS: Final = HERE / "requirements.txt"
VARIABLE: Final = "AGENTDOJO_PYTHON"
INSTALL_SECONDS: Final = 600


class NotInstalled(Exception):
    """The package could not be had here; the message says what was tried and what to do."""


def interpreter() -> Path:
    """Return an interpreter that has the package, installing it into `.venv/agentdojo-X.Y` the first time.

    Raises:
        NotInstalled: it cannot be installed.

    """
    if given := os.environ.get(VARIABLE):
        return Path(given)
    folder = HERE.parents[1] / ".venv" / f"agentdojo-{sys.version_info.major}.{sys.version_info.minor}"
    stamp = folder / ".stamp"
    wanted = REQUIREMENTS.read_text()
    if not stamp.is_file() or stamp.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        _install(folder)
        stamp.write_text(wanted)
    return folder / "bin" / "python"


def _install(folder: Path) -> None:
    print(f"installing AgentDojo into {folder}, about half a minute", flush=True)
    python = str(folder / "bin" / "python")
    needed = ["--require-hashes", "--quiet", "-r", str(REQUIREMENTS)]
    if uv := shutil.which("uv"):
        steps = [[uv, "venv", "--quiet", "--python", sys.executable, str(folder)]]
        steps += [[uv, "pip", "install", "--python", python, *needed]]
    else:
        steps = [[sys.executable, "-m", "venv", str(folder)]]
        steps += [[python, "-m", "pip", "install", "--disable-pip-version-check", "--no-deps", *needed]]
    for step in steps:
        try:
            done = subprocess.run(step, check=False, timeout=INSTALL_SECONDS, capture_output=True, text=True)
        except (OSError, subprocess.SubprocessError) as fault:
            raise NotInstalled(f"AgentDojo could not be installed: {fault}") from None
        if done.returncode != 0:
            said = (done.stderr.strip().splitlines() or ["no word"])[-1]
            raise NotInstalled(f"AgentDojo could not be installed: {said}; or set {VARIABLE} to a Python that has it")


@dataclass(slots=True)
class Real:
    """A suite whose environment lives in a process of its own."""

    name: str
    process: subprocess.Popen[str]
    user_tasks: tuple[str, ...] = ()
    attacks: tuple[str, ...] = ()

    def begin(self, user_task: str) -> None:
        self._ask("begin", user_task)

    def calls(self, task: str) -> tuple[Call, ...]:
        return tuple(Call(tool, arguments) for tool, arguments in self._ask("calls", task))

    def run(self, call: Call) -> bool:
        return bool(self._ask("run", call.tool, dict(call.arguments)))

    def is_solved(self, user_task: str) -> bool:
        return bool(self._ask("solved", user_task))

    def is_reached(self, user_task: str, attack: str) -> bool:
        return bool(self._ask("reached", user_task, attack))

    def learn_tasks(self) -> None:
        """Ask which tasks there are."""
        tasks = self._ask("tasks")
        self.user_tasks, self.attacks = tuple(tasks["user"]), tuple(tasks["attacks"])

    def _ask(self, *question: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(question) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        answer = json.loads(line) if line else {"fault": "the process ended"}
        if "fault" in answer:
            raise RuntimeError(f"{self.name}: {question[0]} {question[1:]!r}: {answer['fault']}")
        return answer["is"]


@contextmanager
def opened(suite: str, python: Path) -> Iterator[Real]:
    """Run the environments of a suite for as long as the block."""
    command = [str(python), str(HERE / "town.py"), suite]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            world = Real(suite, process)
            world.learn_tasks()
            yield world
        finally:
            process.kill()
