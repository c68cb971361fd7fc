"""Two brokers on one database: what one does for both, who follows whom, and who may not serve beside another."""

import json
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.postgres_server import Server
from tests.serving.broker_process import BrokerProcess, Home, make_home, run
from tests.serving.patience import until
from tests.valkey_server import ValkeyServer

WORK = ("log", "people", "timers")
STAGING_CASE = "expect: {decision: allow, rules: [files-write-staging]}"
UNREACHABLE = 8
TRIES = 5
ONLY_PUBLISHED = {"ASSENT_POLICY_WATCH_SECONDS": "0"}


@dataclass(frozen=True)
class Pair:
    """Two homes of brokers on one database, with one set of keys."""

    one: Home
    other: Home


@pytest.fixture
def pair(tmp_path: Path, own_valkey: ValkeyServer, postgres: Server) -> Pair:
    one = make_home(tmp_path / "one")
    with one.config.open("a") as settings:
        settings.write(f'ledger_url = "{postgres.fresh()}"\nredis_url = "{own_valkey.url}"\n')
    moved = run("migrate", "--config", str(one.config), "--json")
    assert moved.returncode == 0, moved.stderr
    return Pair(one, one.copied(tmp_path / "other"))


@pytest.fixture
def both(pair: Pair) -> Iterator[tuple[BrokerProcess, BrokerProcess]]:
    with BrokerProcess(home=pair.one) as first, BrokerProcess(home=pair.other) as second:
        until(lambda: held(first) == WORK)
        yield first, second


def held(broker: BrokerProcess) -> tuple[str, ...]:
    """Return what this broker does for all."""
    with urlopen(f"{broker.url}/metrics", timeout=10) as answer:  # noqa: S310  # our own broker on loopback
        found = re.findall(r'assent_leases_held\{work="(\w+)"\} (\d)', answer.read().decode())
    return tuple(sorted(work for work, does in found if does == "1"))


def checkpoint(broker: BrokerProcess) -> int:
    """Return the size of the newest checkpoint that this broker shows."""
    key = {"Authorization": f"Bearer {broker.home.operator_token}"}
    asked = Request(f"{broker.url}/log/checkpoint", headers=key)  # noqa: S310  # our own broker on loopback
    with urlopen(asked, timeout=10) as answer:  # noqa: S310  # the same
        return int(answer.read().decode().splitlines()[1])


@pytest.mark.requirement("P8", "T20")
def test_one_does_what_is_done_once_and_when_it_is_killed_the_other_does(
    both: tuple[BrokerProcess, BrokerProcess],
) -> None:
    first, second = both
    assert held(second) == ()
    asked = second.ask("files.write", path="prod/x", content="x")
    assert asked["decision"] == "pending"
    # Signed by one, shown by both.
    until(lambda: checkpoint(second) == checkpoint(first) > 1)
    first.crash()
    until(lambda: held(second) == WORK)
    before = checkpoint(second)
    assert second.ask("files.write", path="staging/x", content="x")["decision"] == "allow"
    until(lambda: checkpoint(second) > before)
    assert second.stop() == 0


@pytest.mark.requirement("T20")
def test_one_that_stood_still_finds_that_another_took_over(both: tuple[BrokerProcess, BrokerProcess]) -> None:
    first, second = both
    first.send(signal.SIGSTOP)
    until(lambda: held(second) == WORK)
    first.send(signal.SIGCONT)
    assert second.ask("files.write", path="staging/x", content="x")["decision"] == "allow"
    until(lambda: checkpoint(first) == checkpoint(second))
    assert (held(first), held(second)) == ((), WORK)
    assert [one.stop() for one in both] == [0, 0]


def test_one_that_is_stopped_lets_go_at_once(both: tuple[BrokerProcess, BrokerProcess]) -> None:
    first, second = both
    assert first.stop() == 0
    until(lambda: held(second) == WORK)
    assert "lease_taken" in second.log()
    kinds = [leaf["kind"] for kind in ("broker.started", "broker.stopped") for leaf in second.records(kind)]
    assert (kinds.count("broker.started"), kinds.count("broker.stopped")) == (2, 1)


@pytest.mark.requirement("P1", "P2", "P6")
def test_what_one_hears_holds_at_the_other(both: tuple[BrokerProcess, BrokerProcess]) -> None:
    first, second = both
    asked = first.ask("files.write", path="prod/x", content="x")
    found: Any = second.as_agent("GET", f"/v1/actions/{asked['action_id']}")
    assert found["state"] == "pending"
    tripped = second.as_operator("POST", "/v1/breakers/trip", {"all": True, "reason": "x"})
    assert tripped["breaker"]["state"] == "forced_open", tripped
    assert first.ask("files.write", path="staging/x", content="x")["reasons"][0]["code"] == "breaker_open"
    assert first.as_agent("GET", f"/v1/actions/{asked['action_id']}")["state"] == "cancelled"


@pytest.mark.requirement("T11")
@pytest.mark.parametrize("begins", ["with redis", "without"])
def test_nobody_serves_beside_another_who_counts_apart(pair: Pair, begins: str) -> None:
    text = pair.other.config.read_text()
    pair.other.config.write_text(re.sub(r"redis_url = .*\n", "", text))
    homes = (pair.one, pair.other) if begins == "with redis" else (pair.other, pair.one)
    with BrokerProcess(home=homes[0]):
        refused = run("serve", "--config", str(homes[1].config), "--port", "0")
    assert (refused.returncode, "redis_url" in refused.stderr) == (8, True), refused.stderr
    assert "another broker serves this ledger" in refused.stderr


@pytest.mark.requirement("P8")
def test_the_log_of_both_verifies(both: tuple[BrokerProcess, BrokerProcess], pair: Pair) -> None:
    for broker in both:
        assert broker.ask("files.write", path="staging/x", content=broker.url)["decision"] == "allow"
    assert [broker.stop() for broker in both] == [0, 0]
    keys = str(pair.one.directory / "keys")
    said = run("audit", "verify", "--config", str(pair.one.config), "--keys", keys, "--json")
    assert json.loads(said.stdout)["verified"], said.stdout


def publish(at: BrokerProcess, tests: Path) -> dict[str, Any]:
    """Publish what a broker's own directory holds, as somebody who reviewed it would."""
    directory = at.home.directory / "policies"
    tested = run("policy", "test", str(directory), "--json")
    assert tested.returncode == 0, tested.stdout + tested.stderr
    tests.write_text(tested.stdout)
    who = ("--commit", "c0" * 20, "--change-url", "https://code.example/7", "--author", "gus", "--reviewer", "eve")
    # Who stands still in the middle of a transaction holds up whoever wants to pass alone, for two seconds.
    for _ in range(TRIES):
        said = run("policy", "publish", str(directory), *who, "--tests", str(tests), "--json", env=at.operator)
        if said.returncode != UNREACHABLE:
            assert said.returncode == 0, said.stderr
            answer: dict[str, Any] = json.loads(said.stdout)
            return answer
    raise AssertionError("it was never stored")


def edit(home: Home, file: str, old: str, new: str) -> None:
    path = home.directory / "policies" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def no_more_writes(home: Home) -> None:
    edit(home, "roles/files.yaml", "[staging], effect: allow", "[staging], effect: deny")
    edit(home, "tests/files.yaml", STAGING_CASE, STAGING_CASE.replace("allow", "deny"))


def security_admins(pair: Pair) -> None:
    for home in (pair.one, pair.other):
        edit(home, "operators.yaml", "may: [approver, operator]", "may: [security_admin]")


def never_by_the_older(broker: BrokerProcess, answers: list[str]) -> bool:
    """Ask for what the older version allows; return whether the active one answers, and keep what came."""
    said = broker.ask("files.write", path="staging/x", content="x")
    answers.append(said.get("decision") or f"{said['status']} {said['code']}")
    return answers[-1] == "deny"


@pytest.mark.requirement("T23", "P1")
def test_a_published_version_is_taken_up_by_both_and_neither_decides_by_the_older(pair: Pair, tmp_path: Path) -> None:
    security_admins(pair)
    with (
        BrokerProcess(home=pair.one, env=ONLY_PUBLISHED) as first,
        BrokerProcess(home=pair.other, env=ONLY_PUBLISHED) as second,
    ):
        assert second.ask("files.write", path="staging/x", content="x")["decision"] == "allow"
        no_more_writes(pair.one)
        # The second one hears nothing of it while it stands still, and asks are the first thing that it does after.
        second.send(signal.SIGSTOP)
        version = publish(first, tmp_path / "tests.json")["version"]
        second.send(signal.SIGCONT)
        answers = list[str]()
        until(lambda: never_by_the_older(second, answers))
        assert set(answers) <= {"503 broker_unavailable", "deny"}, answers
        shown = second.as_operator("GET", "/v1/policy")
        assert (shown["version"], shown["active_version"], shown["source"]) == (version, version, "ledger")
        assert shown["review"]["reviewer"] == "eve"
        until(lambda: "policy_taken_up" in second.log())
        assert first.ask("files.write", path="staging/x", content="x")["decision"] == "deny"
    # Whoever starts on the older files serves what is active, and says that it does not read them.
    with BrokerProcess(home=pair.other) as again:
        assert again.ask("files.write", path="staging/x", content="x")["decision"] == "deny"
        assert "policy_directory_not_read" in again.log()
        assert len(again.records("policy.activated")) == 2


@pytest.mark.requirement("T23")
def test_what_waits_is_confirmed_at_the_other_broker(pair: Pair, tmp_path: Path) -> None:
    security_admins(pair)
    careful = {"ASSENT_ACTIVATION": "confirm", **ONLY_PUBLISHED}
    with BrokerProcess(home=pair.one, env=careful) as first, BrokerProcess(home=pair.other, env=careful) as second:
        edit(pair.one, "operators.yaml", "demo-owner:", "gus: {groups: [approvers], may: [approver]}\ndemo-owner:")
        published = publish(first, tmp_path / "tests.json")
        assert published["uptake"] == "waiting"
        until(lambda: "policy_held" in second.log())
        confirmed = second.as_operator("POST", "/v1/policy/activate", {"digest": published["version"][:12]})
        assert confirmed["uptake"] == "activated", confirmed
        until(lambda: first.as_operator("GET", "/v1/policy")["version"] == published["version"])
        ready = Request(f"{first.url}/readyz")  # noqa: S310  # our own broker on loopback
        with urlopen(ready, timeout=10) as answer:  # noqa: S310  # the same
            assert json.loads(answer.read())["policy_loaded"] is True
