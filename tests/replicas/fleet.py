"""Several brokers on one PostgreSQL and one Valkey, each on lines of its own, behind a load balancer.

Every broker has a folder of its own, as on a machine of its own: the same keys and the same policies, other settings.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from tests import postgres_server, valkey_server
from tests.hammers import broker
from tests.hammers.broker import Installation, Running
from tests.postgres_server import Server, with_patience
from tests.replicas.lines import Lines
from tests.valkey_server import ValkeyServer

FRONT: Final = "front"
COMES_WITHIN_SECONDS: Final = 60.0
LOOK_EACH_SECONDS: Final = 0.02
_SETTINGS: Final = """ledger_url = "postgresql://broker@127.0.0.1:{database}/{name}"
redis_url = "redis://127.0.0.1:{redis}"
public_url = "http://127.0.0.1:{front}"
policy_watch_seconds = 0
max_connections_per_address = 10000
"""


def why_not() -> str | None:
    """Return why there can be no fleet on this machine, or None."""
    if "ASSENT_TEST_POSTGRES" in os.environ:
        return "the server that is named is nobody's to kill"
    return postgres_server.why_not() or valkey_server.why_not()


def until(holds: Callable[[], object], what: str) -> None:
    """Wait for something that another process does. Raises TimeoutError."""
    for _ in range(int(COMES_WITHIN_SECONDS / LOOK_EACH_SECONDS)):
        if holds():
            return
        with_patience(LOOK_EACH_SECONDS)
    raise TimeoutError(f"waited in vain for {what}")


@dataclass(slots=True)
class Replica:
    """One broker: where it lives, what it is started with, and the life that it has at the moment."""

    number: int
    at: Installation
    environment: dict[str, str] = field(default_factory=dict)
    module: tuple[str, ...] = ("assent", "serve")
    running: Running | None = None

    def start(self) -> float:
        """Start it and return how many seconds it took. Raises DidNotStart."""
        self.running = broker.start(self.at, self.environment, module=self.module)
        return self.running.started_seconds

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self.running is not None
        self.running.process.send_signal(number)

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.running is not None
        self.running.kill()

    def stop(self) -> int:
        """Ask it to stop and return its code."""
        assert self.running is not None
        self.signal(signal.SIGTERM)
        return self.running.gone()

    @property
    def database(self) -> str:
        """Its line to the database."""
        return f"database-{self.number}"

    @property
    def redis(self) -> str:
        """Its line to Redis."""
        return f"redis-{self.number}"


@dataclass(slots=True)
class Fleet:
    """What runs: `at` is the installation as clients see it, at the port of the load balancer.

    `seen` is for what somebody counts on the way.
    """

    at: Installation
    folder: Path
    postgres: Server
    valkey: ValkeyServer
    lines: Lines
    replicas: list[Replica]
    database: str
    seen: Counter[str] = field(default_factory=Counter)

    def start(self) -> None:
        """Start all brokers, and wait until each of them takes work."""
        for replica in self.replicas:
            replica.start()
        self.until_ready()

    def until_ready(self) -> None:
        """Wait until the load balancer found all of them ready. Raises TimeoutError."""
        until(lambda: all(self.lines.ready(FRONT)[: len(self.replicas)]), "every broker to be ready")

    def leaves(self) -> list[str]:
        """Return the log, read as its owner, without any broker."""
        rows = self.postgres.run("SELECT leaf FROM assent.record ORDER BY idx", self.database)
        return [leaf for (leaf,) in rows]

    def stop(self) -> list[int]:
        """Ask all brokers to stop, and return their codes."""
        return [replica.stop() for replica in self.replicas if replica.running is not None]


Prepare = Callable[[Installation], None]


@contextmanager
def fleet(
    folder: Path,
    brokers: int,
    *,
    prepare: Prepare = lambda _at: None,
    data: Path | None = None,
    more_lines: Mapping[str, int] | None = None,
) -> Iterator[Fleet]:
    """Lend a fleet that was set up and not started; `prepare` changes policy and settings before anybody reads them.

    `data` is where the database lies, `more_lines` are ports that brokers reach by a line of that name as well.
    """
    at = broker.install(folder / "made", lease_seconds=5, pick_up_seconds=20)
    prepare(at)
    with ExitStack() as ended:
        postgres = postgres_server.started(data)
        ended.callback(postgres.stop)
        valkey = valkey_server.started()
        ended.callback(valkey.stop)
        ports = [broker.free_port() for _ in range(brokers)]
        lines = Lines(_targets(postgres, valkey, ports, more_lines or {}))
        ended.callback(lines.close)
        database = _prepared(postgres)
        replicas = [
            Replica(number, replace(at, folder=folder / f"broker-{number}", port=port))
            for number, port in enumerate(ports)
        ]
        for replica in replicas:
            _furnish(replica, at, lines, database)
        for part in at.folder.glob(f"{at.ledger.name}*"):
            shutil.move(part, replicas[0].at.folder)
        _migrate(replicas[0].at)
        for replica in replicas:
            ended.callback(_end, replica)
        yield Fleet(replace(at, port=lines.ports[FRONT]), folder, postgres, valkey, lines, replicas, database)


def _targets(
    postgres: Server, valkey: ValkeyServer, ports: list[int], more: Mapping[str, int]
) -> dict[str, list[int | str]]:
    # Named twice, a single broker is behind a load balancer too.
    front: list[int | str] = [*ports, *(ports if len(ports) == 1 else [])]
    own: dict[str, list[int | str]] = {FRONT: front}
    for number, _ in enumerate(ports):
        own[f"database-{number}"] = [str(postgres.folder / ".s.PGSQL.5432")]
        own[f"redis-{number}"] = [str(valkey.socket)]
    return own | {name: [port] for name, port in more.items()}


def _prepared(postgres: Server) -> str:
    """Return the owner's URL of a database with the tables of a ledger."""
    postgres.run("CREATE ROLE broker LOGIN")
    url = postgres.fresh()
    _assent("ledger", "prepare", "--owner-url", url, "--role", "broker")
    return url


def _furnish(replica: Replica, like: Installation, lines: Lines, database: str) -> None:
    """Make a broker's folder: keys and policies as everybody's, settings of its own."""
    home = replica.at.folder
    home.mkdir(mode=0o700)
    for name in ("keys", "policies"):
        shutil.copytree(like.folder / name, home / name)
    more = _SETTINGS.format(
        database=lines.ports[replica.database],
        name=database.partition("?")[0].rpartition("/")[2],
        redis=lines.ports[replica.redis],
        front=lines.ports[FRONT],
    )
    settings = (like.folder / "assent.toml").read_text().replace(f"port = {like.port}\n", f"port = {replica.at.port}\n")
    (home / "assent.toml").write_text(settings + more)


def _migrate(at: Installation) -> None:
    """Move what was set up in a file into the database."""
    _assent("migrate", "--config", str(at.folder / "assent.toml"))


def _assent(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "assent", *arguments], capture_output=True, text=True, check=False, cwd=broker.ROOT
    )
    assert done.returncode == 0, done.stderr


def _end(replica: Replica) -> None:
    if replica.running is not None:
        broker.end(replica.running)
