"""A drill: the stop is tried out, replica by replica, and what was seen is filed as a record.

The probe goes the way of every decision: a transaction that reads the breakers and decides. Nothing is stored for it,
because nobody asked for anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from assent.core import decisions
from assent.core.actions import Impact, Proposal
from assent.core.agents import AgentId, AgentProfile
from assent.core.breakers import Breaker, BreakerId, Scope
from assent.core.canonical import Json
from assent.core.decisions import Answer, Effect, Facts, Load, Verdict
from assent.core.operators import OperatorId, Permission
from assent.core.patterns import TOOL_SEPARATOR, matches
from assent.flows import breaker_entries
from assent.flows.authenticate import OperatorCaller, confirm_operator, require
from assent.flows.broker import Broker
from assent.flows.trip_breaker import find
from assent.ports import Policy, Tx

_NOBODY: Final = "drill"
_LATER_THAN_ANYTHING: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """What this replica would decide on a read in the scope of `breaker` that policy allows."""

    breaker: Breaker
    denied: bool
    code: str
    replica: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a drill measured from Enter on, in milliseconds, and which replicas were asked."""

    acknowledged_ms: int
    first_denial_ms: int
    replicas: Sequence[str]


async def probe(broker: Broker, caller: OperatorCaller, key: BreakerId) -> Probed:
    """Return what this replica would decide on an action in the scope of the breaker.

    Raises:
        Forbidden: the caller may not trip breakers.
        NotFound: no such breaker.

    """
    require(caller, Permission.BREAKERS_TRIP)
    policy = broker.policy()

    async def work(tx: Tx) -> Probed:
        await confirm_operator(tx, caller)
        breaker = await find(tx, key)
        facts = _facts(breaker.scope, policy, tuple(await tx.open_breakers()))
        decision = decisions.decide(facts, broker.limits, tx.now)
        denied = decision.answer is Answer.DENY
        code = decision.reasons[0].code if denied and decision.reasons else ""
        return Probed(breaker=breaker, denied=denied, code=code, replica=broker.issuer)

    return await broker.ledger.transact(work)


def _facts(scope: Scope, policy: Policy, opened: tuple[Breaker, ...]) -> Facts:
    """Return the facts of a read in `scope` that nothing but a breaker could stop."""
    profile = AgentProfile(
        id=AgentId(scope.agent or _NOBODY), owner=OperatorId(_NOBODY), roles=(), expires=_LATER_THAN_ANYTHING
    )
    proposal = Proposal(
        tool=_tool(scope.tool, policy),
        definition="",
        impact=Impact.READ,
        arguments=b"{}",
        resource="",
        environment=scope.environment or _NOBODY,
        nonproduction=True,
    )
    return Facts(
        profile=profile,
        status=None,
        proposal=proposal,
        verdict=Verdict(effect=Effect.ALLOW),
        breakers=opened,
        load=Load(),
        someone_can_approve=True,
    )


def _tool(pattern: str | None, policy: Policy) -> str:
    if pattern is None:
        return _NOBODY
    known = (name for name in policy.names("tool") if matches(pattern, name, TOOL_SEPARATOR))
    return next(known, pattern.replace("**", _NOBODY).replace("*", _NOBODY))


async def file_drill(broker: Broker, caller: OperatorCaller, key: BreakerId, measured: Measured) -> Breaker:
    """Return the breaker of a drill that is on record now.

    Raises:
        Forbidden: the caller may not trip breakers.
        NotFound: no such breaker.

    """
    require(caller, Permission.BREAKERS_TRIP)
    found: dict[str, Json] = {
        "acknowledged_ms": measured.acknowledged_ms,
        "first_denial_ms": measured.first_denial_ms,
        "replicas": list(measured.replicas),
    }

    async def work(tx: Tx) -> Breaker:
        await confirm_operator(tx, caller)
        breaker = await find(tx, key)
        await tx.append(breaker_entries.drilled(breaker, by=caller.operator.id, found=found))
        return breaker

    return await broker.ledger.transact(work)
