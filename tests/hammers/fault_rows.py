"""The rows of the fault matrix: what may happen to several brokers, and to what they need.

A row names a fault and how it is done. What does it is a context manager: the fault lasts as long as the block, and
leaving it ends the fault. `stage` is for what has to be there before brokers start: a small disk, a clock that can be
set, a Slack.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.hammers import small_disk
from tests.hammers.broker import Installation
from tests.hammers.budget import expect
from tests.hammers.fault_slack import SlackThere
from tests.hammers.fault_waiters import waiting
from tests.replicas.clocked import MODULE, VARIABLE, OffClock
from tests.replicas.fleet import FRONT, Fleet

DISK: Final = "110m"
MOUNT, UMOUNT = shutil.which("mount") or "mount", shutil.which("umount") or "umount"
SLACK: Final = "slack"
LATE_SECONDS: Final = 0.5
SLACK_LATE_SECONDS: Final = 2.5
EMPTIED_EACH_SECONDS: Final = 0.5
Done = Callable[[Fleet], AbstractContextManager[None]]


@contextmanager
def nothing(_fleet: Fleet) -> Iterator[None]:
    """Do nothing besides."""
    yield


@dataclass(frozen=True, slots=True)
class Stage:
    """What a row needs before brokers start, and what it counts when they have ended."""

    data: Path | None = None
    more_lines: Mapping[str, int] = field(default_factory=dict)
    prepare: Callable[[Installation], None] = lambda _at: None
    begin: Callable[[Fleet], None] = lambda _fleet: None
    count: Callable[[], dict[str, int]] = dict


@dataclass(frozen=True, slots=True)
class Load:
    """How many agents with the SDK are at work, how long each rests on the average, and where they write."""

    workers: int = 8
    pause_seconds: float = 0.03
    places: tuple[str, ...] = ("prod", "stg")


USUAL: Final = Load()
NO_QUESTIONS: Final = Load(places=("stg",))
# Nobody waits for a person: as many decisions as there can be.
HEAVY: Final = Load(workers=32, pause_seconds=0.0, places=())
Staged = Callable[[Path], AbstractContextManager[Stage]]


@contextmanager
def bare(_folder: Path) -> Iterator[Stage]:
    """Need nothing."""
    yield Stage()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A row: its name, how it is done and for how long, with how many brokers, and what else goes on there.

    `is_quick` rows are short enough for a test; `only_root` says that only root can do it; one that `spares` agents
    must go by without one of them being told that it cannot be decided now. Where nobody `answers`, people look on.
    """

    name: str
    done: Done
    around: Done = nothing
    seconds: float = 10.0
    brokers: int = 2
    stage: Staged = bare
    load: Load = USUAL
    answers: bool = True
    is_quick: bool = False
    only_root: bool = False
    spares: bool = False


# --- a broker ---


@contextmanager
def broker_killed(fleet: Fleet) -> Iterator[None]:
    """End one as a power cut would; start it again."""
    fleet.replicas[0].kill()
    yield
    fleet.replicas[0].start()


@contextmanager
def broker_stopped(fleet: Fleet) -> Iterator[None]:
    """Let one stand still."""
    fleet.replicas[0].signal(signal.SIGSTOP)
    yield
    fleet.replicas[0].signal(signal.SIGCONT)


@contextmanager
def brokers_rolled(fleet: Fleet) -> Iterator[None]:
    """Restart one after the other, as for an upgrade: each is ready before the next is asked to stop."""
    for replica in fleet.replicas:
        expect(replica.stop() == 0, f"broker {replica.number} did not stop in good order")
        replica.start()
        fleet.until_ready()
    yield


def clock_off(seconds: float) -> Done:
    """Set the clock of one by so much, and back."""

    @contextmanager
    def done(fleet: Fleet) -> Iterator[None]:
        clock = OffClock(Path(fleet.replicas[0].environment[VARIABLE]))
        clock.set(seconds)
        yield
        clock.set(0.0)

    return done


@contextmanager
def a_clock(folder: Path) -> Iterator[Stage]:
    """Let one broker have a clock that can be set."""
    file = folder / "clock.bin"

    def begin(fleet: Fleet) -> None:
        OffClock.create(file)
        fleet.replicas[0].module, fleet.replicas[0].environment[VARIABLE] = MODULE, str(file)

    yield Stage(begin=begin)


# --- the database ---


@contextmanager
def database_killed(fleet: Fleet) -> Iterator[None]:
    """Kill all processes of the server; start it again."""
    fleet.postgres.kill()
    yield
    fleet.postgres.start()


@contextmanager
def database_stopped(fleet: Fleet) -> Iterator[None]:
    """Let all processes of the server stand still."""
    stopped = fleet.postgres.backends()
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    yield
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def database_restarted(fleet: Fleet) -> Iterator[None]:
    """Have it shut down fast, as for an upgrade; start it again."""
    process = fleet.postgres.process
    assert process is not None
    process.send_signal(signal.SIGINT)
    process.wait()
    yield
    fleet.postgres.start()


@contextmanager
def disk_full(fleet: Fleet) -> Iterator[None]:
    """Leave no room where the database lies; start the server again where it ended over that."""
    filling = fleet.postgres.folder.parent / "filling"
    with filling.open("ab", buffering=0) as filler:
        for block in (small_disk.BLOCK, b"\0"):
            small_disk.write_until_full(filler, block)
    yield
    filling.unlink()
    if fleet.postgres.process is None or fleet.postgres.process.poll() is not None:
        fleet.postgres.start()


@contextmanager
def a_small_disk(_folder: Path) -> Iterator[Stage]:
    """Let the database lie on a disk of a few megabytes; root can make one."""
    # A socket's path has to be short, and the server's own user has to get there.
    disk = Path(tempfile.mkdtemp(prefix="sm", dir="/tmp"))
    subprocess.run([MOUNT, "-t", "tmpfs", "-o", f"size={DISK},mode=777", "tmpfs", str(disk)], check=True)
    try:
        yield Stage(data=disk)
    finally:
        subprocess.run([UMOUNT, "-l", str(disk)], check=True)
        disk.rmdir()


# --- Redis ---


@contextmanager
def redis_killed(fleet: Fleet) -> Iterator[None]:
    """Kill it; begin another, empty, at the same place."""
    fleet.valkey.kill()
    yield
    fleet.valkey.start()


@contextmanager
def redis_stopped(fleet: Fleet) -> Iterator[None]:
    """Let it stand still."""
    fleet.valkey.signal(signal.SIGSTOP)
    yield
    fleet.valkey.signal(signal.SIGCONT)


@contextmanager
def redis_emptied(fleet: Fleet) -> Iterator[None]:
    """Empty it again and again."""
    over = threading.Event()

    def empty() -> None:
        while not over.is_set():
            fleet.valkey.ask("FLUSHALL")
            over.wait(EMPTIED_EACH_SECONDS)

    emptying = threading.Thread(target=empty)
    emptying.start()
    yield
    over.set()
    emptying.join()


@contextmanager
def redis_begun_empty(fleet: Fleet) -> Iterator[None]:
    """Ask it to end, keeping nothing, and begin another at once."""
    fleet.valkey.end()
    fleet.valkey.start()
    yield


# --- Slack ---


def slack(mode: str, seconds: float = 0.0) -> Done:
    """Let Slack answer late, or never."""

    def done(fleet: Fleet) -> AbstractContextManager[None]:
        return fleet.lines.broken(SLACK, mode, seconds=seconds)

    return done


@contextmanager
def a_slack(_folder: Path) -> Iterator[Stage]:
    """Let people be told in Slack, which brokers reach by a line."""
    there = SlackThere()

    def begin(fleet: Fleet) -> None:
        for replica in fleet.replicas:
            replica.environment.update(there.settings(fleet.lines.ports[SLACK]))

    try:
        yield Stage(more_lines={SLACK: there.port}, prepare=there.prepare, begin=begin, count=there.count)
    finally:
        there.stop()


# --- agents ---


@contextmanager
def agents_cut_off(fleet: Fleet) -> Iterator[None]:
    """Break every connection at once."""
    fleet.lines.drop(FRONT)
    yield


# --- the lines between them ---


def broken(line: str, mode: str, *, target: int | None = None) -> Done:
    """Cut, delay or swallow what goes over a line."""

    def done(fleet: Fleet) -> AbstractContextManager[None]:
        return fleet.lines.broken(line, mode, target=target, seconds=LATE_SECONDS)

    return done


_HOW: Final = {"cut": "cut", "late": f"{LATE_SECONDS} s late each way", "hole": "black-holed"}
_LINES: Final[Mapping[str, tuple[str, int | None]]] = {
    "a broker and the database": ("database-0", None),
    "a broker and Redis": ("redis-0", None),
    "clients and a broker": (FRONT, 0),
}


def _partitions() -> list[Fault]:
    return [
        Fault(name=f"between {ends}: {said}", done=broken(line, mode, target=target))
        for ends, (line, target) in _LINES.items()
        for mode, said in _HOW.items()
    ]


def _clocks() -> list[Fault]:
    steps = {"1 s": 1.0, "1 min": 60.0, "1 h": 3_600.0}
    return [
        Fault(name=f"a broker's clock {said} {where}", done=clock_off(sign * seconds), seconds=5.0, stage=a_clock)
        for said, seconds in steps.items()
        for where, sign in (("ahead", 1), ("behind", -1))
    ]


ROLLED: Final = Fault(
    name="brokers restarted one by one", done=brokers_rolled, seconds=0.0, load=HEAVY, answers=False, spares=True
)
ROWS: Final[tuple[Fault, ...]] = (
    Fault(name="a broker killed (-9)", done=broker_killed, is_quick=True),
    Fault(name="a broker of three killed (-9)", done=broker_killed, brokers=3),
    Fault(name="a broker stopped (SIGSTOP)", done=broker_stopped),
    Fault(name="the database killed (-9)", done=database_killed, seconds=3.0, is_quick=True),
    Fault(name="the database stopped (SIGSTOP)", done=database_stopped),
    Fault(name="the database restarted", done=database_restarted, seconds=1.0),
    Fault(name="the database's disk full", done=disk_full, stage=a_small_disk, only_root=True),
    Fault(name="Redis killed (-9), begun empty", done=redis_killed, seconds=3.0, is_quick=True),
    Fault(name="Redis stopped (SIGSTOP)", done=redis_stopped),
    Fault(name="Redis emptied (FLUSHALL)", done=redis_emptied, seconds=5.0, is_quick=True),
    Fault(name="Redis restarted empty", done=redis_begun_empty, seconds=3.0),
    *_partitions(),
    *_clocks(),
    Fault(name="Slack answers after 5 s", done=slack("late", SLACK_LATE_SECONDS), stage=a_slack),
    Fault(name="Slack never answers", done=slack("hole"), stage=a_slack),
    Fault(
        name="1,000 waiting agents cut off at once",
        done=agents_cut_off,
        around=waiting,
        seconds=0.0,
        load=NO_QUESTIONS,
        answers=False,
    ),
    ROLLED,
)


def is_possible(row: Fault) -> bool:
    """Whether this machine lets this user do it."""
    return not row.only_root or (os.getuid() == 0 and sys.platform == "linux")
