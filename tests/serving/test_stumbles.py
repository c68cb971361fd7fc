"""What somebody stumbles over who sets an agent up: each is told with what to do, and it works once mended."""

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from assent.cli.exits import Exit
from assent.core.errors import AssentError
from assent.sdk.client import Assent
from assent.sdk.errors import ActionDenied, ConfigurationError
from tests.serving.broker_process import WAIT_SECONDS, BrokerProcess, Home, run

pytestmark = pytest.mark.requirement("P1")

WRONG_KEY = f"asn_{'0' * 32}_{'a' * 43}"


@dataclass
class Agent:
    """An agent's program beside one broker, which counts how often its body ran."""

    broker: BrokerProcess
    spool: Path
    ran: int = 0

    def tries(self, tool: str = "files.read", key: str | None = None, **arguments: str) -> None:
        """Run one action, or raise why not."""
        given = arguments or {"path": "staging/a"}
        key = self.broker.home.agent_key if key is None else key
        client = Assent(self.broker.url, key, spool=self.spool)
        with client, client.run("stumbles"), client.action(tool, given, wait=0):
            self.ran += 1

    def is_told(self, kind: type[AssentError], *said: str, **what: Any) -> AssentError:
        """Return the refusal, which has to say all of this, with a next step; nothing ran."""
        before = self.ran
        with pytest.raises(kind) as refused:
            self.tries(**what)
        told = f"{refused.value.message}; {refused.value.hint}"
        assert [words for words in said if words not in told] == [], told
        assert (bool(refused.value.hint), self.ran) == (True, before)
        return refused.value

    def edits(self, name: str, old: str, new: str) -> None:
        """Change a policy file, and have the broker read it."""
        file = self.broker.home.directory / "policies" / name
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    def is_joined_by(self, operator: str) -> dict[str, str]:
        """Declare one more operator, have their token issued, and return the environment that they work in."""
        with (self.broker.home.directory / "policies" / "operators.yaml").open("a") as people:
            people.write(f"\n{operator}: {{groups: [], may: [operator]}}\n")
        until(lambda: operator in str(self.broker.as_operator("GET", "/v1/operators")))
        config = ("--direct", "--config", str(self.broker.home.config))
        issued = run("operators", "token", "issue", operator, *config, "--json", env=self.broker.operator)
        return self.broker.operator | {"ASSENT_OPERATOR_TOKEN": json.loads(issued.stdout)["token"]}


@pytest.fixture
def agent(home: Home, tmp_path: Path) -> Iterator[Agent]:
    quick = {"ASSENT_POLICY_WATCH_SECONDS": "0.05"}
    with BrokerProcess(home=home, env=quick) as broker:
        yield Agent(broker, tmp_path / "spool")


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < end


def test_a_wrong_key_and_one_that_is_cut_off(agent: Agent) -> None:
    agent.is_told(ConfigurationError, "this credential is not known", "assent agents key issue", key=WRONG_KEY)
    agent.is_told(ConfigurationError, "no whole key", "copy it again", key="asn_x")
    agent.is_told(ConfigurationError, "no agent key", "begin with `asn_`", key=agent.broker.home.operator_token)
    cut = {**agent.broker.operator, "ASSENT_OPERATOR_TOKEN": "aso_x"}
    ended = run("approvals", "list", env=cut)
    assert (ended.returncode, "no whole key" in ended.stderr, "copy it again" in ended.stderr) == (2, True, True)
    unknown = {**agent.broker.operator, "ASSENT_OPERATOR_TOKEN": f"aso_{'0' * 32}_{'a' * 43}"}
    ended = run("approvals", "list", env=unknown)
    assert (ended.returncode, "assent login" in ended.stderr) == (Exit.REFUSED, True), ended.stderr


def test_an_unknown_tool_and_a_missing_field(agent: Agent) -> None:
    agent.is_told(ActionDenied, "not in the catalogue", "use a tool from", tool="files.raed")
    agent.is_told(
        ActionDenied, "`content` is missing", "correct the named argument", tool="files.write", path="staging/a"
    )


def test_a_typo_in_an_effect_is_told_by_file_and_line_and_the_version_before_serves(agent: Agent) -> None:
    agent.edits("roles/files.yaml", "effect: allow", "effect: alow")
    checked = run("policy", "check", str(agent.broker.home.directory / "policies"))
    assert checked.returncode == Exit.FINDINGS
    assert "roles/files.yaml:8:" in checked.stdout + checked.stderr
    assert "did you mean `allow`" in checked.stdout + checked.stderr
    until(lambda: "policy_refused" in agent.broker.log())
    agent.tries()
    assert agent.ran == 1


def test_an_agent_whose_registration_has_expired(agent: Agent) -> None:
    agent.edits("agents.yaml", "2030-01-01", "2020-01-01")
    until(lambda: "blocked" in agent.broker.as_agent("GET", "/v1/me"))
    agent.is_told(ActionDenied, "registration has expired", "renew `expires`")
    agent.edits("agents.yaml", "2020-01-01", "2030-01-01")
    until(lambda: "blocked" not in agent.broker.as_agent("GET", "/v1/me"))
    agent.tries()


def test_a_suspended_agent_and_one_that_goes_on(agent: Agent) -> None:
    suspended = run("agents", "suspend", "demo-agent", "--reason", "odd", env=agent.broker.operator)
    assert (suspended.returncode, "resume with: assent agents resume" in suspended.stdout) == (0, True)
    agent.is_told(ActionDenied, "is suspended", "ask the agent's owner; do not retry")
    alone = run("agents", "resume", "demo-agent", "--reason", "fine", env=agent.broker.operator)
    assert (alone.returncode, "declare a second operator" in alone.stdout) == (Exit.REFUSED, True)
    second = agent.is_joined_by("second")
    assert run("agents", "resume", "demo-agent", "--reason", "fine", env=second).returncode == 0
    agent.tries()


def test_a_revoked_key_and_the_one_that_takes_its_place(agent: Agent, tmp_path: Path) -> None:
    (key,) = agent.broker.as_operator("GET", "/v1/agents/demo-agent")["keys"]
    assert run("agents", "key", "revoke", "demo-agent", key["id"], env=agent.broker.operator).returncode == 0
    agent.is_told(ConfigurationError, "this credential was revoked", "assent agents key issue")
    issued = run("agents", "key", "issue", "demo-agent", "--out", str(tmp_path / "key"), env=agent.broker.operator)
    assert issued.returncode == 0, issued.stderr
    agent.broker.home = replace(agent.broker.home, agent_key=(tmp_path / "key").read_text().strip())
    agent.tries()
    assert agent.ran == 1


@pytest.mark.requirement("T24")
@pytest.mark.skipif(os.geteuid() == 0, reason="root can read every file")
def test_a_key_file_that_cannot_be_read(home: Home) -> None:
    (home.directory / "keys" / "ledger_key").chmod(0)
    ended = run("serve", "--config", str(home.config), "--port", "0")
    assert (ended.returncode, "cannot be read" in ended.stderr, "chmod 600" in ended.stderr) == (2, True, True)


@pytest.mark.requirement("T24")
def test_a_key_file_that_is_no_file(home: Home) -> None:
    key = home.directory / "keys" / "ledger_key"
    key.unlink()
    key.mkdir(mode=0o700)
    ended = run("serve", "--config", str(home.config), "--port", "0")
    assert (ended.returncode, "is not a plain file" in ended.stderr) == (Exit.USAGE, True), ended.stderr
    assert "next:" in ended.stderr


def test_two_servers_on_one_ledger_and_the_first_goes_on(agent: Agent) -> None:
    second = run("serve", "--config", str(agent.broker.home.config), "--port", "0")
    assert second.returncode == Exit.UNREACHABLE
    assert "another broker serves" in second.stderr
    assert "stop it first, or serve another ledger" in second.stderr
    agent.tries()
    assert json.loads(run("breakers", "list", "--json", env=agent.broker.operator).stdout)["items"] == []
