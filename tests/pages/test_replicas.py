"""The page on several brokers does what it says: brought up by hand, one broker killed, a stop seen by both."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.deploy.nginx_server import PROGRAM
from tests.deploy.nginx_server import why_not as no_nginx
from tests.pages.reader import ROOT, Reader, to_run
from tests.postgres_server import binaries as postgres_programs
from tests.postgres_server import why_not as no_postgres
from tests.valkey_server import binary as valkey_program
from tests.valkey_server import free_port
from tests.valkey_server import why_not as no_valkey

PAGE = ROOT / "docs" / "replicas.md"
PORTS = ("8420", "8421", "8422")
NOBODY = 65_534
# PostgreSQL refuses root: there it runs as nobody, to whom its part of the folder is lent.
AS_NOBODY = f"chmod 0711 two\nmkdir -p two/postgres\nchown -R {NOBODY} two/postgres\nchmod 0777 two\n"


@pytest.fixture
def reader() -> Iterator[Reader]:
    if reason := no_nginx() or no_postgres() or no_valkey():
        pytest.skip(reason)
    # A socket's path has to be short, and somebody else may have to reach it.
    folder = Path(tempfile.mkdtemp(prefix="two"))
    folder.chmod(0o711)
    reader = Reader(folder)
    (folder / "deploy").symlink_to(ROOT / "deploy")
    brings_programs(folder / ".venv/bin")
    yield reader
    reader.leaves()
    end_what_runs(folder / "two")
    shutil.rmtree(folder)


def brings_programs(tools: Path) -> None:
    """Put the servers' programs on the reader's path; they stand nowhere or elsewhere on a machine of tests."""
    folder = postgres_programs()
    assert folder is not None
    is_root = os.getuid() == 0
    for name in ("initdb", "pg_ctl", "psql"):
        lent = is_root and name != "psql"
        before = f"{AS_NOBODY if name == 'initdb' and lent else ''}exec "
        before += f"setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups " if lent else ""
        script(tools / name, f'{before}{folder / name} "$@"')
    script(tools / "valkey-server", f'exec {valkey_program()} "$@"')
    as_root = "-g 'user root;'" if is_root else ""
    script(tools / "nginx", f'exec {PROGRAM} {as_root} "$@"')


def end_what_runs(two: Path) -> None:
    """End what a story that failed left behind."""
    for file in (*two.glob("*.pid"), *two.glob("postgres/postmaster.pid")):
        pid = int(file.read_text().split()[0])
        with suppress(FileNotFoundError, ProcessLookupError):
            if "two/" in Path(f"/proc/{pid}/cmdline").read_text():
                os.kill(pid, signal.SIGTERM)


def script(file: Path, text: str) -> None:
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


@pytest.mark.requirement("P6", "T20")
def test_the_page_brings_up_two_brokers_kills_one_and_stops_both(reader: Reader) -> None:
    ports = {port: str(free_port()) for port in PORTS}
    blocks = to_run(PAGE)
    said = []
    for block in blocks:
        for port, free in ports.items():
            block = block.replace(port, free)  # noqa: PLW2901  # the same block, at ports of its own
        said.append(reader.types(block))
    servers, ledger, _, _, tried, lost, ended = said
    assert "may read and add" in ledger
    assert "allowed to write staging/hello.txt" in tried
    assert "allowed to write staging/hello.txt" in lost
    (listed,) = [line for line in lost.splitlines() if line.startswith("brk_")]
    assert "prod" in listed
    assert (servers, ended) == ("", "")
