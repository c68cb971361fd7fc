"""`assent doctor`: one line for each thing, what is wrong and how to mend it, however much is broken."""

import asyncio
import json
import shutil
import socket
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from assent.cli.checks import findings, serving
from assent.cli.checks.findings import Finding, State
from assent.config import load_settings
from assent.core.credentials import Kind
from assent.core.operators import OperatorId
from assent.flows.manage_principals import issue_credential
from assent.stores.key_places import NAMES
from assent.wiring import Clocks, assemble, passkeys
from tests.channels.receivers import mail_house, program
from tests.cli.conftest import Said, Shell
from tests.console.issuer import issuer
from tests.contracts import samples
from tests.serving.broker_process import BrokerProcess, Home
from tests.stores.files import outside

ALL = {
    "python",
    "packages",
    "settings",
    "keys",
    "policies",
    "disk",
    "ledger",
    "log",
    "checkpoint elsewhere",
    "clock",
    "broker",
    "operators",
    "agents",
    "routes",
    "passkeys",
    "reaching people",
}


@pytest.fixture
def home(made: Home, tmp_path: Path) -> Home:
    home = made.copied(tmp_path / "broker")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    text = home.config.read_text()
    home.config.write_text(text.replace("port = 8420", f"port = {port}"))
    return home


def asked(shell: Shell, home: Home) -> tuple[int, dict[str, dict[str, Any]]]:
    said = shell("doctor", "--config", str(home.config), "--json")
    told = json.loads(said.out)
    assert told["ok"] == (said.code == 0)
    for finding in told["findings"]:
        assert set(finding) == {"what", "state", "said", "fix"}
        assert finding["state"] not in {"wrong", "soon"} or finding["fix"], finding
    return said.code, {finding["what"]: finding for finding in told["findings"]}


def test_a_broker_that_was_just_made_is_in_order_and_every_thing_has_its_line(shell: Shell, home: Home) -> None:
    code, found = asked(shell, home)
    assert (code, set(found)) == (0, ALL)
    assert {finding["state"] for finding in found.values()} == {"ok", "note"}
    lines = shell("doctor", "--config", str(home.config)).out.splitlines()
    assert len([line for line in lines if not line.startswith(" ")]) == len(ALL)


def test_a_serving_broker_is_found_at_its_address(shell: Shell, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "ANSWER_SECONDS", 60.0)  # a busy machine answers late
    port = load_settings(home.config).port
    with BrokerProcess(home=home, arguments=("--port", str(port))) as broker:
        broker.ask("files.read", path="prod/a")
        code, found = asked(shell, home)
        assert (code, found["broker"]["state"]) == (0, "ok"), found["broker"]
        assert "can decide" in found["broker"]["said"]
    with BrokerProcess(home=home):
        code, found = asked(shell, home)
        assert (code, found["broker"]["state"]) == (1, "wrong"), "it holds the ledger and listens elsewhere"


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def _keys_open(home: Home) -> None:
    (home.directory / "keys" / "payload_key").chmod(0o644)


def _key_gone(home: Home) -> None:
    (home.directory / "keys" / "log_key.pem").unlink()


def _keys_of_another(home: Home) -> None:
    (home.directory / "keys" / "ledger_key").write_text("0f" * 32 + "\n")


def _old_log_key(home: Home) -> None:
    old = home.directory / "keys" / "log_key.old.pem"
    shutil.copy(home.directory / "keys" / "log_key.pem", old)


def _config_open(home: Home) -> None:
    home.config.chmod(0o666)


def _policy_open(home: Home) -> None:
    (home.directory / "policies" / "agents.yaml").chmod(0o666)


def _policy_typo(home: Home) -> None:
    edit(home.directory / "policies" / "roles" / "files.yaml", "effect: deny", "effect: Deny")


def _policy_gone(home: Home) -> None:
    shutil.rmtree(home.directory / "policies")


def _ledger_open(home: Home) -> None:
    home.ledger.chmod(0o644)


def _ledger_scribbled(home: Home) -> None:
    home.ledger.write_bytes(b"no ledger" * 1_000)


def _ledger_newer(home: Home) -> None:
    with outside(home.ledger) as database:
        database.execute("PRAGMA user_version = 99")


def _ledger_gone(home: Home) -> None:
    home.ledger.unlink()
    (home.directory / "ledger.db.checkpoint").touch()


def _restore_interrupted(home: Home) -> None:
    (home.directory / "ledger.db.restoring").touch()


def _agent_expires(home: Home) -> None:
    soon = (datetime.now(UTC) + timedelta(days=5)).date().isoformat()
    edit(home.directory / "policies" / "agents.yaml", "2030-01-01", soon)


def _no_operator(home: Home) -> None:
    edit(home.directory / "policies" / "operators.yaml", "you: {", "somebody: {")


BREAKS: dict[str, tuple[Callable[[Home], None], str, str, str]] = {
    "a key that others can read": (_keys_open, "keys", "payload_key", "chmod 600"),
    "a key that is gone": (_key_gone, "keys", "log_key.pem", "put it back"),
    "keys of another ledger": (_keys_of_another, "ledger", "do not fit", ""),
    "an old log key that is over": (_old_log_key, "old log key", "log_key.old.pem", "rm "),
    "settings that others can write": (_config_open, "settings", "written by others", "chmod go-w"),
    "policies that others can write": (_policy_open, "policies", "agents.yaml", "correct them"),
    "a typo in an effect": (_policy_typo, "policies", "roles/files.yaml:", "correct them"),
    "no policies": (_policy_gone, "policies", "there is no directory", "correct them"),
    "a ledger that others can open": (_ledger_open, "ledger", "others can open", "chmod 600"),
    "a ledger that is none": (_ledger_scribbled, "ledger", "cannot be read", "copy it"),
    "a newer ledger": (_ledger_newer, "ledger", "version 99", "newer broker"),
    "a ledger that is gone": (_ledger_gone, "ledger", "is gone", "assent restore"),
    "an interrupted restore": (_restore_interrupted, "ledger", "was interrupted", "assent restore"),
    "an agent that expires": (_agent_expires, "agent", "`demo-agent` expires", "renew"),
    "an operator who is not declared": (_no_operator, "operators", "nobody holds a token", "token issue"),
}


@pytest.mark.parametrize("what", BREAKS)
def test_what_is_wrong_is_told_in_its_line_with_what_to_do(shell: Shell, home: Home, what: str) -> None:
    harm, line, said, fix = BREAKS[what]
    harm(home)
    code, found = asked(shell, home)
    assert (code, found[line]["state"] in {"wrong", "soon"}) == (1, True)
    assert said in found[line]["said"]
    assert fix in found[line]["fix"]
    assert found["python"]["state"] == "ok"
    assert set(found) >= ALL - {"log", "clock", "routes", "agents"}


def _asks_for_passkeys(home: Home) -> None:
    edit(home.directory / "policies" / "routes.yaml", "assurance: token", "assurance: step_up")


def _with_passkey(home: Home, **changes: Any) -> None:
    assembly = assemble(load_settings(home.config), issuer="a test")

    async def put() -> None:
        row = samples.passkey("pky_1", operator=OperatorId("you"), **changes)
        await assembly.ledger.transact(lambda tx: tx.add(row))
        await assembly.ledger.close()

    asyncio.run(put())


def test_who_could_sign_where_a_route_asks_for_a_passkey_is_told(shell: Shell, home: Home) -> None:
    _asks_for_passkeys(home)
    code, found = asked(shell, home)
    said = shell("doctor", "--config", str(home.config)).out
    assert (code, "route `default` needs 1 of `approvers` with a passkey, and 0 have one" in said) == (1, True)
    assert f"http://localhost:{load_settings(home.config).port}/console/account" in said
    _with_passkey(home)
    code, found = asked(shell, home)
    assert (code, found["passkeys"]["state"]) == (0, "ok")
    assert found["passkeys"]["said"].startswith("1 of 2 have one, for http://localhost:")


def test_a_passkey_that_counted_back_is_told(shell: Shell, home: Home) -> None:
    _with_passkey(home, suspect_at=samples.LATER)
    said = shell("doctor", "--config", str(home.config))
    assert (said.code, "the passkey pky_1 counted back on 2026-03-01, as a copy would" in said.out) == (1, True)


@pytest.mark.parametrize(("asks", "state"), [(False, "note"), (True, "wrong")])
def test_where_browsers_use_no_passkeys_or_the_library_is_missing_it_is_told(
    shell: Shell, home: Home, monkeypatch: pytest.MonkeyPatch, asks: bool, state: str
) -> None:
    if asks:
        _asks_for_passkeys(home)
    with monkeypatch.context() as here:
        here.setattr(passkeys, "PACKAGE", "no_such_package")
        _, found = asked(shell, home)
    assert (found["passkeys"]["state"], "the library for them is not installed" in found["passkeys"]["said"]) == (
        state,
        True,
    )
    home.config.write_text(f'public_url = "http://127.0.0.1:8420"\n{home.config.read_text()}')
    _, found = asked(shell, home)
    assert (found["passkeys"]["state"], "`127.0.0.1` is none" in found["passkeys"]["said"]) == (state, True)
    assert not asks or "set `public_url = " in found["passkeys"]["fix"]


def test_a_ledger_from_before_there_were_passkeys_holds_none(shell: Shell, home: Home) -> None:
    with outside(home.ledger) as database:
        database.execute("DROP TABLE passkey")
        database.execute("DROP TABLE passkey_challenge")
        database.execute("PRAGMA user_version = 7")
    code, found = asked(shell, home)
    assert (code, found["passkeys"]["state"]) == (0, "ok"), found


def test_something_else_on_the_port_is_told(shell: Shell, home: Home) -> None:
    with socket.create_server(("127.0.0.1", load_settings(home.config).port)) as other:
        other.settimeout(20)
        code, found = asked(shell, home)
    assert (code, found["broker"]["state"], "something else listens" in found["broker"]["said"]) == (1, "wrong", True)


def test_settings_that_are_refused_leave_what_needs_none(shell: Shell, home: Home) -> None:
    home.config.write_text("prot = 1\n")
    code, found = asked(shell, home)
    assert (code, set(found)) == (1, {"python", "packages", "settings", "the rest"})
    assert "did you mean `port`" in found["settings"]["said"]


def test_a_folder_without_a_broker_is_told(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = shell("doctor")
    assert (said.code, "assent init DIR" in said.out) == (1, True)


@pytest.mark.requirement("P9")
def test_nothing_that_is_secret_is_shown_however_much_is_broken(shell: Shell, home: Home) -> None:
    secrets = [
        line for name in NAMES for line in (home.directory / "keys" / name).read_text().split() if len(line) > 20
    ]
    secrets += [home.operator_token, home.agent_key]
    shown: list[Said] = [shell("doctor", "--config", str(home.config))]
    for number, (harm, *_) in enumerate(BREAKS.values(), start=1):
        try:
            harm(home)
        except (OSError, AssertionError, sqlite3.Error):
            continue  # an earlier one took it away
        if number % 5 == 0:
            shown.append(shell("doctor", "--config", str(home.config)))
    shown.append(shell("doctor", "--config", str(home.config), "--json"))
    assert [said for said in shown if "Traceback" in said.out + said.err] == []
    assert [secret for secret in secrets for said in shown if secret in said.out + said.err] == []


@pytest.mark.parametrize(("days", "state"), [(70, "ok"), (80, "soon"), (95, "wrong")])
def test_a_token_near_its_ninety_days_is_told(shell: Shell, home: Home, days: int, state: str) -> None:
    home.ledger.unlink()
    asyncio.run(issue(home, datetime.now(UTC) - timedelta(days=days)))
    code, found = asked(shell, home)
    assert (code, found.get("token", found["operators"])["state"]) == (0 if state == "ok" else 1, state)
    if state != "ok":
        assert "assent operators token issue you" in found["token"]["fix"]


async def issue(home: Home, at: datetime) -> None:
    assembly = assemble(load_settings(home.config), issuer="test", clocks=Clocks(wall=lambda: at))
    await issue_credential(assembly.broker, Kind.OPERATOR, "you", issued_by="demo-owner")
    await assembly.ledger.close()


@pytest.mark.requirement("T15")
def test_a_clock_behind_the_last_record_is_told(shell: Shell, home: Home) -> None:
    home.ledger.unlink()
    asyncio.run(issue(home, datetime.now(UTC) + timedelta(hours=2)))
    code, found = asked(shell, home)
    assert (code, found["clock"]["state"]) == (1, "wrong")
    assert "behind the last record" in found["clock"]["said"]


@pytest.mark.requirement("P8")
def test_a_ledger_older_than_the_checkpoint_beside_it_is_told(shell: Shell, home: Home, tmp_path: Path) -> None:
    for _ in range(2):
        shutil.copy(home.ledger, tmp_path / "older.db")
        with BrokerProcess(home=home) as broker:
            assert broker.stop() == 0
    shutil.copy(tmp_path / "older.db", home.ledger)
    code, found = asked(shell, home)
    assert (code, found["log"]["state"], "older than" in found["log"]["said"]) == (1, "wrong", True)


def test_a_check_that_falls_over_is_a_finding_without_its_words() -> None:
    def fall() -> list[Finding]:
        raise ValueError("payload")

    (finding,) = findings.looked_at("it", fall)
    assert (finding.what, finding.state, "payload" in finding.said) == ("it", State.WRONG, False)


@pytest.mark.parametrize(
    ("installed", "relation", "bound", "holds"),
    [
        ("1.10.0", ">=", "1.9", True),
        ("1.9", ">=", "1.10", False),
        ("0.22.1", "<", "0.23", True),
        ("0.23", "<", "0.23", False),
        ("26.1.0", ">=", "26.1", True),
        ("2.14.0rc1+local", ">=", "2.14", True),
    ],
)
def test_versions_are_compared_by_their_numbers(installed: str, relation: str, bound: str, holds: bool) -> None:
    from assent.cli.checks.machine import _holds

    assert _holds(installed, relation, bound) is holds


# --- how people are reached -------------------------------------------------------------------------------------------


def tells(home: Home, *destinations: str, settings: str = "") -> None:
    """Let the route tell these, the operator having an address and an account, with these settings besides."""
    policies = home.directory / "policies"
    edit(policies / "routes.yaml", "needs:", f"steps: [{{tell: [{', '.join(destinations)}]}}]\n  needs:")
    declared = "groups: [approvers], email: you@example.com, slack: {team: T1, user: U1}"
    edit(policies / "operators.yaml", "groups: [approvers]", declared)
    home.config.write_text(home.config.read_text() + settings)


def reaching(shell: Shell, home: Home) -> tuple[int, list[tuple[str, str, str]]]:
    said = shell("doctor", "--config", str(home.config), "--json")
    found = json.loads(said.out)["findings"]
    named = {"reaching people", "webhook", "e-mail"}
    return said.code, [(one["what"], one["state"], one["said"]) for one in found if one["what"] in named]


@pytest.mark.parametrize(
    ("destination", "missing"),
    [("slack:C0PROD", "slack_bot_token"), ("webhook:pager", "[webhooks.pager]"), ("email:approvers", "smtp_host")],
)
def test_what_a_route_names_and_nobody_set_up_is_told_with_what_to_set(
    shell: Shell, home: Home, destination: str, missing: str
) -> None:
    tells(home, destination)
    said = shell("doctor", "--config", str(home.config))
    assert said.code == 1
    assert f"route `default` tells `{destination}`, and nothing is set up to tell it" in said.out
    assert missing in said.out


@pytest.mark.parametrize("destination", ["slack:C0PROD", "dm:approvers"])
def test_a_route_that_ends_in_slack_alone_is_wrong(shell: Shell, home: Home, destination: str) -> None:
    tells(home, destination)
    _, found = reaching(shell, home)
    said = "route `default`: its last step tells people in Slack alone, which may be away"
    assert ("reaching people", "wrong", said) in found


def test_a_webhook_and_a_mail_server_that_answer_are_in_order_and_neither_is_told_anything(
    shell: Shell, home: Home, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s")
    secret.chmod(0o600)
    with program() as pager, mail_house() as mail:
        smtp = f'smtp_host = "127.0.0.1"\nsmtp_port = {mail.port}\nsmtp_security = "none"\nemail_from = "a@here"\n'
        webhook = f'[webhooks.pager]\nurl = "{pager.url}"\nsecret_file = "{secret}"\n'
        tells(home, "webhook:pager", "email:approvers", settings=smtp + webhook)
        code, found = reaching(shell, home)
        assert (code, [(what, state) for what, state, _ in found]) == (
            0,
            [("reaching people", "note"), ("webhook", "ok"), ("e-mail", "ok")],
        )
        assert (pager.received, mail.taken) == ([], [])
    code, found = reaching(shell, home)
    assert (code, [(what, state) for what, state, _ in found[1:]]) == (1, [("webhook", "wrong"), ("e-mail", "wrong")])
    assert all("connection refused" in said for _, _, said in found[1:])
    secret.chmod(0o644)
    assert reaching(shell, home)[1][1] == (
        "webhook",
        "wrong",
        f"`webhooks.pager.secret_file`: `{secret}` can be read by others",
    )


def test_an_issuer_that_answers_is_in_order_and_another_one_is_told(shell: Shell, home: Home, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s")
    secret.chmod(0o600)
    before = home.config.read_text()

    def found(address: str) -> dict[str, Any]:
        known = f'oidc_issuer = "{address}"\noidc_client_id = "assent"\noidc_client_secret_file = "{secret}"\n'
        home.config.write_text(before + known)
        return asked(shell, home)[1]["single sign-on"]

    with issuer() as there:
        assert (found(there.url)["state"], found(there.url)["said"]) == ("ok", f"{there.url} answers")
        other = found(f"{there.url}/")
        assert (other["state"], "another issuer" in other["said"]) == ("wrong", True)
    assert "does not answer" in found(there.url)["said"]
