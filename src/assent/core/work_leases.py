"""Work leases: what one broker of several does for all of them, and who takes over when it is gone.

No clock of anybody's is compared with another's. A lease is renewed by changing its row; whoever waits for it takes it
once the row stood still for longer than its holder believes in it, each by seconds of their own. A lease spares work
and nothing more: two brokers that both believe to hold one double nothing, since whatever they change is compared with
what they read.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

RENEW_EACH_SECONDS: Final = 1.5
BELIEVED_SECONDS: Final = 5.0
"""So long after it began to renew a lease, its holder works under it."""
TAKEN_AFTER_SECONDS: Final = 6.5
"""So long a lease has to stand still before somebody else takes it: with the time between two looks under 10 s."""
LEFT_FOR_SECONDS: Final = 3.0
"""Whoever let go of a lease leaves it to others so long, before they take it again."""


class Work(StrEnum):
    """What is done by one broker at a time; each may be another broker's."""

    TIMERS = "timers"
    LOG = "log"
    PEOPLE = "people"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkLease:
    """Who does one kind of work, a row of the ledger; `id` is the `Work`.

    `holder` names one life of one broker, empty for nobody. `term` counts how often it went to somebody else.
    """

    id: Work
    holder: str
    term: int = 1
    revision: int = 1


def renewed(lease: WorkLease) -> WorkLease:
    """Return the lease in the same hands, for a while longer."""
    return replace(lease, revision=lease.revision + 1)


def taken(lease: WorkLease, holder: str) -> WorkLease:
    """Return the lease in other hands."""
    return replace(lease, holder=holder, term=lease.term + 1, revision=lease.revision + 1)


def let_go(lease: WorkLease) -> WorkLease:
    """Return the lease in nobody's hands."""
    return replace(lease, holder="", revision=lease.revision + 1)
