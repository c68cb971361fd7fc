"""A real nginx with the configuration of deploy/compose, moved into a folder: its addresses are ports on loopback."""

import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.postgres_server import with_patience
from tests.valkey_server import free_port

FILES: Final = Path(__file__).parents[2] / "deploy" / "compose" / "nginx"
PROGRAM: Final = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
BROKERS: Final = ("10.84.20.11:8420", "10.84.20.12:8420")
_STARTED_WITHIN_SECONDS: Final = 20.0
_LOOK_EACH_SECONDS: Final = 0.02
_CERTIFICATE: Final = (
    *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
    *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", "tls.key", "-out", "tls.crt"),
)


def why_not() -> str | None:
    """Return why there is no nginx for the tests, or None."""
    if PROGRAM is None or shutil.which("openssl") is None:
        return "no nginx or no openssl: `apt-get install nginx-light openssl` brings them"
    return None


@dataclass
class Nginx:
    """nginx in `folder`, before two brokers on `ports`; `quicker` shortens what is waited for in a test."""

    folder: Path
    ports: tuple[int, int]
    quicker: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    health_port: int = field(default_factory=free_port)

    def prepare(self) -> None:
        """Write the configuration as it is shipped, with other places, and a certificate."""
        if not (self.folder / "tls.crt").exists():
            subprocess.run(_CERTIFICATE, cwd=self.folder, check=True, capture_output=True)
        for file in FILES.glob("*.conf"):
            (self.folder / file.name).write_text(self._moved(file.read_text()))

    def _moved(self, text: str) -> str:
        moves = {
            **dict(zip(BROKERS, (f"127.0.0.1:{port}" for port in self.ports), strict=True)),
            "listen 8443": f"listen 127.0.0.1:{self.port}",
            "127.0.0.1:8480": f"127.0.0.1:{self.health_port}",
            "/run/assent/": f"{self.folder}/",
            "/tmp/": f"{self.folder}/",
            "worker_processes auto": "worker_processes 1",
            "worker_connections 16384": "worker_connections 512",
            **self.quicker,
        }
        return re.sub("|".join(map(re.escape, moves)), lambda found: moves[found[0]], text)

    def command(self, *more: str) -> list[str]:
        """Return how it is run; whoever is root keeps its workers root, so that they may read the folder."""
        assert PROGRAM is not None
        as_root = "user root; " if os.getuid() == 0 else ""
        return [
            PROGRAM,
            "-p",
            str(self.folder),
            "-c",
            str(self.folder / "nginx.conf"),
            "-g",
            f"{as_root}daemon off;",
            *more,
        ]

    def parses(self) -> "subprocess.CompletedProcess[str]":
        """Let nginx say what it thinks of the configuration."""
        return subprocess.run(self.command("-t"), capture_output=True, text=True, check=False)

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self.prepare()
        with (self.folder / "nginx.log").open("ab") as said:
            self._process = subprocess.Popen(self.command(), stdout=said, stderr=said)
        for _ in range(int(_STARTED_WITHIN_SECONDS / _LOOK_EACH_SECONDS)):
            assert self._process.poll() is None, (self.folder / "nginx.log").read_text()
            if (self.folder / "nginx.pid").exists() and (self.folder / "nginx.pid").read_text().strip():
                return
            with_patience(_LOOK_EACH_SECONDS)
        raise AssertionError("nginx did not start")

    def stop(self) -> None:
        """Stop it at once."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(10)


def directives(text: str, name: str) -> list[str]:
    """Return what each `name` of a configuration says."""
    return [found.strip() for found in re.findall(rf"^\s*(?:location .*\{{ )?{name} ([^;]+);", text, re.MULTILINE)]
