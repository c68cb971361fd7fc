"""Judge again: what the loaded policy makes of an action that an older one judged.

A yes is worth something only while policy would still ask it: a route that was tightened, a tool that was redefined, an
exception that ran out must reach what is open already.
"""

from dataclasses import dataclass, replace

from assent.core.actions import Action, Proposal, frozen_arguments, is_same_action
from assent.core.approvals import Approval, Route
from assent.core.decisions import Effect, Verdict, destroys_in_production
from assent.core.operators import Assurance
from assent.core.reasons import Reason
from assent.ports import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What policy says now: the proposal it makes of the same arguments, the verdict, and whom it would ask."""

    proposal: Proposal | None
    verdict: Verdict
    routes: tuple[Route | None, ...]


def judge_again(policy: Policy, action: Action) -> Judgement:
    """Return what `policy` makes of the frozen arguments of `action`."""
    proposal = policy.propose(action.tool, frozen_arguments(action))
    if isinstance(proposal, Reason):
        return Judgement(proposal=None, verdict=Verdict(effect=Effect.DENY, reasons=(proposal,)), routes=())
    verdict = policy.verdict(proposal, action.agent, action.on_behalf_of)
    return Judgement(proposal=proposal, verdict=verdict, routes=tuple(policy.route(name) for name in verdict.routes))


def asks_the_same(judgement: Judgement, approval: Approval) -> bool:
    """Whether policy would ask the same people in the same way, or nobody any more."""
    if judgement.verdict.effect is not Effect.REQUIRE_APPROVAL:
        return True
    return judgement.routes == tuple(map(_as_declared, approval.routes)) and not _destroys_more(judgement, approval)


def _destroys_more(judgement: Judgement, approval: Approval) -> bool:
    # Where it was asked nothing of production was at stake, so what its routes left open was not settled for that.
    return (
        approval.nonproduction
        and judgement.proposal is not None
        and destroys_in_production(judgement.proposal)
        and any(route.assurance_left_open for route in approval.routes)
    )


def _as_declared(route: Route) -> Route:
    # What a route leaves open was settled when the question was put, for this question.
    return replace(route, assurance=Assurance.SLACK) if route.assurance_left_open else route


def why_in_vain(judgement: Judgement, action: Action, approval: Approval) -> Reason | None:
    """Return why a yes to this question would be worth nothing by now, or None."""
    if judgement.proposal is None or not is_same_action(action, judgement.proposal):
        return Reason.of("definition_changed")
    if judgement.verdict.effect is Effect.DENY:
        return Reason.of("rule_denied", "the policy changed since this was asked")
    if not asks_the_same(judgement, approval):
        return Reason.of("definition_changed", "other people would be asked now")
    return None
