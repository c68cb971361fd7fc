"""`assent policy reload`: the directory is read again when somebody asks, and its findings come back by line."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from assent.cli.exits import Exit
from tests.cli.conftest import Said, Shell
from tests.serving.broker_process import BrokerProcess, Home

pytestmark = pytest.mark.requirement("T6")

STAGING = "files-write-staging, tools: [files.write], environments: [staging], effect: allow"
ONLY_WHEN_ASKED = {"ASSENT_POLICY_WATCH_SECONDS": "0"}


@pytest.fixture
def home(made: Home, tmp_path: Path) -> Home:
    home = made.copied(tmp_path / "broker")
    edit(home, "operators.yaml", "may: [approver, operator]", "may: [security_admin]")
    return home


@pytest.fixture
def serving(home: Home) -> Iterator[BrokerProcess]:
    with BrokerProcess(home=home, env=ONLY_WHEN_ASKED) as broker:
        yield broker


def edit(home: Home, file: str, old: str, new: str) -> None:
    path = home.directory / "policies" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def reload(shell: Shell, broker: BrokerProcess, *more: str) -> Said:
    return shell("policy", "reload", *more, **broker.operator)


def writes(broker: BrokerProcess) -> str:
    return str(broker.ask("files.write", path="staging/a", content="x")["decision"])


def test_a_changed_directory_decides_from_the_answer_on_and_is_on_record(shell: Shell, serving: BrokerProcess) -> None:
    assert writes(serving) == "allow"
    edit(serving.home, "roles/files.yaml", STAGING, STAGING.replace("allow", "deny"))
    assert writes(serving) == "allow", "nobody asked yet"
    said = reload(shell, serving)
    assert (said.code, "serves now" in said.out) == (0, True)
    assert writes(serving) == "deny"
    (newest, *_) = serving.records("policy.activated")
    assert said.out.startswith(newest["policy"][:12])
    again = json.loads(reload(shell, serving, "--json").out)
    assert (again["uptake"], again["version"], again["serving"]) == ("unchanged", newest["policy"], newest["policy"])


def test_a_refused_directory_ends_with_1_and_every_finding_and_the_version_before_goes_on(
    shell: Shell, serving: BrokerProcess
) -> None:
    edit(serving.home, "roles/files.yaml", "effect: deny", "effect: Deny")
    edit(serving.home, "agents.yaml", "roles: [file-worker]", "roles: [file-wroker]")
    said = reload(shell, serving)
    assert said.code == Exit.FINDINGS
    lines = said.out.splitlines()
    assert [bool(re.match(r"(roles/files|agents)\.yaml:\d+:\d+: ", line)) for line in lines] == [True] * len(lines)
    assert {line.partition(":")[0] for line in lines} == {"roles/files.yaml", "agents.yaml"}
    assert "goes on serving" in said.err
    assert writes(serving) == "allow"
    (record,) = serving.records("policy.refused")
    assert (record["operator"], record["detail"]["findings"]) == ("you", len(lines))
    as_json = json.loads(reload(shell, serving, "--json").out)
    assert (as_json["code"], len(as_json["errors"])) == ("policy_refused", len(lines))


@pytest.mark.requirement("T23")
def test_a_version_that_widens_waits_where_somebody_has_to_confirm_it(shell: Shell, home: Home) -> None:
    with BrokerProcess(home=home, env={**ONLY_WHEN_ASKED, "ASSENT_ACTIVATION": "confirm"}) as broker:
        edit(home, "roles/files.yaml", "environments: [staging], effect: allow", 'environments: ["*"], effect: allow')
        said = reload(shell, broker)
        assert (said.code, "waits" in said.out, "  widens  " in said.out) == (0, True, True)
        assert "assent policy activate" in said.out
        assert json.loads(reload(shell, broker, "--json").out)["uptake"] == "waiting"


def test_who_may_not_activate_policies_reloads_nothing(shell: Shell, made: Home, tmp_path: Path) -> None:
    home = made.copied(tmp_path / "broker")
    with BrokerProcess(home=home, env=ONLY_WHEN_ASKED) as broker:
        edit(home, "roles/files.yaml", STAGING, STAGING.replace("allow", "deny"))
        said = reload(shell, broker)
        assert (said.code, "policy.activate" in said.err) == (Exit.REFUSED, True)
        assert writes(broker) == "allow"
        assert len(broker.records("policy.activated")) == 1


@pytest.mark.requirement("T22")
def test_an_agents_key_reloads_nothing(serving: BrokerProcess) -> None:
    assert serving.as_agent("POST", "/v1/policy/reload", {})["code"] == "unauthenticated"


def test_a_broker_says_what_serves_why_and_in_which_words(shell: Shell, serving: BrokerProcess) -> None:
    said = shell("policy", "status", **serving.operator)
    assert said.out.startswith("serves: ")
    assert "(activation: auto)" in said.out
    asked = ("demo-agent", "files.write", "path=prod/a", "content=x")
    explained = shell("policy", "explain", *asked, **serving.operator)
    assert explained.out.startswith("a human is asked\n")
    assert json.loads(shell("policy", "explain", *asked, "--json", **serving.operator).out)["decision"] == "pending"
    assert shell("policy", "show", **serving.operator).out.startswith("# Access policy\n")
    assert "p, files-read, " in shell("policy", "show", "--format", "casbin", **serving.operator).out
    edit(serving.home, "agents.yaml", "demo-agent:", "# later\ndemo-agent:")
    assert "which was not taken up" in shell("policy", "status", **serving.operator).out
    assert "by now, which does not serve" in shell("policy", "explain", *asked, **serving.operator).out


@pytest.mark.requirement("T23")
def test_what_widens_waits_until_somebody_confirms_it(shell: Shell, home: Home) -> None:
    careful = {**ONLY_WHEN_ASKED, "ASSENT_ACTIVATION": "confirm"}
    with BrokerProcess(home=home, env=careful) as broker:
        edit(home, "environments.yaml", "production: {}", "production: {nonproduction: true}")
        said = reload(shell, broker)
        assert "waits" in said.out
        status = shell("policy", "status", **broker.operator).out
        digest = re.findall(r"^waits: ([0-9a-f]{64})$", status, re.MULTILINE)[0]
        assert "widens:" in status
        assert shell("policy", "activate", "0" * 12, **broker.operator).code == Exit.DIGEST_CHANGED
        assert "serves from now on" in shell("policy", "activate", digest[:12], **broker.operator).out
        assert shell("policy", "activate", digest, **broker.operator).out == f"{digest[:12]} serves already\n"
        (newest, *_) = broker.records("policy.activated")
        assert (newest["operator"], newest["policy"]) == ("you", digest)


def outcome_of(home: Home, tmp_path: Path, shell: Shell) -> Path:
    """Return a file with what `policy test --json` prints of a home's policies."""
    said = shell("policy", "test", str(home.directory / "policies"), "--json")
    assert said.code == 0, said.out
    file = tmp_path / "tests.json"
    file.write_text(said.out)
    return file


def publish(shell: Shell, broker: BrokerProcess, tests: Path, *more: str, **changes: str) -> Said:
    named = {
        "commit": "c0" * 20,
        "change-url": "https://code.example/7",
        "author": "gus",
        "reviewer": "eve",
        "tests": str(tests),
    }
    options = [part for name, value in (named | changes).items() for part in (f"--{name}", value)]
    return shell("policy", "publish", str(broker.home.directory / "policies"), *options, *more, **broker.operator)


@pytest.mark.requirement("T23")
def test_a_directory_is_published_once_it_was_reviewed_and_tested(
    shell: Shell, serving: BrokerProcess, tmp_path: Path
) -> None:
    status = shell("policy", "status", **serving.operator).out
    assert "review: none on record" in status
    edit(serving.home, "roles/files.yaml", STAGING, STAGING.replace("allow", "deny"))
    (serving.home.directory / "policies" / "tests").joinpath("files.yaml").write_text(
        "- {name: nothing is written, agent: demo-agent, tool: files.write, arguments: {path: staging/a, content: x},"
        " expect: {decision: deny}}\n"
    )
    tests = outcome_of(serving.home, tmp_path, shell)
    assert "same person" in publish(shell, serving, tests, reviewer="GUS").err
    assert writes(serving) == "allow", "nothing was published yet"
    said = publish(shell, serving, tests)
    assert (said.code, "is active now" in said.out) == (0, True), said
    assert writes(serving) == "deny"
    (record,) = serving.records("policy.published")
    assert (record["operator"], record["detail"]["reviewer"]) == ("you", "eve")
    status = shell("policy", "status", **serving.operator).out
    assert "commit c0c0c0c0c0c0 by gus, reviewed by eve: https://code.example/7" in status
    assert "1 cases came out" in status
    again = publish(shell, serving, tests, "--json")
    assert json.loads(again.out)["uptake"] == "unchanged"
    assert "active already" in publish(shell, serving, tests).out
    refused = reload(shell, serving)
    assert (refused.code, "are published" in refused.err) == (Exit.USAGE, True)
    edit(serving.home, "agents.yaml", "demo-agent:", "# later\ndemo-agent:")
    assert "about version" in publish(shell, serving, tests).err
    assert "is not read: publish it" in shell("policy", "status", **serving.operator).out
    doctor = shell("doctor", "--config", str(serving.home.config))
    assert "published by you: commit c0c0c0c0c0c0 by gus, reviewed by eve" in doctor.out
    assert "which is not read" in doctor.out
    # Started anew, the broker serves what is active, whatever its directory holds.
    serving.stop()
    serving.start()
    assert writes(serving) == "deny"
    assert "policy_directory_not_read" in serving.log()


@pytest.mark.requirement("T23")
def test_what_widens_is_published_and_waits(shell: Shell, home: Home, tmp_path: Path) -> None:
    careful = {**ONLY_WHEN_ASKED, "ASSENT_ACTIVATION": "confirm"}
    with BrokerProcess(home=home, env=careful) as broker:
        edit(home, "operators.yaml", "demo-owner:", "gus: {groups: [approvers], may: [approver]}\ndemo-owner:")
        said = publish(shell, broker, outcome_of(home, tmp_path, shell))
        assert (said.code, "is published and waits" in said.out) == (0, True), said
        status = shell("policy", "status", **broker.operator).out
        digest = re.findall(r"^waits: ([0-9a-f]{64})$", status, re.MULTILINE)[0]
        assert "reviewed by eve" in status
        assert "serves from now on" in shell("policy", "activate", digest[:12], **broker.operator).out


def test_a_directory_that_is_not_sound_or_tests_that_cannot_be_read_are_sent_to_nobody(
    shell: Shell, serving: BrokerProcess, tmp_path: Path
) -> None:
    odd = tmp_path / "odd.json"
    odd.write_bytes(b"\xff")
    assert "cannot be read as text" in publish(shell, serving, odd).err
    assert publish(shell, serving, tmp_path / "nowhere").code == Exit.USAGE
    odd.write_bytes(b" " * (1024 * 1024 + 1))
    assert "longer than" in publish(shell, serving, odd).err
    edit(serving.home, "agents.yaml", "roles: [file-worker]", "roles: [file-wroker]")
    assert publish(shell, serving, odd).code == Exit.FINDINGS
    assert not serving.records("policy.published")
