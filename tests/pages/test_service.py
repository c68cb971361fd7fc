"""The pages about a service do what they say: set up, backed up and restored, every command run as written.

What differs from a reader's machine: what needs root is a stand-in that does the same below one folder, the broker is
started by hand as its unit says, and the two people are two homes of one account.
"""

import configparser
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.pages.reader import BREAKER, CODE, ROOT, SECONDS, Reader, address, line_of, to_run

PAGE = ROOT / "docs" / "set-up.md"
KEEPING = ROOT / "docs" / "keeping.md"
COPY = "ledger-20261125T030000Z.db"
# What root does on a real machine; here paths are below one folder and everything belongs to whoever runs the tests.
STAND_INS = {
    "useradd": "exit 0",
    "chown": "exit 0",
    "systemctl": "exit 0",
    "runuser": 'shift 3\nexec "$@"',
    "install": """
        mode=0755 folder=
        while getopts do:g:m: option; do
            case $option in d) folder=1 ;; m) mode=$OPTARG ;; o | g) ;; *) exit 2 ;; esac
        done
        shift $((OPTIND - 1))
        if [ -n "$folder" ]; then mkdir -p "$1"; chmod "$mode" "$1"; exit; fi
        if [ -d "$2" ]; then set -- "$1" "$2/${1##*/}"; fi
        cp "$1" "$2"; chmod "$mode" "$2"
    """,
}
BELOW = re.compile(r"(?<![\w.])/(?=(?:etc|opt|var/lib|srv)/)")


class Machine:
    """A machine in a folder: the page's paths lie below it, its people have homes in it."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        tools = reader.folder / ".venv" / "bin"
        for name, script in STAND_INS.items():
            (tools / name).write_text(f"#!/bin/sh\n{script}\n")
            (tools / name).chmod(0o755)
        for folder in ("etc/systemd/system", "opt/assent/bin", "var/lib", "srv/copies", "ada", "ben"):
            (reader.folder / folder).mkdir(parents=True)
        (reader.folder / "opt/assent/bin/python").symlink_to(tools / "python")
        (reader.folder / "deploy").symlink_to(ROOT / "deploy")

    def here(self, block: str) -> str:
        """Return `block` with its paths below the folder, and homes as they are here."""
        root = shlex.quote(f"{self.reader.folder}/")
        moved = BELOW.sub(lambda _: root, block)
        return re.sub(r"~(ada|ben)\b", lambda who: f"{root}{who[1]}", moved)

    def root(self, block: str) -> str:
        return self.reader.types(self.here(block))

    def person(self, name: str, block: str) -> str:
        """Return the commands of `block` as somebody types them on their own account."""
        home = shlex.quote(str(self.reader.folder / name))
        activate = shlex.quote(str(self.reader.folder / ".venv/bin/activate"))
        return f"export HOME={home}\ncd {home}\n. {activate}\n{self.here(block)}"


@pytest.fixture
def machine(reader: Reader) -> Machine:
    return Machine(reader)


def test_the_page_takes_two_people_from_nothing_to_an_agent_that_asks_and_a_breaker_that_takes_both(
    machine: Machine,
) -> None:
    reader = machine.reader
    steps = iter(to_run(PAGE))
    install, make, people, owners, serve, ready, tokens, login, key, copy, agent, ben, trip, agree, doctor = steps
    assert "--require-hashes -r requirements/demo.txt" in install
    for block in (make, people, owners, serve):
        machine.root(block)
    assert not (reader.folder / "etc/assent/credentials.env").exists()
    reader.port = address(reader, f"exec {machine.here(started_by_the_unit(reader.folder))}")
    assert '"ready":true' in machine.root(ready).replace(" ", "")
    machine.root(tokens)
    assert [path.stat().st_mode & 0o777 for path in sorted(reader.folder.glob("*/assent.token"))] == [0o600, 0o600]
    for name in ("ada", "ben"):
        assert name in reader.types(machine.person(name, login))
    reader.types(machine.person("ada", key))

    machine.root(copy)
    program = reader.folder / "ada" / "agent.py"
    program.write_text(program.read_text().replace("8420", reader.port))
    running = reader.starts(machine.person("ada", agent))
    assert line_of(running) == "wrote town/staging/hello.txt\n"
    waits = reader.code(machine.person("ben", ""))
    sha = reader.types(machine.person("ben", "assent approvals list")).split("\t")[1]
    refused = reader.types(machine.person("ada", f"assent approvals approve {waits} --sha {sha}"), expect=3)
    assert "you own this agent" in refused
    assert "next: ask one of the people who can: ben" in refused
    reader.answers(machine.person("ben", ben.replace(CODE, waits)))
    assert line_of(running) == "wrote town/prod/hello.txt\n"
    assert running.wait(timeout=SECONDS) == 0

    tripped = machine.person("ada", "\n".join(trip.splitlines()[:2]))
    breaker = re.search(r"brk_\w+", reader.types(tripped))
    assert breaker
    reset = trip.splitlines()[2].replace(BREAKER, breaker[0])
    assert "ben" in reader.types(machine.person("ada", reset))
    assert "closed" in reader.types(machine.person("ben", agree.replace(BREAKER, breaker[0])))
    assert "operators: 2 of 2 hold a token that works" in machine.root(doctor)


def test_a_service_is_backed_up_while_it_serves_and_restored(machine: Machine) -> None:
    reader = machine.reader
    _, make, people, owners, serve = to_run(PAGE)[:5]
    for block in (make, people, owners, serve):
        machine.root(block)
    back_up, restore = to_run(KEEPING)
    unit = f"exec {machine.here(started_by_the_unit(reader.folder))}"
    reader.port = address(reader, unit)
    machine.root("assent audit verify --config /etc/assent/assent.toml --save-checkpoint kept.note")
    machine.root(back_up)
    (copy,) = (reader.folder / "srv" / "copies").glob("*.db")
    reader.leaves()
    for lost in (reader.folder / "var" / "lib" / "assent").glob("ledger.db*"):  # the disk died
        if lost.is_file():
            lost.unlink()
    assert "put back, verified" in machine.root(restore.replace(COPY, copy.name))
    reader.port = address(reader, unit)
    assert '"ready":true' in machine.root(to_run(PAGE)[5]).replace(" ", "")


def started_by_the_unit(folder: Path) -> str:
    """Return the command of the unit that the page installed."""
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # names of systemd keep their case
    unit.read(folder / "etc/systemd/system/assent.service")
    return unit["Service"]["ExecStart"].replace("/opt/assent/bin/assent", "assent")


def test_the_unit_is_one_that_systemd_takes() -> None:
    systemd = shutil.which("systemd-analyze")
    if systemd is None:
        pytest.skip("this machine has no systemd")
    unit = ROOT / "deploy" / "assent.service"
    done = subprocess.run([systemd, "verify", str(unit)], capture_output=True, text=True, check=False, timeout=SECONDS)
    said = [line for line in done.stderr.splitlines() if unit.name in line]
    # Its command is not installed where tests run.
    assert [line for line in said if "is not executable" not in line] == []
