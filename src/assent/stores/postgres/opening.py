"""Opening a ledger on PostgreSQL, and what is known of where it ends.

What cannot be explained by a crash (a last record without its MAC, a gap, another key, a log that is shorter than it
was) is refused, never repaired. A ledger is made and brought forward by whoever owns its tables; the broker's own role
needs no more than to read, to add and to change what changes.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from assent.core.credentials import Credential
from assent.core.errors import Forged, KeysInvalid, LedgerUnavailable
from assent.stores import latches
from assent.stores.latches import Latches, roster_of
from assent.stores.postgres import migrations
from assent.stores.postgres.link import Link
from assent.stores.postgres.queries import HEAD, MAC_AT
from assent.stores.postgres.view import PostgresView
from assent.stores.rows import journal
from assent.stores.sealing import LedgerKeys
from assent.stores.tx import Known

_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LOOKED_AT: Final = 1_000
_GAPS: Final = (
    "SELECT count(*), max(idx) - min(idx) + 1 FROM (SELECT idx FROM record ORDER BY idx DESC LIMIT $1) AS newest"
)
_HEAD_ROW: Final = f"SELECT {journal.COLUMNS} FROM {journal.TABLE} ORDER BY idx DESC LIMIT 1"  # noqa: S608  # no input
_STATE: Final = "SELECT current_setting('fsync'), pg_is_in_recovery()"
_NEXT_STEP: Final = "keep the database as it is, run `assent audit verify` on a copy, and restore a backup"


class PutBack(LedgerUnavailable):
    """The ledger is older than this process has seen it, or another one."""


@dataclass(frozen=True, slots=True)
class End:
    """Where the log ends as far as this process has seen: the last index, its MAC where it was read, and its time.

    `latches` are those that `roster` vouches for, `credentials` those that were read since; None, and none, where
    nothing is remembered. Whoever changes a credential changes the roster.
    """

    index: int = -1
    mac: bytes | None = None
    last_time: datetime = _BEGINNING
    roster: bytes | None = None
    latches: Latches | None = None
    credentials: dict[str, Credential] = field(default_factory=dict)

    def after(self, known: Known, mac: bytes | None, keys: LedgerKeys) -> "End":
        """Return the end after a commit that left `known`; `mac` is that of the last record it wrote, if any."""
        end = self
        if known.next_index - 1 != self.index:
            end = replace(self, index=known.next_index - 1, mac=mac, last_time=known.last_time)
        if known.latches is None:
            return end
        roster = self.roster if known.latches is self.latches else roster_of(known.latches, keys)
        return replace(end, roster=roster, latches=known.latches, credentials=known.credentials)

    def without_latches(self) -> "End":
        """Return the same end, with nothing remembered of what is latched or who holds what."""
        return replace(self, roster=None, latches=None, credentials={})


def opened(link: Link, keys: LedgerKeys, created_at: int) -> End:
    """Return where the ledger ends, made or checked.

    Raises:
        LedgerUnavailable: it is damaged, of another version, or the server would lose what it was given.
        KeysInvalid: it was written with other keys.

    """
    _refuse_forgetful(link)
    migrations.bring_forward(link, keys, created_at)
    view = PostgresView(link, keys, _BEGINNING)
    try:
        latches.check_keys(view, keys)
        row = link.fetch_one(_HEAD_ROW)
        end = End() if row is None else _end_at(row, keys)
    except Forged as error:
        raise KeysInvalid(
            "the keys at hand are not those that this ledger was written with",
            hint="put back `ledger_key` and `payload_key` of this ledger; if they are the right ones, somebody changed"
            f" the ledger: {_NEXT_STEP}",
        ) from error
    counted, spanned = link.fetch_one(_GAPS, (_LOOKED_AT,))
    if counted != (spanned or 0):
        raise LedgerUnavailable("records are missing from the end of the ledger", hint=_NEXT_STEP)
    return end


def check_same(link: Link, end: End) -> None:
    """Return only when a new connection leads to a ledger that takes writes and holds what this process has seen.

    Raises:
        LedgerUnavailable: it takes no writes.
        PutBack: it does not hold it.

    """
    _refuse_forgetful(link)
    if end.index < 0 or end.mac is None:
        return
    row = link.fetch_one(MAC_AT, (end.index,))
    if row is None or bytes(row[0]) != end.mac:
        raise _put_back(end.index, "is gone, or another one")


def known(link: Link, keys: LedgerKeys, end: End) -> tuple[End, Known]:
    """Return what holds at the gate: where the log ends by now, and what is latched where that did not change.

    Raises:
        Forged: the last record does not carry its MAC.
        PutBack: the log is shorter than this process has seen it.

    """
    row = link.fetch_one(HEAD, (end.index if end.mac is not None else -2,))
    if row is None:
        raise Forged("the ledger row is missing", hint="restore a backup")
    top, roster, *last = row
    if top < end.index:
        raise _put_back(end.index, f"is gone: the log ends at {top}")
    if last[0] is not None:
        newer = _end_at(tuple(last), keys)
        end = replace(end, index=newer.index, mac=newer.mac, last_time=newer.last_time)
    if end.roster != bytes(roster):
        end = end.without_latches()
    return end, Known(top + 1, end.last_time, end.latches, end.credentials)


def _end_at(row: journal.RecordRow, keys: LedgerKeys) -> End:
    record = journal.load(row, keys)
    return End(index=row[0], mac=bytes(row[-1]), last_time=record.time)


def _refuse_forgetful(link: Link) -> None:
    fsync, is_standby = link.fetch_one(_STATE)
    if fsync != "on":
        raise LedgerUnavailable(
            "the ledger's database runs with `fsync = off`: it may lose what it was given",
            hint="set `fsync = on` and restart it",
        )
    if is_standby:
        raise LedgerUnavailable(
            "the ledger's database is a standby, it takes no writes", hint="point `ledger_url` at the primary"
        )


def _put_back(index: int, what: str) -> PutBack:
    return PutBack(
        f"the ledger was put back to an older state while the broker ran: record {index} {what}",
        hint="put the newer ledger back, or restart the broker and do what it says",
    )
