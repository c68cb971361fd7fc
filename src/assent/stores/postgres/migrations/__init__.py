"""The ledger's shape: numbered SQL files, applied forward only, in one transaction with their number.

While a new version of the broker is rolled out, old ones go on at the tables of the new: a migration adds, and what an
older broker writes stays right. One that changes what older brokers rely on says so in its first line, and they refuse
such a ledger from then on. Whoever brings a ledger forward owns its tables; a broker whose role does not is told what
to do.
"""

from collections.abc import Sequence
from importlib.resources import files
from typing import Final

import asyncpg

from assent.core.errors import LedgerUnavailable
from assent.stores import latches
from assent.stores.postgres.link import SCHEMA, Link
from assent.stores.postgres.locks import CHANGING
from assent.stores.sealing import LedgerKeys

_WHERE: Final = "SELECT to_regclass($1)::text"
_VERSION: Final = f"SELECT version FROM {SCHEMA}.shape"  # noqa: S608  # no input in it
_SET: Final = f"UPDATE {SCHEMA}.shape SET version = $1, usable_from = greatest(usable_from, $2)"  # noqa: S608  # no input
_USABLE_FROM: Final = f"SELECT usable_from FROM {SCHEMA}.shape"  # noqa: S608  # no input in it
ENDS_OLDER: Final = "-- Not for older brokers."
_IS_EMPTY: Final = "SELECT NOT EXISTS (SELECT FROM ledger) AND NOT EXISTS (SELECT FROM record)"
_FOUND: Final = "INSERT INTO ledger (id, created_at, latches, sealed, mac) VALUES ($1, $2, $3, $4, $5)"
_BEGIN: Final = f"BEGIN; SELECT pg_advisory_xact_lock({CHANGING})"
_FIRST: Final = f"""
CREATE SCHEMA IF NOT EXISTS {SCHEMA};
CREATE TABLE {SCHEMA}.shape (version bigint NOT NULL);
INSERT INTO {SCHEMA}.shape VALUES (0);
"""  # noqa: S608  # no input in it


def shipped() -> tuple[str, ...]:
    """Return the text of all migrations, in order."""
    found = [entry for entry in files(__package__).iterdir() if entry.name.endswith(".sql")]
    return tuple(entry.read_text(encoding="utf-8") for entry in sorted(found, key=lambda entry: entry.name))


def version(link: Link) -> int:
    """Return how many migrations a database has seen; 0 for an empty one."""
    (there,) = link.fetch_one(_WHERE, (f"{SCHEMA}.shape",))
    return 0 if there is None else int(link.fetch_one(_VERSION)[0])


def migrate(link: Link, scripts: Sequence[str]) -> None:
    """Apply what is missing.

    Raises:
        LedgerUnavailable: a newer broker changed this ledger for good, or this role may not bring it forward.

    """
    seen = version(link)
    if seen > len(scripts) and int(link.fetch_one(_USABLE_FROM)[0]) <= len(scripts):
        return
    if seen > len(scripts):
        raise LedgerUnavailable(
            f"the ledger has version {seen} and this broker knows versions up to {len(scripts)}",
            hint="run the newer broker again, or restore the backup from before",
        )
    if seen == len(scripts):
        return
    try:
        link.execute(_BEGIN)
        seen = version(link)  # by now: somebody else may have been at it
        if seen == 0:
            link.execute(_FIRST)
        for script in scripts[seen:]:
            link.execute(script)
        link.fetch(_SET, (len(scripts), _ends_older(scripts)))
        link.execute("COMMIT")
    except asyncpg.InsufficientPrivilegeError as error:
        link.execute("ROLLBACK")
        raise LedgerUnavailable(
            f"the ledger has version {seen}, this broker needs {len(scripts)}, and its role may not change the tables",
            hint="let the owner of the database run `assent ledger prepare`",
        ) from error


def _ends_older(scripts: Sequence[str]) -> int:
    """Return the number of the newest migration that older brokers cannot use, 0 where there is none."""
    numbers = [number for number, script in enumerate(scripts, start=1) if script.startswith(ENDS_OLDER)]
    return max(numbers, default=0)


def bring_forward(link: Link, keys: LedgerKeys, created_at: int) -> None:
    """Apply what is missing, and found the ledger when it is empty."""
    migrate(link, shipped())
    link.execute(_BEGIN)
    (is_empty,) = link.fetch_one(_IS_EMPTY)
    if is_empty:
        link.fetch(_FOUND, latches.founded(keys, created_at))
    link.execute("COMMIT")
