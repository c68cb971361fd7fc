"""What an error of the database means: run again alone, this work's own fault, or the end of this connection."""

import asyncio
from typing import Final

import asyncpg

from assent.core.errors import LedgerUnavailable

FAULTS: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    asyncio.TimeoutError,
    asyncio.IncompleteReadError,
)
Fault = Exception
_COLLISIONS: Final = frozenset({"40001", "40P01", "55P03"})  # serialization, deadlock, a lock that was not free in time
_TAKEN: Final = "23505"
_SAID: Final = {
    "53100": ("the disk under the ledger's database is full", "free some space, nothing was decided meanwhile"),
    "25006": ("the ledger's database takes no writes", "it may be a standby: point `ledger_url` at the primary"),
    "57014": ("the ledger's database took too long to answer", "see what holds it up in `pg_stat_activity`"),
    "55P03": ("another broker holds the ledger", "see what holds it up in `pg_locks` and `pg_stat_activity`"),
    "53300": ("the ledger's database takes no more connections", "raise `max_connections`, or run fewer brokers"),
    "28P01": ("the ledger's database refuses the password", "correct `ledger_url`"),
    "28000": ("the ledger's database does not let this role in", "correct `ledger_url`, or `pg_hba.conf`"),
    "3D000": ("there is no such database", "make it, or correct `ledger_url`"),
    "42501": ("this role may not do that in the ledger's database", "let its owner run `assent ledger prepare` again"),
    "57P01": ("the ledger's database is being shut down", "it is used again as soon as it is back"),
    "57P03": ("the ledger's database is starting", "it is used again as soon as it is ready"),
}


def code_of(fault: BaseException) -> str:
    """Return the SQLSTATE of an error of the server, or nothing."""
    return str(getattr(fault, "sqlstate", None) or "")


def is_collision(fault: BaseException) -> bool:
    """Whether another transaction was in the way, so that the same work may succeed when nobody is."""
    return code_of(fault) in _COLLISIONS


def is_taken(fault: BaseException) -> bool:
    """Whether something that must be unique exists already."""
    return code_of(fault) == _TAKEN


def ends_connection(fault: BaseException) -> bool:
    """Whether nothing is known any more of what the server does with this connection.

    An error that the server itself reported, in the middle of a session that goes on, ends a statement only.
    """
    code = code_of(fault)
    return not isinstance(fault, asyncpg.PostgresError) or (code[:2] in {"08", "57"} and code != "57014") or code == ""


def unavailable(fault: BaseException) -> LedgerUnavailable:
    """Return the error that callers see; it names the fault and the next step, no SQL and no address."""
    code = code_of(fault)
    if code in _SAID:
        message, hint = _SAID[code]
        return LedgerUnavailable(f"{message} ({code})", hint=hint)
    if isinstance(fault, asyncio.TimeoutError):
        return LedgerUnavailable("the ledger's database does not answer", hint="see whether it runs and is reached")
    if code and not code.startswith("08"):
        return LedgerUnavailable(f"the ledger's database could not answer ({code})", hint="see its log for the cause")
    return LedgerUnavailable(
        f"the ledger's database cannot be reached ({type(fault).__name__})", hint="see whether it runs and is reached"
    )
