"""A broker that counts in Redis, as it is set up and as Redis is lost: unknown counts are a no, and nothing else."""

import json
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.serving.broker_process import BrokerProcess, Home, make_home, run
from tests.serving.patience import until
from tests.valkey_server import ValkeyServer

RULES = 'rules:\n  - {id: runaway, scope: {agent: "*"}, trip_on: {actions: 6, window: 10m}}\n'


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return make_home(tmp_path_factory.mktemp("made") / "broker")


@pytest.fixture
def home(made: Home, tmp_path: Path, own_valkey: ValkeyServer) -> Home:
    home = made.copied(tmp_path / "broker")
    (home.directory / "policies" / "breakers.yaml").write_text(RULES)
    with home.config.open("a") as settings:
        settings.write(f'redis_url = "{own_valkey.url}"\n')
    return home


def ready(broker: BrokerProcess) -> dict[str, Any]:
    with urlopen(f"{broker.url}/readyz", timeout=10) as answer:  # noqa: S310  # our own broker on loopback
        found: dict[str, Any] = json.load(answer)
    return found


def ask(broker: BrokerProcess, place: str, number: int) -> str:
    """Return what the agent hears, and why."""
    answered = broker.ask("files.write", path=f"{place}/{number}", content="x")
    return " ".join([str(answered["decision"]), *(reason["code"] for reason in answered["reasons"][:1])]).strip()


def doctor(home: Home) -> dict[str, Any]:
    said = run("doctor", "--config", str(home.config), "--json")
    found = {one["what"]: one for one in json.loads(said.stdout)["findings"]}
    finding: dict[str, Any] = found["redis"]
    return finding


@pytest.mark.requirement("T11", "P7")
def test_a_broker_counts_in_redis_and_without_it_lets_nothing_through_that_had_to_be_counted(
    home: Home, own_valkey: ValkeyServer
) -> None:
    with BrokerProcess(home=home) as broker:
        assert ready(broker)["signals"] == "redis"
        assert ask(broker, "staging", 1).startswith("allow")
        assert ask(broker, "prod", 2).startswith("pending")
        assert doctor(home)["state"] == "ok"

        own_valkey.kill()
        assert ask(broker, "prod", 3) == "deny broker_unavailable"
        assert ask(broker, "staging", 4).startswith("allow")
        until(lambda: ready(broker)["signals"] == "unreachable")  # it looks once a second
        found = ready(broker)
        assert found["ready"]
        assert found["notes"] == ["Redis: it does not answer; changes in production that a rule counts are denied"]
        assert doctor(home)["state"] == "wrong"

        own_valkey.start()
        until(lambda: "counters_began" in broker.log())
        until(lambda: ready(broker)["signals"] == "redis")
        # What was asked while nobody counted is in the ledger, and the sixth is one too many.
        heard = [ask(broker, "prod", number) for number in range(5, 8)]
        assert heard[-1] == "deny breaker_open"
        assert broker.stop() == 0
        assert broker.log().count("counters_unreadable") == 1


@pytest.mark.requirement("T11")
def test_a_broker_starts_without_its_redis_and_counts_once_it_is_there(home: Home, own_valkey: ValkeyServer) -> None:
    own_valkey.kill()
    with BrokerProcess(home=home) as broker:
        assert ask(broker, "prod", 1) == "deny broker_unavailable"
        assert ask(broker, "staging", 2).startswith("allow")
        own_valkey.start()
        until(lambda: "counters_began" in broker.log())
        assert ask(broker, "prod", 3).startswith("pending")


@pytest.mark.requirement("T11")
def test_counts_outlive_a_broker_that_is_killed_and_an_emptied_redis(home: Home, own_valkey: ValkeyServer) -> None:
    with BrokerProcess(home=home) as broker:
        for number in range(3):
            assert ask(broker, "staging", number).startswith("allow")
        broker.crash()
        broker.start()
        assert ask(broker, "staging", 3).startswith("allow")
        own_valkey.ask("FLUSHALL")
        until(lambda: "counters_began" in broker.log())
        heard = [ask(broker, "staging", number) for number in range(4, 8)]
        assert heard[-1] == "deny breaker_open"


def test_a_broker_that_names_no_redis_does_not_load_the_client(made: Home) -> None:
    program = "import sys, assent.serving.process, assent.wiring; print('redis' in sys.modules)"
    assert run_python(program) == "False"


def run_python(program: str) -> str:
    import subprocess
    import sys

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_ca_that_is_not_there_stops_the_start(home: Home) -> None:
    with home.config.open("a") as settings:
        settings.write('redis_ca_file = "nowhere.pem"\n')
    refused = run("serve", "--config", str(home.config), "--port", "0")
    assert refused.returncode != 0
    assert "redis_ca_file" in refused.stderr
