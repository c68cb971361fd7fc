"""Asking: who could answer a question of an agent on its routes, before anybody asked one."""

from collections.abc import Collection
from datetime import datetime
from typing import Final

from assent.core import approvals
from assent.core.actions import ActionId, Impact
from assent.core.agents import AgentId, AgentProfile
from assent.core.approvals import Approval, ApprovalId, Route
from assent.core.decisions import Decision, Effect, Facts, Limits, Load, Verdict, decide
from assent.core.explanations import Asking
from assent.core.operators import Operator, OperatorId
from assent.core.reasons import Reason
from assent.policy.loaded import LoadedPolicy

_NOTHING: Final = ""
_OPERATOR: Final = "operator:"


def question(
    agent: AgentProfile, routes: Collection[Route], now: datetime, *, drivers: Collection[str] = ()
) -> Approval:
    """Return the question that `agent` would put on `routes`, for finding out who may answer it."""
    return Approval(
        id=ApprovalId(_NOTHING),
        code=_NOTHING,
        action=ActionId(_NOTHING),
        digest=_NOTHING,
        agent=agent.id,
        owner=agent.owner,
        tool=_NOTHING,
        environment=_NOTHING,
        impact=Impact.DESTRUCTIVE,
        routes=tuple(routes),
        asked_at=now,
        expires_at=now + min((route.expires_after for route in routes), default=now - now),
        drivers=tuple(OperatorId(driver) for driver in drivers),
    )


def can_be_answered(asked: Approval, operators: Collection[Operator], now: datetime) -> bool:
    """Whether enough different people who may answer exist."""
    return bool(asked.routes) and approvals.can_be_satisfied(asked, operators, now)


def who_may_answer(asked: Approval, operators: Collection[Operator], now: datetime) -> tuple[str, ...]:
    """Return the people who may, in the order given."""
    return tuple(approvals.who_can_vote(asked, operators, now))


def drivers_of(on_behalf_of: Collection[str]) -> tuple[str, ...]:
    """Return the operators among those in whose name an agent acts."""
    return tuple(name.removeprefix(_OPERATOR) for name in on_behalf_of if name.startswith(_OPERATOR))


def answer(policy: LoadedPolicy, asking: Asking, now: datetime) -> Decision:
    """Return what the broker would answer to a question, with nothing waiting and every breaker closed."""
    agent = AgentId(asking.agent)
    profile, proposal = policy.agent(asking.agent), policy.propose(asking.tool, dict(asking.arguments))
    verdict = Verdict(effect=Effect.DENY)
    if not isinstance(proposal, Reason):
        verdict = policy.verdict_at(now, proposal, agent, asking.on_behalf_of)
    found = [policy.route(name) for name in verdict.routes]
    routes = tuple(route for route in found if route is not None)
    facts = Facts(
        profile=profile,
        status=None,
        proposal=proposal,
        verdict=verdict,
        breakers=(),
        load=Load(),
        someone_can_approve=profile is not None
        and can_be_answered(
            question(profile, routes, now, drivers=drivers_of(asking.on_behalf_of)), policy.operators(), now
        ),
    )
    return decide(facts, Limits(), now)
