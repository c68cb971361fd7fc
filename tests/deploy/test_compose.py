"""The compose file: what it says of every service, and its files and commands driven with real servers."""

import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assent.config import load_settings
from tests.deploy.compose_stack import COMPOSE, SERVICES, SHIPPED, Stack, made, make_secrets
from tests.deploy.nginx_server import BROKERS
from tests.postgres_server import why_not as no_postgres
from tests.serving.broker_process import BrokerProcess, run
from tests.valkey_server import why_not as no_valkey

ROOT = SHIPPED.parents[1]
OURS = ("broker-1", "broker-2", "ledger-prepare")
DOCKERFILE = (ROOT / "deploy/container/Dockerfile").read_text()
NGINX = (SHIPPED / "nginx/nginx.conf").read_text()
# In the images that are named; what they are built from says so.
ACCOUNTS = {"postgres": "999:999", "valkey": "999:999", "nginx": "101:101"}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    if reason := no_postgres() or no_valkey():
        pytest.skip(reason)
    stack = made(tmp_path_factory.mktemp("compose"))
    yield stack
    stack.stop()


def mounts(service: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """Return what is mounted, where, and whether only to be read."""
    found = [str(one).split(":") for one in service.get("volumes", [])]
    return [(parts[0], parts[1], parts[2:] == ["ro"]) for parts in found]


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert "cap_add" not in service
    account = "65532:65532" if name in OURS else ACCOUNTS[name]
    assert service["user"] == account
    assert account in DOCKERFILE or name not in OURS


def test_nothing_is_published_but_nginx_and_what_holds_state_has_no_network() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["nginx"]
    assert {name for name, service in SERVICES.items() if service.get("network_mode") == "none"} == {
        "postgres",
        "valkey",
        "ledger-prepare",
    }


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_is_there_and_what_lies_in_the_repository_is_only_read(name: str) -> None:
    for source, _, reads in mounts(SERVICES[name]):
        if source.startswith("./"):
            assert reads
            assert (SHIPPED / source).exists() or source.startswith(("./secrets/", "./policies"))
        else:
            assert source in COMPOSE["volumes"]


def test_a_broker_never_has_the_owners_password_and_each_state_is_its_own() -> None:
    owners = {name for name, service in SERVICES.items() if "./secrets/owner" in {one for one, _, _ in mounts(service)}}
    assert owners == {"ledger-prepare"}
    states = [source for name in OURS for source, to, _ in mounts(SERVICES[name]) if to == "/var/lib/assent"]
    assert sorted(states) == ["state-1", "state-2"]


def test_both_brokers_differ_in_address_and_state_only() -> None:
    one, two = (
        {**SERVICES[name], "networks": "", "volumes": [m for m in SERVICES[name]["volumes"] if "state-" not in m]}
        for name in OURS[:2]
    )
    assert one == two


def test_addresses_are_the_same_in_all_files() -> None:
    addresses = {
        name: SERVICES[name]["networks"]["front"]["ipv4_address"] for name in ("broker-1", "broker-2", "nginx")
    }
    assert tuple(f"{addresses[name]}:8420" for name in OURS[:2]) == BROKERS
    assert re.findall(r"server ([\d.:]+) max", NGINX) == list(BROKERS)
    settings = load_settings(SHIPPED / "assent.toml")
    assert settings.proxy_addresses == (addresses["nginx"],)
    assert (settings.port, settings.behind_proxy) == (8420, True)
    (published,) = SERVICES["nginx"]["ports"]
    assert f"listen {published.partition(':')[2]} ssl" in NGINX


def test_what_the_settings_name_is_mounted() -> None:
    settings = load_settings(SHIPPED / "assent.toml")
    places = [to for _, to, _ in mounts(SERVICES["broker-1"])]
    files = [settings.keys_directory, settings.ledger_password_file, settings.redis_password_file, settings.ledger_file]
    assert all(any(str(file).startswith(f"{place}/") for place in places) for file in files)
    assert "host=/run/postgresql" in str(settings.ledger_url)
    assert settings.redis_url == "unix:///run/valkey/valkey.sock"
    assert {"/run/postgresql", "/run/valkey", "/etc/assent/assent.toml"} <= set(places)
    for name, place in (("postgres", "/run/postgresql"), ("valkey", "/run/valkey")):
        assert place in [to for _, to, _ in mounts(SERVICES[name])]


def test_brokers_wait_for_the_tables_and_nginx_for_brokers_that_are_ready() -> None:
    waits = {
        name: {on: how["condition"] for on, how in s.get("depends_on", {}).items()} for name, s in SERVICES.items()
    }
    ready = {"ledger-prepare": "service_completed_successfully", "valkey": "service_healthy"}
    assert waits["broker-1"] == waits["broker-2"] == ready
    assert waits["ledger-prepare"] == {"postgres": "service_healthy"}
    assert waits["nginx"] == {"broker-1": "service_healthy", "broker-2": "service_healthy"}
    for name in ("broker-1", "nginx"):
        assert "/readyz" in SERVICES[name]["healthcheck"]["test"][-1]


def test_a_process_has_the_time_to_end_that_its_settings_allow() -> None:
    grace = int(SERVICES["broker-1"]["stop_grace_period"].removesuffix("s"))
    assert grace > load_settings(SHIPPED / "assent.toml").shutdown_seconds


@pytest.mark.requirement("P9")
def test_secrets_are_for_the_account_that_reads_them_and_made_once(stack: Stack) -> None:
    secrets = stack.files / "secrets"
    files = [file for file in secrets.rglob("*") if file.is_file()]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert {stat.S_IMODE(file.stat().st_mode) for file in secrets.iterdir()} == {0o700}
    given = {line.split()[1] for line in stack.chowned if "secrets" in line}
    assert given == {"65532:65532", *ACCOUNTS.values()}
    before = {file: file.read_bytes() for file in files}
    make_secrets(stack.files, stack.made.directory)
    assert {file: file.read_bytes() for file in files} == before


def test_the_rights_in_valkey_are_those_of_the_page(stack: Stack) -> None:
    page = (ROOT / "docs/redis.md").read_text()
    (shown,) = re.findall(r"ACL SETUSER broker on >PASSWORD (.*?)```", page, re.DOTALL)
    given = (stack.files / "secrets/valkey/users.acl").read_text().split()
    assert given[4:] == shown.split()


@pytest.mark.requirement("P8", "T24")
def test_the_stack_comes_up_as_its_files_say_and_the_brokers_role_may_not_change_the_log(stack: Stack) -> None:
    prepared = stack.run_assent("ledger-prepare")
    assert prepared.returncode == 0, prepared.stderr
    again = stack.run_assent("ledger-prepare")
    assert again.returncode == 0, again.stderr
    home = stack.broker("state-1")
    said = run("operators", "token", "issue", "you", "--direct", "--config", str(home.config), "--json")
    assert said.returncode == 0, said.stderr
    with BrokerProcess(home=home) as broker:
        ready = broker.as_operator("GET", "/readyz")
        assert (ready["ready"], ready["signals"], ready["notes"]) == (True, "redis", [])
        found = json.loads(run("doctor", "--config", str(home.config), "--json").stdout)["findings"]
        states = {one["what"]: one["state"] for one in found}
        assert (states["redis"], states["ledger's role"], states["keys"]) == ("ok", "ok", "ok")
        assert broker.stop() == 0


def test_a_wrong_password_opens_neither_the_database_nor_valkey(stack: Stack, tmp_path: Path) -> None:
    home = stack.broker("state-1")
    wrong = tmp_path / "password"
    wrong.write_text("wrong")
    wrong.chmod(0o600)
    for key in ("ledger_password_file", "redis_password_file"):
        env = {f"ASSENT_{key.upper()}": str(wrong)}
        found = json.loads(run("doctor", "--config", str(home.config), "--json", env=env).stdout)["findings"]
        what = "ledger" if key.startswith("ledger") else "redis"
        assert "wrong" in {one["state"] for one in found if one["what"].startswith(what)}
