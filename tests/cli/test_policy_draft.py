"""`assent policy draft`: from a server's list, functions, and what a running broker denied, into files that wait."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from assent.cli.exits import Exit
from tests.cli.conftest import Said, Shell
from tests.policy.directory import SAMPLE, write
from tests.serving.broker_process import BrokerProcess, Home

TOOLS = {
    "tools": [
        {"name": "create", "description": "Create an issue", "inputSchema": {"properties": {"key": {"type": "string"}}}}
    ]
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.json").write_text(json.dumps(TOOLS))
    (tmp_path / "ops.py").write_text('def drain(node: str):\n    """Empty a node."""\n')
    return write(tmp_path / "policies", SAMPLE)


def refused(said: Said, *words: str) -> None:
    assert said.code != Exit.DONE
    assert all(word in said.err for word in words), said.err


def test_a_servers_tools_become_files_that_wait_and_what_is_left_is_told(shell: Shell, here: Path) -> None:
    said = shell("policy", "draft", "bot", "--mcp", "list.json", "--prefix", "jira")
    assert said.code == Exit.DONE, said.err
    assert sorted(file.name for file in (here / "drafts").iterdir()) == [
        "jira.roles.yaml",
        "jira.tests.yaml",
        "jira.tools.yaml",
    ]
    assert "jira.create: say what each changes" in said.out
    assert "give the role `jira` to `bot` in agents.yaml" in said.out
    assert shell("policy", "check", str(here)).out.splitlines()[-1].startswith(f"{here}: 0 errors")


def test_functions_and_a_server_go_into_one_draft(shell: Shell, here: Path) -> None:
    said = shell(
        *("policy", "draft", "bot", "--mcp", "list.json", "--python", "ops:drain", "--name", "work"),
        *("--policies", str(here), "--json"),
    )
    told = json.loads(said.out)
    assert told["files"]["tools/work.yaml"] == str(here / "drafts/work.tools.yaml")
    tools = (here / "drafts/work.tools.yaml").read_text()
    assert "\ncreate:\n" in tools
    assert "\nops.drain:\n" in tools
    assert told["open_points"]


def test_nothing_that_is_there_is_overwritten(shell: Shell, here: Path) -> None:
    again = ("policy", "draft", "bot", "--python", "ops:drain", "--name", "work")
    assert shell(*again).code == Exit.DONE
    (here / "drafts/work.tools.yaml").write_text("mine")
    refused(shell(*again), "is there, nothing was written")
    assert (here / "drafts/work.tools.yaml").read_text() == "mine"


def test_what_cannot_be_drafted_is_told(shell: Shell, here: Path) -> None:
    (here.parent / "broken.json").write_text("{")
    draft = ("policy", "draft", "bot")
    refused(shell(*draft), "a draft comes from something")
    refused(shell(*draft, "--mcp", "broken.json"), "no JSON")
    refused(shell(*draft, "--mcp", "absent.json"), "cannot be read")
    refused(shell(*draft, "--mcp", "list.json", "--name", "no name"), "no name for a role")
    refused(shell(*draft, "--mcp", "list.json", "--name", "deployer"), "there is a role `deployer` already")
    refused(shell(*draft, "--python", "ops"), "guards no function")
    assert not (here / "drafts").exists()


@pytest.fixture
def reader(made: Home, tmp_path: Path) -> Iterator[BrokerProcess]:
    """Return a broker whose operator may see payload."""
    home = made.copied(tmp_path / "broker")
    operators = home.directory / "policies/operators.yaml"
    operators.write_text(operators.read_text().replace("may: [approver, operator]", "may: [security_admin]"))
    with BrokerProcess(home=home) as running:
        yield running


def mails(broker: BrokerProcess) -> None:
    for to in ("a@example.com", "b@example.com"):
        assert broker.ask("mail.send", to=to, subject="hi")["reasons"][0]["code"] == "unknown_tool"


@pytest.mark.requirement("T14")
def test_what_an_agent_sent_is_in_no_draft_without_the_right_to_see_it(
    shell: Shell, broker: BrokerProcess, here: Path
) -> None:
    mails(broker)
    draft = ("policy", "draft", "demo-agent", "--denials", "--policies", str(here))
    said = shell(*draft, **broker.operator)
    assert "mail.send: its arguments are not known" in said.out
    tools = (here / "drafts/demo-agent-draft.tools.yaml").read_text()
    assert "\nmail.send:\n" in tools
    assert "  # arguments:" in tools
    refused(shell(*draft, "--name", "x", "--payload", "--reason", "drafting", **broker.operator), "audit.payloads")
    refused(shell(*draft, "--name", "x", "--since", "2099-01-01T00:00:00Z", **broker.operator), "nothing to draft")


def test_what_a_broker_denied_becomes_a_tool_and_a_rule(shell: Shell, reader: BrokerProcess, tmp_path: Path) -> None:
    mails(reader)
    policies = reader.home.directory / "policies"
    role = policies / "roles/files.yaml"
    written = role.read_text()
    (rule,) = [line for line in written.splitlines(keepends=True) if "files-write-staging" in line]
    role.write_text(written.replace(rule, ""))
    assert shell("policy", "reload", **reader.operator).code == Exit.DONE
    assert reader.ask("files.write", path="staging/notes/a", content="x")["reasons"][0]["code"] == "no_rule"
    draft = ("policy", "draft", "demo-agent", "--denials", "--policies", str(policies), "--name", "asked")
    said = shell(*draft, "--payload", "--reason", "drafting", **reader.operator)
    assert said.code == Exit.DONE, said.err
    assert "to: {type: string, max_length: 64}" in (policies / "drafts/asked.tools.yaml").read_text()
    roles = (policies / "drafts/asked.roles.yaml").read_text()
    assert "- id: asked-files-write-staging" in roles
    assert 'resources: ["staging/notes/a"]' in roles
    assert '"path": "staging/notes/a"' in (policies / "drafts/asked.tests.yaml").read_text()
    shown = reader.records("payload.revealed")
    assert len(shown) == 3
