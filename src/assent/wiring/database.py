"""The ledger that settings name: a SQLite file, or a database on a PostgreSQL server.

What is kept beside the ledger (its checkpoint, its policies, its public key) lies beside `ledger_file` in either case.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from assent.config import Settings
from assent.core.errors import ConfigInvalid, LedgerUnavailable
from assent.stores.ledger import StoredLedger
from assent.stores.ledger_time import LedgerTime
from assent.stores.sealing import LedgerKeys
from assent.stores.sqlite import SqliteLedger
from assent.wiring import fresh

if TYPE_CHECKING:
    from assent.stores.postgres import Place


def place_of(settings: Settings) -> "Place":
    """Return where the database is that `ledger_url` names.

    Raises:
        ConfigInvalid: what it takes is not installed, or the file with the password is not private.

    """
    if find_spec("asyncpg") is None:
        raise ConfigInvalid("`ledger_url` needs more than is installed", hint="run `pip install 'assent[postgres]'`")
    from assent.stores.postgres import Place  # noqa: PLC0415  # an extra, and nobody else pays for loading it

    return Place(url=settings.ledger_url or "", password=settings.secret("ledger_password"))


def opened(settings: Settings, keys: LedgerKeys, told: LedgerTime, *, serves: bool) -> StoredLedger:
    """Return the ledger of `settings`; who `serves` a database is the only one, or counts in Redis as all others do.

    Raises:
        LedgerUnavailable: it cannot be opened, somebody serves it who counts apart, or there is a file beside it.
        KeysInvalid: the keys are not the ledger's.
        ConfigInvalid: as `place_of` says.

    """
    if settings.ledger_url is None:
        return SqliteLedger.open(settings.ledger_file, keys, clock=told, new_id=fresh.new_id)
    refuse_two(settings)
    place = place_of(settings)
    from assent.stores.postgres import PostgresLedger, Serving  # noqa: PLC0415  # as above

    how = Serving.BESIDE_OTHERS if settings.is_beside_others else Serving.ALONE
    return PostgresLedger.open(place, keys, clock=told, new_id=fresh.new_id, serves=how if serves else None)


def refuse_two(settings: Settings) -> None:
    """Return only when no SQLite ledger lies where a database is named: what is stopped there must not be forgotten.

    Raises:
        LedgerUnavailable: one does.

    """
    if settings.ledger_url is not None and settings.ledger_file.exists():
        raise LedgerUnavailable(
            f"`ledger_url` names a database, and there is a ledger `{settings.ledger_file}` as well",
            hint="move it into the database with `assent migrate`; if it is another ledger's, correct `ledger_file`",
        )


@contextmanager
def as_file(settings: Settings) -> Iterator[Path]:
    """Lend the ledger as a SQLite file to be read: itself, or a copy of the database that is removed afterwards.

    Raises:
        LedgerUnavailable, ConfigInvalid: the database cannot be copied.

    """
    if settings.ledger_url is None:
        yield settings.ledger_file
        return
    place = place_of(settings)
    from assent.stores.postgres.copying import copy_to_file  # noqa: PLC0415  # as above

    with tempfile.TemporaryDirectory(prefix=".copy-", dir=settings.ledger_file.parent) as folder:
        copy = Path(folder) / settings.ledger_file.name
        copy_to_file(place, copy)
        yield copy
