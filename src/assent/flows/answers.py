"""Answers: what the broker says about one action at this moment, whoever reads it and however often."""

from dataclasses import dataclass, replace
from datetime import datetime

from assent.core import approvals, breakers, decisions, grants
from assent.core.actions import Action, ActionState, RedeemedBy
from assent.core.agents import why_not
from assent.core.approvals import Approval
from assent.core.decisions import Answer, Decision
from assent.core.grants import Grant
from assent.core.values import made_quickly
from assent.flows.agent_status import status_of
from assent.flows.broker import Broker
from assent.ports import Policy, View


@made_quickly
@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What the broker answers about one action, now: decision, grant or approval, and who could decide it.

    `retry_after` is in how many seconds what stops it may be tried again, where that is known. `is_stopped`: what is in
    the scope of such an action is stopped by now, also where this one runs already.
    """

    action: Action
    decision: Decision
    grant: Grant | None = None
    token: str | None = None
    approval: Approval | None = None
    who: tuple[str, ...] = ()
    retry_after: int | None = None
    is_stopped: bool = False


async def read_anew(view: View, policy: Policy, action: Action, attempt: bytes | None) -> Answered:
    """Return what `action` answers now: its state, its approval or grant, and whatever stops its agent."""
    status = await status_of(view, action.agent, action.on_behalf_of)
    breaker = breakers.first_open(
        await view.open_breakers(),
        agent=action.agent,
        tool=action.tool,
        environment=action.environment,
        action=action.id,
    )
    stopped = None if breaker is None else breakers.why_open(breaker)
    blocked = why_not(policy.agent(action.agent), status, view.now) or stopped
    decision = decisions.answer_now(action, attempt, blocked, breaker)
    approval = await view.approval_of(action.id) if action.decided_by_human else None
    grant = None
    if action.state is ActionState.READY and decision.answer is Answer.ALLOW:
        grant = await view.grant_of(action.id)
    who = () if approval is None else who_can_decide(approval, policy, view.now)
    return Answered(
        action=action,
        decision=decision,
        grant=grant,
        approval=approval,
        who=who,
        retry_after=when_again(decision, view.now),
        is_stopped=blocked is not None,
    )


def when_again(decision: Decision, now: datetime) -> int | None:
    """Return in how many seconds the breaker that denied may be tried again, None where there is no such moment."""
    return None if decision.breaker is None else breakers.retry_after(decision.breaker, now)


def who_can_decide(approval: Approval, policy: Policy, now: datetime) -> tuple[str, ...]:
    """Return the operators who could still vote, or nobody when the approval is closed."""
    if approval.state not in approvals.OPEN:
        return ()
    return tuple(approvals.who_can_vote(approval, policy.operators(), now))


def with_token(broker: Broker, answered: Answered) -> Answered:
    """Return `answered` with the signed grant token, where somebody but the asking agent must be able to check it."""
    grant, action = answered.grant, answered.action
    if grant is None or not (action.decided_by_human or action.redeemed_by is RedeemedBy.TOOL):
        return answered
    return replace(answered, token=broker.sign_grant(grants.claims(grant, action, issuer=broker.issuer)))
