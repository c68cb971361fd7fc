"""A restore, step by step: verify the copy, ask what is known beyond it, prepare it, put it in place.

It is refused while a broker serves, when the copy does not verify, when it is of another log, and when it is older than
a checkpoint that is kept: the named ones, the one beside the ledger, the ledger that is there. Whoever gives records up
all the same says so with today's date, so that no script says it again tomorrow.
"""

import asyncio
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, Final

from assent.cli.backing_up import verified
from assent.cli.by_hand import by_hand
from assent.cli.called import as_called
from assent.cli.output import Usage
from assent.cli.place import settings_here
from assent.config import Settings
from assent.core.checkpoints import Checkpoint, open_checkpoint
from assent.core.errors import LedgerUnavailable, VerificationFailed
from assent.core.notes import MAX_NOTE_BYTES, NoteInvalid
from assent.flows.entries import Restored
from assent.flows.restore_ledger import PutBack, restore_ledger
from assent.logs import set_up_at_first_event
from assent.stores.key_places import KeyPlaces
from assent.stores.keys import Keys, verifier
from assent.stores.ledger_time import LedgerTime
from assent.stores.owners import leave_to_owner
from assent.stores.rotation import log_keys
from assent.stores.sqlite import ServingLock
from assent.stores.sqlite.copies import check_integrity, copied
from assent.stores.sqlite.exchange import exchange
from assent.stores.sqlite.snapshot import extent, roots_at
from assent.stores.verify import Verified
from assent.wiring import MACHINE, fresh, kept_checkpoint
from assent.wiring.opening import open_kept

_STAMP: Final = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody typed: the copy, checkpoints kept elsewhere, and today's date when records may be forgotten."""

    file: Path
    checkpoints: tuple[Path, ...]
    forget: str | None
    reason: str
    stop: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What `source` knows of the log: it had `records` records, by `note` where that is signed, with that `root`."""

    records: int
    source: str
    note: bytes | None = None
    root: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A copy in place: what it holds, what it forgot, what became of what was open, and where the old ledger is."""

    ledger: Path
    found: Verified
    forgotten: int
    known: Known | None
    put_back: PutBack
    replaced: Path | None


def restore(config: Path | None, wish: Wish) -> Done:
    """Return the restore once the copy is in place, and on the disk.

    Raises:
        Usage: the copy is not there, or the date is not today's.
        VerificationFailed: the copy does not verify, is of another log, or is older than what is known.
        LedgerUnavailable: a broker serves the ledger, or a file cannot be read.
        KeysInvalid, ConfigInvalid: keys or settings are not those of this ledger.

    """
    settings = settings_here(config)
    if settings.ledger_url is not None:
        raise Usage(
            "a database is put back with its own tools",
            hint="or take `ledger_url` out, restore the backup as a file, and `assent migrate` it into an empty one",
        )
    if not wish.file.is_file():
        raise Usage(f"there is no backup `{wish.file}`", hint="name the file that `assent backup` made")
    if not settings.ledger_file.parent.is_dir():
        raise Usage(f"there is no directory `{settings.ledger_file.parent}`", hint="make it, or correct `ledger_file`")
    set_up_at_first_event(sys.stderr, as_json=False, least=logging.WARNING)
    with ServingLock(settings.ledger_file):
        return _restore(settings, wish)


def _restore(settings: Settings, wish: Wish) -> Done:
    # (1) the copy is what a broker with these keys wrote
    keys = Keys.load(KeyPlaces.of(settings))
    check_integrity(wish.file)
    found = verified(wish.file, settings, keys)
    # (2) nothing that is known comes after it, or somebody gives that up
    known = _newest(_known(settings, keys, wish), wish, found)
    forgotten = 0 if known is None else max(0, known.records - found.records)
    if forgotten and known is not None:
        _refuse_to_forget(wish, found, known)
    # (3) a ledger of its own, in which nothing of before can run
    replaced = _free_name(settings.ledger_file)
    with _folder_beside(settings.ledger_file) as folder:
        prepared = folder / settings.ledger_file.name
        put_back, note = _prepare(settings, wish.file, prepared, _restored(wish, found, known, forgotten))
        # (4) in place of what is there, which is kept
        was_there = exchange(prepared, settings.ledger_file, replaced)
    if note is not None:
        kept_checkpoint.write(kept_checkpoint.file_of(settings.ledger_file), note)
    return Done(
        ledger=settings.ledger_file,
        found=found,
        forgotten=forgotten,
        known=known if forgotten else None,
        put_back=put_back,
        replaced=replaced if was_there else None,
    )


def _known(settings: Settings, keys: Keys, wish: Wish) -> list[Known]:
    """Return what is known of the log from everywhere but the copy."""
    known = [_opened(file.read_bytes()[:MAX_NOTE_BYTES], f"`{file}`", settings, keys) for file in wish.checkpoints]
    beside = kept_checkpoint.file_of(settings.ledger_file)
    if beside.is_file():
        with suppress(NoteInvalid):  # what lies there unsigned is nobody's word
            known.append(_opened(beside.read_bytes()[:MAX_NOTE_BYTES], f"`{beside}`", settings, keys))
    if settings.ledger_file.is_file():
        with suppress(LedgerUnavailable):  # damaged: that is why it is replaced
            known.append(Known(records=extent(settings.ledger_file).records, source="the ledger that is there"))
    return known


def _opened(note: bytes, source: str, settings: Settings, keys: Keys) -> Known:
    known = log_keys(settings.keys_directory, keys.log_verifier_key(settings.log_origin))
    checkpoint: Checkpoint = open_checkpoint(note, origin=settings.log_origin, verifiers=map(verifier, known))
    return Known(records=checkpoint.size, source=source, note=note, root=checkpoint.root)


def _newest(known: list[Known], wish: Wish, found: Verified) -> Known | None:
    """Return what is known of the longest log, after all that the copy reaches was held against it."""
    roots = roots_at(wish.file, [one.records for one in known if one.root is not None])
    for one in known:
        if one.root is not None and one.records <= found.records and roots[one.records] != one.root:
            raise VerificationFailed(
                f"`{wish.file}` is of another log than {one.source}: their first {one.records} records differ",
                hint="look for the right backup; keep both, together they prove that a log was forked",
            )
    return max(known, key=lambda one: one.records, default=None)


def _refuse_to_forget(wish: Wish, found: Verified, known: Known) -> None:
    today = datetime.now(UTC).date().isoformat()
    lost = known.records - found.records
    said = f"`{wish.file}` is older than {known.source}: it has {found.records} records of {known.records}"
    if wish.forget is None or not wish.reason:
        raise VerificationFailed(
            f"{said}, {lost} would be forgotten",
            index=found.records,
            hint=f"look for a newer backup; to give them up: --forget {today} --reason WHY, which is recorded",
        )
    if wish.forget != today:
        raise Usage(f"`--forget {wish.forget}` is not today's date", hint=f"today is {today}, by UTC")


def _restored(wish: Wish, found: Verified, known: Known | None, forgotten: int) -> Restored:
    if not forgotten or known is None:
        return Restored(records=found.records, root=found.root, by_hand=by_hand())
    return Restored(
        records=found.records,
        root=found.root,
        by_hand=by_hand(),
        stop=wish.stop,
        forgotten=forgotten,
        known="" if known.note is None else known.note.decode(),
        dated=wish.forget or "",
        reason=wish.reason,
    )


def _free_name(ledger: Path) -> Path:
    """Return the name under which what is there is kept; two restores of one second do not share it."""
    base = f"{ledger.name}.replaced-{datetime.now(UTC).strftime(_STAMP)}"
    names = (ledger.with_name(base if number == 1 else f"{base}-{number}") for number in count(1))
    return next(name for name in names if not os.path.lexists(name))


@contextmanager
def _folder_beside(ledger: Path) -> Iterator[Path]:
    for left in ledger.parent.glob(f".{ledger.name}-*"):
        shutil.rmtree(left)  # by a restore that was killed: whoever holds the lock is the only one
    folder = Path(tempfile.mkdtemp(prefix=f".{ledger.name}-", dir=ledger.parent))
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    leave_to_owner(descriptor, ledger.parent)
    os.close(descriptor)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _prepare(settings: Settings, file: Path, prepared: Path, restored: Restored) -> tuple[PutBack, bytes | None]:
    with copied(file, prepared):
        pass
    done = asyncio.run(_put_back(settings.model_copy(update={"ledger_file": prepared}), restored))
    if prepared.with_name(f"{prepared.name}-wal").exists():
        raise LedgerUnavailable("the copy could not be written whole, nothing was changed", hint="try again")
    return done


async def _put_back(settings: Settings, restored: Restored) -> tuple[PutBack, bytes | None]:
    kept = open_kept(settings, LedgerTime(MACHINE.wall, MACHINE.steady))
    try:
        await kept.begin()
        done = await restore_ledger(kept.ledger, fresh.new_id, restored)
        while await kept.log.integrate():
            continue
    finally:
        await kept.ledger.close()
    return done, kept.log.newest_checkpoint()


def as_sentences(done: Done) -> list[str]:
    """Return what was done, in lines for a person."""
    put_back = done.put_back
    lines = [f"{done.ledger}: {done.found.records} records put back, verified with the broker's keys"]
    if done.replaced is not None:
        lines.append(f"  kept       what was there before, in {done.replaced}")
    lines.append(
        f"  unknown    {put_back.unknown} actions that waited or ran when the copy was made: they may have run since"
    )
    if done.forgotten and done.known is not None:
        lines.append(f"  forgotten  {done.forgotten} records, by {done.known.source}; trips, suspensions and revoked")
        lines.append("             keys among them hold no more: revoke and suspend again before anything goes on")
    if put_back.breaker is not None:
        lines.append(as_called(f"  stopped    everything: assent breakers reset {put_back.breaker.id} --reason …"))
    if done.known is None:
        lines.append("  not known  whether anything happened after the copy: no checkpoint here is newer")
    lines.append(as_called("  next       assent serve; then look at `assent audit tail`"))
    return lines


def as_facts(done: Done) -> dict[str, Any]:
    """Return what was done as JSON."""
    breaker = done.put_back.breaker
    return {
        "ledger": str(done.ledger),
        "records": done.found.records,
        "root": done.found.root.hex(),
        "forgotten": done.forgotten,
        "known_by": None if done.known is None else done.known.source,
        "unknown": done.put_back.unknown,
        "breaker": None if breaker is None else breaker.id,
        "replaced": None if done.replaced is None else str(done.replaced),
    }
