"""`assent audit`: what happened, newest last; and a log that was changed is caught with its first bad record."""

import json
import signal
import sqlite3
import subprocess
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from assent.cli.exits import Exit
from assent.cli.margin import MARGIN
from tests.cli.conftest import Shell
from tests.serving.broker_process import BrokerProcess, Home, clean_environment
from tests.serving.warm import PROGRAM


def test_the_tail_is_the_newest_records_with_the_newest_last(broker: BrokerProcess, operator: Shell) -> None:
    broker.ask("files.read", path="staging/a")
    broker.ask("files.delete", path="staging/a")
    lines = operator("audit", "tail", "-n", "2", "--kind", "action.decided").out.splitlines()
    assert ["allow" in lines[0], "deny" in lines[1], "rule_denied" in lines[1]] == [True, True, True]
    assert "files-never-delete" in lines[1]
    assert [line for line in lines if "staging/a" in line] == [], "a resource is payload"


def test_a_kind_that_does_not_exist_is_a_mistake_of_the_caller(operator: Shell) -> None:
    assert operator("audit", "tail", "--kind", "action.decidd").code == Exit.USAGE


def test_json_is_exactly_the_answer_of_the_api(broker: BrokerProcess, operator: Shell) -> None:
    said = json.loads(operator("audit", "tail", "-n", "3", "--agent", "demo-agent", "--json").out)
    assert said == broker.as_operator("GET", "/v1/records?limit=3&agent=demo-agent")


def test_following_prints_every_new_record_once_and_a_line_each(broker: BrokerProcess) -> None:
    follow = [*PROGRAM, "audit", "tail", "-n", "1", "--follow", "--json", "--kind", "action.decided"]
    env = clean_environment(broker.operator)
    broker.ask("files.read", path="prod/a")
    with subprocess.Popen(follow, env=env, stdout=subprocess.PIPE) as following:
        assert following.stdout is not None
        seen = [json.loads(following.stdout.readline())["leaf"]["action"]]
        asked = [broker.ask("files.read", path=f"prod/{n}")["action_id"] for n in range(3)]
        seen += [json.loads(following.stdout.readline())["leaf"]["action"] for _ in asked]
        following.kill()
    assert seen[1:] == asked


def test_records_are_found_by_what_they_name_and_when(broker: BrokerProcess, operator: Shell) -> None:
    denied = broker.ask("files.delete", path="staging/sought")["action_id"]
    found = operator("audit", "search", "--decision", "deny", "--agent", "demo-agent", "--since", "1h", "--limit", "1")
    cells = found.out.rstrip("\n").split("\t")
    assert (found.code, cells[2:7]) == (0, ["action.decided", "demo-agent", "files.delete", "staging", "deny"])
    assert cells[-1] == denied
    assert operator("audit", "search", "--action", denied, "--json").out.count(denied) == 1
    assert operator("audit", "search", "--agent", "nobody").out == ""
    assert operator("audit", "search", "--operator", "you", "--kind", "key.issued").out.count("\n") == 0
    oldest = json.loads(operator("audit", "search", "--oldest", "--limit", "2", "--json").out)
    assert [item["index"] for item in oldest["items"]] == [0, 1]
    rest = json.loads(operator("audit", "search", "--oldest", "--limit", "1", "--cursor", "2", "--json").out)
    assert (oldest["next_cursor"], rest["items"][0]["index"]) == ("2", 2)


@pytest.mark.parametrize("since", ["yesterday", "2026-11-23T10:00:00", "2026-11-23", "3w", "-1h", "99999999d"])
def test_a_time_that_is_none_is_a_mistake_of_the_caller(operator: Shell, since: str) -> None:
    said = operator("audit", "search", f"--since={since}")
    assert (said.code, "2027-03-31T12:00:00Z" in said.err) == (Exit.USAGE, True)


def approved(broker: BrokerProcess, path: str) -> dict[str, str]:
    what = {"path": path, "content": "canary-content"}
    asked = broker.as_agent("POST", "/v1/actions", {"tool": "files.write", "arguments": what, "run_id": path})
    code = asked["approval"]["code"]
    broker.as_operator("POST", f"/v1/approvals/{code}/approve", {"digest_prefix": asked["digest"][:8]})
    return {"action": asked["action_id"], "code": code, "record": asked["record_id"], "id": asked["approval"]["id"]}


def told_lines(said: str) -> list[str]:
    """Return the lines of a story, each whole."""
    return [line for line in said.replace(f"\n{MARGIN}", "").splitlines() if line[2:8].strip().isdigit()]


def test_the_life_of_an_action_is_told_whatever_names_it(made: Home, tmp_path: Path, shell: Shell) -> None:
    with BrokerProcess(home=made.copied(tmp_path / "broker")) as broker:
        names = approved(broker, "prod/told")
        broker.as_operator("POST", "/v1/breakers/trip", {"scope": {"agent": "demo-agent"}, "reason": "enough"})
        told = {name: shell("audit", "show", key, **broker.operator) for name, key in names.items()}
        as_json = json.loads(shell("audit", "show", names["code"], "--json", **broker.operator).out)
    story = told["action"].out
    lines = told_lines(story)
    says = ("a human decides", "people were asked", "you said yes (token, api)", "approved", "a grant was issued")
    assert [text in line for text, line in zip(says, lines, strict=False)] == [True] * 5
    assert lines[-1].startswith("!")
    assert "you tripped the breaker over agent `demo-agent`: 1 cut off" in lines[-1]
    assert f"action {names['action']}: cancelled" in story
    assert f"approval {names['code']}, approved, {names['id']}" in story
    assert "canary-content" not in story
    assert told["code"].out == told["id"].out == story
    assert told["record"].out.startswith("demo-agent asked for files.write in production: a human decides")
    assert [line[0] for line in told_lines(told["record"].out)] == [">", *" " * (len(lines) - 2), "!"]
    assert (as_json["story"]["state"], len(as_json["story"]["items"])) == ("cancelled", len(lines))


def test_a_record_that_is_no_actions_is_shown_alone(broker: BrokerProcess, operator: Shell) -> None:
    (started,) = broker.as_operator("GET", "/v1/records?kind=broker.started")["items"]
    shown = operator("audit", "show", started["leaf"]["id"]).out
    assert shown.splitlines()[0] == "a broker of version 0.1.0 began to serve"


@pytest.mark.requirement("P9")
def test_payload_is_for_whom_may_read_it_and_nobody_else(broker: BrokerProcess, operator: Shell) -> None:
    names = approved(broker, "prod/secret")
    said = operator("audit", "show", names["code"], "--payload")
    assert (said.code, "does not hold `audit.payloads`" in said.err) == (Exit.REFUSED, True)
    assert "canary-content" not in said.out + said.err
    assert operator("audit", "search", "--kind", "payload.revealed").out == ""


@pytest.mark.requirement("P9")
def test_payload_is_shown_with_its_record_to_whom_may_read_it(made: Home, tmp_path: Path, shell: Shell) -> None:
    home = made.copied(tmp_path / "broker")
    people = home.directory / "policies" / "operators.yaml"
    text = people.read_text()
    assert "[approver, operator]" in text
    people.write_text(text.replace("[approver, operator]", "[security_admin]"))
    with BrokerProcess(home=home) as broker:
        names = approved(broker, "prod/seen")
        said = shell("audit", "show", names["code"], "--payload", "--reason", "case 7", **broker.operator)
        assert said.code == 0, said.err
        assert '  arguments = {"content": "canary-content", "path": "prod/seen"}' in said.out
        found = shell("audit", "search", "--kind", "payload.revealed", "--json", **broker.operator)
    (record,) = json.loads(found.out)["items"]
    assert (record["leaf"]["operator"], record["leaf"]["action"]) == ("you", names["action"])
    assert f"record {record['leaf']['id']} says that you were shown this" in said.out


def test_nothing_is_told_of_what_is_not_there(operator: Shell) -> None:
    for name in ("act_none", "rec_none", "ZZZ-ZZZ"):
        said = operator("audit", "show", name)
        assert (said.code, "assent audit search" in said.err) == (Exit.USAGE, True)


def test_an_export_holds_every_record_once_and_is_its_owners_alone(
    broker: BrokerProcess, operator: Shell, tmp_path: Path
) -> None:
    for n in range(3):
        broker.ask("files.read", path=f"prod/{n}")
    out = tmp_path / "log.jsonl"
    said = operator("audit", "export", "--out", str(out), "--json")
    told = json.loads(said.out)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["index"] for line in lines] == list(range(told["records"]))
    assert (told["first"], told["last"], told["sha256"]) == (
        0,
        lines[-1]["index"],
        sha256(out.read_bytes()).hexdigest(),
    )
    assert (out.stat().st_mode & 0o777, list(tmp_path.iterdir())) == (0o600, [out])
    newest = broker.as_operator("GET", "/v1/records?limit=1&kind=log.exported")["items"][0]
    assert (newest["leaf"]["id"], newest["leaf"]["detail"]["records"]) == (told["record_id"], told["records"])
    again = operator("audit", "export", "--out", str(out))
    assert (again.code, "exists already" in again.err) == (Exit.USAGE, True)


def test_an_export_to_standard_output_goes_on_behind_an_index(operator: Shell) -> None:
    whole = operator("audit", "export")
    lines = whole.out.splitlines()
    assert (whole.code, f"{len(lines)} records, 0 to {len(lines) - 1}, sha256" in whole.err) == (0, True)
    rest = operator("audit", "export", "--after", "1")
    assert rest.out.splitlines()[: len(lines) - 2] == lines[2:]
    assert operator("audit", "export", "--after", "999999").code == Exit.USAGE
    nothing = operator("audit", "export", "--since", "2999-01-01T00:00:00Z")
    assert (nothing.code, nothing.out, nothing.err) == (0, "", "no record lies between these times\n")
    recent = operator("audit", "export", "--since", "1h", "--until", "2999-01-01T00:00:00Z")
    assert recent.out.splitlines()[0] == lines[0]


def test_the_doctor_ends_with_one_when_a_human_should_look(broker: BrokerProcess, operator: Shell) -> None:
    well = operator("audit", "doctor")
    assert (well.code, {line[:4] for line in well.out.splitlines()} - {MARGIN}) == (0, {"ok  "}), well.out
    home = broker.home.directory / "policies" / "agents.yaml"
    kept = home.read_text()
    home.write_text(kept.replace("demo-agent:", "demo-agent: [", 1))
    broker.send(signal.SIGHUP)
    while (said := operator("audit", "doctor")).code == 0:
        assert broker.process.poll() is None
    home.write_text(kept)
    broker.send(signal.SIGHUP)
    assert (said.code, "look  policy" in said.out, "do: correct what" in said.out) == (Exit.FINDINGS, True, True)
    as_json = operator("audit", "doctor", "--json")
    assert {item["check"] for item in json.loads(as_json.out)["items"]} >= {"signed", "rows", "policy"}


@pytest.fixture(scope="module")
def ended(made: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A broker that worked, had its log signed in several steps, and stopped."""
    home = made.copied(tmp_path_factory.mktemp("ended") / "broker")
    with BrokerProcess(home=home, env={"ASSENT_CHECKPOINT_SECONDS": "0.05"}) as broker:
        for n in range(20):
            broker.ask("files.read", path=f"prod/{n}")
        assert broker.stop() == 0
    return home


@pytest.fixture
def log(ended: Home, tmp_path: Path) -> Home:
    return ended.copied(tmp_path / "copy")


@pytest.mark.requirement("P8", "T16")
def test_a_log_verifies_with_its_public_key_alone(log: Home, shell: Shell) -> None:
    for secret in (log.directory / "keys").iterdir():
        secret.unlink()
    said = shell("audit", "verify", "--ledger", str(log.ledger))
    assert said.code == 0, said.err
    assert said.out.splitlines()[0] == f"{log.ledger}: verified"


def test_the_keys_of_the_broker_check_macs_and_payloads_too(log: Home, shell: Shell) -> None:
    said = shell("audit", "verify", "--config", str(log.config), "--keys", str(log.directory / "keys"), "--json")
    found = json.loads(said.out)
    assert (found["verified"], found["macs_checked"]) == (True, True)
    assert found["records"] == found["signed"] >= 24


CHANGES = {
    "edited": "UPDATE record SET leaf = replace(leaf, 'demo-agent', 'some-agent') WHERE idx = 9",
    "dropped": "DELETE FROM record WHERE idx = 9",
    "exchanged": "UPDATE record SET leaf = (SELECT leaf FROM record WHERE idx = 8) WHERE idx = 9",
    "cut": "DELETE FROM record WHERE idx >= 9",
}


def change(ledger: Path, statement: str) -> None:
    """Change the records as somebody does who owns the file and knows how to take a trigger away."""
    with closing(sqlite3.connect(ledger)) as database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {name}")
        database.execute(statement)
        database.commit()


@pytest.mark.requirement("P8", "T16")
@pytest.mark.parametrize("how", CHANGES)
def test_a_changed_log_is_caught_with_its_first_bad_record(log: Home, shell: Shell, how: str) -> None:
    change(log.ledger, CHANGES[how])
    said = shell("audit", "verify", "--ledger", str(log.ledger))
    assert said.code == Exit.VERIFICATION_FAILED
    assert "first bad record: 9\n" in said.err
    as_json = json.loads(shell("audit", "verify", "--ledger", str(log.ledger), "--json").out)
    assert (as_json["verified"], as_json["index"]) == (False, 9)


@pytest.mark.requirement("P8", "T16")
def test_a_log_that_was_rolled_back_whole_is_caught_by_a_checkpoint_kept_elsewhere(
    made: Home, log: Home, shell: Shell, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    assert shell("audit", "verify", "--ledger", str(log.ledger), "--save-checkpoint", str(kept)).code == 0
    shown = shell("audit", "verify", "--ledger", str(log.ledger), "--checkpoint", str(kept))
    assert shown.code == 0
    back = shell("audit", "verify", "--ledger", str(made.ledger), "--checkpoint", str(kept))
    assert back.code == Exit.VERIFICATION_FAILED
    assert "first bad record: 2\n" in back.err


@pytest.mark.requirement("P8", "T16")
def test_a_kept_checkpoint_is_never_replaced_by_one_of_a_log_without_it(
    made: Home, log: Home, shell: Shell, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    save = ("--save-checkpoint", str(kept))
    assert f"{kept} keeps the newest checkpoint now" in shell("audit", "verify", "--ledger", str(log.ledger), *save).err
    newest = kept.read_bytes()
    assert shell("audit", "verify", "--ledger", str(made.ledger), *save).code == Exit.VERIFICATION_FAILED
    assert kept.read_bytes() == newest
    change(log.ledger, "DELETE FROM checkpoint WHERE size = (SELECT max(size) FROM checkpoint)")
    said = shell("audit", "verify", "--ledger", str(log.ledger), *save)
    assert (said.code, "keeps a newer checkpoint" in said.err) == (0, True)
    assert (kept.read_bytes(), list(tmp_path.glob(".kept*"))) == (newest, [])


@pytest.mark.parametrize("where", ["", "none/kept", "k" * 300])
def test_a_place_where_no_checkpoint_can_be_kept_is_told(log: Home, shell: Shell, tmp_path: Path, where: str) -> None:
    said = shell("audit", "verify", "--ledger", str(log.ledger), "--save-checkpoint", str(tmp_path / where))
    assert (said.code, "no checkpoint was kept" in said.err) == (Exit.USAGE, True)


@pytest.mark.requirement("P8", "T16")
def test_a_log_of_which_nothing_is_signed_is_not_called_verified(log: Home, shell: Shell, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    assert shell("audit", "verify", "--ledger", str(log.ledger), "--save-checkpoint", str(kept)).code == 0
    change(log.ledger, "DELETE FROM checkpoint")
    said = shell("audit", "verify", "--ledger", str(log.ledger))
    assert said.code == Exit.VERIFICATION_FAILED
    assert "nothing is signed" in said.err
    assert shell("audit", "verify", "--ledger", str(log.ledger), "--checkpoint", str(kept)).code == 0


@pytest.mark.requirement("P8")
def test_a_key_from_beside_the_ledger_is_warned_of(log: Home, shell: Shell, tmp_path: Path) -> None:
    beside = log.directory / "ledger.db.pub"
    given = tmp_path / "given.pub"
    given.write_text(beside.read_text())
    verify = ("audit", "verify", "--ledger", str(log.ledger))
    for options in ((), ("--key", str(beside))):
        said = shell(*verify, *options)
        assert (said.code, "whoever can write the ledger" in said.err) == (0, True)
        assert f"key          {beside}, beside the ledger" in said.out
    for key, source in ((str(given), str(given)), (given.read_text().strip(), "given as text")):
        said = shell(*verify, "--key", key)
        assert (said.code, said.err) == (0, "")
        assert f"key          {source}" in said.out
        assert json.loads(shell(*verify, "--key", key, "--json").out)["key_from"] == source


@pytest.mark.requirement("P8")
def test_another_key_verifies_nothing(log: Home, shell: Shell, tmp_path: Path) -> None:
    shell("init", str(tmp_path / "other"))
    other = tmp_path / "other" / "ledger.db.pub"
    by_file = shell("audit", "verify", "--ledger", str(log.ledger), "--key", str(other))
    by_text = shell("audit", "verify", "--ledger", str(log.ledger), "--key", other.read_text().strip())
    assert by_file.code == by_text.code == Exit.VERIFICATION_FAILED


def test_a_file_that_is_not_there_is_a_mistake_of_the_caller(log: Home, shell: Shell, tmp_path: Path) -> None:
    assert shell("audit", "verify", "--ledger", str(tmp_path / "none.db")).code == Exit.USAGE
    said = shell("audit", "verify", "--ledger", str(log.ledger), "--checkpoint", str(tmp_path / "none"))
    assert (said.code, "--checkpoint" in said.err) == (Exit.USAGE, True)


@pytest.mark.requirement("P8", "T16")
def test_a_broker_does_not_serve_on_top_of_a_changed_log(log: Home) -> None:
    change(log.ledger, "UPDATE tile SET hashes = zeroblob(length(hashes))")
    serve = [*PROGRAM, "serve", "--config", str(log.config), "--port", "0"]
    said = subprocess.run(
        serve,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert said.returncode == Exit.VERIFICATION_FAILED
    assert "assent audit verify" in said.stderr


def test_a_pipe_that_closes_early_is_no_failure_to_talk_about(broker: BrokerProcess) -> None:
    env = clean_environment(broker.operator)
    tail = [*PROGRAM, "audit", "tail", "-n", "200"]
    with subprocess.Popen(tail, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as telling:
        assert telling.stdout is not None
        assert telling.stderr is not None
        telling.stdout.close()
        assert telling.stderr.read() == b""
