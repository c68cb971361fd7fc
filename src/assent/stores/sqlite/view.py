"""A consistent look at the ledger on one connection; every row that comes out was believed by its MAC first.

A view belongs to one transaction: after that it answers nothing more. Who asks for one row hears that it was forged;
lists leave it out, because one damaged row must hold up neither a trip nor the timers of all others.
"""

import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from heapq import merge
from itertools import islice, takewhile
from typing import Any, TypeVar

from assent.core.account_links import AccountLink
from assent.core.actions import Action, ActionId, ActionState
from assent.core.agents import AgentId, AgentStatus
from assent.core.alerts import Mark
from assent.core.approvals import Approval, ApprovalId, ApprovalState
from assent.core.breaker_rules import Definition
from assent.core.breakers import Breaker, Scope, due_at
from assent.core.budgets import Budget
from assent.core.credentials import Credential, Kind
from assent.core.decisions import Load
from assent.core.deliveries import Delivery
from assent.core.denials import Denial
from assent.core.errors import Forged, LedgerUnavailable, Stale
from assent.core.grants import Grant
from assent.core.looking import FoundRecords, LogState, RecordFilter
from assent.core.presence import Presence
from assent.core.records import Record, RecordId, RecordKind
from assent.ports import Due, OpenApprovals, R
from assent.stores.sealing import LedgerKeys
from assent.stores.sqlite import faults, journal, latches, search
from assent.stores.sqlite.account_links import ACCOUNT_LINKS
from assent.stores.sqlite.actions import ACTIONS, CONTENT, GRANTS
from assent.stores.sqlite.approvals import APPROVALS, DENIALS
from assent.stores.sqlite.counting import BUDGETS, DEFINITIONS, MARKS
from assent.stores.sqlite.deliveries import DELIVERIES
from assent.stores.sqlite.latches import Latches
from assent.stores.sqlite.moments import moment, stamp
from assent.stores.sqlite.presences import PRESENCES
from assent.stores.sqlite.principals import BREAKERS, CREDENTIALS, STATUSES
from assent.stores.sqlite.rows import Table

V = TypeVar("V")

MAX_RUNNING = 1_000
MAX_LISTED = 1_000
MAX_HOLDERS = 10_000

TABLES: dict[type[Any], Table[Any]] = {
    Action: ACTIONS,
    Approval: APPROVALS,
    Delivery: DELIVERIES,
    Denial: DENIALS,
    Grant: GRANTS,
    Breaker: BREAKERS,
    AgentStatus: STATUSES,
    Credential: CREDENTIALS,
    Budget: BUDGETS,
    Definition: DEFINITIONS,
    Mark: MARKS,
    Presence: PRESENCES,
    AccountLink: ACCOUNT_LINKS,
}
_BY_ID = {kind: table.select("WHERE id = ?") for kind, table in TABLES.items()}
_BY_KEY = ACTIONS.select("WHERE agent = ? AND idempotency_key = ?")
_BY_CALL = ACTIONS.select("WHERE agent = ? AND call_id = ? AND run_id IS ?")
_LIKE = "SELECT id FROM action WHERE agent = ? AND run_id = ? AND content = ? ORDER BY rowid DESC LIMIT ?"
_ANSWERED = ACTIONS.select(
    "WHERE agent = ? AND answered_at IS NOT NULL AND (answered_at, id) > (?, ?) ORDER BY answered_at, id"
)
# An index that holds some rows only is used where the query repeats what makes a row belong to it.
_IS_LIVE = "state IN ('pending', 'ready', 'executing')"
_LIVE = ACTIONS.select(
    f"WHERE {_IS_LIVE} AND state IN (?, ?)"
    " AND (? IS NULL OR agent = ?) AND (? IS NULL OR environment IN (?, ''))"
    " AND substr(tool, 1, length(?)) = ? ORDER BY rowid DESC"
)
_DUE_ACTIONS = ACTIONS.select("WHERE due_at <= ? AND state IN ('ready', 'executing') ORDER BY due_at")
_OF_ACTION = APPROVALS.select("WHERE action = ?")
_IN_STATE = APPROVALS.select("WHERE state = ? AND id < ? ORDER BY id DESC")
_AFTER_ALL_IDS = "~"
_BY_CODE = APPROVALS.select("WHERE code = ? ORDER BY id DESC LIMIT 1")
_IS_OPEN = "state IN ('pending', 'partial')"
_DUE_APPROVALS = APPROVALS.select(f"INDEXED BY approval_due WHERE {_IS_OPEN} AND expires_at <= ? ORDER BY expires_at")
_NEXT_DUE = (
    "SELECT min(due) FROM (SELECT min(due_at) AS due FROM action WHERE due_at BETWEEN ? AND ?"  # noqa: S608  # no input
    " UNION ALL SELECT min(expires_at) FROM approval INDEXED BY approval_due"
    f" WHERE {_IS_OPEN} AND expires_at BETWEEN ? AND ?)"
)
_TOLD_OF = DELIVERIES.select("WHERE approval = ? ORDER BY due_at, id")
_IS_WAITING = "state IN ('queued', 'sent', 'stale')"
_IN_CHANNEL = "substr(destination, 1, length(?1) + 1) = ?1 || ':'"
_DUE_DELIVERIES = DELIVERIES.select(
    f"INDEXED BY delivery_due WHERE {_IS_WAITING} AND due_at <= ?2 AND {_IN_CHANNEL} ORDER BY due_at"
)
_NEXT_DELIVERY = (
    f"SELECT min(due_at) FROM delivery INDEXED BY delivery_due WHERE {_IS_WAITING}"  # noqa: S608  # no input
    f" AND due_at > ?2 AND {_IN_CHANNEL}"
)
# Cards that show the end are out of it, so this reads those that may still change.
_OUTDATED = DELIVERIES.select(
    f"INDEXED BY delivery_current WHERE state = 'current' AND {_IN_CHANNEL} AND shown <>"  # noqa: S608  # no input
    " (SELECT approval.revision || '.' || action.revision"
    " FROM approval JOIN action ON action.id = approval.action WHERE approval.id = delivery.approval)"
)
_DUE_PRESENCES = PRESENCES.select("INDEXED BY presence_due WHERE due_at <= ? ORDER BY due_at")
_WATCHED = PRESENCES.select("INDEXED BY presence_by_agent WHERE agent = ? AND due_at IS NOT NULL ORDER BY rowid DESC")
_FIRST, _LAST = 0, stamp(datetime.max.replace(tzinfo=UTC))
_DENIALS = DENIALS.select("WHERE agent = ? AND tool = ? AND in_force_until > ? ORDER BY in_force_until DESC")
_UNKNOWN = ACTIONS.select("WHERE state = 'unknown' ORDER BY id DESC")
_CHECKPOINT = "SELECT size, time FROM checkpoint ORDER BY size DESC LIMIT 1"
_NEWEST = {table.name: table.select("ORDER BY rowid DESC LIMIT ?") for table in TABLES.values()}
_NEWEST_RECORDS = f"SELECT {journal.COLUMNS} FROM {journal.TABLE} ORDER BY idx DESC LIMIT ?"  # noqa: S608  # no input
_GRANT_OF = GRANTS.select("WHERE action = ?")
_IN_USE = "json_extract(facts, '$.revoked_at') IS NULL AND ifnull(json_extract(facts, '$.expires_at') > ?, 1)"
_CREDENTIALS = CREDENTIALS.select(f"WHERE principal = ? AND kind = ? ORDER BY {_IN_USE} DESC, issued_at DESC, id DESC")
_HOLDERS = "SELECT DISTINCT principal FROM credential WHERE kind = ? ORDER BY principal LIMIT ?"
_OPEN_OF_AGENT = "SELECT run_id, count(*) FROM approval WHERE agent = ? AND state IN ('pending', 'partial') GROUP BY 1"
_OPEN_BY_ROUTES = (
    f"SELECT routes, count(*) FROM approval INDEXED BY approval_open_routes WHERE {_IS_OPEN} GROUP BY routes"  # noqa: S608  # no input
)
_READY_OF_AGENT = "SELECT count(*) FROM action WHERE state = 'ready' AND agent = ?"
_OPEN_APPROVALS = f"SELECT count(*), min(asked_at) FROM approval INDEXED BY approval_due WHERE {_IS_OPEN}"  # noqa: S608  # no input
_HOW_THEY_ENDED = (
    "SELECT state, count(*) FROM action INDEXED BY action_answered"
    " WHERE agent = ? AND answered_at IS NOT NULL AND answered_at >= ? AND tool = ? GROUP BY state"
)
_ASKED_SINCE = "SELECT count(*) FROM approval WHERE agent = ? AND asked_at > ?"


class SqliteView:
    """The `View` of the port over one connection."""

    def __init__(self, database: sqlite3.Connection, keys: LedgerKeys, now: datetime, *, seen: int = 0) -> None:
        self._database: sqlite3.Connection | None = database
        self._keys = keys
        self._now = now
        self._seen = seen
        self.fault: sqlite3.Error | None = None
        self._latches: Latches | None = None

    @property
    def now(self) -> datetime:
        return self._now

    def end(self) -> None:
        """Answer nothing more: whoever kept this view beyond its transaction must not read on."""
        self._database = None

    def _open(self) -> sqlite3.Connection:
        if self._database is None:
            raise LedgerUnavailable("this transaction is over, nothing can be asked of it")
        return self._database

    def _guarded(self, act: Callable[[sqlite3.Connection], V]) -> V:
        try:
            return act(self._open())
        except sqlite3.Error as error:
            raise self.refused(error) from error

    def fetch(self, query: str, parameters: Sequence[object] = ()) -> list[Any]:
        """Return all rows of a query, for the modules of this package."""
        try:
            return self._open().execute(query, parameters).fetchall()
        except sqlite3.Error as error:
            raise self.refused(error) from error

    def fetch_one(self, query: str, parameters: Sequence[object] = ()) -> Any:  # noqa: ANN401  # a row of SQLite
        """Return the first row of a query or None, for the modules of this package."""
        try:
            return self._open().execute(query, parameters).fetchone()
        except sqlite3.Error as error:
            raise self.refused(error) from error

    def refused(self, error: sqlite3.Error) -> Stale | LedgerUnavailable:
        """Return what the caller hears of an error of SQLite; unless it only says "taken", nothing more is answered."""
        if faults.is_taken(error):
            return Stale("this exists already", hint="load it instead")
        return self._broken(error)

    def _broken(self, error: sqlite3.Error) -> LedgerUnavailable:
        # The transaction may be gone already. A work that swallows this must not write on without one.
        self.fault = error
        self.end()
        return faults.unavailable(error)

    def _rows(self, table: Table[V], query: str, *parameters: object) -> list[V]:
        return [table.load(row, self._keys) for row in self.fetch(query, parameters)]

    def _sound(self, table: Table[V], query: str, *parameters: object) -> Iterator[V]:
        """Yield the rows that carry their MAC, and leave out the others; read only as far as somebody asks."""
        found = self._guarded(lambda database: database.execute(query, parameters))
        with closing(found):
            while (row := self._guarded(lambda _database: found.fetchone())) is not None:
                with suppress(Forged):
                    yield table.load(row, self._keys)

    def _holds(self, table: Table[Any], query: str, key: str) -> bool:
        """Whether the row is either not there or sound."""
        try:
            self._row(table, query, key)
        except Forged:
            return False
        return True

    def _can_end(self, action: Action) -> bool:
        # What has not begun ends together with its question or its grant; where one of them is damaged, none moves.
        if action.state is ActionState.EXECUTING:
            return True
        return self._holds(APPROVALS, _OF_ACTION, action.id) and self._holds(GRANTS, _GRANT_OF, action.id)

    def _row(self, table: Table[V], query: str, *parameters: object) -> V | None:
        row = self.fetch_one(query, parameters)
        return None if row is None else table.load(row, self._keys)

    async def get(self, kind: type[R], key: str) -> R | None:
        if kind is AgentStatus:
            return self._believed().statuses.get(key)
        return self._row(TABLES[kind], _BY_ID[kind], key)

    async def action_by_idempotency_key(self, agent: AgentId, key: str) -> Action | None:
        return self._row(ACTIONS, _BY_KEY, agent, key)

    async def action_by_call(self, agent: AgentId, run_id: str | None, call_id: str) -> Action | None:
        return self._row(ACTIONS, _BY_CALL, agent, call_id, run_id)

    async def action_like(
        self, agent: AgentId, run_id: str, content: bytes, excluding: Collection[str]
    ) -> Action | None:
        # Ids first: whole rows carry what was asked, and somebody may keep a hundred of them at a hundred kilobytes.
        blinded = self._keys.blind(CONTENT, content)
        found = self.fetch(_LIKE, (agent, run_id, blinded, len(excluding) + 1))
        key = next((key for (key,) in found if key not in excluding), None)
        return None if key is None else self._row(ACTIONS, _BY_ID[Action], key)

    async def decided_for(self, agent: AgentId, after: str | None, limit: int) -> Sequence[Action]:
        decided_at, _, identifier = (after or "0.").partition(".")
        return list(islice(self._sound(ACTIONS, _ANSWERED, agent, int(decided_at), identifier), limit))

    async def running(self, scope: Scope) -> Sequence[Action]:
        return list(islice(self._live(scope, "executing", "executing"), MAX_RUNNING))

    async def waiting(self, scope: Scope) -> Sequence[Action]:
        return [action for action in self._live(scope, "pending", "ready") if self._can_end(action)]

    def _live(self, scope: Scope, *states: str) -> Iterator[Action]:
        agent, environment = scope.agent, scope.environment
        # What a pattern matches begins as it does. Whatever is out of scope is left out before its MAC is looked at:
        # much may be live, and whoever stops something waits.
        head = (scope.tool or "").partition("*")[0]
        found = self._sound(ACTIONS, _LIVE, *states, agent, agent, environment, environment, head, head)
        return (a for a in found if scope.covers(agent=a.agent, tool=a.tool, environment=a.environment))

    async def approval_of(self, action: ActionId) -> Approval | None:
        return self._row(APPROVALS, _OF_ACTION, action)

    async def approval_by_code(self, code: str) -> Approval | None:
        return self._row(APPROVALS, _BY_CODE, code)

    async def approvals(
        self, states: Sequence[ApprovalState], *, limit: int, before: ApprovalId | None = None
    ) -> Sequence[Approval]:
        # One query for each state: of several at once SQLite would sort all that there ever were.
        older_than = _AFTER_ALL_IDS if before is None else before
        each = [self._sound(APPROVALS, _IN_STATE, state.value, older_than) for state in dict.fromkeys(states)]
        return list(islice(merge(*each, key=lambda approval: approval.id, reverse=True), limit))

    async def answered(self, agent: AgentId, tool: str, since: datetime) -> Mapping[ActionState, int]:
        given = (agent, stamp(since), tool)
        found = self._guarded(lambda database: database.execute(_HOW_THEY_ENDED, given).fetchall())
        return {ActionState(state): count for state, count in found}

    async def open_approvals(self) -> OpenApprovals:
        count, oldest = self.fetch_one(_OPEN_APPROVALS)
        return OpenApprovals(count, None if oldest is None else moment(oldest))

    async def denials(self, agent: AgentId, tool: str) -> Sequence[Denial]:
        return list(islice(self._sound(DENIALS, _DENIALS, agent, tool, stamp(self._now)), MAX_LISTED))

    async def deliveries_of(self, approval: ApprovalId) -> Sequence[Delivery]:
        return self._rows(DELIVERIES, _TOLD_OF, approval)

    async def deliveries_due(self, channel: str, limit: int) -> Sequence[Delivery]:
        return list(islice(self._sound(DELIVERIES, _DUE_DELIVERIES, channel, stamp(self._now)), limit))

    async def deliveries_outdated(self, channel: str, limit: int) -> Sequence[Delivery]:
        return list(islice(self._sound(DELIVERIES, _OUTDATED, channel), limit))

    async def next_delivery_due(self, channel: str) -> datetime | None:
        (found,) = self.fetch_one(_NEXT_DELIVERY, (channel, stamp(self._now)))
        return None if found is None else moment(found)

    async def presences_due(self, limit: int) -> Sequence[Presence]:
        return list(islice(self._sound(PRESENCES, _DUE_PRESENCES, stamp(self._now)), limit))

    async def presences_of(self, agent: AgentId) -> Sequence[Presence]:
        return list(islice(self._sound(PRESENCES, _WATCHED, agent), MAX_LISTED))

    async def load(self, agent: AgentId, run_id: str | None, routes: Sequence[str]) -> Load:
        by_run = dict(self.fetch(_OPEN_OF_AGENT, (agent,)))
        by_routes = self.fetch(_OPEN_BY_ROUTES) if routes else []
        an_hour_ago = stamp(self._now - timedelta(hours=1))
        (asked,) = self.fetch_one(_ASKED_SINCE, (agent, an_hour_ago))
        (ready,) = self.fetch_one(_READY_OF_AGENT, (agent,))
        return Load(
            open_for_agent=sum(by_run.values()),
            open_for_run=0 if run_id is None else by_run.get(run_id, 0),
            open_for_fullest_route=search.fullest(routes, by_routes),
            ready_for_agent=ready,
            asked_for_agent_in_last_hour=asked,
        )

    async def grant_of(self, action: ActionId) -> Grant | None:
        return self._row(GRANTS, _GRANT_OF, action)

    async def open_breakers(self) -> Sequence[Breaker]:
        return self._believed().opened

    async def breakers(self) -> Sequence[Breaker]:
        found = self._believed().breakers.values()
        return sorted(found, key=lambda breaker: (breaker.changed_at, breaker.id), reverse=True)[:MAX_LISTED]

    async def actions_since(self, since: datetime, *, limit: int) -> Sequence[Action]:
        newest = self._sound(ACTIONS, _NEWEST[ACTIONS.name], limit)
        return list(takewhile(lambda action: action.created_at >= since, newest))

    async def breaker_over(self, scope: Scope) -> Breaker | None:
        return next((breaker for breaker in self._believed().breakers.values() if breaker.scope == scope), None)

    def _believed(self) -> Latches:
        if self._latches is None:
            self._latches = self._guarded(lambda database: latches.load(database, self._keys, self._seen))
        return self._latches

    def latches_seen(self) -> int:
        """Return the count of the latches as this view believed them, 0 where it did not look."""
        return 0 if self._latches is None else self._latches.count

    async def credentials(self, kind: Kind, principal: str, *, limit: int) -> Sequence[Credential]:
        found = self._sound(CREDENTIALS, _CREDENTIALS, principal, kind.value, stamp(self._now))
        return list(islice(found, limit))

    async def holders(self, kind: Kind) -> Sequence[str]:
        return [name for (name,) in self.fetch(_HOLDERS, (kind.value, MAX_HOLDERS))]

    async def due(self, limit: int) -> Due:
        now = stamp(self._now)
        actions = (action for action in self._sound(ACTIONS, _DUE_ACTIONS, now) if self._can_end(action))
        asked = self._sound(APPROVALS, _DUE_APPROVALS, now)
        approvals = (approval for approval in asked if self._holds(ACTIONS, _BY_ID[Action], approval.action))
        breakers = [breaker for breaker, at in self._breakers_due() if at <= self._now]
        return Due(tuple(islice(actions, limit)), tuple(islice(approvals, limit)), tuple(breakers[:limit]))

    def _breakers_due(self) -> list[tuple[Breaker, datetime]]:
        # Breakers are believed as a whole or not at all; where they are not, the other timers go on.
        with suppress(Forged):
            found = ((breaker, due_at(breaker)) for breaker in self._believed().breakers.values())
            return [(breaker, at) for breaker, at in found if at is not None]
        return []

    async def next_due(self) -> datetime | None:
        due, after = await self.due(1), _FIRST
        if not due.actions and not due.approvals:
            after = stamp(self._now)  # what looks due before is damaged, and would be looked at without end
        (found,) = self.fetch_one(_NEXT_DUE, (after, _LAST) * 2)
        moments = [at for _, at in self._breakers_due()]
        return min(moments if found is None else [moment(found), *moments], default=None)

    def record_of(self, row: journal.RecordRow) -> Record:
        """Return the record of a row, without payload. Raises Forged when it does not carry its MAC."""
        return journal.load(row, self._keys)

    async def records(self, which: RecordFilter, *, limit: int) -> FoundRecords:
        look = search.records(self.fetch_one, which, limit=limit)
        found = tuple(journal.load(row, self._keys) for row in self.fetch(look.query, look.parameters))
        return FoundRecords(found, look.rest(which, found, limit))

    async def log_state(self) -> LogState:
        (records,) = self.fetch_one(search.SIZE)
        checkpoint = self.fetch_one(_CHECKPOINT)
        signed, signed_at = (0, None) if checkpoint is None else (checkpoint[0], moment(checkpoint[1]))
        waiting = self.fetch_one(search.TIME_AT, (signed,))
        since = None if waiting is None else moment(waiting[0])
        return LogState(records=records, signed=signed, signed_at=signed_at, unsigned_since=since)

    async def unknown(self, limit: int) -> Sequence[Action]:
        return list(islice(self._sound(ACTIONS, _UNKNOWN), limit))

    async def damaged(self, limit: int) -> Sequence[str]:
        found = [name for table in TABLES.values() for name in self._damaged(table, limit)]
        with suppress(Forged):
            self._believed()
            return found + self._damaged_records(limit)
        return [*found, "the breakers and suspensions as a whole", *self._damaged_records(limit)]

    def _damaged(self, table: Table[Any], limit: int) -> Iterator[str]:
        for row in self.fetch(_NEWEST[table.name], (limit,)):
            try:
                table.load(row, self._keys)
            except Forged:
                yield f"{table.name} {row[0]}"

    def _damaged_records(self, limit: int) -> list[str]:
        found = []
        for row in self.fetch(_NEWEST_RECORDS, (limit,)):
            try:
                journal.load_disclosed(row, self._keys)
            except Forged:
                found.append(f"record {row[1]}")
        return found

    async def record(self, key: RecordId) -> Record | None:
        row = self.fetch_one(search.RECORD_BY_ID, (key,))
        return None if row is None else journal.load_disclosed(row, self._keys)

    async def records_from(self, index: int, kinds: Sequence[RecordKind], *, limit: int) -> Sequence[Record]:
        query, parameters = search.records_from(index, kinds, limit=limit)
        return [journal.load_disclosed(row, self._keys) for row in self.fetch(query, parameters)]

    async def next_index(self) -> int:
        (found,) = self.fetch_one(search.SIZE)
        return int(found)
