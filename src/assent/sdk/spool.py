"""Outcomes that could not be reported yet: an append-only file of JSON lines, replayed before the next ask.

Rules kept here: an entry is on disk before its caller goes on; a crash in the middle of a line costs that line only
(the broker then says `unknown` when the lease ends); several processes share one file under a lock that is never held
while something is sent; the file is for its owner alone and has a size limit. What cannot be written stays in
memory. A line that is no entry is set aside with a warning, never sent. The attempt in an entry belongs to a run that
has ended: it reports, nothing ever redeems with it.
"""

import errno
import fcntl
import json
import os
import re
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from assent.core.canonical import BadJson, Json, parse
from assent.sdk.messages import OutcomeReport
from assent.sdk.trouble import log_event

DIRECTORY_VARIABLE: Final = "ASSENT_SPOOL"
MAX_FILE_BYTES: Final = 1_048_576
MAX_MEMORY_ENTRIES: Final = 1_000
MAX_BATCH_ENTRIES: Final = 100
LOCK_SECONDS: Final = 1.0
_LOCK_PAUSE_SECONDS: Final = 0.005
_FORMAT: Final = 1
# What the contract takes; whoever can write the file cannot make us send anything else.
_PATTERNS: Final = {
    "action_id": re.compile(r"[A-Za-z0-9_-]{1,255}"),
    "attempt": re.compile(r"[A-Za-z0-9_-]{1,128}"),
    "status": re.compile(r"succeeded|failed|unknown"),
    "error": re.compile(r".{0,1000}", re.DOTALL),
    "result_digest": re.compile(r"[A-Za-z0-9:+/=_.-]{1,255}"),
}
_NEEDED: Final = frozenset({"action_id", "attempt", "status"})


class Spool:
    """One file of unsent outcomes, and a bounded memory for when the disk does not take them. Thread-safe."""

    _memory: deque[OutcomeReport]

    def __init__(self, path: Path, *, lock_seconds: float = LOCK_SECONDS) -> None:
        self._path = path
        self._lock_seconds = lock_seconds
        self._lock_path = path.with_suffix(".lock")
        self._reset()

    def add(self, report: OutcomeReport) -> None:
        """Keep `report`, on disk if at all possible; never raises for want of a disk."""
        self._forget_after_fork()
        try:
            with self._locked():
                self._append(report)
        except OSError as fault:
            with self._memory_lock:
                self._memory.append(report)
            log_event("outcome_kept_in_memory", action=report.action_id, status=report.status, errno=fault.errno)
        else:
            log_event("outcome_spooled", action=report.action_id, status=report.status, file=self._path)

    def waiting(self) -> tuple[OutcomeReport, ...]:
        """Return the oldest entries that still have to be sent; cheap when there are none."""
        self._forget_after_fork()
        with self._memory_lock:
            kept = tuple(self._memory)
        try:
            if self._path.stat().st_size > 0:
                reports, bad = self._read()
                kept = (*reports, *kept)
                if bad:
                    self._set_aside()
        except OSError:
            pass  # no file is the usual case; one that cannot be read now is read before a later ask
        return kept[:MAX_BATCH_ENTRIES]

    def remove(self, sent: Sequence[OutcomeReport]) -> None:
        """Drop what was sent; a crash before this only sends it twice, which the broker takes for one."""
        done = {_identity(report) for report in sent}
        with self._memory_lock:
            left = [report for report in self._memory if _identity(report) not in done]
            self._memory = deque(left, maxlen=MAX_MEMORY_ENTRIES)
        try:
            with self._locked():
                reports, bad = self._read()
                self._keep_aside(bad)
                self._rewrite([report for report in reports if _identity(report) not in done])
        except FileNotFoundError:
            pass  # they were in memory only
        except OSError as fault:
            log_event("spool_not_shortened", file=self._path, errno=fault.errno)  # they stay and are sent again

    def _append(self, report: OutcomeReport) -> None:
        descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            line = _line(report)
            if size + len(line) > MAX_FILE_BYTES:
                raise OSError(errno.EFBIG, "the spool is full")
            # A torn line of a crash before us must not swallow ours.
            torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            line = b"\n" + line if torn else line
            if os.write(descriptor, line) != len(line):
                raise OSError(errno.ENOSPC, "no space left")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _read(self) -> tuple[list[OutcomeReport], list[bytes]]:
        """Return the entries, and the lines that are none."""
        lines = [line for line in self._path.read_bytes()[:MAX_FILE_BYTES].split(b"\n") if line]
        read = [(line, _report(line)) for line in lines]
        return [report for _, report in read if report is not None], [line for line, report in read if report is None]

    def _set_aside(self) -> None:
        """Take lines that are no entries out of the file, where each ask would come upon them again."""
        with self._locked():
            reports, bad = self._read()  # anew: what looked torn may have been somebody's write
            self._keep_aside(bad)
            self._rewrite(reports)

    def _keep_aside(self, bad: list[bytes]) -> None:
        if not bad:
            return
        aside = self._path.with_suffix(".bad")
        log_event("spool_lines_set_aside", count=len(bad), file=aside)
        descriptor = os.open(aside, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            # What does not fit is lost: it could not be sent anyway.
            file.write(b"".join(line + b"\n" for line in bad)[: MAX_FILE_BYTES - os.fstat(descriptor).st_size])

    def _rewrite(self, left: list[OutcomeReport]) -> None:
        if not left:
            self._path.unlink(missing_ok=True)
            return
        fresh = self._path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(b"".join(_line(report) for report in left))
            file.flush()
            os.fsync(descriptor)
        fresh.replace(self._path)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # The lock has a file of its own: rewriting replaces the other one.
        with self._thread_lock:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                _lock(descriptor, self._lock_seconds)
                yield
            finally:
                os.close(descriptor)

    def _forget_after_fork(self) -> None:
        # What is in memory is the parent's to send; its lock may be held by a thread that does not exist here.
        if self._pid != os.getpid():
            self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._thread_lock = threading.Lock()
        self._memory_lock = threading.Lock()
        self._memory = deque(maxlen=MAX_MEMORY_ENTRIES)


def spool_path(name: str) -> Path:
    """Return where the endpoint `name` keeps its unsent outcomes: under $ASSENT_SPOOL, or the user's state folder."""
    named = os.environ.get(DIRECTORY_VARIABLE)
    if named:
        return Path(named) / f"spool-{name}.jsonl"
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "assent" / f"spool-{name}.jsonl"


def _lock(descriptor: int, seconds: float) -> None:
    until = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise
            time.sleep(_LOCK_PAUSE_SECONDS)
        else:
            return


def _line(report: OutcomeReport) -> bytes:
    return json.dumps({"v": _FORMAT, **asdict(report)}, separators=(",", ":")).encode() + b"\n"


def _report(line: bytes) -> OutcomeReport | None:
    """Return the entry of one line; None for a torn or foreign one, and for one that the broker could not read."""
    try:
        entry = parse(line)
    except BadJson:
        return None
    if not isinstance(entry, dict) or entry.get("v") is True or entry.get("v") != _FORMAT:
        return None
    texts = {name: entry.get(name) for name in _PATTERNS}
    if not all(_is_text(value, name) for name, value in texts.items() if value is not None or name in _NEEDED):
        return None
    duration = entry.get("duration_ms")
    if duration is not None and (type(duration) is not int or duration < 0):
        return None
    known: dict[str, Any] = {**texts, "duration_ms": duration}
    return OutcomeReport(**known)


def _is_text(value: Json, name: str) -> bool:
    return isinstance(value, str) and _PATTERNS[name].fullmatch(value) is not None


def _identity(report: OutcomeReport) -> tuple[str, str]:
    return report.action_id, report.attempt
