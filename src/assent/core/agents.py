"""Agents: who may ask. A profile comes from policy files, the status (active or suspended) from the ledger.

An agent that is unknown, expired or suspended gets nothing; an agent acts for others only as far as every one of them
could act alone (see `core.decisions`).
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import NewType

from assent.core.operators import Assurance, OperatorId
from assent.core.reasons import Reason
from assent.core.second_person import FirstAsk, waits_for

AgentId = NewType("AgentId", str)


class AgentState(StrEnum):
    """Whether an agent may ask at all."""

    ACTIVE = "active"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentProfile:
    """What the policy files declare of one agent.

    `expires` is aware UTC; `interactive` agents act for a person and must name them; `cut_off` tells an operator how
    to revoke the agent's own credentials outside the broker.
    """

    id: AgentId
    owner: OperatorId
    roles: tuple[str, ...]
    expires: datetime
    interactive: bool = False
    cut_off: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentStatus:
    """The ledger's row on one agent; no row means active. `revision` starts at 1 and grows with every replace.

    `resume_asked` is the first person's wish that a suspended agent may go on.
    """

    id: AgentId
    state: AgentState
    revision: int
    changed_by: OperatorId
    changed_at: datetime
    reason: str = ""
    resume_asked: FirstAsk | None = None


def is_suspended(status: AgentStatus | None) -> bool:
    """Whether this status stops its agent; only `active`, or no status at all, is known to let it ask."""
    return status is not None and status.state is not AgentState.ACTIVE


def why_not(profile: AgentProfile | None, status: AgentStatus | None, now: datetime) -> Reason | None:
    """Return why this agent may not act at `now`, or None when it may."""
    if profile is None:
        return Reason.of("unknown_agent")
    if is_suspended(status):
        return Reason.of("agent_suspended")
    if now >= profile.expires:
        return Reason.of("agent_expired")
    return None


def suspend(existing: AgentStatus | None, agent: AgentId, *, by: OperatorId, now: datetime, reason: str) -> AgentStatus:
    """Return the status of `agent` suspended by `by`; whoever suspended it first stays who did, with their reason.

    Suspending again takes back a wish that it may go on, and changes nothing else.
    """
    if existing is not None and is_suspended(existing):
        if existing.resume_asked is None:
            return existing
        return replace(existing, resume_asked=None, revision=existing.revision + 1)
    return AgentStatus(
        id=agent,
        state=AgentState.SUSPENDED,
        revision=1 if existing is None else existing.revision + 1,
        changed_by=by,
        changed_at=now,
        reason=reason,
    )


def resume(
    suspended: AgentStatus,
    *,
    by: OperatorId,
    now: datetime,
    reason: str,
    assurance: Assurance = Assurance.TOKEN,
    using: str = "",
) -> AgentStatus:
    """Return the status active again, or still suspended and waiting for a second person.

    The caller must have checked that it is suspended, that `by` may do this, and that the surface of `by`, of this
    `assurance` and `using` this token, is sure enough.
    """
    if waits_for(suspended.resume_asked, by, now) is None:
        asked = FirstAsk(by=by, at=now, reason=reason, assurance=assurance, using=using)
        return replace(suspended, resume_asked=asked, revision=suspended.revision + 1)
    return replace(
        suspended,
        state=AgentState.ACTIVE,
        revision=suspended.revision + 1,
        changed_by=by,
        changed_at=now,
        reason=reason,
        resume_asked=None,
    )
