"""An agent that works through a list with the real SDK and may be told to die: `python -m tests.hammers.crash_agent`.

Its tool appends to a file that is on the disk before the tool returns, so that effects can be compared with records.
What the agent was told goes to a second file. Started again with the same list it goes through all of it again.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, Final

from assent import Assent
from assent.sdk.errors import AlreadyExecuted, BrokerUnavailable

MAX_TRIES: Final = 20
WAIT_SECONDS: Final = 120.0


class Notebook:
    """A file that only grows; a line is on the disk when `write` returns."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, **facts: Any) -> None:
        os.write(self._file, json.dumps(facts).encode() + b"\n")
        os.fsync(self._file)


class Agent:
    """One life of an agent; `die` is where and at which piece of work it ends itself, or nothing."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._broker = Assent(plan["url"], key=plan["key"])
        self._run = plan["run"]
        self._work = plan["work"]
        self._die: list[Any] | None = plan["die"]
        self._effects = Notebook(Path(plan["effects"]))
        self._heard = Notebook(Path(plan["heard"]))

    def live(self) -> None:
        """Do every piece of work in order, each until its fate is known."""
        with self._broker.run(self._run):
            for number, (tool, arguments) in enumerate(self._work):
                self._say(number, self._do(number, tool, arguments))

    def _do(self, number: int, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        for _ in range(MAX_TRIES):
            try:
                return self._try(number, tool, arguments)
            except AlreadyExecuted as before:
                return {"fate": "already", "action": before.action_id, "outcome": str(before.outcome)}
            except BrokerUnavailable:
                self._say(number, {"fate": "unavailable"})
        return {"fate": "gave up"}

    def _try(self, number: int, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        with self._broker.action(tool, arguments, call_id=f"c{number}", wait=WAIT_SECONDS) as action:
            self._die_at("before", number)
            told = {"run": self._run, "number": number, "action": action.id}
            self._effects.write(**told, part="begin", arguments=action.arguments)
            self._die_at("during", number)
            self._effects.write(**told, part="end")
            self._die_at("after", number)
        self._die_at("reported", number)
        return {"fate": "done", "action": action.id}

    def _say(self, number: int, what: dict[str, Any]) -> None:
        self._heard.write(run=self._run, number=number, **what)

    def _die_at(self, place: str, number: int) -> None:
        if self._die == [place, number]:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    Agent(json.load(sys.stdin)).live()
