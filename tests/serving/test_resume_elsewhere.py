"""An agent asks and its process ends; a person answers; other processes hear of it by `decided`, and it runs once."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.serving.broker_process import BrokerProcess, clean_environment

PATIENCE_SECONDS: Final = 60
ASKS: Final = """
import os
from assent import Assent
broker = Assent()
with broker.run("newsletter"):
    asked = broker.request("files.write", {"path": "prod/a.txt", "content": "one"}, reason="the lift works")
print(asked.action_id, asked.decision, flush=True)
os._exit(9)  # as a process that is killed: nothing is said, nothing is closed
"""
RESUMES: Final = """
import sys
from assent import AlreadyExecuted, Assent
broker = Assent()
print("ready", flush=True)
sys.stdin.readline()
for decision in broker.decided(wait_seconds=20).items:
    if decision.state != "ready":
        print("not ready:", decision.state, flush=True)
        continue
    try:
        with broker.resume(decision) as action, open(sys.argv[1], "a") as ran:
            ran.write(f"{action.id} {action.arguments['content']}\\n")
    except AlreadyExecuted:
        print("somebody else", flush=True)
"""


def started(broker: BrokerProcess, program: str, *arguments: str) -> subprocess.Popen[str]:
    """Start an agent's process with the key of the agent."""
    own = {"ASSENT_URL": broker.url, "ASSENT_AGENT_KEY": broker.home.agent_key, "TMPDIR": str(broker.home.directory)}
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env=clean_environment(own),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.requirement("P4", "T21")
def test_a_paused_agent_is_resumed_by_other_processes_and_runs_once(broker: BrokerProcess, tmp_path: Path) -> None:
    asking = started(broker, ASKS)
    said, _ = asking.communicate(timeout=PATIENCE_SECONDS)
    action, decision = said.split()
    assert (asking.returncode, decision) == (9, "pending")

    ran = tmp_path / "ran"
    workers = [started(broker, RESUMES, str(ran)) for _ in range(3)]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    asked = broker.as_agent("GET", f"/v1/actions/{action}")
    yes = {"digest_prefix": asked["digest"][:12]}
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("\n")
        worker.stdin.flush()
    assert broker.as_operator("POST", f"/v1/approvals/{asked['approval']['code']}/approve", yes)["state"] == "approved"

    told = [worker.communicate(timeout=PATIENCE_SECONDS)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0]
    assert ran.read_text() == f"{action} one\n"
    assert "".join(told).count("\n") == 2, told
    assert broker.as_agent("GET", f"/v1/actions/{action}")["state"] == "succeeded"
    assert len(broker.records("grant.redeemed")) == 1
