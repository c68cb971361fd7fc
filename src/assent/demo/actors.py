"""The processes of the story: the broker and the agent's errands. Whatever is started here is also ended here.

They run in sessions of their own, so that Ctrl-C reaches the story alone, which then ends them in order.
"""

import json
import os
import queue
import select
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from assent.demo.setting import Setting
from assent.demo.wrong import NotAsTold, must

READY_SECONDS: Final = 30.0
HEAR_SECONDS: Final = 30.0
END_SECONDS: Final = 10.0


def end(process: "subprocess.Popen[str]") -> None:
    """End a process: politely, then not; nothing of it is left."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait(END_SECONDS)
    if process.stdout is not None:
        process.stdout.close()


@dataclass(slots=True)
class Broker:
    """A real `assent serve` on the setting's ledger; its log goes to `broker/broker.log`.

    `more` is what its environment holds besides.
    """

    setting: Setting
    more: dict[str, str] = field(default_factory=dict, repr=False)
    process: "subprocess.Popen[str] | None" = None
    url: str = ""

    @property
    def pid(self) -> int:
        """Its process id, 0 while there is none."""
        return self.process.pid if self.process else 0

    def start(self) -> float:
        """Start it, again at the same address, and return how many seconds it took until it was ready.

        Raises:
            NotAsTold: it ended, or was not ready within READY_SECONDS.

        """
        began = time.monotonic()
        port = str(urlsplit(self.url).port or 0)
        options = ["--config", str(self.setting.configuration), "--port", port, "--json"]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "assent", "serve", *options],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, **self.more},
                start_new_session=True,
            )
        self.url = self._announced()
        return time.monotonic() - began

    def kill(self) -> None:
        """Kill it, as a crash or the kernel would: it gets no chance to tidy up."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            end(self.process)

    def stop(self) -> None:
        """End it in order."""
        if self.process is not None:
            end(self.process)

    def _announced(self) -> str:
        """Return the address that the broker announces once it answers; an end of its output means that it ended."""
        voice = self.process.stdout if self.process else None
        spoke = voice is not None and select.select([voice], [], [], READY_SECONDS)[0]
        line = voice.readline() if voice is not None and spoke else ""
        if not line:
            raise NotAsTold(f"the broker did not become ready; it says:\n{self._last_words()}")
        return str(json.loads(line)["url"])

    @property
    def _log(self) -> Path:
        return self.setting.configuration.parent / "broker.log"

    def _last_words(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-5:])


@dataclass(slots=True)
class Errand:
    """An agent's process at work; `hear` returns what it tells, in order, `asked` is how it began to wait."""

    name: str
    process: "subprocess.Popen[str]"
    told: "queue.Queue[dict[str, Any] | None]" = field(default_factory=queue.Queue)
    asked: dict[str, Any] = field(default_factory=dict)
    ear: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.ear = threading.Thread(target=_listen, args=(self.process, self.told), daemon=True)
        self.ear.start()

    def hear(self, event: str, what: str | None = None) -> dict[str, Any]:
        """Return the next thing that the agent tells, which must be `event` (of `what`).

        Raises:
            NotAsTold: it tells something else, or nothing within HEAR_SECONDS.

        """
        heard = self._next()
        wanted = event if what is None else f"{event} {what}"
        is_wanted = heard.get("event") == event and what in {None, heard.get("what")}
        must(is_wanted, f"the agent on its errand `{self.name}` tells `{wanted}`", heard)
        if event == "waiting":
            self.asked = heard
        return heard

    def hear_answer(self, what: str) -> dict[str, Any]:
        """Return how the work `what` ended, whether it ran, was refused or failed. Raises as `hear`."""
        heard = self._next()
        must(heard.get("what") == what, f"the agent on its errand `{self.name}` tells how `{what}` ended", heard)
        return heard

    def _next(self) -> dict[str, Any]:
        try:
            heard = self.told.get(timeout=HEAR_SECONDS)
        except queue.Empty:
            raise NotAsTold(f"the agent on its errand `{self.name}` was silent for {HEAR_SECONDS:.0f} s") from None
        if heard is None:
            raise NotAsTold(f"the agent on its errand `{self.name}` ended without a word; see agent.log")
        return heard

    def stop(self) -> None:
        """End it, if it has not ended."""
        self.process.terminate()
        self.ear.join(END_SECONDS)
        end(self.process)


def send(errand: str, *, run: str, setting: Setting, url: str) -> Errand:
    """Return an agent's process that does `errand` in the town, as the run `run`; its broker is at `url`."""
    own = {
        "ASSENT_URL": url,
        "ASSENT_AGENT_KEY": setting.agent_key,
        "ASSENT_SPOOL": str(setting.folder / "agent"),
    }
    with (setting.folder / "agent.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "assent.demo.agent", str(setting.town.root), errand, run],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, **own},
            start_new_session=True,
        )
    return Errand(errand, process)


def _listen(process: "subprocess.Popen[str]", told: "queue.Queue[dict[str, Any] | None]") -> None:
    for line in process.stdout or ():
        told.put(json.loads(line))
    told.put(None)
