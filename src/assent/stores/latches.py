"""Latches: breakers, agents' statuses and the active policy, the rows whose absence would mean yes.

For every other row a missing one means no. Deleting a breaker would let everything in its scope pass, and without the
name of the active policy every broker would go on by its own, so these rows are believed only as a whole: the ledger
row carries a MAC over which of them exist, in which revision.

That roster could be put back together with the rows. So it counts its changes, and whoever has seen a higher count
refuses it; and it names the newest record that tells of a latch, so that the log itself gives away an older one. The
record that a policy became active says the revision of its row, and so gives away an older one of that.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from assent.core.agents import AgentStatus
from assent.core.breakers import Breaker, denies
from assent.core.canonical import load as parsed
from assent.core.errors import Forged
from assent.core.publications import ACTIVE, ActivePolicy
from assent.core.records import RecordKind
from assent.stores.packing import Value
from assent.stores.queries import Queries
from assent.stores.rows import journal
from assent.stores.rows.principals import BREAKERS, STATUSES
from assent.stores.rows.publications import ACTIVE_POLICIES
from assent.stores.sealing import LedgerKeys

LEDGER_ROW: Final = "ledger"
TOLD_BY: Final = frozenset(
    {
        RecordKind.BREAKER_TRIPPED,
        RecordKind.BREAKER_RESET_ASKED,
        RecordKind.BREAKER_RESET,
        RecordKind.BREAKER_MOVED,
        RecordKind.BREAKER_PROBED,
        RecordKind.BREAKER_REMINDED,
        RecordKind.AGENT_SUSPENDED,
        RecordKind.AGENT_RESUME_ASKED,
        RecordKind.AGENT_RESUMED,
    }
)
_NUMBER_BYTES: Final = 8
_NOTHING_IS_DECIDED: Final = "nothing is decided until a backup is restored: run `assent audit verify` on a copy first"


@dataclass(frozen=True, slots=True)
class Latches:
    """All breakers, all statuses and the active policy, each by its id.

    `count` grows with every change; `told` is where the log goes on after the newest record that tells of a latch.
    `opened` are the breakers that are not closed: every decision looks at them, and closed ones only become more.
    """

    breakers: Mapping[str, Breaker]
    statuses: Mapping[str, AgentStatus]
    active: Mapping[str, ActivePolicy] = field(default_factory=dict)
    count: int = 0
    told: int = 0
    opened: tuple[Breaker, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Find the breakers that are not closed."""
        object.__setattr__(self, "opened", tuple(filter(denies, self.breakers.values())))

    def having(self, row: Breaker | AgentStatus | ActivePolicy) -> "Latches":
        """Return the latches with this row added, or in place of the one with its id."""
        if isinstance(row, Breaker):
            return replace(self, breakers={**self.breakers, row.id: row}, count=self.count + 1)
        if isinstance(row, ActivePolicy):
            return replace(self, active={**self.active, row.id: row}, count=self.count + 1)
        return replace(self, statuses={**self.statuses, row.id: row}, count=self.count + 1)

    def counted(self) -> "Latches":
        """Return the latches as they are with another count: something changed that nobody is to remember."""
        return replace(self, count=self.count + 1)

    def told_by(self, index: int) -> "Latches":
        """Return the latches with the record at `index` as the newest that tells of one."""
        return replace(self, count=self.count + 1, told=index + 1)

    def listed(self) -> tuple[Value, ...]:
        """Return which rows there are, in which revision, in one order."""
        kinds = (("breaker", self.breakers), ("agent_status", self.statuses), ("active_policy", self.active))
        return tuple(part for kind, rows in kinds for key in sorted(rows) for part in (kind, key, rows[key].revision))


_NONE: Final = Latches({}, {})


class Seen:
    """The highest count that this process has seen committed; it lives as long as the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    @property
    def count(self) -> int:
        """The count below which no roster is believed."""
        return self._count

    def take(self, count: int) -> None:
        """Take in the count of a roster that was believed and is committed."""
        with self._lock:
            self._count = max(self._count, count)


class Asking(Protocol):
    """Whoever can be asked for rows of one transaction."""

    @property
    def sql(self) -> Queries:
        """The words to ask in."""
        ...

    def fetch(self, query: str, parameters: Sequence[object] = ()) -> list[Any]:
        """Return all rows of a query."""
        ...

    def fetch_one(self, query: str, parameters: Sequence[object] = ()) -> Any:  # noqa: ANN401  # a row of a database
        """Return the first row of a query or None."""
        ...


class Writing(Asking, Protocol):
    """Whoever can also write."""

    def write(self, statement: str, values: Sequence[object]) -> int:
        """Run a statement and return how many rows it touched."""
        ...


def load(ledger: Asking, keys: LedgerKeys, at_least: int = 0, *, names_policy: bool = True) -> Latches:
    """Return all latches; `at_least` is a count that was seen before this transaction began.

    A copy of a ledger from before it could say which policy is active has no table for that: `names_policy` is False.

    Raises:
        Forged: one of them, or all, were changed, added, removed or put back by somebody without the ledger key.

    """
    roster = _ledger_row(ledger, keys)[2]
    count, told = _numbers(roster)
    breakers = (BREAKERS.load(row, keys) for row in ledger.fetch(ledger.sql.all_breakers))
    statuses = (STATUSES.load(row, keys) for row in ledger.fetch(ledger.sql.all_statuses))
    active = (ACTIVE_POLICIES.load(row, keys) for row in (ledger.fetch(ledger.sql.all_active) if names_policy else ()))
    latches = Latches(
        {row.id: row for row in breakers},
        {row.id: row for row in statuses},
        {row.id: row for row in active},
        count,
        told,
    )
    (told_by_log,) = ledger.fetch_one(ledger.sql.told, tuple(kind.value for kind in TOLD_BY))
    if roster != roster_of(latches, keys) or count < at_least or told < told_by_log:
        raise Forged(
            "a breaker or a suspension was removed from the ledger, or put back to an older state",
            hint=_NOTHING_IS_DECIDED,
        )
    if _said_of_policy(ledger, keys) != _kept_of_policy(latches):
        raise Forged(
            "the name of the active policy was removed from the ledger, or put back to an older one",
            hint=_NOTHING_IS_DECIDED,
        )
    return latches


def _kept_of_policy(latches: Latches) -> tuple[str, int] | None:
    active = latches.active.get(ACTIVE)
    return None if active is None else (active.version, active.revision)


def _said_of_policy(ledger: Asking, keys: LedgerKeys) -> tuple[str, int] | None:
    """Return what the log says last: which version became active, as which revision of the row that names it.

    A record from before there was that row says no revision; then there is none.
    """
    row = ledger.fetch_one(ledger.sql.newest_of_kind, (RecordKind.POLICY_ACTIVATED.value,))
    leaf = None if row is None else parsed(journal.load(row, keys).leaf)
    detail = leaf.get("detail") if isinstance(leaf, dict) else None
    revision = detail.get("revision") if isinstance(detail, dict) else None
    if not isinstance(leaf, dict) or not isinstance(revision, int):
        return None
    return str(leaf.get("policy")), revision


def founded(keys: LedgerKeys, created_at: int) -> tuple[Value, ...]:
    """Return the ledger row of a new ledger: no latches yet, and a sealed word that only the payload key opens."""
    sealed = keys.seal("ledger", LEDGER_ROW, (LEDGER_ROW,))
    row = (LEDGER_ROW, created_at, roster_of(_NONE, keys), sealed)
    return (*row, keys.mac("ledger", row))


def renew(ledger: Writing, keys: LedgerKeys, latches: Latches) -> None:
    """Vouch for `latches`, in the transaction that changed one of them.

    The caller must have believed them before the change: a roster made from what is found would launder a removal.
    """
    identifier, created_at, _, sealed = _ledger_row(ledger, keys)
    row = (identifier, created_at, roster_of(latches, keys), sealed)
    ledger.write(ledger.sql.renew, (row[2], keys.mac("ledger", row), LEDGER_ROW))


def check_keys(ledger: Asking, keys: LedgerKeys) -> None:
    """Return only when this ledger was made with these keys.

    Raises:
        Forged: the ledger key or the payload key is another one, or the ledger row was changed.

    """
    keys.unseal("ledger", LEDGER_ROW, _ledger_row(ledger, keys)[3])


def _ledger_row(ledger: Asking, keys: LedgerKeys) -> tuple[Value, ...]:
    row = ledger.fetch_one(ledger.sql.ledger_row, (LEDGER_ROW,))
    if row is None:
        raise Forged("the ledger row is missing", hint="restore a backup")
    keys.check("ledger", row[:-1], row[-1])
    return tuple(row[:-1])


def roster_of(latches: Latches, keys: LedgerKeys) -> bytes:
    """Return what the ledger row says of these latches: their two numbers in the open, and a MAC over all of it."""
    numbers = (latches.count, latches.told)
    plain = b"".join(number.to_bytes(_NUMBER_BYTES) for number in numbers)
    return plain + keys.mac("latches", (*numbers, *latches.listed()))


def _numbers(roster: Value) -> tuple[int, int]:
    plain = roster if isinstance(roster, bytes) else b""
    parts = plain[:_NUMBER_BYTES], plain[_NUMBER_BYTES : 2 * _NUMBER_BYTES]
    return int.from_bytes(parts[0]), int.from_bytes(parts[1])
