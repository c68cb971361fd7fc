"""From what flows answer to what agents and tools hear; rules and their words stay behind."""

from collections.abc import Iterator

from assent.api.breaker_notices import breaker_notice
from assent.api.given import Api
from assent.api.replies import encoded, page, with_raw
from assent.core.actions import Action, Outcome
from assent.core.approvals import Approval
from assent.core.decisions import Answer
from assent.core.deliveries import EMAIL, SLACK, WEBHOOK, channels_of
from assent.core.grants import Grant
from assent.core.reasons import Reason
from assent.core.records import rfc3339
from assent.flows.answers import Answered
from assent.flows.describe_agent import Described
from assent.ports import ToolView, decision_cursor
from assent.wire.agents import (
    ActionAnswer,
    ApprovalNotice,
    GrantView,
    MeAnswer,
    NeedView,
    OutcomeView,
    ReasonView,
    RedeemedAnswer,
    ReportedAnswer,
    ToolNotice,
)

# When too much waits for people already, asking again sooner can hardly help.
CROWDED_RETRY_SECONDS = 30


def action_answer(api: Api, answered: Answered) -> bytes:
    """Return the JSON of what the broker answers about one action, with its frozen arguments while it may still run."""
    action, decision = answered.action, answered.decision
    denied = decision.answer is Answer.DENY
    view = ActionAnswer(
        action_id=action.id,
        tool=action.tool,
        decision=decision.answer.value,
        state=action.state.value,
        revision=action.revision,
        reasons=tuple([_reason(reason) for reason in decision.reasons]),
        digest=action.digest,
        resource=action.resource,
        environment=action.environment,
        policy_version=action.policy_version,
        record_id=action.record_id,
        grant=None if answered.grant is None else _grant(answered.grant, answered.token),
        lease_expires_at=None if denied or action.lease_expires_at is None else rfc3339(action.lease_expires_at),
        approval=None if answered.approval is None else _notice(api, answered.approval, answered.who),
        retry_after=_retry_after(answered) if denied else None,
        outcome=None if action.outcome is None else outcome_view(action.outcome),
        breaker=None if decision.breaker is None else breaker_notice(decision.breaker, answered.retry_after),
        command=None if denied else action.command or None,
        run_id=action.run_id,
        call_id=action.call_id,
    )
    body = encoded(view)
    return body if denied or action.erased_by else with_raw(body, {"arguments": action.arguments})


def decided_page(api: Api, found: list[Answered], cursor: str | None) -> bytes:
    """Return the JSON of a page of decided actions; without any, the cursor stays where it was."""
    last = decision_cursor(found[-1].action) if found else cursor
    return page([action_answer(api, answered) for answered in found], last)


def redeemed_answer(action: Action) -> bytes:
    """Return the JSON of a redemption: the frozen arguments and the end of the lease."""
    lease = "" if action.lease_expires_at is None else rfc3339(action.lease_expires_at)
    view = RedeemedAnswer(action_id=action.id, lease_expires_at=lease, command=action.command or None)
    return with_raw(encoded(view), {"arguments": action.arguments})


def reported_answer(action: Action) -> bytes:
    """Return the JSON of an action after its outcome was reported."""
    outcome = None if action.outcome is None else outcome_view(action.outcome)
    view = ReportedAnswer(action_id=action.id, state=action.state.value, revision=action.revision, outcome=outcome)
    return encoded(view)


def me_answer(described: Described) -> bytes:
    """Return the JSON of who the broker takes an agent for."""
    profile, blocked = described.profile, described.blocked
    view = MeAnswer(
        agent=described.caller.agent,
        key_id=described.caller.key,
        policy_version=described.policy_version,
        tools=tuple(_tool(tool) for tool in described.tools),
        owner=None if profile is None else profile.owner,
        expires_at=None if profile is None else rfc3339(profile.expires),
        blocked=None if blocked is None else _reason(blocked),
    )
    return encoded(view)


def outcome_view(outcome: Outcome) -> OutcomeView:
    """Return an outcome as it is shown."""
    return OutcomeView(
        status=outcome.status.value,
        at=rfc3339(outcome.at),
        reported=outcome.reported,
        duration_ms=outcome.duration_ms,
        error=outcome.error,
        result_digest=outcome.result_digest,
    )


def needs_of(approval: Approval) -> tuple[NeedView, ...]:
    """Return whose answers an approval needs."""
    return tuple(
        NeedView(route=route.name, of=need.of, count=need.count, assurance=route.assurance.name.lower())
        for route in approval.routes
        for need in route.needs
    )


def _reason(reason: Reason) -> ReasonView:
    return ReasonView(code=reason.code, message=reason.message)


def _grant(grant: Grant, token: str | None) -> GrantView:
    return GrantView(
        id=grant.id, redeemed_by=grant.redeemed_by.value, expires_at=rfc3339(grant.expires_at), token=token
    )


def _notice(api: Api, approval: Approval, who: tuple[str, ...]) -> ApprovalNotice:
    prefix = api.settings.approvals_url
    return ApprovalNotice(
        id=approval.id,
        code=approval.code,
        state=approval.state.value,
        expires_at=rfc3339(approval.expires_at),
        needs=needs_of(approval),
        who=who,
        asked_in=tuple(_asked_in(api, approval)),
        url=None if prefix is None else f"{prefix}{approval.id}",
        notice=_away(api, approval),
    )


def _asked_in(api: Api, approval: Approval) -> Iterator[str]:
    told, away = channels_of(approval.routes) & api.settings.tells_over, _away(api, approval)
    for channel in (SLACK, EMAIL, WEBHOOK):
        if channel in told and (channel != SLACK or away is None):
            yield channel
    if api.settings.approvals_url is not None:
        yield "console"
    yield "cli"


def _away(api: Api, approval: Approval) -> str | None:
    is_told = SLACK in channels_of(approval.routes)
    return api.slack.away if is_told and api.slack is not None else None


def _retry_after(answered: Answered) -> int | None:
    if answered.retry_after is not None:
        return answered.retry_after
    crowded = any(reason.code == "too_many_pending" for reason in answered.decision.reasons)
    return CROWDED_RETRY_SECONDS if crowded else None


def _tool(tool: ToolView) -> ToolNotice:
    best = Answer.PENDING if tool.waits_for_human else Answer.ALLOW
    return ToolNotice(
        name=tool.name,
        description=tool.description,
        impact=tool.impact,
        arguments=dict(tool.arguments),
        decision=best.value,
        runs=None if tool.runs is None else tool.runs.value,
    )
