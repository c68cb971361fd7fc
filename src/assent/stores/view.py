"""A consistent look at a ledger, over whatever database: every row that comes out was believed by its MAC first.

A view belongs to one transaction: after that it answers nothing more. Who asks for one row hears that it was forged;
lists leave it out, because one damaged row must hold up neither a trip nor the timers of all others. A store says how
rows are fetched and in which words; what is asked, and what is believed of the answer, stands here.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from heapq import merge
from itertools import islice, takewhile
from typing import Any, ClassVar, Final, TypeVar

from assent.core.actions import Action, ActionId, ActionState
from assent.core.agents import AgentId, AgentStatus
from assent.core.approvals import Approval, ApprovalId, ApprovalState
from assent.core.breakers import Breaker, Scope, due_at
from assent.core.credentials import Credential, Kind
from assent.core.decisions import Load
from assent.core.deliveries import Delivery
from assent.core.denials import Denial
from assent.core.errors import Forged
from assent.core.grants import Grant
from assent.core.looking import FoundRecords, LogState, RecordFilter
from assent.core.passkeys import Passkey
from assent.core.presence import Presence
from assent.core.publications import ActivePolicy, Publication
from assent.core.records import Record, RecordId, RecordKind
from assent.ports import Due, OpenApprovals, R
from assent.stores import latches, search
from assent.stores.latches import Latches
from assent.stores.queries import Queries
from assent.stores.rows import TABLES, journal
from assent.stores.rows.actions import ACTIONS, CONTENT, GRANTS
from assent.stores.rows.approvals import APPROVALS, DENIALS
from assent.stores.rows.deliveries import DELIVERIES
from assent.stores.rows.moments import moment, stamp
from assent.stores.rows.passkeys import PASSKEYS
from assent.stores.rows.presences import PRESENCES
from assent.stores.rows.principals import CREDENTIALS
from assent.stores.rows.publications import PUBLICATIONS
from assent.stores.rows.table import Table
from assent.stores.sealing import LedgerKeys

V = TypeVar("V")

MAX_RUNNING: Final = 1_000
MAX_LISTED: Final = 1_000
MAX_HOLDERS: Final = 10_000
_AFTER_ALL_IDS: Final = "~"
_FIRST: Final = 0
_LAST: Final = stamp(datetime.max.replace(tzinfo=UTC))


class LedgerView(ABC):
    """The `View` of the port over one connection."""

    sql: ClassVar[Queries]

    def __init__(self, keys: LedgerKeys, now: datetime, *, seen: int = 0) -> None:
        self._keys = keys
        self._now = now
        self._seen = seen
        self._latches: Latches | None = None

    @property
    def now(self) -> datetime:
        return self._now

    @abstractmethod
    def end(self) -> None:
        """Answer nothing more: whoever kept this view beyond its transaction must not read on."""

    @abstractmethod
    def fetch(self, query: str, parameters: Sequence[object] = ()) -> list[Any]:
        """Return all rows of a query, for the modules of this package."""

    @abstractmethod
    def fetch_one(self, query: str, parameters: Sequence[object] = ()) -> Any:  # noqa: ANN401  # a row of a database
        """Return the first row of a query or None, for the modules of this package."""

    @abstractmethod
    def stream(self, query: str, parameters: Sequence[object]) -> Generator[Any]:
        """Yield the rows of a query, read only as far as somebody asks."""

    def _rows(self, table: Table[V], query: str, *parameters: object) -> list[V]:
        return [table.load(row, self._keys) for row in self.fetch(query, parameters)]

    def _sound(self, table: Table[V], query: str, *parameters: object) -> Iterator[V]:
        """Yield the rows that carry their MAC, and leave out the others; read only as far as somebody asks."""
        with closing(self.stream(query, parameters)) as found:
            for row in found:
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
        return self._holds(APPROVALS, self.sql.of_action, action.id) and self._holds(
            GRANTS, self.sql.grant_of, action.id
        )

    def _row(self, table: Table[V], query: str, *parameters: object) -> V | None:
        row = self.fetch_one(query, parameters)
        return None if row is None else table.load(row, self._keys)

    async def get(self, kind: type[R], key: str) -> R | None:
        if kind is AgentStatus:
            return self._believed().statuses.get(key)
        if kind is ActivePolicy:
            return self._believed().active.get(key)
        return self._row(TABLES[kind], self.sql.by_id[kind], key)

    async def asked_before(
        self,
        agent: AgentId,
        *,
        idempotency_key: str | None,
        run_id: str | None,
        call_id: str | None,
        content: bytes,
        excluding: Collection[str],
    ) -> Action | None:
        found = None
        if idempotency_key is not None:
            found = self._row(ACTIONS, self.sql.by_key, agent, idempotency_key)
        if found is not None:
            return found
        if call_id is not None:
            return self._row(ACTIONS, self.sql.by_call, agent, call_id, run_id)
        return None if run_id is None else self._like(agent, run_id, content, excluding)

    def _like(self, agent: AgentId, run_id: str, content: bytes, excluding: Collection[str]) -> Action | None:
        # Ids first: whole rows carry what was asked, and somebody may keep a hundred of them at a hundred kilobytes.
        found = self.fetch(self.sql.like, (agent, run_id, self._keys.blind(CONTENT, content), len(excluding) + 1))
        key = next((key for (key,) in found if key not in excluding), None)
        return None if key is None else self._row(ACTIONS, self.sql.by_id[Action], key)

    async def decided_for(self, agent: AgentId, after: str | None, limit: int) -> Sequence[Action]:
        decided_at, _, identifier = (after or "0.").partition(".")
        return list(islice(self._sound(ACTIONS, self.sql.answered, agent, int(decided_at), identifier), limit))

    async def running(self, scope: Scope) -> Sequence[Action]:
        return list(islice(self._live(scope, "executing", "executing"), MAX_RUNNING))

    async def waiting(self, scope: Scope) -> Sequence[Action]:
        return [action for action in self._live(scope, "pending", "ready") if self._can_end(action)]

    def _live(self, scope: Scope, *states: str) -> Iterator[Action]:
        agent, environment = scope.agent, scope.environment
        # What a pattern matches begins as it does. Whatever is out of scope is left out before its MAC is looked at:
        # much may be live, and whoever stops something waits.
        head = (scope.tool or "").partition("*")[0]
        found = self._sound(ACTIONS, self.sql.live, *states, agent, environment, head)
        return (a for a in found if scope.covers(agent=a.agent, tool=a.tool, environment=a.environment))

    async def approval_of(self, action: ActionId) -> Approval | None:
        return self._row(APPROVALS, self.sql.of_action, action)

    async def approval_by_code(self, code: str) -> Approval | None:
        return self._row(APPROVALS, self.sql.by_code, code)

    async def approvals(
        self, states: Sequence[ApprovalState], *, limit: int, before: ApprovalId | None = None
    ) -> Sequence[Approval]:
        # One query for each state: of several at once SQLite would sort all that there ever were.
        older_than = _AFTER_ALL_IDS if before is None else before
        each = [self._sound(APPROVALS, self.sql.in_state, state.value, older_than) for state in dict.fromkeys(states)]
        return list(islice(merge(*each, key=lambda approval: approval.id, reverse=True), limit))

    async def answered(self, agent: AgentId, tool: str, since: datetime) -> Mapping[ActionState, int]:
        given = (agent, stamp(since), tool)
        return {ActionState(state): count for state, count in self.fetch(self.sql.how_they_ended, given)}

    async def open_approvals(self) -> OpenApprovals:
        count, oldest = self.fetch_one(self.sql.open_approvals)
        return OpenApprovals(count, None if oldest is None else moment(oldest))

    async def denials(self, agent: AgentId, tool: str) -> Sequence[Denial]:
        return list(islice(self._sound(DENIALS, self.sql.denials, agent, tool, stamp(self._now)), MAX_LISTED))

    async def deliveries_of(self, approval: ApprovalId) -> Sequence[Delivery]:
        return self._rows(DELIVERIES, self.sql.told_of, approval)

    async def deliveries_due(self, channel: str, limit: int) -> Sequence[Delivery]:
        return list(islice(self._sound(DELIVERIES, self.sql.due_deliveries, channel, stamp(self._now)), limit))

    async def deliveries_outdated(self, channel: str, limit: int) -> Sequence[Delivery]:
        return list(islice(self._sound(DELIVERIES, self.sql.outdated, channel), limit))

    async def next_delivery_due(self, channel: str) -> datetime | None:
        (found,) = self.fetch_one(self.sql.next_delivery, (channel, stamp(self._now)))
        return None if found is None else moment(found)

    async def presences_due(self, limit: int, *, within: timedelta = timedelta(0)) -> Sequence[Presence]:
        return list(islice(self._sound(PRESENCES, self.sql.due_presences, stamp(self._now + within)), limit))

    async def presences_of(self, agent: AgentId) -> Sequence[Presence]:
        return list(islice(self._sound(PRESENCES, self.sql.watched, agent), MAX_LISTED))

    async def load(self, agent: AgentId, run_id: str | None, routes: Sequence[str]) -> Load:
        by_run = dict(self.fetch(self.sql.open_of_agent, (agent,)))
        by_routes = self.fetch(self.sql.open_by_routes) if routes else []
        an_hour_ago = stamp(self._now - timedelta(hours=1))
        (asked,) = self.fetch_one(self.sql.asked_since, (agent, an_hour_ago))
        (ready,) = self.fetch_one(self.sql.ready_of_agent, (agent,))
        return Load(
            open_for_agent=sum(by_run.values()),
            open_for_run=0 if run_id is None else by_run.get(run_id, 0),
            open_for_fullest_route=search.fullest(routes, by_routes),
            ready_for_agent=ready,
            asked_for_agent_in_last_hour=asked,
        )

    async def grant_of(self, action: ActionId) -> Grant | None:
        return self._row(GRANTS, self.sql.grant_of, action)

    async def open_breakers(self) -> Sequence[Breaker]:
        return self._believed().opened

    async def breakers(self) -> Sequence[Breaker]:
        found = self._believed().breakers.values()
        return sorted(found, key=lambda breaker: (breaker.changed_at, breaker.id), reverse=True)[:MAX_LISTED]

    async def actions_since(self, since: datetime, *, limit: int) -> Sequence[Action]:
        newest = self._sound(ACTIONS, self.sql.newest[ACTIONS.name], limit)
        return list(takewhile(lambda action: action.created_at >= since, newest))

    async def breaker_over(self, scope: Scope) -> Breaker | None:
        return next((breaker for breaker in self._believed().breakers.values() if breaker.scope == scope), None)

    def _believed(self) -> Latches:
        if self._latches is None:
            self._latches = latches.load(self, self._keys, self._seen)
        return self._latches

    def latches_seen(self) -> int:
        """Return the count of the latches as this view believed them, 0 where it did not look."""
        return 0 if self._latches is None else self._latches.count

    async def passkeys(self, operator: str, *, limit: int) -> Sequence[Passkey]:
        return list(islice(self._sound(PASSKEYS, self.sql.passkeys, operator), limit))

    async def passkey_called(self, credential: bytes) -> Passkey | None:
        return next(self._sound(PASSKEYS, self.sql.passkey_called, credential), None)

    async def newest_publication(self) -> Publication | None:
        return self._row(PUBLICATIONS, self.sql.newest_publication)

    async def credentials(self, kind: Kind, principal: str, *, limit: int) -> Sequence[Credential]:
        found = self._sound(CREDENTIALS, self.sql.credentials, principal, kind.value, stamp(self._now))
        return list(islice(found, limit))

    async def holders(self, kind: Kind) -> Sequence[str]:
        return [name for (name,) in self.fetch(self.sql.holders, (kind.value, MAX_HOLDERS))]

    async def due(self, limit: int) -> Due:
        now = stamp(self._now)
        actions = (action for action in self._sound(ACTIONS, self.sql.due_actions, now) if self._can_end(action))
        asked = self._sound(APPROVALS, self.sql.due_approvals, now)
        approvals = (approval for approval in asked if self._holds(ACTIONS, self.sql.by_id[Action], approval.action))
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
        (found,) = self.fetch_one(self.sql.next_due, (after, _LAST))
        moments = [at for _, at in self._breakers_due()]
        return min(moments if found is None else [moment(found), *moments], default=None)

    def record_of(self, row: journal.RecordRow) -> Record:
        """Return the record of a row, without payload. Raises Forged when it does not carry its MAC."""
        return journal.load(row, self._keys)

    async def records(self, which: RecordFilter, *, limit: int) -> FoundRecords:
        look = search.records(self.sql, self.fetch_one, which, limit=limit)
        found = tuple(journal.load(row, self._keys) for row in self.fetch(look.query, look.parameters))
        return FoundRecords(found, look.rest(which, found, limit))

    async def log_state(self) -> LogState:
        (records,) = self.fetch_one(self.sql.size)
        checkpoint = self.fetch_one(self.sql.checkpoint)
        signed, signed_at = (0, None) if checkpoint is None else (checkpoint[0], moment(checkpoint[1]))
        waiting = self.fetch_one(self.sql.time_at, (signed,))
        since = None if waiting is None else moment(waiting[0])
        return LogState(records=records, signed=signed, signed_at=signed_at, unsigned_since=since)

    async def unknown(self, limit: int) -> Sequence[Action]:
        return list(islice(self._sound(ACTIONS, self.sql.unknown), limit))

    async def damaged(self, limit: int) -> Sequence[str]:
        found = [name for table in TABLES.values() for name in self._damaged(table, limit)]
        with suppress(Forged):
            self._believed()
            return found + self._damaged_records(limit)
        return [*found, "the breakers and suspensions as a whole", *self._damaged_records(limit)]

    def _damaged(self, table: Table[Any], limit: int) -> Iterator[str]:
        for row in self.fetch(self.sql.newest[table.name], (limit,)):
            try:
                table.load(row, self._keys)
            except Forged:
                yield f"{table.name} {row[0]}"

    def _damaged_records(self, limit: int) -> list[str]:
        found = []
        for row in self.fetch(self.sql.newest_records, (limit,)):
            try:
                journal.load_disclosed(row, self._keys)
            except Forged:
                found.append(f"record {row[1]}")
        return found

    async def record(self, key: RecordId) -> Record | None:
        row = self.fetch_one(self.sql.record_by_id, (key,))
        return None if row is None else journal.load_disclosed(row, self._keys)

    async def records_from(self, index: int, kinds: Sequence[RecordKind], *, limit: int) -> Sequence[Record]:
        query, parameters = search.records_from(self.sql, index, kinds, limit=limit)
        return [journal.load_disclosed(row, self._keys) for row in self.fetch(query, parameters)]

    async def next_index(self) -> int:
        (found,) = self.fetch_one(self.sql.size)
        return int(found)
