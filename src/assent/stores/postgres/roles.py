"""What the broker's role may do in the database: read, add, and change what changes; nothing on record.

The owner of the tables makes them and gives these rights. A broker that runs as the owner works too, and `doctor` says
that then the database itself keeps it from nothing.
"""

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from assent.core.errors import LedgerUnavailable
from assent.stores.postgres import faults, migrations
from assent.stores.postgres.link import SCHEMA, Link, Place
from assent.stores.rows import TABLES

_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}", re.ASCII)
_CHANGING: Final = ", ".join(f'"{table.name}"' for table in TABLES.values())
# Nobody deletes anything, and of `record` and `checkpoint` nothing changes: what a record commits to is forgotten by a
# function of the owner's.
_RIGHTS: Final = f"""
REVOKE ALL ON SCHEMA {SCHEMA} FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA {SCHEMA} FROM PUBLIC, {{role}};
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {SCHEMA} FROM PUBLIC, {{role}};
GRANT USAGE ON SCHEMA {SCHEMA} TO {{role}};
GRANT SELECT ON ALL TABLES IN SCHEMA {SCHEMA} TO {{role}};
GRANT INSERT ON ledger, record, tile, checkpoint, {_CHANGING} TO {{role}};
GRANT UPDATE ON ledger, tile, {_CHANGING} TO {{role}};
GRANT EXECUTE ON FUNCTION end_of_log(bigint), erase_record(text, bytea) TO {{role}};
"""
_MAY_CHANGE: Final = "SELECT has_table_privilege('record', 'UPDATE') OR has_table_privilege('record', 'DELETE')"


def prepare(owner: Place, role: str) -> int:
    """Make or bring forward the tables as `owner`, and give `role` what a broker needs; return their version.

    Raises:
        LedgerUnavailable: the role's name is none, the database cannot be reached, or this is not its owner.

    """
    if _NAME.fullmatch(role) is None:
        raise LedgerUnavailable(f"`{role}` is no name of a role", hint="lower case letters, digits and `_`")
    with ThreadPoolExecutor(1) as beside:  # a link blocks on a loop of its own, and whoever calls may have one
        return beside.submit(_prepared, owner, role).result()


def may_change_records(place: Place) -> bool:
    """Return whether the role that `place` names could change or delete what is on record.

    Raises:
        LedgerUnavailable: the database cannot be asked.

    """
    with ThreadPoolExecutor(1) as beside:
        return beside.submit(_asked, place, _MAY_CHANGE).result()


def _prepared(owner: Place, role: str) -> int:
    link = Link(owner, settings={"statement_timeout": "60s"})
    link.seconds = 60.0
    try:
        link.open()
        scripts = migrations.shipped()
        migrations.migrate(link, scripts)
        link.execute(f"BEGIN; {_RIGHTS.format(role=role)} COMMIT")
        return len(scripts)
    except faults.FAULTS as fault:
        raise faults.unavailable(fault) from fault
    finally:
        link.close()


def _asked(place: Place, question: str) -> bool:
    link = Link(place)
    try:
        link.open()
        return bool(link.fetch_one(question)[0])
    except faults.FAULTS as fault:
        raise faults.unavailable(fault) from fault
    finally:
        link.close()
