"""`assent breakers`: a stop happens first and is explained after; letting go on takes a second person."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assent.cli import watching_breakers
from assent.cli.exits import Exit
from tests.cli.conftest import Shell
from tests.cli.terminal import on_a_terminal
from tests.serving.broker_process import BrokerProcess, Home

SECOND = "\nsecond: {groups: [], may: [operator]}\n"


@pytest.fixture
def own(made: Home, tmp_path: Path) -> Iterator[BrokerProcess]:
    """A broker of this test's own: whoever stops something in production cannot undo it alone."""
    with BrokerProcess(home=made.copied(tmp_path / "own")) as running:
        yield running


@pytest.fixture
def own_operator(shell: Shell, own: BrokerProcess) -> Shell:
    return lambda *arguments, **env: shell(*arguments, **{**own.operator, **env})


def decision(broker: BrokerProcess, tool: str = "files.read", **arguments: Any) -> str:
    return str(broker.ask(tool, **(arguments or {"path": "prod/a"}))["decision"])


@pytest.mark.requirement("P6", "T11")
def test_a_stop_holds_from_its_answer_on_and_says_what_it_cut_off(own: BrokerProcess, own_operator: Shell) -> None:
    waiting = own.ask("files.write", path="prod/a", content="x")
    running = own.as_agent(
        "POST", "/v1/actions", {"tool": "files.read", "arguments": {"path": "prod/a"}, "attempt": "a" * 22}
    )
    said = own_operator("breakers", "trip", "--agent", "demo-agent", "--reason", "it behaves oddly")
    assert said.code == 0
    assert "tripped: agent `demo-agent`; from now on nothing in this scope passes" in said.out
    assert f"cut off before it ran: 1\n  {waiting['action_id']}  demo-agent files.write production" in said.out
    assert f"still running, a breaker cannot stop it: 1\n  {running['action_id']}" in said.out
    assert "\ncut_off: " in said.out
    assert "demo-agent asked in the last hour: " in said.out
    assert "assent audit tail --agent demo-agent" in said.out
    assert decision(own) == "deny"
    assert "it behaves oddly" in own_operator("breakers", "list").out


def test_an_alias_stops_as_well(own: BrokerProcess, own_operator: Shell) -> None:
    assert own_operator("stop", "--tool", "files.*", "--env", "production").code == 0
    assert decision(own) == "deny"
    assert decision(own, path="staging/a") == "allow"


def test_a_stop_of_everything_must_be_said(own: BrokerProcess, own_operator: Shell) -> None:
    decision(own)
    said = own_operator("breakers", "trip")
    assert said.code == Exit.USAGE
    assert "active in the last 10 minutes: demo-agent" in said.err
    assert decision(own) == "allow"
    assert own_operator("breakers", "trip", "--all").code == 0
    assert decision(own) == "deny"


def test_a_scope_and_everything_at_once_stop_nothing(broker: BrokerProcess, operator: Shell) -> None:
    assert operator("breakers", "trip", "--all", "--agent", "demo-agent").code == Exit.USAGE
    assert decision(broker) == "allow"


def test_a_name_that_nobody_saw_is_stopped_and_questioned(own: BrokerProcess, own_operator: Shell) -> None:
    said = own_operator("breakers", "trip", "--agent", "demo-agnt", "--env", "produktion", "--reason", "x")
    assert said.code == 0
    assert "no agent is called `demo-agnt`, did you mean `demo-agent`; it is stopped all the same" in said.out
    assert "no environment is called `produktion`, did you mean `production`; it is stopped all the same" in said.out
    assert "note: " not in own_operator("breakers", "trip", "--tool", "files.*", "--reason", "x").out


@pytest.mark.requirement("P6")
def test_at_a_terminal_it_stops_first_and_asks_why_after(own: BrokerProcess) -> None:
    shown = on_a_terminal("breakers", "trip", "--env", "production", typed="a bad day\n", env=own.operator)
    assert shown.code == 0
    assert shown.text.index("tripped: environment") < shown.text.index("stopped. why?")
    breaker = own.as_operator("GET", "/v1/breakers")["items"][0]
    assert (breaker["state"], breaker["reason"], breaker["revision"]) == ("forced_open", "a bad day", 2)


def test_json_is_exactly_the_answer_of_the_api(own: BrokerProcess, own_operator: Shell) -> None:
    tripped = json.loads(own_operator("breakers", "trip", "--env", "staging", "--ttl", "30m", "--json").out)
    assert tripped["breaker"]["scope"]["environment"] == "staging"
    assert tripped["breaker"]["ask_again_at"]
    listed = json.loads(own_operator("breakers", "list", "--json").out)
    assert listed == own.as_operator("GET", "/v1/breakers")


@pytest.mark.parametrize("span", ["0s", "-1", "1y", "soon", "99999999999s"])
def test_a_time_that_is_none_stops_nothing(broker: BrokerProcess, operator: Shell, span: str) -> None:
    assert operator("breakers", "trip", "--env", "staging", "--ttl", span).code == Exit.USAGE
    assert broker.as_operator("GET", "/v1/breakers")["items"] == []


def test_outside_of_production_one_person_lets_go_on(own: BrokerProcess, own_operator: Shell) -> None:
    own_operator("breakers", "trip", "--env", "staging")
    breaker = own.as_operator("GET", "/v1/breakers")["items"][0]["id"]
    assert own_operator("breakers", "reset", breaker).code == Exit.USAGE
    said = own_operator("breakers", "reset", breaker, "--reason", "found it")
    assert (said.code, said.out) == (0, "closed: environment `staging` may go on\n")
    assert own_operator("breakers", "reset", breaker, "--reason", "again").code == Exit.ALREADY_DECIDED


def test_in_production_it_stays_open_where_there_is_no_second_person(own: BrokerProcess, own_operator: Shell) -> None:
    tripped = own_operator("breakers", "trip", "--env", "production")
    assert "a reset takes two people" in tripped.out
    breaker = own.as_operator("GET", "/v1/breakers")["items"][0]["id"]
    said = own_operator("breakers", "reset", breaker, "--reason", "found it")
    assert said.code == Exit.REFUSED
    assert "still open: a second person must agree, and there is nobody" in said.out
    assert "they run" not in said.out
    assert own_operator("breakers", "reset", breaker, "--reason", "found it", "--json").code == Exit.REFUSED
    assert decision(own) == "deny"


def test_a_second_person_who_may_is_named(made: Home, tmp_path: Path, shell: Shell) -> None:
    home = made.copied(tmp_path / "two")
    people = home.directory / "policies" / "operators.yaml"
    people.write_text(people.read_text() + SECOND)
    with BrokerProcess(home=home) as broker:
        shell("breakers", "trip", "--env", "production", **broker.operator)
        breaker = broker.as_operator("GET", "/v1/breakers")["items"][0]["id"]
        said = shell("breakers", "reset", breaker, "--reason", "found it", **broker.operator)
        assert (said.code, "who may: second" in said.out, "they run: " in said.out) == (0, True, True)


@pytest.mark.requirement("P6", "T11")
def test_a_stop_on_the_ledger_itself_holds_while_the_broker_serves(own: BrokerProcess, shell: Shell) -> None:
    said = directly(shell, own, "--env", "production", "--reason", "the api hangs")
    assert said.code == 0, said.err
    assert "tripped: environment `production`" in said.out
    assert decision(own) == "deny"
    by_hand = own.records("breaker.tripped")[0]["detail"]["by_hand"]
    assert set(by_hand) == {"os_user", "host"}


@pytest.mark.requirement("P6")
def test_a_stop_on_the_ledger_itself_needs_no_broker(own: BrokerProcess, shell: Shell) -> None:
    own.crash()
    said = directly(shell, own, "--all", "--json")
    assert json.loads(said.out)["breaker"]["covers"] == "everything"
    own.start()
    assert decision(own) == "deny"


@pytest.mark.requirement("T22")
@pytest.mark.parametrize("token", ["", "aso_000_forged", "asn_000_forged"])
def test_a_stop_on_the_ledger_itself_needs_an_operators_token(broker: BrokerProcess, shell: Shell, token: str) -> None:
    said = directly(shell, broker, "--all", token=token)
    assert said.code in {Exit.REFUSED, Exit.USAGE}
    assert decision(broker) == "allow"


@pytest.mark.requirement("P6")
def test_a_drill_stops_measures_lets_go_on_and_is_filed(own: BrokerProcess, own_operator: Shell) -> None:
    said = own_operator("breakers", "drill", "--env", "staging", "--replica", own.url)
    assert (said.code, said.err) == (0, "")
    assert "drill over environment `staging`: acknowledged" in said.out
    assert said.out.count("denied (breaker_open)") == 2
    assert said.out.endswith("reset; filed as a record\n")
    assert decision(own, path="staging/a") == "allow"
    filed = own.records("breaker.drilled")[0]["detail"]
    assert 0 < filed["acknowledged_ms"] <= filed["first_denial_ms"]
    assert filed["replicas"] == [own.url, own.url]
    assert own.records("breaker.tripped")[0]["detail"]["drill"] is True
    assert len(own.records("breaker.reset")) == 1


def test_a_drill_as_json_is_what_was_measured(own: BrokerProcess, own_operator: Shell) -> None:
    found = json.loads(own_operator("breakers", "drill", "--env", "staging", "--tool", "files.*", "--json").out)
    assert [one["denied"] for one in found["replicas"]] == [True]
    assert found["acknowledged_ms"] <= found["first_denial_ms"]


def test_a_drill_stops_nothing_that_is_production_or_stopped_already(own: BrokerProcess, own_operator: Shell) -> None:
    said = own_operator("breakers", "drill", "--env", "production")
    assert (said.code, "marked nonproduction" in said.err) == (Exit.USAGE, True)
    own_operator("breakers", "trip", "--env", "staging", "--reason", "for real")
    assert own_operator("breakers", "drill", "--env", "staging").code == Exit.USAGE
    assert decision(own, path="staging/a") == "deny"
    assert own.records("breaker.drilled") == []


def test_what_changed_is_told_once_and_in_its_order() -> None:
    def breaker(key: str, revision: int, at: str) -> dict[str, Any]:
        return {"id": key, "revision": revision, "changed_at": at}

    known = {"a": breaker("a", 1, "1"), "b": breaker("b", 1, "2")}
    now = {"a": breaker("a", 2, "4"), "b": breaker("b", 1, "2"), "c": breaker("c", 1, "3")}
    assert [one["id"] for one in watching_breakers.changes(known, now)] == ["c", "a"]
    assert list(watching_breakers.changes(now, now)) == []


def test_a_watch_shows_what_is_open_and_then_each_change(own: BrokerProcess, own_operator: Shell) -> None:
    own_operator("breakers", "trip", "--agent", "demo-agent", "--reason", "it loops")
    with subprocess.Popen(
        [sys.executable, "-m", "assent", "breakers", "watch"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **own.operator},
    ) as watching:
        shown = watching.stdout
        assert shown is not None
        try:
            assert "forced_open  agent `demo-agent`" in shown.readline()
            assert shown.readline().startswith("1 open; each change is shown here")
            own_operator("breakers", "trip", "--env", "staging", "--reason", "another")
            assert "forced_open  environment `staging`" in shown.readline()
        finally:
            watching.kill()


def directly(shell: Shell, broker: BrokerProcess, *arguments: str, token: str | None = None) -> Any:
    used = broker.home.operator_token if token is None else token
    config = ("--direct", "--config", str(broker.home.config))
    return shell("breakers", "trip", *arguments, *config, ASSENT_OPERATOR_TOKEN=used)
