"""Records as rows: the leaf in the open, what it commits to sealed beside it, the MAC over both and over the index.

The index is part of what is MACed, so that records cannot be swapped; it is gapless, so that none can be missing.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, TypeAlias, cast

from assent.core.records import Record, RecordId
from assent.stores.packing import Value
from assent.stores.rows.moments import moment, stamp
from assent.stores.sealing import LedgerKeys

TABLE: Final = "record"
COLUMNS: Final = "idx, id, time, leaf, sealed, mac"

RecordRow: TypeAlias = tuple[int, str, int, str, bytes | None, bytes]
Disclosed: TypeAlias = Mapping[str, tuple[bytes, bytes]]


def dump(record: Record, index: int, keys: LedgerKeys) -> RecordRow:
    """Return the row of `record` at its gapless `index`."""
    sealed = keys.seal(TABLE, record.id, _flat(record.disclosed)) if record.disclosed else None
    row = (index, record.id, stamp(record.time), record.leaf.decode(), sealed)
    return (*row, keys.mac(TABLE, row))


def without_payload(row: RecordRow, keys: LedgerKeys) -> RecordRow:
    """Return a row that was believed without what it commits to.

    Raises:
        Forged: the row does not carry its MAC.

    """
    load(row, keys)
    bare = (*row[:4], None)
    return (*bare, keys.mac(TABLE, bare))


def load(row: RecordRow, keys: LedgerKeys) -> Record:
    """Return the record of a row, without payload.

    Raises:
        Forged: the row does not carry its MAC.

    """
    keys.check(TABLE, row[:-1], row[-1])
    index, identifier, time, leaf, _sealed, _mac = row
    return Record(id=RecordId(identifier), time=moment(time), leaf=leaf.encode(), index=index)


def load_disclosed(row: RecordRow, keys: LedgerKeys) -> Record:
    """Return the record of a row with its payload; an erased payload is empty.

    Raises:
        Forged: the row does not carry its MAC, or the payload does not open.

    """
    return replace(load(row, keys), disclosed=_named(keys.unseal(TABLE, row[1], row[4])))


def _flat(disclosed: Disclosed) -> tuple[Value, ...]:
    return tuple([part for name, (salt, value) in disclosed.items() for part in (name, salt, value)])


def _named(flat: tuple[Value, ...]) -> Disclosed:
    triples = zip(flat[::3], flat[1::3], flat[2::3], strict=True)
    return {str(name): (cast("bytes", salt), cast("bytes", value)) for name, salt, value in triples}
