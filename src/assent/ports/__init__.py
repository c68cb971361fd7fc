"""Ports: all that flows need from outside; each docstring is the contract, and `tests/contracts` holds its suite.

A port method is something a flow needs, not an operation on a table. Every store is written natively; they share
tests, not code.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Protocol, TypeVar

from assent.core.account_links import AccountLink
from assent.core.actions import Action, ActionId, ActionState
from assent.core.agents import AgentId, AgentStatus
from assent.core.alerts import Mark
from assent.core.approvals import Approval, ApprovalId, ApprovalState
from assent.core.breaker_rules import Definition
from assent.core.breakers import Breaker, Scope
from assent.core.budgets import Budget
from assent.core.credentials import Credential, Kind
from assent.core.decisions import Load
from assent.core.deliveries import Delivery
from assent.core.denials import Denial
from assent.core.grants import Grant
from assent.core.looking import FoundRecords, LogState, RecordFilter
from assent.core.passkeys import Challenge, Passkey
from assent.core.presence import Presence
from assent.core.publications import ActivePolicy, Bundle, Publication
from assent.core.records import Entry, Record, RecordId, RecordKind
from assent.core.work_leases import WorkLease
from assent.ports.channels import AlertChannel, Channel
from assent.ports.passkeys import Passkeys
from assent.ports.policies import Policies, Policy, ToolView
from assent.ports.signals import Known, Signals, Subscription

__all__ = [
    "AlertChannel",
    "Channel",
    "Clock",
    "Due",
    "Gate",
    "Known",
    "Ledger",
    "NewId",
    "OpenApprovals",
    "Passkeys",
    "Policies",
    "Policy",
    "R",
    "Row",
    "Signals",
    "Subscription",
    "ToolView",
    "Tx",
    "View",
    "decision_cursor",
]

T = TypeVar("T")

Row = (
    Action
    | Approval
    | Delivery
    | Denial
    | Grant
    | Breaker
    | AgentStatus
    | Credential
    | Budget
    | Definition
    | Mark
    | Presence
    | AccountLink
    | Passkey
    | Challenge
    | WorkLease
    | Bundle
    | Publication
    | ActivePolicy
)
R = TypeVar(
    "R",
    Action,
    Approval,
    Delivery,
    Denial,
    Grant,
    Breaker,
    AgentStatus,
    Credential,
    Budget,
    Definition,
    Mark,
    Presence,
    AccountLink,
    Passkey,
    Challenge,
    WorkLease,
    Bundle,
    Publication,
    ActivePolicy,
)

Clock = Callable[[], datetime]
NewId = Callable[[str], str]
"""Takes a prefix such as `act`, returns a fresh id such as `act_01…`: unguessable and sorting by time of making."""


class Gate(Enum):
    """On which side of the gate a transaction stands.

    Whoever may allow, vote or redeem passes together (`SHARED`); whoever stops things (trip, suspend, revoke a key,
    activate a policy) passes alone (`EXCLUSIVE`), so that nothing decided on an older state commits after it.
    """

    SHARED = "shared"
    EXCLUSIVE = "exclusive"


@dataclass(frozen=True, slots=True)
class Due:
    """What has fallen due: actions past their pick-up time or lease, approvals past their expiry, breakers.

    A breaker is due when its wait is over, or when somebody wanted to be asked again.
    """

    actions: tuple[Action, ...]
    approvals: tuple[Approval, ...]
    breakers: tuple[Breaker, ...] = ()


@dataclass(frozen=True, slots=True)
class OpenApprovals:
    """How many approvals wait for people, and since when the oldest of them does; None when there is none."""

    count: int
    oldest_asked_at: datetime | None


class View(Protocol):
    """A consistent snapshot of the ledger.

    `now` is the ledger's clock: aware UTC, never behind the last record. Every row that comes out had its MAC
    checked over every stored column. Lists of actions and approvals leave out a row whose MAC does not hold, so that
    one damaged row holds up neither a trip nor a timer; breakers and agents' statuses are believed only as a whole.

    Raises (every method):
        Forged: the one row that was asked for, a breaker, a status or a record does not carry a valid MAC.
        LedgerUnavailable: the store could not answer.

    """

    @property
    def now(self) -> datetime:
        """The moment of this transaction, the same for all of it."""
        ...

    async def get(self, kind: type[R], key: str) -> R | None:
        """Return the row of `kind` with that id, or None."""
        ...

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
        """Return the action that an ask of `agent` means that was asked before, or None.

        It is the one that was asked under this idempotency key; else the one of (agent, run, call id); else, for an ask
        within a run and without a call id, the newest of that run with that content that it may mean, as
        `core.actions.can_be_found_again` says. Of these, those whose ids are in `excluding` are passed over unread.
        """
        ...

    async def decided_for(self, agent: AgentId, after: str | None, limit: int) -> Sequence[Action]:
        """Return this agent's actions that a human was asked about and that are decided, oldest decision first.

        `after` is the `decision_cursor` of the last one seen. One whose MAC does not hold is left out.
        """
        ...

    async def running(self, scope: Scope) -> Sequence[Action]:
        """Return executing actions in `scope`, newest first, at most 1,000.

        One whose MAC does not hold is left out.
        """
        ...

    async def approval_of(self, action: ActionId) -> Approval | None:
        """Return the approval that belongs to `action`, or None."""
        ...

    async def approval_by_code(self, code: str) -> Approval | None:
        """Return the newest approval with that code, or None."""
        ...

    async def approvals(
        self, states: Sequence[ApprovalState], *, limit: int, before: ApprovalId | None = None
    ) -> Sequence[Approval]:
        """Return approvals in any of `states`, newest first, at most `limit`, older than `before`.

        One whose MAC does not hold is left out.
        """
        ...

    async def answered(self, agent: AgentId, tool: str, since: datetime) -> Mapping[ActionState, int]:
        """Return in which states those actions of `agent` with `tool` are that people answered, or let expire, since.

        No MAC is looked at, so this is for showing and decides nothing.
        """
        ...

    async def open_approvals(self) -> OpenApprovals:
        """Return how many approvals are open; no MAC is looked at, so this is for showing and decides nothing."""
        ...

    async def denials(self, agent: AgentId, tool: str) -> Sequence[Denial]:
        """Return what still keeps people from being asked for `tool` by `agent`, longest first, at most 1,000.

        One whose MAC does not hold is left out: then somebody is asked.
        """
        ...

    async def load(self, agent: AgentId, run_id: str | None, routes: Sequence[str]) -> Load:
        """Return how much waits: open asks of agent, run and fullest of `routes`, asks in an hour, ready actions."""
        ...

    async def waiting(self, scope: Scope) -> Sequence[Action]:
        """Return all pending and ready actions in `scope`.

        Left out is one that cannot be ended, because its MAC or that of its approval or its grant does not hold:
        whoever asks for that row by its id is told Forged, so it cannot go on either.
        """
        ...

    async def grant_of(self, action: ActionId) -> Grant | None:
        """Return the grant of `action`, or None."""
        ...

    async def open_breakers(self) -> Sequence[Breaker]:
        """Return every breaker that is not closed."""
        ...

    async def breakers(self) -> Sequence[Breaker]:
        """Return every breaker, newest change first, at most 1,000."""
        ...

    async def breaker_over(self, scope: Scope) -> Breaker | None:
        """Return the breaker with exactly this scope, or None."""
        ...

    async def actions_since(self, since: datetime, *, limit: int) -> Sequence[Action]:
        """Return the actions asked since then, newest first, at most `limit`.

        One whose MAC does not hold is left out.
        """
        ...

    async def records_from(self, index: int, kinds: Sequence[RecordKind], *, limit: int) -> Sequence[Record]:
        """Return records of these kinds from `index` on, oldest first, at most `limit`, with what they disclose."""
        ...

    async def next_index(self) -> int:
        """Return the index that the next record will have."""
        ...

    async def credentials(self, kind: Kind, principal: str, *, limit: int) -> Sequence[Credential]:
        """Return the credentials of one principal, at most `limit`.

        Those that are neither revoked nor past their expiry come first, then the others; both newest first. One whose
        MAC does not hold is left out: it opens nothing.
        """
        ...

    async def holders(self, kind: Kind) -> Sequence[str]:
        """Return by name everybody for whom a credential of that kind was ever stored, at most 10,000.

        Only the names are told, no row is believed: ask for the credentials of each.
        """
        ...

    async def passkeys(self, operator: str, *, limit: int) -> Sequence[Passkey]:
        """Return the passkeys of one operator, newest first, at most `limit`, also those that were taken away.

        One whose MAC does not hold is left out: it signs nothing.
        """
        ...

    async def passkey_called(self, credential: bytes) -> Passkey | None:
        """Return the passkey that calls itself `credential`, whosever it is, also one that was taken away.

        One whose MAC does not hold is none: it signs nothing.
        """
        ...

    async def newest_publication(self) -> Publication | None:
        """Return the policy version that was published last, or None where none ever was."""
        ...

    async def deliveries_of(self, approval: ApprovalId) -> Sequence[Delivery]:
        """Return where an approval is told, the first step first."""
        ...

    async def deliveries_due(self, channel: str, limit: int) -> Sequence[Delivery]:
        """Return deliveries with something to do at `now`: to be sent, to be looked for, or to be sent again."""
        ...

    async def deliveries_outdated(self, channel: str, limit: int) -> Sequence[Delivery]:
        """Return deliveries whose card shows another state of its approval or action than the ledger."""
        ...

    async def next_delivery_due(self, channel: str) -> datetime | None:
        """Return when something is to be done about a delivery that waits, or None."""
        ...

    async def presences_due(self, limit: int, *, within: timedelta = timedelta(0)) -> Sequence[Presence]:
        """Return the agents that wait and are to be looked at `within` a while, longest due first, at most `limit`.

        One whose MAC does not hold is left out: nobody is taken for gone then.
        """
        ...

    async def presences_of(self, agent: AgentId) -> Sequence[Presence]:
        """Return what `agent` waits for as far as somebody looks for it, newest first, at most 1,000.

        One whose MAC does not hold is left out.
        """
        ...

    async def due(self, limit: int) -> Due:
        """Return what has fallen due at `now`, at most `limit` of each, longest due first.

        Left out is whatever cannot be moved, because its MAC, or that of a row that moves along with it (an action's
        approval or grant, an approval's action), does not hold.
        """
        ...

    async def next_due(self) -> datetime | None:
        """Return when the next thing falls due, or None; what is due and cannot be moved does not count."""
        ...

    async def records(self, which: RecordFilter, *, limit: int) -> FoundRecords:
        """Return matching records, newest first unless asked otherwise, at most `limit`, without payloads.

        What an action is about and what is asked by kind alone is found at once. Anything else is looked for among at
        most 20,000 records; where there are more, `rest` says so, also when nothing was found.
        """
        ...

    async def record(self, key: RecordId) -> Record | None:
        """Return one record with its disclosed payload, or None."""
        ...

    async def log_state(self) -> LogState:
        """Return how far the log is signed; nothing is verified here."""
        ...

    async def unknown(self, limit: int) -> Sequence[Action]:
        """Return actions whose end nobody knows, newest first, at most `limit`.

        One whose MAC does not hold is left out.
        """
        ...

    async def damaged(self, limit: int) -> Sequence[str]:
        """Return what does not carry its MAC among the newest `limit` rows of each kind and records, by name."""
        ...


class Tx(View, Protocol):
    """One transaction. Its methods never wait for anything but the ledger."""

    async def add(self, row: Row) -> None:
        """Store a new row.

        Raises:
            Stale: the id, or another thing that is unique (idempotency key, call id, scope, open code), exists.

        """
        ...

    async def replace(self, old: Row, new: Row) -> None:
        """Store `new` in place of `old` when the stored revision still is `old`'s, and `new`'s is one higher.

        Raises:
            Stale: it is not; somebody else was first.

        """
        ...

    async def append(self, entry: Entry) -> Record:
        """Append one record, stamped with a fresh id, fresh salts and this transaction's `now`."""
        ...

    async def erase(self, key: RecordId) -> None:
        """Forget what a record commits to: its leaf and its place stay, and the log verifies as before.

        What was stored is overwritten where it lay. A record that is not there, or has nothing to forget, stays as it
        is.
        """
        ...


class Ledger(Protocol):
    """The authority on everything that decides: principals' state, actions, approvals, grants, breakers, records."""

    async def transact(
        self,
        work: Callable[[Tx], Awaitable[T]],
        *,
        within_seconds: float = 2.0,
        gate: Gate = Gate.SHARED,
        urgent: bool = False,
    ) -> T:
        """Run `work` as one transaction and return its value only when that is durable.

        `work` awaits nothing but its `tx`; ids, keys and verdicts are made before it. It may be run again. When it
        raises, only its own writes are undone and the error comes out. When the commit fails, everybody who shared
        it gets LedgerUnavailable. Cancelled or timed out before its turn it never runs; after that it may have been
        stored unheard, and asking again finds it.

        `urgent` is for an operator's stop, and for nothing that an agent can cause: it goes before everything that
        waits, behind what is urgent and came first, and is taken where no more is. What shares a commit with others
        may be divided for it; the order of the others stays, and none of them is lost.

        Raises:
            LedgerUnavailable: it is not known to be durable; nothing may leave.
            ForeignAwait: `work` awaited something else.

        """
        ...

    async def read(self, work: Callable[[View], Awaitable[T]], *, within_seconds: float = 2.0) -> T:
        """Run `work` on a snapshot at least as new as every transaction that was answered before the call.

        Reading never holds up a writer. What is read here may be shown; it may decide nothing.

        Raises:
            LedgerUnavailable: no answer in time.

        """
        ...

    def blind(self, purpose: str, value: bytes) -> bytes:
        """Return a MAC of `value` under a key derived for `purpose`: for secrets that are compared, never kept."""
        ...


def decision_cursor(action: Action) -> str:
    """Return the position of a decided action in its agent's list of decisions, for `decided_for`."""
    decided = action.decided_at or action.created_at
    # Exact in every year: a float loses microseconds from 2038 on, and the same action would come again.
    microseconds = (decided - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    return f"{microseconds:020d}.{action.id}"
