"""Agents: who may ask. A profile comes from policy files, the status (active or suspended) from the ledger.

An agent that is unknown, expired or suspended gets nothing; an agent acts for others only as far as every one of them
could act alone (see `core.decisions`).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType

from assent.core.operators import OperatorId
from assent.core.reasons import Reason

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
    """The ledger's row on one agent; no row means active. `revision` starts at 1 and grows with every replace."""

    id: AgentId
    state: AgentState
    revision: int
    changed_by: OperatorId
    changed_at: datetime
    reason: str = ""


def why_not(profile: AgentProfile | None, status: AgentStatus | None, now: datetime) -> Reason | None:
    """Return why this agent may not act at `now`, or None when it may."""
    if profile is None:
        return Reason.of("unknown_agent")
    if status is not None and status.state is not AgentState.ACTIVE:
        return Reason.of("agent_suspended")
    if now >= profile.expires:
        return Reason.of("agent_expired")
    return None
