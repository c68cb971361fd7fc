"""What may happen to a ledger and its keys: each fault is done to a real broker from outside, and undone.

`while_serving` faults are done to a broker that serves; the others to one that is stopped, and keep it from starting.
"""

import os
import resource
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.hammers.broker import Installation, Running

ASIDE: Final = ".aside"
Done = Callable[[Installation, Running], AbstractContextManager[None]]
DoneStopped = Callable[[Installation], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingFault:
    """A fault under a broker that serves: whether it ends the process, or silences it for as long as it lasts."""

    name: str
    done: Done
    ends: bool = False
    silences: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppedFault:
    """A fault that a broker meets when it starts; it must refuse to."""

    name: str
    done: DoneStopped


def _wal(at: Installation) -> Path:
    return at.ledger.with_name(at.ledger.name + "-wal")


@contextmanager
def held_by_another(at: Installation, _running: Running) -> Iterator[None]:
    """Another process holds the write lock and does not let go."""
    with closing(sqlite3.connect(at.ledger, isolation_level=None, timeout=5)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def frozen(_at: Installation, running: Running) -> Iterator[None]:
    """The whole process stands still."""
    running.process.send_signal(signal.SIGSTOP)
    yield
    running.process.send_signal(signal.SIGCONT)


@contextmanager
def no_room_to_grow(at: Installation, running: Running) -> Iterator[None]:
    """No file may grow any more: writes fail where the disk would be full."""
    pid = running.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (_wal(at).stat().st_size, before[1]))
    yield
    if running.is_alive:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


@contextmanager
def unlinked(at: Installation, _running: Running) -> Iterator[None]:
    """The ledger's name is gone while the broker has it open."""
    aside = at.folder / ASIDE
    os.link(at.ledger, aside)
    at.ledger.unlink()
    yield
    at.ledger.unlink(missing_ok=True)
    aside.rename(at.ledger)


@contextmanager
def replaced(at: Installation, _running: Running) -> Iterator[None]:
    """Another file, an older copy, has taken the ledger's name."""
    aside = at.folder / ASIDE
    os.link(at.ledger, aside)
    copy = at.folder / "copy.db"
    shutil.copyfile(at.ledger, copy)
    copy.rename(at.ledger)
    yield
    aside.rename(at.ledger)


@contextmanager
def log_removed(at: Installation, _running: Running) -> Iterator[None]:
    """The write-ahead log's name is gone."""
    aside = at.folder / ASIDE
    os.link(_wal(at), aside)
    _wal(at).unlink()
    yield
    aside.replace(_wal(at))


@contextmanager
def folder_moved(at: Installation, _running: Running) -> Iterator[None]:
    """The folder of the ledger has another name."""
    elsewhere = at.folder.with_name(at.folder.name + "-moved")
    at.folder.rename(elsewhere)
    yield
    if at.folder.exists():
        shutil.rmtree(at.folder)
    elsewhere.rename(at.folder)


@contextmanager
def _bytes_of(file: Path, change: Callable[[bytes], bytes]) -> Iterator[None]:
    before = file.read_bytes()
    file.write_bytes(change(before))
    yield
    file.write_bytes(before)


@contextmanager
def record_damaged(at: Installation) -> Iterator[None]:
    """A byte of the newest record is another one."""
    with closing(sqlite3.connect(at.ledger)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (leaf,) = database.execute("SELECT leaf FROM record ORDER BY idx DESC LIMIT 1").fetchone()
    newest = leaf.encode()
    with _bytes_of(at.ledger, lambda content: content.replace(newest, newest.replace(b'"v":1', b'"v":2'))):
        yield


@contextmanager
def file_damaged(at: Installation) -> Iterator[None]:
    """The first page of the ledger is noise."""
    with _bytes_of(at.ledger, lambda content: b"\x7f" * 4_096 + content[4_096:]):
        yield


@contextmanager
def file_cut(at: Installation) -> Iterator[None]:
    """The ledger has lost its second half."""
    with closing(sqlite3.connect(at.ledger)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with _bytes_of(at.ledger, lambda content: content[: len(content) // 8_192 * 4_096]):
        yield


@contextmanager
def key_gone(at: Installation) -> Iterator[None]:
    """The ledger key is not where it was."""
    key = at.folder / "keys" / "ledger_key"
    key.rename(at.folder / ASIDE)
    yield
    (at.folder / ASIDE).rename(key)


@contextmanager
def key_swapped(at: Installation) -> Iterator[None]:
    """The ledger key is a key, but another one."""
    with _bytes_of(at.folder / "keys" / "ledger_key", lambda _: b"7" * 64 + b"\n"):
        yield


@contextmanager
def payload_key_swapped(at: Installation) -> Iterator[None]:
    """The payload key is a key, but another one."""
    with _bytes_of(at.folder / "keys" / "payload_key", lambda _: b"8" * 64 + b"\n"):
        yield


WHILE_SERVING: Final = (
    ServingFault(name="another process holds the ledger", done=held_by_another),
    ServingFault(name="the process stands still", done=frozen, silences=True),
    ServingFault(name="the ledger's name is gone", done=unlinked, ends=True),
    ServingFault(name="an older copy took the ledger's place", done=replaced, ends=True),
    ServingFault(name="the write-ahead log is gone", done=log_removed, ends=True),
    ServingFault(name="the folder was moved", done=folder_moved, ends=True),
)
# Limits of another process can be set from outside on Linux only.
ON_LINUX: Final = (
    (ServingFault(name="no file may grow any more", done=no_room_to_grow, ends=True),)
    if sys.platform == "linux"
    else ()
)
WHEN_STARTING: Final = (
    StoppedFault(name="the newest record was changed", done=record_damaged),
    StoppedFault(name="the file is no database any more", done=file_damaged),
    StoppedFault(name="the file was cut in half", done=file_cut),
    StoppedFault(name="the ledger key is gone", done=key_gone),
    StoppedFault(name="the ledger key is another one", done=key_swapped),
    StoppedFault(name="the payload key is another one", done=payload_key_swapped),
)
