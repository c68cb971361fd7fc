"""What the shared view asks a database: one statement per question, each store in its own SQL.

A field says what is found and, in brackets, which values it is given, in that order; the text of a statement is
written in its store and never holds input. Rows come in the columns of `Table.all_columns`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Queries:
    """The statements of one store."""

    place: Callable[[int], str]
    """How a statement names its n-th value, counted from one."""
    by_id: Mapping[type[Any], str]
    """A row (id)."""
    by_key: str
    """An action (agent, idempotency key)."""
    by_call: str
    """An action (agent, call id, run or None)."""
    like: str
    """Ids of actions that an ask may mean, newest first (agent, run, blinded content, at most)."""
    answered: str
    """Actions that people decided, oldest decision first (agent, after this moment, after this id)."""
    live: str
    """Actions, newest first (state, other state, agent or None, environment or None, how the tool begins)."""
    due_actions: str
    """Actions that run out, longest due first (now)."""
    of_action: str
    """The approval of an action (action)."""
    in_state: str
    """Approvals, newest first (state, id below which)."""
    by_code: str
    """The newest approval of a code (code)."""
    due_approvals: str
    """Open approvals that expire, longest due first (now)."""
    next_due: str
    """When the next thing runs out (from, to)."""
    told_of: str
    """Deliveries of an approval, the first step first (approval)."""
    due_deliveries: str
    """Deliveries with something to do, longest due first (channel, now)."""
    next_delivery: str
    """When something is to be done about one (channel, now)."""
    outdated: str
    """Deliveries that show another state than that of the ledger (channel)."""
    due_presences: str
    """Presences to be looked at, longest due first (now)."""
    watched: str
    """Presences of an agent that are looked at, newest first (agent)."""
    passkeys: str
    passkey_called: str
    """The passkey of a credential (credential)."""
    denials: str
    """Denials in force, longest first (agent, tool, now)."""
    unknown: str
    """Actions whose end nobody knows, newest first."""
    checkpoint: str
    """Size and time of the largest checkpoint."""
    newest: Mapping[str, str]
    """The newest rows of a table, by its name (at most)."""
    newest_records: str
    """The newest records (at most)."""
    grant_of: str
    """The grant of an action (action)."""
    credentials: str
    """Credentials, those in use first, then newest first (principal, kind, now)."""
    holders: str
    """Principals that hold a credential (kind, at most)."""
    open_of_agent: str
    """Runs of an agent, and how many approvals are open for each (agent)."""
    open_by_routes: str
    """JSON lists of routes, and how many approvals are open for each."""
    ready_of_agent: str
    """How many actions are ready (agent)."""
    open_approvals: str
    """How many approvals are open, and when the oldest was asked."""
    how_they_ended: str
    """States of answered actions, and how many are in each (agent, since, tool)."""
    asked_since: str
    """How many approvals were asked for (agent, since)."""
    size: str
    """The index that the next record will have."""
    time_at: str
    """The time of a record (index)."""
    record_by_id: str
    """A record (id)."""
    searched_by: Mapping[str, str]
    """What to write behind the table of records to search by `action`, by `kind`, or by no index (an empty name)."""
    ledger_row: str
    """The ledger row (id)."""
    all_breakers: str
    """Every breaker."""
    all_statuses: str
    """Every status of an agent."""
    all_active: str
    """Every row that names an active policy: at most one."""
    newest_publication: str
    """The publication with the highest id."""
    newest_of_kind: str
    """The newest record of a kind (kind)."""
    told: str
    """The index behind the newest record of certain kinds (each of `TOLD_BY`)."""
    renew: str
    """Put a new roster into the ledger row (roster, MAC, id)."""
    last_note: str
    """Size and note of the largest checkpoint."""
    first_note: str
    """The note of the smallest checkpoint."""
    note_at: str
    """The note of a checkpoint (size)."""
    last_from: str
    """The largest index of a record (from this index on)."""
    sign: str
    """Store a checkpoint (size, time, note)."""
    tile: str
    """The hashes of a tile (level, index)."""
    keep_tile: str
    """Store a tile, or put its hashes in place of those that it has (level, index, hashes)."""
    leaves: str
    """Records in their order (from this index on, at most)."""
