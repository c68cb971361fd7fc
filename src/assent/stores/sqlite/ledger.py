"""The ledger on SQLite: the `Ledger` of the port, put together from one writing thread and a few reading ones."""

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from assent.ports import Clock, NewId
from assent.stores.latches import Seen
from assent.stores.ledger import StoredLedger
from assent.stores.ledger_time import LedgerTime, standing_still
from assent.stores.randomness import Randomness
from assent.stores.sealing import LedgerKeys
from assent.stores.sqlite import migrations, opening
from assent.stores.sqlite.reader import Readers
from assent.stores.sqlite.storage import Storage, nothing
from assent.stores.sqlite.writer import Writer
from assent.stores.tx import Stamps


class SqliteLedger(StoredLedger):
    """A ledger in one SQLite file, or in memory for tests.

    One writer: every transaction is alone, so both sides of the gate are one.
    """

    @classmethod
    def open(
        cls,
        path: Path | Literal[":memory:"],
        keys: LedgerKeys,
        *,
        clock: Clock,
        new_id: NewId,
        salts: Callable[[int], bytes] | None = None,
        unsafe_not_durable: str | None = None,
        prepare: Callable[[sqlite3.Connection], None] = nothing,
        scripts: Sequence[str] | None = None,
    ) -> "SqliteLedger":
        """Open the ledger at `path`, made when there is none.

        A broker's `clock` is a `LedgerTime`, so that others can tell the ledger's time by it and it never stands still.
        `unsafe_not_durable` names the reason why nothing needs to survive a crash (tests, benchmarks); `prepare` sees
        every connection before it is used; `scripts` are migrations other than those shipped. Blocks for as long as
        opening a file takes: call it before serving.

        Raises:
            LedgerUnavailable: it is damaged, of a newer version, or cannot be opened.
            KeysInvalid: it was written with other keys.

        """
        where = None if path == ":memory:" else Path(path)
        storage = Storage(path=where, unsafe_not_durable=unsafe_not_durable, prepare=prepare)
        told = clock if isinstance(clock, LedgerTime) else LedgerTime(clock, standing_still)
        stamps = Stamps(time=told, new_id=new_id, salts=salts or Randomness())
        was_left_open = storage.has_log()
        database = opening.opened(storage, keys, clock, migrations.shipped() if scripts is None else scripts)
        told.now(opening.known(database, keys).last_time)
        seen = Seen()
        readers = None if where is None else Readers(storage, keys, stamps, seen)
        return cls(Writer(storage, database, keys, stamps, seen), readers, keys, was_left_open=was_left_open)
