"""What the ledger asks its database, in the words of SQLite; every value in it is a parameter, never text."""

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

# An index that holds some rows only is used where the query repeats what makes a row belong to it.
_IS_LIVE: Final = "state IN ('pending', 'ready', 'executing')"
_IS_OPEN: Final = "state IN ('pending', 'partial')"
_IS_WAITING: Final = "state IN ('queued', 'sent', 'stale')"
_IN_CHANNEL: Final = "substr(destination, 1, length(?1) + 1) = ?1 || ':'"
_IN_USE: Final = "json_extract(facts, '$.revoked_at') IS NULL AND ifnull(json_extract(facts, '$.expires_at') > ?3, 1)"
_NEWEST_OF: Final = " UNION ALL ".join("SELECT max(idx) AS newest FROM record WHERE kind = ?" for _ in TOLD_BY)


def _records(rest: str) -> str:
    return f"SELECT {journal.COLUMNS} FROM {journal.TABLE} {rest}"  # noqa: S608  # no input in it


INSERT_RECORD: Final = f"INSERT INTO {journal.TABLE} ({journal.COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)"  # noqa: S608  # no input in it
ERASE_RECORD: Final = f"UPDATE {journal.TABLE} SET sealed = NULL, mac = ? WHERE id = ?"  # noqa: S608  # no input in it
INSERTS: Final[dict[type[Any], str]] = {kind: table.insert for kind, table in TABLES.items()}
UPDATES: Final[dict[type[Any], str]] = {kind: table.update for kind, table in TABLES.items()}

QUERIES: Final = Queries(
    place="?{}".format,
    by_id={kind: table.select("WHERE id = ?") for kind, table in TABLES.items()},
    by_key=ACTIONS.select("WHERE agent = ? AND idempotency_key = ?"),
    by_call=ACTIONS.select("WHERE agent = ? AND call_id = ? AND run_id IS ?"),
    like="SELECT id FROM action WHERE agent = ? AND run_id = ? AND content = ? ORDER BY rowid DESC LIMIT ?",
    answered=ACTIONS.select(
        "WHERE agent = ? AND answered_at IS NOT NULL AND (answered_at, id) > (?, ?) ORDER BY answered_at, id"
    ),
    live=ACTIONS.select(
        f"WHERE {_IS_LIVE} AND state IN (?1, ?2)"
        " AND (?3 IS NULL OR agent = ?3) AND (?4 IS NULL OR environment IN (?4, ''))"
        " AND substr(tool, 1, length(?5)) = ?5 ORDER BY rowid DESC"
    ),
    due_actions=ACTIONS.select("WHERE due_at <= ? AND state IN ('ready', 'executing') ORDER BY due_at"),
    of_action=APPROVALS.select("WHERE action = ?"),
    in_state=APPROVALS.select("WHERE state = ? AND id < ? ORDER BY id DESC"),
    by_code=APPROVALS.select("WHERE code = ? ORDER BY id DESC LIMIT 1"),
    due_approvals=APPROVALS.select(f"INDEXED BY approval_due WHERE {_IS_OPEN} AND expires_at <= ? ORDER BY expires_at"),
    next_due=(
        "SELECT min(due) FROM (SELECT min(due_at) AS due FROM action WHERE due_at BETWEEN ?1 AND ?2"  # noqa: S608  # no input
        " UNION ALL SELECT min(expires_at) FROM approval INDEXED BY approval_due"
        f" WHERE {_IS_OPEN} AND expires_at BETWEEN ?1 AND ?2)"
    ),
    told_of=DELIVERIES.select("WHERE approval = ? ORDER BY due_at, id"),
    due_deliveries=DELIVERIES.select(
        f"INDEXED BY delivery_due WHERE {_IS_WAITING} AND due_at <= ?2 AND {_IN_CHANNEL} ORDER BY due_at"
    ),
    next_delivery=(
        f"SELECT min(due_at) FROM delivery INDEXED BY delivery_due WHERE {_IS_WAITING}"  # noqa: S608  # no input
        f" AND due_at > ?2 AND {_IN_CHANNEL}"
    ),
    # Cards that show the end are out of it, so this reads those that may still change.
    outdated=DELIVERIES.select(
        f"INDEXED BY delivery_current WHERE state = 'current' AND {_IN_CHANNEL} AND shown <>"  # noqa: S608  # no input
        " (SELECT approval.revision || '.' || action.revision"
        " FROM approval JOIN action ON action.id = approval.action WHERE approval.id = delivery.approval)"
    ),
    due_presences=PRESENCES.select("INDEXED BY presence_due WHERE due_at <= ? ORDER BY due_at"),
    watched=PRESENCES.select("INDEXED BY presence_by_agent WHERE agent = ? AND due_at IS NOT NULL ORDER BY rowid DESC"),
    passkeys=PASSKEYS.select("WHERE operator = ? ORDER BY id DESC"),
    passkey_called=PASSKEYS.select("WHERE credential = ?"),
    denials=DENIALS.select("WHERE agent = ? AND tool = ? AND in_force_until > ? ORDER BY in_force_until DESC"),
    unknown=ACTIONS.select("WHERE state = 'unknown' ORDER BY id DESC"),
    checkpoint="SELECT size, time FROM checkpoint ORDER BY size DESC LIMIT 1",
    newest={table.name: table.select("ORDER BY rowid DESC LIMIT ?") for table in TABLES.values()},
    newest_records=_records("ORDER BY idx DESC LIMIT ?"),
    grant_of=GRANTS.select("WHERE action = ?"),
    credentials=CREDENTIALS.select(
        f"WHERE principal = ?1 AND kind = ?2 ORDER BY {_IN_USE} DESC, issued_at DESC, id DESC"
    ),
    holders="SELECT DISTINCT principal FROM credential WHERE kind = ? ORDER BY principal LIMIT ?",
    open_of_agent=f"SELECT run_id, count(*) FROM approval WHERE agent = ? AND {_IS_OPEN} GROUP BY 1",  # noqa: S608  # no input
    open_by_routes=(
        f"SELECT routes, count(*) FROM approval INDEXED BY approval_open_routes WHERE {_IS_OPEN} GROUP BY routes"  # noqa: S608  # no input
    ),
    ready_of_agent="SELECT count(*) FROM action WHERE state = 'ready' AND agent = ?",
    open_approvals=f"SELECT count(*), min(asked_at) FROM approval INDEXED BY approval_due WHERE {_IS_OPEN}",  # noqa: S608  # no input
    how_they_ended=(
        "SELECT state, count(*) FROM action INDEXED BY action_answered"
        " WHERE agent = ? AND answered_at IS NOT NULL AND answered_at >= ? AND tool = ? GROUP BY state"
    ),
    asked_since="SELECT count(*) FROM approval WHERE agent = ? AND asked_at > ?",
    size="SELECT ifnull(max(idx) + 1, 0) FROM record",
    time_at="SELECT time FROM record WHERE idx = ?",
    record_by_id=_records("WHERE id = ?"),
    searched_by={
        "action": "INDEXED BY record_by_action",
        "kind": "INDEXED BY record_by_kind",
        "": "NOT INDEXED",
    },
    ledger_row="SELECT id, created_at, latches, sealed, mac FROM ledger WHERE id = ?",
    all_breakers=BREAKERS.select(""),
    all_statuses=STATUSES.select(""),
    all_active=ACTIVE_POLICIES.select(""),
    newest_publication=PUBLICATIONS.select("ORDER BY id DESC LIMIT 1"),
    newest_of_kind=_records("INDEXED BY record_by_kind WHERE kind = ? ORDER BY idx DESC LIMIT 1"),
    told=f"SELECT ifnull(max(newest) + 1, 0) FROM ({_NEWEST_OF})",  # noqa: S608  # no input in it
    renew="UPDATE ledger SET latches = ?, mac = ? WHERE id = ?",
    last_note="SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1",
    first_note="SELECT note FROM checkpoint WHERE size >= 0 ORDER BY size LIMIT 1",
    note_at="SELECT note FROM checkpoint WHERE size = ?",
    last_from="SELECT max(idx) FROM record WHERE idx >= ?",
    sign="INSERT INTO checkpoint (size, time, note) VALUES (?, ?, ?)",
    tile="SELECT hashes FROM tile WHERE level = ? AND idx = ?",
    keep_tile=(
        "INSERT INTO tile (level, idx, hashes) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET hashes = excluded.hashes"
    ),
    leaves=_records("WHERE idx >= ? ORDER BY idx LIMIT ?"),
)
