"""What the ledger asks its database, in the words of PostgreSQL; every value in it is a parameter, never text."""

from dataclasses import replace
from typing import Any, Final

from assent.stores.latches import TOLD_BY
from assent.stores.queries import Queries
from assent.stores.rows import TABLES, journal
from assent.stores.rows.actions import ACTIONS, GRANTS
from assent.stores.rows.approvals import APPROVALS, DENIALS
from assent.stores.rows.deliveries import DELIVERIES
from assent.stores.rows.passkeys import PASSKEYS
from assent.stores.rows.presences import PRESENCES
from assent.stores.rows.principals import BREAKERS, CREDENTIALS, STATUSES
from assent.stores.rows.publications import ACTIVE_POLICIES, PUBLICATIONS
from assent.stores.rows.table import Table

# An index that holds some rows only is used where the query repeats what makes a row belong to it.
_IS_LIVE: Final = "state IN ('pending', 'ready', 'executing')"
_IS_OPEN: Final = "state IN ('pending', 'partial')"
_IS_WAITING: Final = "state IN ('queued', 'sent', 'stale')"
_IN_CHANNEL: Final = "substr(destination, 1, length($1::text) + 1) = $1::text || ':'"
_IN_USE: Final = (
    "(facts::json ->> 'revoked_at') IS NULL AND coalesce((facts::json ->> 'expires_at')::bigint > $3, true)"
)
_NEWEST_OF: Final = " UNION ALL ".join(
    f"SELECT max(idx) AS newest FROM record WHERE kind = ${n}"  # noqa: S608  # no input
    for n in range(1, len(TOLD_BY) + 1)
)


def _select(table: Table[Any], rest: str) -> str:
    return f'SELECT {", ".join(table.all_columns)} FROM "{table.name}" {rest}'  # noqa: S608  # no input in it


def _insert(table: Table[Any]) -> str:
    columns = table.all_columns
    places = ", ".join(f"${n}" for n in range(1, len(columns) + 1))
    # Whatever is unique: who comes second waits for the first, and then stores nothing.
    return f'INSERT INTO "{table.name}" ({", ".join(columns)}) VALUES ({places}) ON CONFLICT DO NOTHING'  # noqa: S608  # no input


def _update(table: Table[Any]) -> str:
    columns = table.all_columns
    assigned = ", ".join(f"{column} = ${n}" for n, column in enumerate(columns, start=1))
    which = f"id = ${len(columns) + 1} AND revision = ${len(columns) + 2}"
    return f'UPDATE "{table.name}" SET {assigned} WHERE {which}'  # noqa: S608  # no input in it


def _records(rest: str) -> str:
    return f"SELECT {journal.COLUMNS} FROM {journal.TABLE} {rest}"  # noqa: S608  # no input in it


INSERT_RECORD: Final = f"INSERT INTO {journal.TABLE} ({journal.COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6)"  # noqa: S608  # no input in it
ERASE_RECORD: Final = "SELECT erase_record($1, $2)"
END_OF_LOG: Final = "SELECT top, at, xid FROM end_of_log($1)"
# Where the log ends, the roster of what is latched, and the last record unless it is the one that is known already.
HEAD: Final = (
    "SELECT h.top, l.latches, r.idx, r.id, r.time, r.leaf, r.sealed, r.mac"
    " FROM (SELECT coalesce(max(idx), -1) AS top FROM record) AS h CROSS JOIN ledger AS l"
    " LEFT JOIN record AS r ON r.idx = h.top AND h.top <> $1"
)
# A last record that this process knows must still be the one that it knows: looked at after each new connection.
MAC_AT: Final = "SELECT mac FROM record WHERE idx = $1"
INSERTS: Final[dict[type[Any], str]] = {kind: _insert(table) for kind, table in TABLES.items()}
UPDATES: Final[dict[type[Any], str]] = {kind: _update(table) for kind, table in TABLES.items()}
# What an ask may mean that was asked before: by its key, by its call, and where it has none by its content.
BY_CONTENT: Final = 3
ASKED_BEFORE: Final = f"""
SELECT 1, 0, id FROM action WHERE agent = $1 AND idempotency_key = $2::text
UNION ALL SELECT 2, 0, id FROM action
    WHERE agent = $1 AND call_id = $3::text AND coalesce('r' || run_id, '') = coalesce('r' || $4::text, '')
UNION ALL (SELECT {BY_CONTENT}, seq, id FROM action
    WHERE $3::text IS NULL AND agent = $1 AND run_id = $4::text AND content = $5 ORDER BY seq DESC LIMIT $6)
"""  # noqa: S608  # no input in it

QUERIES: Final = Queries(
    place="${}".format,
    by_id={kind: _select(table, "WHERE id = $1") for kind, table in TABLES.items()},
    by_key=_select(ACTIONS, "WHERE agent = $1 AND idempotency_key = $2"),
    by_call=_select(
        ACTIONS,
        "WHERE agent = $1 AND call_id = $2 AND coalesce('r' || run_id, '') = coalesce('r' || $3::text, '')",
    ),
    like="SELECT id FROM action WHERE agent = $1 AND run_id = $2 AND content = $3 ORDER BY seq DESC LIMIT $4",
    answered=_select(
        ACTIONS,
        "WHERE agent = $1 AND answered_at IS NOT NULL AND (answered_at, id) > ($2, $3) ORDER BY answered_at, id",
    ),
    live=_select(
        ACTIONS,
        f"WHERE {_IS_LIVE} AND state IN ($1, $2)"
        " AND ($3::text IS NULL OR agent = $3) AND ($4::text IS NULL OR environment IN ($4, ''))"
        " AND substr(tool, 1, length($5::text)) = $5 ORDER BY seq DESC",
    ),
    due_actions=_select(ACTIONS, "WHERE due_at <= $1 AND state IN ('ready', 'executing') ORDER BY due_at"),
    of_action=_select(APPROVALS, "WHERE action = $1"),
    in_state=_select(APPROVALS, "WHERE state = $1 AND id < $2 ORDER BY id DESC"),
    by_code=_select(APPROVALS, "WHERE code = $1 ORDER BY id DESC LIMIT 1"),
    due_approvals=_select(APPROVALS, f"WHERE {_IS_OPEN} AND expires_at <= $1 ORDER BY expires_at"),
    next_due=(
        "SELECT min(due) FROM (SELECT min(due_at) AS due FROM action WHERE due_at BETWEEN $1 AND $2"  # noqa: S608  # no input
        f" UNION ALL SELECT min(expires_at) FROM approval WHERE {_IS_OPEN} AND expires_at BETWEEN $1 AND $2) AS each"
    ),
    told_of=_select(DELIVERIES, "WHERE approval = $1 ORDER BY due_at, id"),
    due_deliveries=_select(DELIVERIES, f"WHERE {_IS_WAITING} AND due_at <= $2 AND {_IN_CHANNEL} ORDER BY due_at"),
    next_delivery=f"SELECT min(due_at) FROM delivery WHERE {_IS_WAITING} AND due_at > $2 AND {_IN_CHANNEL}",  # noqa: S608  # no input
    # Cards that show the end are out of it, so this reads those that may still change.
    outdated=_select(
        DELIVERIES,
        f"WHERE state = 'current' AND {_IN_CHANNEL} AND shown <>"  # noqa: S608  # no input
        " (SELECT approval.revision || '.' || action.revision"
        " FROM approval JOIN action ON action.id = approval.action WHERE approval.id = delivery.approval)",
    ),
    due_presences=_select(PRESENCES, "WHERE due_at <= $1 ORDER BY due_at"),
    watched=_select(PRESENCES, "WHERE agent = $1 AND due_at IS NOT NULL ORDER BY seq DESC"),
    passkeys=_select(PASSKEYS, "WHERE operator = $1 ORDER BY id DESC"),
    passkey_called=_select(PASSKEYS, "WHERE credential = $1"),
    denials=_select(DENIALS, "WHERE agent = $1 AND tool = $2 AND in_force_until > $3 ORDER BY in_force_until DESC"),
    unknown=_select(ACTIONS, "WHERE state = 'unknown' ORDER BY id DESC"),
    checkpoint="SELECT size, time FROM checkpoint ORDER BY size DESC LIMIT 1",
    newest={table.name: _select(table, "ORDER BY seq DESC LIMIT $1") for table in TABLES.values()},
    newest_records=_records("ORDER BY idx DESC LIMIT $1"),
    grant_of=_select(GRANTS, "WHERE action = $1"),
    credentials=_select(
        CREDENTIALS, f"WHERE principal = $1 AND kind = $2 ORDER BY {_IN_USE} DESC, issued_at DESC, id DESC"
    ),
    holders="SELECT DISTINCT principal FROM credential WHERE kind = $1 ORDER BY principal LIMIT $2",
    open_of_agent=f"SELECT run_id, count(*) FROM approval WHERE agent = $1 AND {_IS_OPEN} GROUP BY 1",  # noqa: S608  # no input
    open_by_routes=f"SELECT routes, count(*) FROM approval WHERE {_IS_OPEN} GROUP BY routes",  # noqa: S608  # no input
    ready_of_agent="SELECT count(*) FROM action WHERE state = 'ready' AND agent = $1",
    open_approvals=f"SELECT count(*), min(asked_at) FROM approval WHERE {_IS_OPEN}",  # noqa: S608  # no input
    how_they_ended=(
        "SELECT state, count(*) FROM action"
        " WHERE agent = $1 AND answered_at IS NOT NULL AND answered_at >= $2 AND tool = $3 GROUP BY state"
    ),
    asked_since="SELECT count(*) FROM approval WHERE agent = $1 AND asked_at > $2",
    size="SELECT coalesce(max(idx) + 1, 0) FROM record",
    time_at="SELECT time FROM record WHERE idx = $1",
    record_by_id=_records("WHERE id = $1"),
    searched_by={"action": "", "kind": "", "": ""},
    ledger_row="SELECT id, created_at, latches, sealed, mac FROM ledger WHERE id = $1",
    all_breakers=_select(BREAKERS, ""),
    all_statuses=_select(STATUSES, ""),
    all_active=_select(ACTIVE_POLICIES, ""),
    newest_publication=_select(PUBLICATIONS, "ORDER BY id DESC LIMIT 1"),
    newest_of_kind=_records("WHERE kind = $1 ORDER BY idx DESC LIMIT 1"),
    told=f"SELECT coalesce(max(newest) + 1, 0) FROM ({_NEWEST_OF}) AS each",  # noqa: S608  # no input in it
    renew="UPDATE ledger SET latches = $1, mac = $2 WHERE id = $3",
    last_note="SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1",
    first_note="SELECT note FROM checkpoint WHERE size >= 0 ORDER BY size LIMIT 1",
    note_at="SELECT note FROM checkpoint WHERE size = $1",
    last_from="SELECT max(idx) FROM record WHERE idx >= $1",
    sign="INSERT INTO checkpoint (size, time, note) VALUES ($1, $2, $3)",
    tile="SELECT hashes FROM tile WHERE level = $1 AND idx = $2",
    keep_tile=(
        "INSERT INTO tile (level, idx, hashes) VALUES ($1, $2, $3)"
        " ON CONFLICT (level, idx) DO UPDATE SET hashes = excluded.hashes"
    ),
    leaves=_records("WHERE idx >= $1 ORDER BY idx LIMIT $2"),
)

_CLAIMED: Final = " FOR UPDATE SKIP LOCKED"
# Whoever moves what is due passes over what another broker is moving right now; the revision that is compared when it
# is replaced is the fence.
CLAIMING: Final = replace(
    QUERIES,
    due_actions=QUERIES.due_actions + _CLAIMED,
    due_approvals=QUERIES.due_approvals + _CLAIMED,
    due_deliveries=QUERIES.due_deliveries + _CLAIMED,
    due_presences=QUERIES.due_presences + _CLAIMED,
)
