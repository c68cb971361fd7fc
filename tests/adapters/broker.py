"""A real broker in a process of its own, in the environment that has one: `BROKER_PYTHON`, or this one.

The frameworks' own environments hold none of the broker's dependencies, as an agent's environment does not.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

PYTHON = os.environ.get("BROKER_PYTHON", sys.executable)
SECONDS = 60
MORE_QUESTIONS = "asks_per_agent_per_hour = 1000\nopen_per_run = 100\nopen_per_agent = 100\nopen_per_route = 1000"


def clean_environment() -> dict[str, str]:
    """Return this process's environment without any setting, credential or path of ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ASSENT_")}
    return {name: value for name, value in kept.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What `assent init` made, to be copied for each story."""

    directory: Path
    agent_key: str
    operator_token: str


def make(directory: Path) -> Made:
    """Make a broker as a newcomer does, with room for more questions than a newcomer's agent has."""
    program = started("init", str(directory), "--json", errors=directory.with_suffix(".log"))
    told = program.communicate(timeout=SECONDS)[0]
    assert told, (
        f"{PYTHON} holds no broker: BROKER_PYTHON names one that does\n{directory.with_suffix('.log').read_text()}"
    )
    said = json.loads(told)
    config = directory / "assent.toml"
    config.write_text(f"{MORE_QUESTIONS}\n{config.read_text()}")
    return Made(directory=directory, agent_key=said["agent"]["key"], operator_token=said["operator"]["token"])


def started(*arguments: str, errors: Path) -> "subprocess.Popen[str]":
    """Start the command line in the broker's environment."""
    with errors.open("ab") as log:
        return subprocess.Popen(
            [PYTHON, "-m", "assent", *arguments], env=clean_environment(), stdout=subprocess.PIPE, stderr=log, text=True
        )


@dataclass(slots=True)
class Broker:
    """A copy of what was made, served; killed at the end, however the test went."""

    made: Made
    directory: Path
    url: str = ""
    port: str = "0"
    process: "subprocess.Popen[str]" = field(init=False)

    def __enter__(self) -> Self:
        shutil.copytree(self.made.directory, self.directory)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.kill()

    def start(self) -> None:
        """Start, at the place where it was before, and wait for the line that says where it serves."""
        config = str(self.directory / "assent.toml")
        log = self.directory / "serve.log"
        self.process = started("serve", "--config", config, "--port", self.port, "--json", errors=log)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, log.read_text()
        self.url = json.loads(line)["url"]
        self.port = self.url.rpartition(":")[2]

    def kill(self) -> None:
        """Kill it, without a chance to say anything."""
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate(timeout=SECONDS)

    def as_operator(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:  # JSON
        return self._call(self.made.operator_token, method, path, body)

    def as_agent(self, path: str) -> Any:  # JSON
        return self._call(self.made.agent_key, "GET", path, None)

    def action(self, action_id: str) -> Any:  # JSON
        return self.as_agent(f"/v1/actions/{action_id}")

    def pending(self, run_id: str) -> list[str]:
        """Return the actions of a run that wait for a person, by their resource."""
        items = self.as_operator("GET", "/v1/approvals?state=pending&limit=200")["items"]
        found = [self.action(item["action_id"]) for item in items]
        return [one["action_id"] for one in sorted(found, key=lambda one: one["resource"]) if one["run_id"] == run_id]

    def approve(self, action_id: str) -> None:
        asked = self.action(action_id)
        yes = {"digest_prefix": asked["digest"][:12]}
        assert self.as_operator("POST", f"/v1/approvals/{asked['approval']['id']}/approve", yes)["state"] == "approved"

    def deny(self, action_id: str) -> None:
        asked = self.action(action_id)
        no = {"category": "other", "reason": "not now"}
        assert self.as_operator("POST", f"/v1/approvals/{asked['approval']['id']}/deny", no)["state"] == "denied"

    def outcomes(self, run_id: str) -> list[str]:
        """Return the states of the actions of a run, oldest first."""
        ids: list[str] = []
        path: str | None = "/v1/records?kind=action.decided&limit=200"
        while path:
            page = self.as_operator("GET", path)
            ids += [leaf["action"] for item in page["items"] if (leaf := item["leaf"])["detail"].get("run") == run_id]
            after = page["next_cursor"]
            path = after and f"/v1/records?kind=action.decided&limit=200&cursor={after}"
        return [self.action(action_id)["state"] for action_id in reversed(ids)]

    def _call(self, token: str, method: str, path: str, body: dict[str, Any] | None) -> Any:  # JSON
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        raw = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, raw, headers, method=method)  # noqa: S310  # ours
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310  # ours
            return json.load(answer)
