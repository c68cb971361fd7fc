"""`assent audit export`: records as JSON lines, every one of a stretch of the log and none twice, or it fails.

    {"index": 7, "leaf": {…}}        canonical JSON: the leaf's bytes are the very ones that the tree hashes

A file is written beside its place, for its owner alone, and put there when it is whole. What an interruption left is
gone on with: it is read again first, and must be the beginning of what is asked for now.
"""

import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, Final

from assent.cli.client import Client, Unreachable
from assent.cli.output import Usage
from assent.core.canonical import canonical
from assent.core.errors import VerificationFailed

PAGE_RECORDS: Final = 200
PART: Final = ".part"
_MODE: Final = 0o600
_TELL_EACH_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Which records are exported; `first` and `last` are None when there are none."""

    first: int | None
    last: int | None
    records: int
    recorded_as: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written, with the SHA-256 over all of its bytes, hex."""

    stretch: Stretch
    sha256: str

    def as_json(self, out: Path) -> str:
        """Return what a program is told of a file."""
        stretch = self.stretch
        facts = {"out": str(out), "records": stretch.records, "first": stretch.first, "last": stretch.last}
        return json.dumps({**facts, "sha256": self.sha256, "record_id": stretch.recorded_as})

    def as_sentence(self) -> str:
        """Return what a person is told."""
        stretch = self.stretch
        if stretch.first is None:
            return "no record lies between these times"
        return f"{stretch.records} records, {stretch.first} to {stretch.last}, sha256 {self.sha256}"


def begin(client: Client, *, since: str | None, until: str | None) -> Stretch:
    """Return which records lie between the moments; the broker records who exports them."""
    begun = client.post("v1", "exports", body={"since": since, "until": until}).body
    return Stretch(
        first=begun.get("first"), last=begun.get("last"), records=begun["records"], recorded_as=begun["record_id"]
    )


def to_stream(client: Client, stretch: Stretch, stream: IO[bytes], *, after: int | None) -> Exported:
    """Write the records behind index `after` as they come; the sum is that of what was written now.

    Raises:
        VerificationFailed: a record is missing.
        Usage: `after` lies outside of what is exported.

    """
    start = _start(stretch, after)
    summed = sha256()
    for line in _lines(client, stretch, start):
        stream.write(line)
        summed.update(line)
    stream.flush()
    return Exported(stretch=stretch, sha256=summed.hexdigest())


def _start(stretch: Stretch, after: int | None) -> int:
    first = stretch.first or 0
    if after is None:
        return first
    if stretch.last is None or not first <= after <= stretch.last:
        raise Usage(f"record {after} is none of those that are exported", hint="--after takes the last index you have")
    return after + 1


def to_file(client: Client, out: Path, *, since: str | None, until: str | None) -> Exported:
    """Write a whole export to `out`, going on with what an earlier try left beside it.

    Raises:
        VerificationFailed: a record is missing, or what was left is not the log's.
        Usage: `out` exists, cannot be written, or what was left beside it is of another export.

    """
    if os.path.lexists(out):
        raise Usage(f"`{out}` exists already, nothing was exported", hint="name another file with --out")
    part = out.with_name(out.name + PART)
    with _opened(part) as file:
        stretch = _begun(client, part, since, until)
        summed, start = sha256(), stretch.first or 0
        for line in _kept(file, part, stretch):
            summed.update(line)
            start += 1
        _go_on(client, stretch, file, start)
        for line in _after_interruption(part, _lines(client, stretch, start)):
            file.write(line)
            summed.update(line)
        file.flush()
        os.fsync(file.fileno())
        part.rename(out)
    return Exported(stretch=stretch, sha256=summed.hexdigest())


def _begun(client: Client, part: Path, since: str | None, until: str | None) -> Stretch:
    """Begin the export once there is a place for it; where that fails, an empty file is not left behind."""
    try:
        return begin(client, since=since, until=until)
    except BaseException:
        if not part.stat().st_size:
            part.unlink()
        raise


def _opened(part: Path) -> IO[bytes]:
    try:
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE)
        os.fchmod(descriptor, _MODE)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Usage(f"another export writes `{part}`", hint="wait for it, or name another file with --out") from None
    except OSError as fault:
        hint = "name a file in a directory that you may write with --out"
        raise Usage(f"`{part}` cannot be written: {fault.strerror}, nothing was exported", hint=hint) from None
    return os.fdopen(descriptor, "r+b")


def _kept(file: IO[bytes], part: Path, stretch: Stretch) -> Iterator[bytes]:
    """Yield the whole lines that an earlier try left, and cut off a torn one; the file then stands at its end."""
    expected, end = stretch.first, 0
    for line in file:
        if not line.endswith(b"\n"):
            break
        if _index(line) != expected or expected is None or stretch.last is None or expected > stretch.last:
            raise Usage(f"`{part}` holds another export", hint="remove it, or name another file with --out")
        yield line
        expected, end = expected + 1, end + len(line)
    file.seek(end)
    file.truncate()


def _index(line: bytes) -> int | None:
    try:
        found = json.loads(line)["index"]
    except (ValueError, KeyError, TypeError):
        return None
    return found if type(found) is int else None


def _go_on(client: Client, stretch: Stretch, file: IO[bytes], start: int) -> None:
    """Let the file go on when the last line it holds is what the log still says there."""
    if start == (stretch.first or 0):
        return
    page = client.get("v1", "records", order="oldest", cursor=start - 1, limit=1).body
    line = _line(page["items"][0]) if page["items"] else b""
    end = file.tell()
    file.seek(max(0, end - len(line)))
    if file.read() != line:
        raise VerificationFailed(
            f"record {start - 1} is not what was exported of it before",
            index=start - 1,
            hint="keep what is there, and run `assent audit verify`",
        )


def _after_interruption(part: Path, lines: Iterator[bytes]) -> Iterator[bytes]:
    hint = f"what there is lies in `{part}`: the same command goes on with it"
    try:
        yield from lines
    except Unreachable as fault:
        raise Unreachable(fault.message, hint=hint) from fault
    except KeyboardInterrupt:
        print(f"\nassent: {hint}", file=sys.stderr)
        raise


def _lines(client: Client, stretch: Stretch, start: int) -> Iterator[bytes]:
    """Yield the lines of records `start` to the last, in order and without a gap."""
    if stretch.last is None:
        return
    expected, told = start, time.monotonic()
    while expected <= stretch.last:
        limit = min(PAGE_RECORDS, stretch.last - expected + 1)
        page = client.get("v1", "records", order="oldest", cursor=expected, limit=limit).body
        for item in page["items"]:
            if item["index"] != expected:
                raise _missing(expected)
            yield _line(item)
            expected += 1
        if len(page["items"]) < limit:
            raise _missing(expected)
        told = _tell(stretch, expected, told)


def _line(item: dict[str, Any]) -> bytes:
    return canonical({"index": item["index"], "leaf": item["leaf"]}) + b"\n"


def _missing(index: int) -> VerificationFailed:
    return VerificationFailed(
        f"record {index} is missing from the log",
        index=index,
        hint="keep what there is, and run `assent audit verify` on a copy of the ledger",
    )


def _tell(stretch: Stretch, done: int, told: float) -> float:
    """Say how far it is, at a terminal and not too often; return when that was said last."""
    now = time.monotonic()
    if not sys.stderr.isatty() or now - told < _TELL_EACH_SECONDS:
        return told
    count = done - (stretch.first or 0)
    print(f"\r{count} of {stretch.records} records\x1b[K\r", end="", file=sys.stderr, flush=True)
    return now
