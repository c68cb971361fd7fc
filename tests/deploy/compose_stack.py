"""The services of deploy/compose as processes of this machine: the same files and commands, in other places."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tests.postgres_server import Server, binaries, started
from tests.serving.broker_process import Home, make_home, run
from tests.valkey_server import ValkeyServer
from tests.valkey_server import folder as short_folder

SHIPPED: Final = Path(__file__).parents[2] / "deploy" / "compose"
COMPOSE: Final[dict[str, Any]] = yaml.safe_load((SHIPPED / "compose.yaml").read_text())
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]
_HBA: Final = "local all postgres trust\nlocal all all scram-sha-256\n"


@dataclass
class Stack:
    """What was made and runs: `files` is deploy/compose with what `make-secrets` made in it."""

    files: Path
    made: Home
    postgres: Server
    valkey: ValkeyServer
    chowned: list[str]

    def moved(self, text: str, *, state: str = "state-1") -> str:
        """Return a configuration or an argument with the places of this machine."""
        moves = {
            "/run/postgresql": str(self.postgres.folder),
            "/run/valkey/valkey.sock": str(self.valkey.socket),
            "/run/assent-owner": str(self.files / "secrets/owner"),
            "/var/lib/assent": str(self.files / state),
            "10.84.20.10": "127.0.0.1",
            '"0.0.0.0"': '"127.0.0.1"',
            "public_url": "# public_url",  # a test asks the broker itself
        }
        return re.sub("|".join(map(re.escape, moves)), lambda found: moves[found[0]], text)

    def run_assent(self, service: str) -> "subprocess.CompletedProcess[str]":
        """Run what a service runs, to its end."""
        return run(*(self.moved(word) for word in SERVICES[service]["command"]))

    def broker(self, state: str) -> Home:
        """Return a broker with the configuration that is shipped, and a state of its own."""
        (self.files / state).mkdir(mode=0o700, exist_ok=True)
        text = (self.files / "assent.toml").read_text().replace("/run/assent", str(self.files / "secrets/broker"))
        config = self.files / state / "assent.toml"
        text = text.replace('policy_directory = "policies"', f'policy_directory = "{self.files}/policies"')
        config.write_text(self.moved(text, state=state))
        return Home(
            directory=self.files / state, operator_token=self.made.operator_token, agent_key=self.made.agent_key
        )

    def moved_in(self, state: str) -> Home:
        """Return a broker whose first ledger, with the credentials of its start, was moved into the database."""
        home = self.broker(state)
        shutil.copy(self.made.ledger, home.ledger)
        said = run("migrate", "--config", str(home.config), "--json")
        assert said.returncode == 0, said.stderr
        return home

    def stop(self) -> None:
        """End both servers."""
        self.valkey.stop()
        self.postgres.stop()


def made(inside: Path) -> Stack:
    """Return the services with roles, passwords and rights as the files of deploy/compose make them."""
    files = inside / "deploy" / "compose"
    shutil.copytree(SHIPPED, files)
    home = make_home(inside / "my-broker")
    chowned = make_secrets(files, home.directory)
    postgres, valkey = started(), _valkey(files)
    stack = Stack(files, home, postgres, valkey, chowned)
    _make_roles(stack)
    return stack


def make_secrets(files: Path, made: Path) -> list[str]:
    """Run the script that is shipped; return what it would have given to whom."""
    tools = files / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "chown").write_text('#!/bin/sh\necho "$@" >>"$CHOWNED"\n')
    (tools / "chown").chmod(0o755)
    log = files / "chowned"
    log.write_text("")
    env = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "CHOWNED": str(log)}
    subprocess.run([str(files / "make-secrets"), str(made)], env=env, check=True, capture_output=True)
    return log.read_text().splitlines()


def _valkey(files: Path) -> ValkeyServer:
    server = ValkeyServer(short_folder())
    config = (files / "valkey.conf").read_text().replace("/run/assent/", f"{files}/secrets/valkey/")
    file = server.folder / "valkey.conf"
    file.write_text(config.replace("/run/valkey/valkey.sock", str(server.socket)))
    server.configured_by(file)
    server.start()
    return server


def _make_roles(stack: Stack) -> None:
    folder = binaries()
    assert folder is not None
    script = (stack.files / "postgres/roles.sql").read_text()
    script = script.replace("/run/assent/", f"{stack.files}/secrets/postgres/")
    command = [str(folder / "psql"), "-qX", "-h", str(stack.postgres.folder), "-U", "postgres", "-d", "postgres"]
    subprocess.run([*command, "-f", "-"], input=script, text=True, check=True, capture_output=True)
    (stack.postgres.folder / "data" / "pg_hba.conf").write_text(_HBA)
    stack.postgres.run("SELECT pg_reload_conf()")
