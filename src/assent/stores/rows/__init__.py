"""Rows: how each value of the core is stored, the same in every store, so that a ledger can move with every MAC.

    TABLES[Action].dump(action, keys)      the columns, facts, sealed payload and MAC of one row
    TABLES[Action].load(row, keys)         the value again, or Forged

Stores ask and write in their own SQL; what stands in a row, and what is MACed, is said here alone.
"""

from typing import Any, Final

from assent.core.account_links import AccountLink
from assent.core.actions import Action
from assent.core.agents import AgentStatus
from assent.core.alerts import Mark
from assent.core.approvals import Approval
from assent.core.breaker_rules import Definition
from assent.core.breakers import Breaker
from assent.core.budgets import Budget
from assent.core.credentials import Credential
from assent.core.deliveries import Delivery
from assent.core.denials import Denial
from assent.core.grants import Grant
from assent.core.passkeys import Challenge, Passkey
from assent.core.presence import Presence
from assent.core.publications import ActivePolicy, Bundle, Publication
from assent.core.work_leases import WorkLease
from assent.stores.rows.account_links import ACCOUNT_LINKS
from assent.stores.rows.actions import ACTIONS, GRANTS
from assent.stores.rows.approvals import APPROVALS, DENIALS
from assent.stores.rows.counting import BUDGETS, DEFINITIONS, MARKS
from assent.stores.rows.deliveries import DELIVERIES
from assent.stores.rows.passkeys import CHALLENGES, PASSKEYS
from assent.stores.rows.presences import PRESENCES
from assent.stores.rows.principals import BREAKERS, CREDENTIALS, STATUSES
from assent.stores.rows.publications import ACTIVE_POLICIES, BUNDLES, PUBLICATIONS
from assent.stores.rows.table import Table
from assent.stores.rows.work_leases import WORK_LEASES

TABLES: Final[dict[type[Any], Table[Any]]] = {
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
    Passkey: PASSKEYS,
    Challenge: CHALLENGES,
    WorkLease: WORK_LEASES,
    Bundle: BUNDLES,
    Publication: PUBLICATIONS,
    ActivePolicy: ACTIVE_POLICIES,
}
