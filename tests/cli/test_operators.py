"""`assent operators`: who may do what, a second person's token, and the one that was lost."""

import asyncio
import json
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assent.cli.exits import Exit
from assent.config import load_settings
from assent.core.operators import OperatorId
from assent.wiring import assemble
from tests.cli.conftest import Said, Shell
from tests.cli.terminal import on_a_terminal
from tests.contracts import samples
from tests.serving.broker_process import BrokerProcess, Home

PEOPLE = """\
demo-owner: {}
you: {groups: [approvers], may: [approver, operator, operators.manage]}
second: {groups: [approvers], may: [approver, operator]}
boss: {may: [security_admin]}
reader: {may: [auditor]}
"""


@pytest.fixture
def own(made: Home, tmp_path: Path) -> Iterator[BrokerProcess]:
    """A broker of this test's own, with more people than the starter has."""
    home = made.copied(tmp_path / "own")
    (home.directory / "policies" / "operators.yaml").write_text(PEOPLE)
    with BrokerProcess(home=home) as running:
        yield running


@pytest.fixture
def own_operator(shell: Shell, own: BrokerProcess) -> Shell:
    return lambda *arguments, **env: shell(*arguments, **{**own.operator, **env})


def issue(shell: Shell, who: str, *more: str) -> dict[str, Any]:
    said = shell("operators", "token", "issue", who, "--json", *more)
    assert said.code == 0, said.err
    told: dict[str, Any] = json.loads(said.out)
    return told


def test_people_are_listed_with_what_they_may_and_how_old_their_tokens_are(own_operator: Shell) -> None:
    said = own_operator("operators", "list")
    rows = {row.split("\t")[0]: row.split("\t")[1:] for row in said.out.splitlines()}
    assert rows["boss"] == ["security_admin", "-", "-", "0 live"]
    assert rows["demo-owner"] == ["nothing", "-", "demo-agent", "0 live"]
    assert rows["second"] == ["approver, operator", "approvers", "-", "0 live"]
    assert rows["you"][-1] == "1 live, 89 d left"
    assert said.err == ""


def test_one_person_is_shown_whole(own_operator: Shell, own: BrokerProcess) -> None:
    said = own_operator("operators", "show", "you")
    assert said.out.startswith("you  approver, operator\n")
    assert "operators.manage" in said.out
    assert "\tlive\t" in said.out
    assert "\tassent init\t" in said.out
    as_json = json.loads(own_operator("operators", "show", "you", "--json").out)
    assert as_json == own.as_operator("GET", "/v1/operators/you")
    unknown = own_operator("operators", "show", "yu")
    assert (unknown.code, "assent operators list" in unknown.err) == (Exit.USAGE, True)


@pytest.mark.requirement("T22")
def test_a_second_person_gets_a_token_and_signs_in_with_it(
    own: BrokerProcess, own_operator: Shell, shell: Shell
) -> None:
    told = issue(own_operator, "second", "--valid-for", "30d")
    assert (told["operator"], told["issued_by"]) == ("second", "you")
    as_second = {**own.operator, "ASSENT_OPERATOR_TOKEN": told["token"]}
    assert json.loads(shell("login", "--show", "--json", **as_second).out)["operator"]["id"] == "second"
    assert "\t1 live, 29 d left\n" in own_operator("operators", "list").out
    assert own.records("token.issued")[0]["operator"] == "you"
    assert told["token"] not in own.log()
    assert '"operator_credential_issued"' in own.log()


@pytest.mark.requirement("P5", "P6")
def test_two_people_close_what_one_stopped_in_production(own: BrokerProcess, own_operator: Shell, shell: Shell) -> None:
    config = ("--direct", "--config", str(own.home.config))
    told = issue(shell, "second", *config)
    as_second = {**own.operator, "ASSENT_OPERATOR_TOKEN": told["token"]}
    own_operator("breakers", "trip", "--env", "production", "--reason", "x")
    breaker = own.as_operator("GET", "/v1/breakers")["items"][0]["id"]
    first = own_operator("breakers", "reset", breaker, "--reason", "found it")
    assert "who may: boss, second" in first.out
    assert shell("breakers", "reset", breaker, "--reason", "seen", **as_second).code == 0
    assert own.ask("files.read", path="prod/a")["decision"] == "allow"


@pytest.mark.requirement("P5", "T22")
def test_whoever_issued_the_second_persons_token_is_no_second_person(
    own: BrokerProcess, own_operator: Shell, shell: Shell
) -> None:
    as_second = {**own.operator, "ASSENT_OPERATOR_TOKEN": issue(own_operator, "second")["token"]}
    own_operator("breakers", "trip", "--env", "production", "--reason", "x")
    breaker = own.as_operator("GET", "/v1/breakers")["items"][0]["id"]
    own_operator("breakers", "reset", breaker, "--reason", "found it")
    said = shell("breakers", "reset", breaker, "--reason", "seen", **as_second)
    assert (said.code, "less than 24 hours ago" in said.err) == (Exit.REFUSED, True)
    assert own.ask("files.read", path="prod/a")["decision"] == "deny"


def test_at_a_terminal_a_token_is_shown_once_with_what_it_means(own: BrokerProcess) -> None:
    shown = on_a_terminal("operators", "token", "issue", "second", env=own.operator)
    assert (shown.code, shown.text.count("aso_")) == (0, 1)
    assert "second keeps it with `assent login`" in shown.text
    assert "for 24 hours" in shown.text


@pytest.mark.parametrize(
    ("who", "code", "said"),
    [
        ("boss", Exit.REFUSED, "may do what you may not"),
        ("nobody", Exit.USAGE, "names no operator `nobody`"),
        ("me", Exit.USAGE, "names no operator `me`"),
    ],
)
def test_nobody_is_made_who_may_more_or_whom_nobody_named(own_operator: Shell, who: str, code: int, said: str) -> None:
    refused = own_operator("operators", "token", "issue", who, "--json")
    assert (refused.code, said in refused.err, refused.out) == (code, True, "")


@pytest.mark.parametrize("span", ["91d", "0s", "soon", "30s"])
def test_a_life_that_no_token_may_have_is_refused(own: BrokerProcess, own_operator: Shell, span: str) -> None:
    assert own_operator("operators", "token", "issue", "second", "--json", "--valid-for", span).code == Exit.USAGE
    assert len(own.records("token.issued")) == 1


def test_who_may_not_is_told_how_it_can_be_done_all_the_same(operator: Shell) -> None:
    said = operator("operators", "token", "issue", "demo-owner", "--json")
    assert said.code == Exit.REFUSED
    assert "`you` does not hold `operators.manage`" in said.err
    assert "--direct" in said.err


def test_a_token_is_revoked_at_once(own: BrokerProcess, own_operator: Shell, shell: Shell) -> None:
    told = issue(own_operator, "second")
    said = own_operator("operators", "token", "revoke", "second", told["token_id"])
    assert (said.code, said.out) == (0, f"revoked: token {told['token_id']} opens nothing any more\n")
    as_second = {**own.operator, "ASSENT_OPERATOR_TOKEN": told["token"]}
    refused = shell("approvals", "list", **as_second)
    assert (refused.code, "this credential was revoked" in refused.err) == (Exit.REFUSED, True)
    assert "assent login" in refused.err


def test_a_reader_reads_and_issues_nothing(own: BrokerProcess, shell: Shell) -> None:
    told = issue(shell, "reader", "--direct", "--config", str(own.home.config))
    as_reader = {**own.operator, "ASSENT_OPERATOR_TOKEN": told["token"]}
    reads = [
        shell(noun, "list", **as_reader).code for noun in ("agents", "operators", "services", "approvals", "breakers")
    ]
    assert reads == [0] * 5
    moves = [
        ("agents", "key", "issue", "demo-agent", "--json"),
        ("agents", "suspend", "demo-agent", "--reason", "x"),
        ("operators", "token", "issue", "reader", "--json"),
        ("services", "key", "issue", "db", "--tool", "x", "--json"),
    ]
    assert [shell(*move, **as_reader).code for move in moves] == [Exit.REFUSED] * 4


def with_passkey(broker: BrokerProcess) -> None:
    """Give the operator a passkey, as a page of the console would."""
    assembly = assemble(load_settings(broker.home.config), issuer="a test")

    async def put() -> None:
        row = samples.passkey("pky_1", operator=OperatorId("you"), last_used_at=samples.LATER, suspect_at=samples.LATER)
        await assembly.ledger.transact(lambda tx: tx.add(row))
        await assembly.ledger.close()

    asyncio.run(put())


class TestTheLostPasskey:
    """`--direct` alone: a token is not sure enough, and a page of the console asks for another passkey or person."""

    def test_it_is_shown_and_taken_away_beside_a_serving_broker(self, own: BrokerProcess, shell: Shell) -> None:
        with_passkey(own)
        shown = shell("operators", "show", "you", **own.operator)
        assert "pky_1" in shown.out
        assert "counted back once" in shown.out
        (view,) = own.as_operator("GET", "/v1/operators/you")["passkeys"]
        assert (view["id"], view["vouched_by"], view["synced"]) == ("pky_1", "link", False)
        config = ("--direct", "--config", str(own.home.config))
        said = shell("operators", "passkey", "revoke", "you", "pky_1", *config)
        assert (said.code, "taken away: passkey pky_1" in said.out) == (0, True), said.err
        assert own.as_operator("GET", "/v1/operators/you")["passkeys"] == []
        (recorded,) = own.records("passkey.revoked")
        assert recorded["operator"] == "assent --direct"
        assert set(recorded["detail"]["by_hand"]) == {"os_user", "host"}
        again = shell("operators", "passkey", "revoke", "you", "pky_1", *config, "--json")
        assert (again.code, "has no passkey" in again.err) == (Exit.USAGE, True)

    def test_over_http_it_is_not_done(self, own: BrokerProcess, shell: Shell) -> None:
        said = shell("operators", "passkey", "revoke", "you", "pky_1", **own.operator)
        assert (said.code, "not sure enough" in said.err) == (Exit.USAGE, True)


class TestTheLostToken:
    """`--direct`: on the ledger itself, beside a serving broker or without one, and recorded as what it is."""

    def on_the_ledger(self, shell: Shell, broker: BrokerProcess, who: str, *more: str) -> Said:
        config = ("--direct", "--config", str(broker.home.config))
        return shell("operators", "token", "issue", who, *config, *more)

    @pytest.mark.requirement("T22")
    def test_it_is_issued_beside_a_serving_broker_and_the_record_says_by_whose_hand(
        self, own: BrokerProcess, shell: Shell
    ) -> None:
        told = json.loads(self.on_the_ledger(shell, own, "you", "--json").out)
        assert own.as_operator("GET", "/v1/operators/me")["operator"]["id"] == "you"
        as_you = {**own.operator, "ASSENT_OPERATOR_TOKEN": told["token"]}
        assert shell("login", "--show", **as_you).code == 0
        recorded = own.records("token.issued")[0]
        assert recorded["operator"] == told["issued_by"] == "assent --direct"
        assert set(recorded["detail"]["by_hand"]) == {"os_user", "host"}

    def test_it_needs_no_broker(self, own: BrokerProcess, shell: Shell, tmp_path: Path) -> None:
        own.crash()
        file = tmp_path / "mine"
        said = self.on_the_ledger(shell, own, "boss", "--out", str(file), "--valid-for", "1d")
        assert (said.code, stat.S_IMODE(file.stat().st_mode)) == (0, 0o600)
        assert "the record names this account and this machine" in said.out
        own.start()
        as_boss = {**own.operator, "ASSENT_OPERATOR_TOKEN": file.read_text().strip()}
        assert shell("login", "--show", **as_boss).code == 0

    def test_an_account_without_a_name_is_recorded_by_its_number(
        self, own: BrokerProcess, shell: Shell, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
            monkeypatch.delenv(variable, raising=False)
        monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)  # as in a container that knows no accounts
        assert self.on_the_ledger(shell, own, "you", "--json").code == 0
        assert own.records("token.issued")[0]["detail"]["by_hand"]["os_user"] == f"uid {os.getuid()}"

    def test_only_whom_the_policy_names_gets_one(self, own: BrokerProcess, shell: Shell) -> None:
        said = self.on_the_ledger(shell, own, "nobody", "--json")
        assert (said.code, "it names `boss`, `demo-owner`" in said.err) == (Exit.USAGE, True)
        assert len(own.records("token.issued")) == 1

    def test_without_the_brokers_files_there_is_none(self, own: BrokerProcess, shell: Shell, tmp_path: Path) -> None:
        missing = shell(
            "operators", "token", "issue", "you", "--direct", "--config", str(tmp_path / "no.toml"), "--json"
        )
        assert (missing.code, "assent init" in missing.err) == (Exit.USAGE, True)
        for key in (own.home.directory / "keys").iterdir():
            key.unlink()
        said = self.on_the_ledger(shell, own, "you", "--json")
        assert (said.code, said.out) == (Exit.USAGE, "")
