"""A real broker for hammers: a folder as anybody's, a process that serves from it, killed and started again at will."""

import asyncio
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from assent.config import load_settings
from assent.core.credentials import Kind
from assent.flows.manage_principals import issue_credential
from assent.stores.keys import Keys
from assent.wiring import Assembly, assemble
from tests.hammers import policy

ROOT: Final = Path(__file__).parents[2]
START_SECONDS: Final = 60.0
END_SECONDS: Final = 30.0
KEYS: Final = 8
ISSUED_BY: Final = "installation"
_ADDRESS: Final = re.compile(rb"http://127\.0\.0\.1:\d+")
_SETTINGS: Final = """host = "127.0.0.1"
port = {port}
lease_seconds = {lease_seconds}
pick_up_seconds = {pick_up_seconds}
tick_seconds = 0.2
checkpoint_seconds = 0.2
open_per_agent = 1000
open_per_run = 1000
open_per_route = 10000
asks_per_agent_per_hour = 100000
log_format = "json"
log_level = "warning"
"""


class DidNotStart(Exception):
    """A broker ended before it served; the message is what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """Where a broker lives and what opens it: keys of its two agents, its tool's service, two operators, the owner."""

    folder: Path
    port: int
    agent_keys: tuple[str, ...]
    other_agent_key: str
    service_key: str
    eve: str
    omar: str
    nora: str

    @property
    def url(self) -> str:
        """Where it serves, whenever it does; the port stays the same over restarts."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ledger(self) -> Path:
        """Its ledger."""
        return self.folder / "ledger.db"

    @property
    def log(self) -> Path:
        """What its processes said, all of them."""
        return self.folder / "broker.log"


@dataclass(frozen=True, slots=True)
class Running:
    """One life of a broker; `started_seconds` is how long it took from exec to serving."""

    process: subprocess.Popen[bytes]
    started_seconds: float

    def kill(self) -> None:
        """End it as a power cut would, and wait until it is gone."""
        self.process.kill()
        self.gone()

    def gone(self, within_seconds: float = END_SECONDS) -> int:
        """Wait until it ended by itself and return its code, negative for a signal.

        Raises:
            subprocess.TimeoutExpired: it goes on.

        """
        self.process.communicate(timeout=within_seconds)
        return self.process.returncode

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None


def install(folder: Path, *, lease_seconds: int = 600, pick_up_seconds: int = 600) -> Installation:
    """Make a broker's folder with keys, policy, settings and credentials."""
    folder.mkdir(mode=0o700, parents=True)
    policy.write(folder / "policies")
    Keys.create(folder / "keys")
    port = free_port()
    settings = _SETTINGS.format(port=port, lease_seconds=lease_seconds, pick_up_seconds=pick_up_seconds)
    (folder / "assent.toml").write_text(settings)
    assembly = assemble(load_settings(folder / "assent.toml"), issuer=f"http://127.0.0.1:{port}")
    return asyncio.run(_issued(assembly, folder, port))


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


async def _issued(assembly: Assembly, folder: Path, port: int) -> Installation:
    async def token(kind: Kind, principal: str, tools: tuple[str, ...] = ()) -> str:
        issued = await issue_credential(assembly.broker, kind, principal, issued_by=ISSUED_BY, tools=tools)
        return issued.token

    try:
        return Installation(
            folder=folder,
            port=port,
            agent_keys=tuple([await token(Kind.AGENT, policy.AGENT) for _ in range(KEYS)]),
            other_agent_key=await token(Kind.AGENT, policy.OTHER_AGENT),
            service_key=await token(Kind.SERVICE, policy.SERVICE, ("shape.*",)),
            eve=await token(Kind.OPERATOR, policy.EVE),
            omar=await token(Kind.OPERATOR, policy.OMAR),
            nora=await token(Kind.OPERATOR, policy.OWNER),
        )
    finally:
        await assembly.ledger.close()


def start(
    at: Installation,
    environment: Mapping[str, str] | None = None,
    *,
    around: tuple[str, ...] = (),
    module: tuple[str, ...] = ("assent", "serve"),
    folder: Path | None = None,
) -> Running:
    """Start a broker and wait until it serves; `around` is a command that runs it, maybe from another folder.

    `module` is what Python runs, with its first arguments.

    Raises:
        DidNotStart: it ended, or did not serve in time.

    """
    with at.log.open("ab") as errors:
        said_before = errors.tell()
        began = time.monotonic()
        process = subprocess.Popen(
            [*around, sys.executable, "-m", *module, "--config", str((folder or at.folder) / "assent.toml")],
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, **(environment or {})},
            cwd=ROOT,
        )
    if not _serves(process):
        process.kill()
        process.communicate()
        raise DidNotStart(at.log.read_bytes()[said_before:].decode(errors="replace").strip())
    return Running(process, time.monotonic() - began)


def _serves(process: subprocess.Popen[bytes]) -> bool:
    if process.stdout is None:
        return False
    seen = b""
    deadline = time.monotonic() + START_SECONDS
    with selectors.DefaultSelector() as ready:
        ready.register(process.stdout, selectors.EVENT_READ)
        while time.monotonic() < deadline:
            if ready.select(0.5):
                chunk = os.read(process.stdout.fileno(), 4_096)
                seen += chunk
                if _ADDRESS.search(seen) is not None:
                    return True
                if not chunk:
                    return False
    return False


@contextmanager
def serving(at: Installation, environment: Mapping[str, str] | None = None) -> Iterator[Running]:
    """Serve until the block ends; whatever happens, no process stays behind."""
    running = start(at, environment)
    try:
        yield running
    finally:
        end(running)


def end(running: Running) -> None:
    """End a broker in good order, or at all."""
    if running.is_alive:
        running.process.send_signal(signal.SIGTERM)
        running.process.send_signal(signal.SIGCONT)
    try:
        running.gone()
    except subprocess.TimeoutExpired:
        running.kill()
