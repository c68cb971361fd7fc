"""A real broker in a process of its own: made once with `assent init`, copied for each test, started, killed, asked."""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from assent.core.credentials import Kind
from assent.sdk.endpoint import Limits, endpoint
from assent.sdk.http import Request, Response
from assent.sdk.sockets import SocketDriver
from tests.serving import warm
from tests.serving.warm import PROGRAM, Process

WAIT_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """What `assent init` made: the directory, and the two credentials of the start."""

    directory: Path
    operator_token: str
    agent_key: str

    @property
    def ledger(self) -> Path:
        return self.directory / "ledger.db"

    @property
    def config(self) -> Path:
        return self.directory / "assent.toml"

    def copied(self, target: Path) -> "Home":
        """Return the same broker in another place, with the modes of its files."""
        shutil.copytree(self.directory, target)
        return Home(directory=target, operator_token=self.operator_token, agent_key=self.agent_key)


def make_home(directory: Path) -> Home:
    made = run("init", str(directory), "--json")
    assert made.returncode == 0, made.stderr
    said = json.loads(made.stdout)
    return Home(directory=directory, operator_token=said["operator"]["token"], agent_key=said["agent"]["key"])


def run(
    *arguments: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command line as a process of its own, without a terminal, and return what it said."""
    code, out, err = warm.run(arguments, cwd=cwd, env=clean_environment(env), timeout=WAIT_SECONDS)
    return subprocess.CompletedProcess([*PROGRAM, *arguments], code, out, err)


def clean_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment without any setting or credential of ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ASSENT_")}
    return {**kept, "HOME": "/nonexistent", **(more or {})}


@dataclass(slots=True, kw_only=True)
class BrokerProcess:
    """A serving broker; used as a context manager it is killed at the end, however the test went."""

    home: Home
    env: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    url: str = ""
    process: Process = field(init=False)
    errors: Path = field(init=False)

    def __enter__(self) -> Self:
        self.errors = self.home.directory / "serve.log"
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.returncode is None:
            self.crash()

    def start(self) -> None:
        """Start, and wait for the line that says where it serves."""
        with self.errors.open("ab") as errors:
            serve = ["serve", "--config", str(self.home.config), "--port", "0", "--json", *self.arguments]
            self.process = warm.start(serve, env=clean_environment(self.env), stderr=errors.fileno())
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.log()
        self.url = json.loads(line)["url"]

    def send(self, signal_number: signal.Signals) -> None:
        self.process.send_signal(signal_number)

    def end(self) -> int:
        """Return the exit code, once the process has ended."""
        self.process.communicate(timeout=WAIT_SECONDS)
        return int(self.process.returncode)

    def stop(self) -> int:
        """Ask it to stop; return its exit code."""
        self.send(signal.SIGTERM)
        return self.end()

    def crash(self) -> None:
        """Kill it, without a chance to say anything."""
        self.process.kill()
        self.end()

    def log(self) -> str:
        return self.errors.read_text()

    @property
    def operator(self) -> dict[str, str]:
        """Environment in which the command line is the operator of this broker."""
        return {"ASSENT_URL": self.url, "ASSENT_OPERATOR_TOKEN": self.home.operator_token}

    def as_operator(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:  # JSON
        return self._call(Kind.OPERATOR, self.home.operator_token, method, path, body)

    def as_agent(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:  # JSON
        return self._call(Kind.AGENT, self.home.agent_key, method, path, body)

    def ask(self, tool: str, **arguments: Any) -> Any:  # JSON
        """Return the answer to an ask of the agent, outside of any run."""
        return self.as_agent("POST", "/v1/actions", {"tool": tool, "arguments": arguments})

    def records(self, kind: str) -> list[dict[str, Any]]:
        """Return the leaves of the newest records of one kind, newest first."""
        page = self.as_operator("GET", f"/v1/records?kind={kind}&limit=200")
        return [item["leaf"] for item in page["items"]]

    def _call(self, kind: Kind, key: str, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        driver = SocketDriver(endpoint(self.url, key, kind=kind), Limits(answer_seconds=WAIT_SECONDS))
        raw = b"" if body is None else json.dumps(body).encode()
        answer = driver.perform(Request(method=method, path=path, body=raw))
        driver.close()
        if not isinstance(answer, Response):
            raise ConnectionError(str(answer))
        return json.loads(answer.body)


def problem_of(said: str) -> str:
    """Return the first line of what the command line said, without its name."""
    return re.sub(r"^assent: ", "", said.splitlines()[0]) if said else ""
