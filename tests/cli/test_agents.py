"""`assent agents` and `assent services`: who may ask, keys handed over safely, an agent stopped and let go on."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from assent.cli.exits import Exit
from tests.cli.conftest import Shell
from tests.cli.terminal import on_a_terminal
from tests.serving.broker_process import BrokerProcess, Home

SECOND = "\nsecond: {groups: [approvers], may: [approver]}\nthird: {groups: [], may: [operator]}\n"


@pytest.fixture
def own(made: Home, tmp_path: Path) -> Iterator[BrokerProcess]:
    """A broker of this test's own, with a second approver, and a second operator."""
    home = made.copied(tmp_path / "own")
    people = home.directory / "policies" / "operators.yaml"
    people.write_text(people.read_text() + SECOND)
    with BrokerProcess(home=home) as running:
        yield running


@pytest.fixture
def own_operator(shell: Shell, own: BrokerProcess) -> Shell:
    return lambda *arguments, **env: shell(*arguments, **{**own.operator, **env})


def test_agents_are_listed_with_who_owns_them_and_how_many_keys_they_hold(operator: Shell) -> None:
    said = operator("agents", "list")
    assert said.code == 0
    assert said.out.startswith("demo-agent\tactive\tdemo-owner\tfile-worker\t")
    assert "\t1 live\t" in said.out


def test_one_agent_is_shown_whole(operator: Shell, broker: BrokerProcess) -> None:
    said = operator("agents", "show", "demo-agent")
    assert said.out.startswith("demo-agent  active\n")
    for fact in ("owner       demo-owner", "roles       file-worker", "expires     2030-01-01", "not by itself"):
        assert fact in said.out
    assert json.loads(operator("agents", "show", "demo-agent", "--json").out) == broker.as_operator(
        "GET", "/v1/agents/demo-agent"
    )
    unknown = operator("agents", "show", "demo-agnt")
    assert (unknown.code, "assent agents list" in unknown.err) == (Exit.USAGE, True)


@pytest.mark.requirement("P9")
def test_a_key_goes_into_a_new_file_for_its_owner_alone_and_nowhere_else(
    own: BrokerProcess, own_operator: Shell, tmp_path: Path
) -> None:
    file = tmp_path / "bot.key"
    said = own_operator("agents", "key", "issue", "demo-agent", "--out", str(file), "--valid-for", "30d")
    assert said.code == 0, said.err
    secret = file.read_text().strip()
    assert (secret.startswith("asn_"), stat.S_IMODE(file.stat().st_mode)) == (True, 0o600)
    assert f"issued a key for `demo-agent`: it is in {file}" in said.out
    assert "it ends by itself: 29 d left" in said.out
    assert secret not in said.out + said.err + own.log()
    assert own_operator("agents", "list").out.count("2 live, 29 d left for one") == 1


def test_a_file_that_is_there_is_not_overwritten_and_nothing_is_issued(
    own: BrokerProcess, own_operator: Shell, tmp_path: Path
) -> None:
    taken, link = tmp_path / "taken", tmp_path / "link"
    taken.write_text("mine")
    link.symlink_to(tmp_path / "nowhere")
    for file in (taken, link):
        said = own_operator("agents", "key", "issue", "demo-agent", "--out", str(file))
        assert (said.code, "nothing was issued" in said.err) == (Exit.USAGE, True)
    assert taken.read_text() == "mine"
    missing = own_operator("agents", "key", "issue", "demo-agent", "--out", str(tmp_path / "no" / "key"))
    assert (missing.code, "unforeseen" in missing.err) == (Exit.USAGE, False)
    assert len(own.records("key.issued")) == 1


def test_what_is_refused_leaves_no_file_behind(own_operator: Shell, tmp_path: Path) -> None:
    file = tmp_path / "key"
    said = own_operator("agents", "key", "issue", "nobody", "--out", str(file))
    assert (said.code, "agents.yaml" in said.err, file.exists()) == (Exit.USAGE, True, False)


def test_a_disk_that_is_full_is_told_with_the_key_that_nobody_holds(own: BrokerProcess, own_operator: Shell) -> None:
    said = own_operator("agents", "key", "issue", "demo-agent", "--out", "/dev/full")
    assert (said.code, "there already" in said.err) == (Exit.USAGE, True)
    assert len(own.records("key.issued")) == 1


@pytest.mark.requirement("P9")
def test_a_secret_is_not_written_into_a_pipe_by_accident(own: BrokerProcess, own_operator: Shell) -> None:
    said = own_operator("agents", "key", "issue", "demo-agent")
    assert (said.code, said.out) == (Exit.USAGE, "")
    assert len(own.records("key.issued")) == 1


def test_at_a_terminal_a_key_is_shown_once_with_what_it_means(own: BrokerProcess) -> None:
    shown = on_a_terminal("agents", "key", "issue", "demo-agent", env=own.operator)
    assert shown.code == 0
    assert shown.text.count("asn_") == 1
    assert "  export ASSENT_AGENT_KEY=asn_" in shown.text
    assert "you may not approve what is asked with it; who may: second" in shown.text


@pytest.mark.requirement("P5", "T4")
def test_who_issued_the_key_cannot_approve_what_is_asked_with_it(own: BrokerProcess, own_operator: Shell) -> None:
    told = json.loads(own_operator("agents", "key", "issue", "demo-agent", "--json").out)
    own.home = Home(directory=own.home.directory, operator_token=own.home.operator_token, agent_key=told["key"])
    asked = own.ask("files.write", path="prod/a", content="x")
    said = own_operator("approvals", "approve", asked["approval"]["code"], "--sha", asked["digest"][:12])
    assert (said.code, "you issued the agent's key" in said.err) == (Exit.REFUSED, True)


@pytest.mark.requirement("T9")
def test_a_revoked_key_opens_nothing_and_what_it_asked_is_named(own: BrokerProcess, own_operator: Shell) -> None:
    waiting = own.ask("files.write", path="prod/a", content="x")
    (key,) = own.as_operator("GET", "/v1/agents/demo-agent")["keys"]
    said = own_operator("agents", "key", "revoke", "demo-agent", key["id"])
    assert said.code == 0
    assert f"revoked: nothing is decided or redeemed for key {key['id']} any more" in said.out
    assert waiting["action_id"] in said.out
    assert own.ask("files.read", path="prod/a")["code"] == "unauthenticated"
    listed = own_operator("agents", "show", "demo-agent").out
    assert "\trevoked\t" in listed
    assert " ago by you" in listed
    assert own_operator("agents", "key", "revoke", "demo-agent", "none").code == Exit.USAGE


@pytest.mark.requirement("P6")
def test_a_suspended_agent_is_stopped_at_once_and_goes_on_when_it_is_resumed(
    own: BrokerProcess, own_operator: Shell
) -> None:
    waiting = own.ask("files.write", path="prod/a", content="x")
    said = own_operator("agents", "suspend", "demo-agent", "--reason", "it behaves oddly")
    assert said.code == 0
    assert "suspended: demo-agent, by you at " in said.out
    assert f"cut off before it ran: 1\n  {waiting['action_id']}  demo-agent files.write production" in said.out
    assert "\ncut_off: " in said.out
    assert own.ask("files.read", path="prod/a")["reasons"][0]["code"] == "agent_suspended"
    assert "demo-agent\tsuspended\t" in own_operator("agents", "list").out
    shown = own_operator("agents", "show", "demo-agent").out
    assert "reason       it behaves oddly" in shown
    assert "may not act  this agent or its key is suspended" in shown
    assert "resuming takes two people who hold `agents.manage`" in said.out
    asked = own_operator("agents", "resume", "demo-agent", "--reason", "found it")
    assert asked.code == 0
    assert "still suspended: a second person must agree within 15 minutes; who may: third\n" in asked.out
    assert "they run: assent agents resume demo-agent" in asked.out
    assert "may go on?   you asked at " in own_operator("agents", "show", "demo-agent").out
    assert own.ask("files.read", path="prod/a")["decision"] == "deny"
    third = {"ASSENT_OPERATOR_TOKEN": issued_to(own_operator, own, "third")}
    again = own_operator("agents", "resume", "demo-agent", "--reason", "so did I", **third)
    assert (again.code, again.out) == (0, "demo-agent is active: it may ask again\n")
    assert own.ask("files.read", path="prod/a")["decision"] == "allow"
    kinds = ("agent.suspended", "agent.resume_asked", "agent.resumed")
    assert [len(own.records(kind)) for kind in kinds] == [1, 1, 1]


def issued_to(shell: Shell, broker: BrokerProcess, who: str) -> str:
    said = shell(
        "operators", "token", "issue", who, "--direct", "--config", str(broker.home.config), "--json", **broker.operator
    )
    token: str = json.loads(said.out)["token"]
    return token


@pytest.mark.requirement("P5")
def test_it_stays_suspended_where_there_is_no_second_person(made: Home, tmp_path: Path, shell: Shell) -> None:
    with BrokerProcess(home=made.copied(tmp_path / "alone")) as broker:
        shell("agents", "suspend", "demo-agent", "--reason", "odd", **broker.operator)
        said = shell("agents", "resume", "demo-agent", "--reason", "fine", **broker.operator)
        assert said.code == Exit.REFUSED
        assert "still suspended: a second person must agree, and there is nobody" in said.out
        assert "no other operator holds `agents.manage`" in said.out
        again = shell("agents", "resume", "demo-agent", "--reason", "fine", "--json", **broker.operator)
        assert (again.code, json.loads(again.out)["who"]) == (Exit.REFUSED, [])


@pytest.mark.parametrize("verb", ["suspend", "resume"])
def test_both_need_a_reason_which_is_asked_for_at_a_terminal(
    own: BrokerProcess, own_operator: Shell, verb: str
) -> None:
    assert own_operator("agents", verb, "demo-agent").code == Exit.USAGE
    assert own_operator("agents", verb, "demo-agent", "--reason", " ").code == Exit.USAGE
    shown = on_a_terminal("agents", verb, "demo-agent", typed="a bad day\n", env=own.operator)
    assert (shown.code, "?" in shown.text) == (0, True)
    assert own_operator("agents", verb, "demo-agnt", "--reason", "x").code == Exit.USAGE


def test_a_services_key_is_issued_listed_and_revoked(own: BrokerProcess, own_operator: Shell, tmp_path: Path) -> None:
    assert own_operator("services", "key", "issue", "db").code == Exit.USAGE
    assert own_operator("services", "key", "issue", "db", "--tool", "a..b", "--json").code == Exit.USAGE
    file = tmp_path / "db.key"
    said = own_operator("services", "key", "issue", "db", "--tool", "db.*", "--tool", "files.read", "--out", str(file))
    assert (said.code, "it redeems grants for: db.*, files.read" in said.out) == (0, True)
    assert file.read_text().startswith("ass_")
    listed = own_operator("services", "list").out
    assert listed.startswith("db\tdb.*, files.read\t")
    (key,) = own.as_operator("GET", "/v1/services")["items"][0]["keys"]
    assert own_operator("services", "key", "revoke", "db", key["id"]).code == 0
    assert own_operator("services", "list").out == ""


def test_a_list_says_how_it_goes_on(own: BrokerProcess, shell: Shell, tmp_path: Path) -> None:
    more = "more-agent: {owner: demo-owner, roles: [file-worker], expires: 2030-01-01}\n"
    home = own.home.copied(tmp_path / "more")
    agents = home.directory / "policies" / "agents.yaml"
    agents.write_text(agents.read_text() + more)
    with BrokerProcess(home=home) as broker:
        said = shell("agents", "list", "--limit", "1", **broker.operator)
        assert (said.out.count("\n"), said.err) == (1, "there are more: --cursor demo-agent\n")
        rest = shell("agents", "list", "--cursor", "demo-agent", **broker.operator)
        assert (rest.out.split("\t")[0], rest.err) == ("more-agent", "")


def test_a_broker_that_does_not_answer_leaves_no_file_and_says_what_to_look_for(shell: Shell, tmp_path: Path) -> None:
    env = {"ASSENT_URL": "http://127.0.0.1:1", "ASSENT_OPERATOR_TOKEN": "aso_0000_x"}
    said = shell("agents", "key", "issue", "demo-agent", "--out", str(tmp_path / "key"), **env)
    assert (said.code, "assent agents show demo-agent" in said.err) == (Exit.UNREACHABLE, True)
    assert list(tmp_path.iterdir()) == []
