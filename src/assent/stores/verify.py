"""Verify a log with nothing but its public key: every leaf, the tree, every checkpoint, also those kept elsewhere.

Any key that the log ever had will do: the handovers on record lead from it to the others, backwards and forwards.

    verify_log(leaves, notes=…, key=vkey, kept=notes_from_elsewhere)      any source of leaves
    verify_file(path, key=vkey, kept=…, keys=ledger_keys_or_none)         a ledger file or a copy of one

What it finds: an edited, dropped, exchanged, doubled or inserted record below a checkpoint, a log that was cut or
rolled back below a kept checkpoint, a fork, a forged signature, one by a key that was replaced before, and records that
cannot all be true, such as a grant that is redeemed twice. With the ledger's keys it also checks each record's MAC,
that what is disclosed is what the leaf commits to, and that no other row is behind the log. What nobody signed yet is
counted, not vouched for.
"""

import json
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count, islice
from pathlib import Path
from typing import Any, Final

from assent.core.canonical import canonical, commitment_of
from assent.core.checkpoints import Checkpoint, claimed_size, open_checkpoint
from assent.core.errors import AssentError, Forged, VerificationFailed
from assent.core.handovers import Handover, KeyChain, KeyUse, chain_of, open_handover
from assent.core.merkle import HASH_BYTES, Frontier, leaf_hash
from assent.core.notes import NoteInvalid, VerifierKey
from assent.core.records import MAX_LEAF_BYTES, VERSION, RecordKind
from assent.core.tiles import TILE_WIDTH
from assent.stores.agreement import check_rows
from assent.stores.keys import verifier
from assent.stores.rows import journal
from assent.stores.rows.moments import moment
from assent.stores.sealing import LedgerKeys
from assent.stores.sqlite.snapshot import read_only, unreadable
from assent.stores.stored_tree import check_tiles
from assent.stores.stories import Stories
from assent.stores.tree import believed

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
_LEAVES: Final = "SELECT idx, leaf FROM record ORDER BY idx"
_ROWS: Final = f"SELECT {journal.COLUMNS} FROM {journal.TABLE} ORDER BY idx"  # noqa: S608  # no input in it
_NOTES: Final = "SELECT CAST(note AS BLOB) FROM checkpoint ORDER BY size"
_NEWEST: Final = "SELECT note, time FROM checkpoint ORDER BY size DESC LIMIT 1"
_ROTATIONS: Final = "SELECT idx, CAST(leaf AS BLOB) FROM record WHERE kind = ? ORDER BY idx"
_TILES: Final = "SELECT hashes FROM tile WHERE level = 0 AND idx BETWEEN ? AND ? ORDER BY idx"
_CHUNK: Final = 4_096
ROTATED: Final = RecordKind.BROKER_KEY_ROTATED.encode()


class _Unlocated(VerificationFailed):
    """Something is wrong from `good` on, at `index` at the latest; which record it is, stored tiles may tell."""

    def __init__(self, message: str, *, good: int, index: int, hint: str | None = None) -> None:
        super().__init__(message, index=index, hint=hint)
        self.good = good


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What holds: `records` leaves were read, the first `signed` of them stand under `checkpoints` signatures.

    `root` is that of all records read, `chain` the keys that the log had; `macs_checked` says whether the ledger's keys
    were used.
    """

    records: int
    signed: int
    checkpoints: int
    root: bytes
    chain: KeyChain
    macs_checked: bool = False


def verify_log(
    leaves: Iterable[bytes], *, notes: Iterable[bytes], key: VerifierKey, kept: Iterable[bytes] = ()
) -> Verified:
    """Return what holds of a log; `kept` are notes of checkpoints that were kept outside of it.

    Raises:
        VerificationFailed: `index` is the first record that is wrong, or that cannot be vouched for.

    """
    read = tuple(leaves)
    chain = chain_of(key, log_handovers((index, leaf) for index, leaf in enumerate(read) if ROTATED in leaf))
    return _verify(read, notes, chain, kept, Stories())


def _verify(
    leaves: Iterable[bytes], notes: Iterable[bytes], chain: KeyChain, kept: Iterable[bytes], stories: Stories
) -> Verified:
    # (1) signatures first: what the tree is measured by
    signed = _signed(chain, notes, kept)
    # (2) every leaf in order, and the root at every signed size
    edge, good, checked = Frontier(), 0, _checked(leaves, stories, chain)
    for size in sorted(signed):
        while edge.size < size and (chunk := list(islice(checked, min(_CHUNK, size - edge.size)))):
            edge = edge.after(map(leaf_hash, chunk))
        if edge.size < size:
            raise _Unlocated(
                f"the log ends before record {edge.size}, and a signed checkpoint says that it had {size} records",
                good=good,
                index=edge.size,
                hint="records were removed, or the ledger was put back to an older state",
            )
        if edge.root() != signed[size].root:
            message = f"records {good} to {size - 1} are not all those that were signed"
            raise _Unlocated(message, good=good, index=good)
        good = size
    # (3) what came after the last signature has form, and nothing else to hold it
    while chunk := list(islice(checked, _CHUNK)):
        edge = edge.after(map(leaf_hash, chunk))
    # (4) all of it is what was written: can all of it be true?
    if stories.contradiction is not None:
        raise stories.contradiction
    return Verified(records=edge.size, signed=good, checkpoints=len(signed), root=edge.root(), chain=chain)


def verify_file(
    path: Path, *, key: VerifierKey, kept: Iterable[bytes] = (), keys: LedgerKeys | None = None
) -> Verified:
    """Return what holds of a ledger file, read only; a write-ahead log beside it is read too.

    Raises:
        VerificationFailed: `index` is the first record that is wrong, or that cannot be vouched for.
        LedgerUnavailable: the file cannot be read as a ledger.

    """
    try:
        with closing(read_only(path)) as database:
            return _verify_database(database, key, kept, keys)
    except sqlite3.Error as error:
        raise unreadable(path, error) from error


def _verify_database(
    database: sqlite3.Connection, key: VerifierKey, kept: Iterable[bytes], keys: LedgerKeys | None
) -> Verified:
    database.execute("BEGIN")  # one moment for all of it: rows and records of a ledger at work agree at each commit
    stories = Stories()
    notes = [bytes(note) for (note,) in database.execute(_NOTES)]
    chain = chain_of(key, log_handovers(database.execute(_ROTATIONS, (RecordKind.BROKER_KEY_ROTATED,))))
    try:
        found = _verify(_leaves(database, keys), notes, chain, kept, stories)
    except _Unlocated as failed:
        raise _located(database, failed) from failed
    if found.signed:
        check_tiles(database, found.signed)
    if keys is not None:
        check_rows(database, keys, stories)
    return replace(found, macs_checked=keys is not None)


def _signed(chain: KeyChain, notes: Iterable[bytes], kept: Iterable[bytes]) -> dict[int, Checkpoint]:
    signed = dict[int, Checkpoint]()
    for note in notes:
        try:
            _take(signed, _vouched(note, chain))
        except NoteInvalid as error:
            good = max(signed, default=0)
            message = f"the checkpoint that follows on record {good} is none: {error.message}"
            raise VerificationFailed(message, index=good, hint=error.hint) from error
    for note in kept:
        _take(signed, _vouched(note, chain))
    return signed


def _take(signed: dict[int, Checkpoint], checkpoint: Checkpoint) -> None:
    known = signed.setdefault(checkpoint.size, checkpoint)
    if known.root != checkpoint.root:
        raise VerificationFailed(
            f"two different logs of {checkpoint.size} records were signed: the log was forked",
            hint="keep both checkpoints: together they prove it",
        )


def _vouched(note: bytes, chain: KeyChain) -> Checkpoint:
    try:
        return believed(note, chain)
    except NoteInvalid:
        replaced = tuple(map(verifier, chain.replaced_before(claimed_size(note))))
        with suppress(NoteInvalid):
            late = open_checkpoint(note, origin=chain.newest.name, verifiers=replaced)
            raise VerificationFailed(
                f"a checkpoint of {late.size} records is signed only by a key that was replaced before",
                hint="whoever holds the old key made it: keep it, it proves that",
            ) from None
        raise


def _checked(leaves: Iterable[bytes], stories: Stories, chain: KeyChain) -> Iterator[bytes]:
    last = ""
    for index, leaf in enumerate(leaves):
        value = _formed(leaf, index, last)
        last = value["time"]
        if value["kind"] == RecordKind.BROKER_KEY_ROTATED and index not in chain.since and _hands_over_log(value):
            raise VerificationFailed(
                f"record {index} hands the log over, and an index of the file hides it", index=index
            )
        stories.take(value, index)
        yield leaf


def log_handovers(records: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, Handover]]:
    """Yield the handovers of the log's key among leaves of records, in their order.

    Raises:
        VerificationFailed: one is not signed by both of its keys.

    """
    for index, leaf in records:
        value = _parsed(leaf)
        if value is None or value.get("kind") != RecordKind.BROKER_KEY_ROTATED or not _hands_over_log(value):
            continue
        try:
            yield index, open_handover(str(value["detail"]["note"]).encode(), verifier)
        except (NoteInvalid, KeyError) as error:
            said = getattr(error, "message", "it holds no note")
            raise VerificationFailed(f"record {index} hands over no key: {said}", index=index) from error


def _hands_over_log(value: dict[str, Any]) -> bool:
    detail = value.get("detail")
    return isinstance(detail, dict) and detail.get("key") == KeyUse.LOG


def _formed(leaf: bytes, index: int, last: str) -> dict[str, Any]:
    """Return the members of a leaf that has the form of one, and is no older than `last`."""
    value = _parsed(leaf)
    if value is None or len(leaf) > MAX_LEAF_BYTES:
        raise VerificationFailed(f"record {index} is not canonical JSON", index=index)
    time = value.get("time")
    if value.get("v") != VERSION or not isinstance(value.get("id"), str) or not isinstance(value.get("kind"), str):
        raise VerificationFailed(f"record {index} is of no version that is known here", index=index)
    if not isinstance(time, str) or _TIME.fullmatch(time) is None:
        raise VerificationFailed(f"record {index} has no time", index=index)
    if time < last:
        # Or it is the one before that was changed to be later.
        raise _Unlocated(f"record {index} is older than the one before it", good=index - 1, index=index)
    return value


def _parsed(leaf: bytes) -> dict[str, Any] | None:
    """Return the members of a leaf, or None when it is not the one canonical form of an object."""
    try:
        value = json.loads(leaf)
        return value if isinstance(value, dict) and canonical(value) == leaf else None
    except (ValueError, RecursionError, AssentError):
        return None


def _leaves(database: sqlite3.Connection, keys: LedgerKeys | None) -> Iterator[bytes]:
    if keys is None:
        return (_text(leaf, index) for index, (_, leaf) in _gapless(database.execute(_LEAVES)))
    return (_believed(row, keys, index) for index, row in _gapless(database.execute(_ROWS)))


def _gapless(rows: Iterator[Any]) -> Iterator[tuple[int, Any]]:
    for index in count():
        row = _next(rows, index)
        if row is None:
            return
        if row[0] != index:
            raise VerificationFailed(f"record {index} is missing", index=index)
        yield index, row


def _next(rows: Iterator[Any], index: int) -> Any:  # noqa: ANN401  # a row of SQLite, or None after the last
    try:
        return next(rows, None)
    except sqlite3.OperationalError as error:
        if hasattr(error, "sqlite_errorcode"):
            raise
        # SQLite had nothing against it: Python could not make text of the bytes that stand there.
        raise VerificationFailed(f"record {index} is not text", index=index) from None


def _text(leaf: object, index: int) -> bytes:
    try:
        return leaf.encode()  # type: ignore[attr-defined,no-any-return]  # what is not text is refused below
    except (AttributeError, UnicodeEncodeError):
        raise VerificationFailed(f"record {index} is not text", index=index) from None


def _believed(row: Any, keys: LedgerKeys, index: int) -> bytes:  # noqa: ANN401  # a row of SQLite
    leaf = _text(row[3], index)
    _check_sealed(row, keys, index)
    return leaf


def _check_sealed(row: Any, keys: LedgerKeys, index: int) -> None:  # noqa: ANN401  # a row of SQLite
    try:
        record = journal.load_disclosed(row, keys)
    except Forged as error:
        raise VerificationFailed(f"record {index}: {error.message}", index=index, hint=error.hint) from error
    committed = json.loads(record.leaf).get("commit", {})
    for name, (salt, value) in record.disclosed.items():
        if committed.get(name) != commitment_of(name, salt, value):
            raise VerificationFailed(f"record {index} does not commit to its `{name}`", index=index)


def _located(database: sqlite3.Connection, failed: _Unlocated) -> VerificationFailed:
    """Return the failure with the first record that differs from the tile it was hashed into, where one does."""
    first = failed.good - failed.good % TILE_WIDTH
    stored = (bytes(row[0]) for row in database.execute(_TILES, (first // TILE_WIDTH, 2**62)))
    hashes = (tile[at : at + HASH_BYTES] for tile in stored for at in range(0, len(tile), HASH_BYTES))
    leaves = database.execute("SELECT idx, leaf FROM record WHERE idx >= ? ORDER BY idx", (first,))
    with suppress(sqlite3.OperationalError):  # a record that is no text, behind the one that is looked for
        for (index, leaf), expected in zip(leaves, hashes, strict=False):
            if _hash_of(leaf) != expected:
                message = f"{failed.message}; record {index} is the first that differs"
                return VerificationFailed(message, index=index, hint=failed.hint)
    return failed


def _hash_of(leaf: object) -> bytes:
    return leaf_hash(leaf.encode()) if isinstance(leaf, str) else b""


def public_key_file(ledger: Path) -> Path:
    """Return where a broker writes the public key of a ledger's log: beside it, for whoever has nothing better."""
    return ledger.with_name(f"{ledger.name}.pub")


def newest_checkpoint(path: Path) -> tuple[bytes, datetime] | None:
    """Return the newest note of a ledger file and when it was signed, or None; nothing of it is verified here.

    Raises:
        LedgerUnavailable: the file cannot be read as a ledger.

    """
    try:
        with closing(read_only(path)) as database:
            row = database.execute(_NEWEST).fetchone()
    except sqlite3.Error as error:
        raise unreadable(path, error) from error
    return None if row is None else (str(row[0]).encode(), moment(row[1]))
