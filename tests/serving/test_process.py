"""The serving process, from outside: how it starts, refuses to start, reloads, stops, dies and comes back."""

import json
import signal
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.serving.broker_process import WAIT_SECONDS, BrokerProcess, Home, run

DENY_ALL = "files-write-staging, tools: [files.write], environments: [staging], effect: allow"


def serve_once(home: Home, **env: str) -> tuple[int, str]:
    ended = run("serve", "--config", str(home.config), "--port", "0", "--json", env=env)
    assert ended.stdout == ""
    return ended.returncode, ended.stderr


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def events(broker: BrokerProcess, name: str) -> list[dict[str, Any]]:
    return [event for line in broker.log().splitlines() if (event := json.loads(line))["event"] == name]


def wait_for_record(broker: BrokerProcess, kind: str, count: int) -> list[dict[str, Any]]:
    """Wait until there are so many records of one kind; each look is an answered call, and the looks are bounded."""
    for _ in range(2_000):
        found = broker.records(kind)
        if len(found) >= count:
            return found
    pytest.fail(f"no {count} records of {kind}: {broker.log()}")


def test_a_broker_that_was_asked_to_stop_records_its_end_and_exits_clean(broker: BrokerProcess) -> None:
    assert broker.ask("files.read", path="prod/a")["decision"] == "allow"
    assert broker.stop() == 0
    assert len(events(broker, "broker_started")) == len(events(broker, "broker_stopped")) == 1
    broker.start()
    assert len(broker.records("broker.started")) == 2
    assert len(broker.records("broker.stopped")) == 1
    assert len(broker.records("policy.activated")) == 1, "the same policy is not taken up twice"


def test_ctrl_c_stops_it_as_well(broker: BrokerProcess) -> None:
    broker.send(signal.SIGINT)
    assert broker.end() == 0


def test_nobody_is_kept_waiting_for_a_person_by_a_broker_that_stops(broker: BrokerProcess) -> None:
    asked = broker.ask("files.write", path="prod/a", content="x")
    heard: list[Any] = []
    path = f"/v1/actions/{asked['action_id']}?wait=50&after={asked['revision']}"
    waiting = threading.Thread(target=lambda: heard.append(broker.as_agent("GET", path)))
    waiting.start()
    # One more answered call: whatever was sent before it has been read by then, or is in the socket's queue.
    broker.ask("files.read", path="prod/a")
    assert broker.stop() == 0
    waiting.join(WAIT_SECONDS)
    assert [answer.get("decision") or answer["code"] for answer in heard] == ["pending"]


@pytest.mark.requirement("T20")
def test_a_broker_that_was_killed_comes_back_with_everything_it_answered(broker: BrokerProcess) -> None:
    asked = broker.ask("files.write", path="prod/a", content="x")
    broker.crash()
    broker.start()
    again = broker.as_agent("GET", f"/v1/actions/{asked['action_id']}")
    assert (again["decision"], again["digest"]) == ("pending", asked["digest"])
    assert len(broker.records("broker.started")) == 2
    assert broker.records("broker.stopped") == []


def test_one_ledger_is_served_once(broker: BrokerProcess) -> None:
    code, said = serve_once(broker.home)
    assert code == 8
    assert "another broker serves" in said
    assert "stop it first" in said
    assert broker.ask("files.read", path="prod/a")["decision"] == "allow"


def test_an_address_that_is_taken_is_told(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("serve", "--config", str(home.config), "--port", str(port))
    assert ended.returncode == 2
    assert f"another process listens on `127.0.0.1` port {port} already" in ended.stderr
    assert not home.ledger.with_name("ledger.db.lock").exists(), "nothing is opened before the address is ours"


def test_an_address_of_another_machine_is_told(home: Home) -> None:
    code, said = serve_once(home, ASSENT_HOST="192.0.2.1", ASSENT_BEHIND_PROXY="true")
    assert code == 2
    assert "cannot listen on `192.0.2.1`" in said


@pytest.mark.parametrize("file", ["log_key.pem", "grant_key.pem", "ledger_key", "payload_key"])
def test_a_key_that_others_can_read_stops_the_start(home: Home, file: str) -> None:
    (home.directory / "keys" / file).chmod(0o640)
    code, said = serve_once(home)
    assert code == 2
    assert f"{file}`" in said
    assert "chmod 600" in said


def test_a_missing_key_is_never_made_anew(home: Home) -> None:
    (home.directory / "keys" / "ledger_key").unlink()
    code, said = serve_once(home)
    assert code == 2
    assert "put it back from a backup" in said
    assert not (home.directory / "keys" / "ledger_key").exists()


def test_a_tls_key_that_others_can_read_stops_the_start(home: Home) -> None:
    key = home.directory / "tls.pem"
    key.touch(mode=0o644)
    code, said = serve_once(home, ASSENT_TLS_KEY_FILE=str(key), ASSENT_TLS_CERTIFICATE_FILE=str(key))
    assert code == 2
    assert "`tls_key_file`" in said
    assert "chmod 600" in said


@pytest.mark.requirement("T6")
def test_policies_that_others_may_write_stop_the_start(home: Home) -> None:
    (home.directory / "policies" / "agents.yaml").chmod(0o666)
    code, said = serve_once(home)
    assert code == 1
    assert "agents.yaml" in said
    assert "chmod -R go-w" in said


def test_a_policy_with_findings_stops_the_start_and_says_where(home: Home) -> None:
    edit(home.directory / "policies" / "roles" / "files.yaml", "effect: deny", "effect: Deny")
    code, said = serve_once(home)
    assert code == 1
    assert "roles/files.yaml:" in said


@pytest.mark.requirement("T6")
def test_a_broken_policy_is_refused_and_the_one_before_goes_on_serving(broker: BrokerProcess) -> None:
    roles = broker.home.directory / "policies" / "roles" / "files.yaml"
    good = broker.as_operator("GET", "/v1/records?kind=policy.activated&limit=1")["items"][0]["leaf"]["policy"]
    roles.write_text("file-worker: [")
    broker.send(signal.SIGHUP)
    refused = wait_for_record(broker, "policy.refused", 1)[0]
    assert refused["policy"] == good
    assert refused["detail"]["findings"] >= 1
    assert broker.ask("files.read", path="prod/a")["decision"] == "allow"
    assert "roles/files.yaml" in json.dumps(events(broker, "policy_refused"))


def test_a_changed_policy_serves_after_sighup_and_is_recorded(broker: BrokerProcess) -> None:
    before = broker.ask("files.write", path="staging/a", content="x")
    assert before["decision"] == "allow"
    edit(broker.home.directory / "policies" / "roles" / "files.yaml", DENY_ALL, DENY_ALL.replace("allow", "deny"))
    broker.send(signal.SIGHUP)
    taken_up = wait_for_record(broker, "policy.activated", 2)[0]
    assert taken_up["detail"]["previous"] == before["policy_version"]
    after = broker.ask("files.write", path="staging/a", content="x")
    assert (after["decision"], after["policy_version"]) == ("deny", taken_up["policy"])


def test_on_loopback_a_changed_policy_is_noticed_by_itself(home: Home) -> None:
    with BrokerProcess(home=home, env={"ASSENT_POLICY_WATCH_SECONDS": "0.05"}) as broker:
        edit(home.directory / "policies" / "roles" / "files.yaml", DENY_ALL, DENY_ALL.replace("allow", "deny"))
        wait_for_record(broker, "policy.activated", 2)
        assert broker.ask("files.write", path="staging/a", content="x")["decision"] == "deny"


def test_a_run_that_nobody_reports_becomes_unknown_by_itself(home: Home) -> None:
    with BrokerProcess(home=home, env={"ASSENT_LEASE_SECONDS": "1"}) as broker:
        what = {"tool": "files.read", "arguments": {"path": "prod/a"}, "attempt": "a" * 22}
        started = broker.as_agent("POST", "/v1/actions", what)
        assert started["state"] == "executing"
        path = f"/v1/actions/{started['action_id']}?wait=30&after={started['revision']}"
        ended = broker.as_agent("GET", path)
        assert (ended["state"], ended["outcome"]["reported"]) == ("unknown", False)
        assert events(broker, "fell_due")[0]["actions"] == [started["action_id"]]


@pytest.mark.requirement("T5")
def test_a_ledger_that_is_gone_ends_the_process_and_lets_nothing_pass(broker: BrokerProcess) -> None:
    broker.home.ledger.rename(broker.home.directory / "moved.db")
    assert broker.ask("files.read", path="prod/a")["code"] == "broker_unavailable"
    assert broker.end() == 8
    assert "under the broker" in broker.log()


def test_a_head_that_does_not_end_is_hung_up_on(home: Home) -> None:
    with BrokerProcess(home=home, env={"ASSENT_MAX_HEAD_BYTES": "8192"}) as broker:
        port = int(broker.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=WAIT_SECONDS) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: a\r\n")
            assert is_hung_up_on(connection, b"x: " + b"y" * 1_000 + b"\r\n", times=100)
        assert broker.as_operator("GET", "/readyz")["ready"]


def is_hung_up_on(connection: socket.socket, line: bytes, *, times: int) -> bool:
    """Send a line again and again; return whether the other side ended that."""
    try:
        for _ in range(times):
            connection.sendall(line)
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def test_the_operational_log_holds_events_and_no_payload(broker: BrokerProcess) -> None:
    broker.ask("files.write", path="prod/secret-path", content="secret-content")
    broker.as_agent("POST", "/v1/actions", {"tool": "files.read"})
    assert broker.stop() == 0
    log = broker.log()
    assert [line for line in log.splitlines() if "event" not in json.loads(line)] == []
    for secret in ("secret-path", "secret-content", broker.home.agent_key, broker.home.operator_token):
        assert secret not in log


def test_readiness_says_what_it_looked_at(broker: BrokerProcess) -> None:
    ready = broker.as_operator("GET", "/readyz")
    assert ready == {"ready": True, "ledger_writable": True, "policy_loaded": True, "signals": "process", "notes": []}
