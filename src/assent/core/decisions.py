"""Decisions: the only place where verdict, breakers, agent state and limits meet.

Deny wins over asking, asking over allowing, and nothing at all is a deny. A decision is a value with reasons.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from assent.core.actions import DID_NOT_RUN, Action, ActionState, Impact, Proposal, is_held_by
from assent.core.agents import AgentProfile, AgentStatus, why_not
from assent.core.breakers import BREAKER_OPEN, PROBE_ROUTE, Breaker, Probing, met, why_open
from assent.core.denials import Cooling
from assent.core.reasons import Reason
from assent.core.values import made_quickly


class Effect(StrEnum):
    """What a rule, or all matching rules together, say."""

    ALLOW = "allow"
    REQUIRE_APPROVAL = "require_approval"
    DENY = "deny"


STRICTNESS: dict[Effect, int] = {Effect.ALLOW: 0, Effect.REQUIRE_APPROVAL: 1, Effect.DENY: 2}


class Answer(StrEnum):
    """What the broker answers to an ask."""

    ALLOW = "allow"
    PENDING = "pending"
    DENY = "deny"


@made_quickly
@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What policy says about one proposal: the combined effect, every matching rule, the routes to ask.

    `standing` names rules that lift the production floor by an explicit dated exception; `floored` says that only
    the floor turned an allow into an ask.
    """

    effect: Effect
    rules: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    reasons: tuple[Reason, ...] = ()
    standing: tuple[str, ...] = ()
    floored: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much may wait at once, for humans or to be picked up; each bound is checked in the deciding transaction."""

    open_per_agent: int = 5
    open_per_run: int = 2
    open_per_route: int = 20
    ready_per_agent: int = 100
    asks_per_agent_per_hour: int = 20


@made_quickly
@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How much waits already, as counted in the deciding transaction."""

    open_for_agent: int = 0
    open_for_run: int = 0
    open_for_fullest_route: int = 0
    ready_for_agent: int = 0
    asked_for_agent_in_last_hour: int = 0


@made_quickly
@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The broker's answer with its reasons, the rules that matched and, when pending, the routes.

    `denied_as` names the approval whose denial keeps this from being asked. `breaker` is what stops the action,
    `probes` are the half-open breakers in which it takes a place. `is_overdrawn`: a budget is what stops it, and its
    breaker trips next.
    """

    answer: Answer
    reasons: tuple[Reason, ...]
    rules: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    denied_as: str | None = None
    breaker: Breaker | None = None
    probes: Probing | None = None
    is_overdrawn: bool = False


@made_quickly
@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything a decision depends on, gathered inside one transaction.

    `proposal` is a Reason when the catalogue refused the request. `someone_can_approve` tells whether the routes can
    be satisfied by eligible people at all, `why_nobody_can` what these lack where that is said, `cooling` why nobody
    is asked this at the moment. `breakers` are those that are not closed; `counters_readable` is false while a rule
    that counts this action cannot count it; `overdrawn` says which budget the action would overdraw.
    """

    profile: AgentProfile | None
    status: AgentStatus | None
    proposal: Proposal | Reason
    verdict: Verdict
    breakers: tuple[Breaker, ...]
    load: Load
    someone_can_approve: bool
    cooling: Cooling | None = None
    counters_readable: bool = True
    overdrawn: str | None = None
    why_nobody_can: str = ""


def decide(facts: Facts, limits: Limits, now: datetime) -> Decision:
    """Return the decision on one ask; anything that is not clearly allowed is denied or asked."""
    # (1) who asks
    if (reason := why_not(facts.profile, facts.status, now)) is not None or facts.profile is None:
        return _deny(reason or Reason.of("unknown_agent"), facts.verdict)
    # (2) what a human or a machine switched off
    found = _met(facts, facts.profile.id)
    if isinstance(found, Breaker):
        return replace(_deny(why_open(found), facts.verdict), breaker=found)
    # (3) what the catalogue could not make sense of
    if isinstance(facts.proposal, Reason):
        return _deny(facts.proposal, facts.verdict)
    proposal = facts.proposal
    # (4) what policy says; the floor is checked here again, so that no judge can lift it by mistake
    if facts.verdict.effect is Effect.DENY:
        return Decision(answer=Answer.DENY, reasons=_named(facts.verdict), rules=facts.verdict.rules)
    # (5) what must be counted to be safe
    if not facts.counters_readable and is_change_in_production(proposal):
        return _deny(Reason.of("broker_unavailable", "its counters cannot be read"), facts.verdict)
    if facts.overdrawn is not None:
        return replace(_deny(Reason.of(BREAKER_OPEN, facts.overdrawn), facts.verdict), is_overdrawn=True)
    # (6) a human where policy, the floor or a breaker that is being tried wants one
    if (found is not None and found.by_human) or asks_a_human(proposal, facts.verdict):
        return replace(_ask(facts, limits), probes=found)
    if facts.load.ready_for_agent >= limits.ready_per_agent:
        return _deny(Reason.of("too_many_pending", "too many grants of this agent are not picked up"), facts.verdict)
    return Decision(answer=Answer.ALLOW, reasons=facts.verdict.reasons, rules=facts.verdict.rules, probes=found)


def _met(facts: Facts, agent: str) -> Breaker | Probing | None:
    if not facts.breakers:
        return None
    if isinstance(facts.proposal, Reason):
        # Nobody knows what it would have been: only what stops the agent, or everything, stops it.
        return met(facts.breakers, agent=agent, tool="", environment="", impact=Impact.DESTRUCTIVE)
    return _met_by(facts.breakers, facts.proposal, agent)


def _met_by(breakers: Iterable[Breaker], proposal: Proposal, agent: str) -> Breaker | Probing | None:
    tool, environment = proposal.tool, proposal.environment
    return met(breakers, agent=agent, tool=tool, environment=environment, impact=proposal.impact)


def as_probe(verdict: Verdict, breakers: Iterable[Breaker], proposal: Proposal, agent: str) -> Verdict:
    """Return whom to ask where an allowed action may only go as a probe that a human looks at: `default`.

    Where policy itself asks somebody, that human's yes is the one that counts.
    """
    if verdict.effect is not Effect.ALLOW:
        return verdict
    found = _met_by(breakers, proposal, agent)
    if not isinstance(found, Probing) or not found.by_human:
        return verdict
    return replace(verdict, effect=Effect.REQUIRE_APPROVAL, routes=(PROBE_ROUTE,))


def is_change_in_production(proposal: Proposal) -> bool:
    """Whether this would change something outside of nonproduction."""
    return proposal.impact is not Impact.READ and not proposal.nonproduction


def destroys_in_production(proposal: Proposal) -> bool:
    """Whether this would destroy something outside of nonproduction."""
    return proposal.impact is Impact.DESTRUCTIVE and not proposal.nonproduction


def asks_a_human(proposal: Proposal, verdict: Verdict) -> bool:
    """Whether this is for a human to decide: a rule says so, or the production floor does."""
    if verdict.effect is Effect.ALLOW:
        return is_under_the_floor(proposal, verdict)
    return verdict.effect is Effect.REQUIRE_APPROVAL


def is_under_the_floor(proposal: Proposal, verdict: Verdict) -> bool:
    """Whether the production floor asks a human, whatever rules allow: a change in production, without an exception."""
    return is_change_in_production(proposal) and not verdict.standing


def _ask(facts: Facts, limits: Limits) -> Decision:
    verdict = facts.verdict
    if not verdict.routes or not facts.someone_can_approve:
        return _deny(Reason.of("no_eligible_approver", facts.why_nobody_can), verdict)
    if facts.cooling is not None:
        return replace(_deny(facts.cooling.reason, verdict), denied_as=facts.cooling.by.id)
    if (crowded := _too_much(facts.load, limits)) is not None:
        return _deny(Reason.of("too_many_pending", crowded), verdict)
    return Decision(answer=Answer.PENDING, reasons=verdict.reasons, rules=verdict.rules, routes=verdict.routes)


def _too_much(load: Load, limits: Limits) -> str | None:
    if load.open_for_agent >= limits.open_per_agent:
        return f"{load.open_for_agent} of this agent's asks are open"
    if load.open_for_run >= limits.open_per_run:
        return f"{load.open_for_run} asks of this run are open"
    if load.open_for_fullest_route >= limits.open_per_route:
        return "the approvers have too many open asks"
    if load.asked_for_agent_in_last_hour >= limits.asks_per_agent_per_hour:
        return f"this agent asked {load.asked_for_agent_in_last_hour} times within an hour"
    return None


def _deny(reason: Reason, verdict: Verdict) -> Decision:
    return Decision(answer=Answer.DENY, reasons=(reason,), rules=verdict.rules)


def _named(verdict: Verdict) -> tuple[Reason, ...]:
    return verdict.reasons or (Reason.of("no_rule"),)


def strictest(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict over several principals: the strictest effect, all rules, all routes that must be asked.

    No verdict at all is a deny.
    """
    collected = tuple(verdicts)
    if len(collected) == 1:
        return collected[0]
    if not collected:
        return Verdict(effect=Effect.DENY, reasons=(Reason.of("no_rule"),))
    effect = max((v.effect for v in collected), key=STRICTNESS.__getitem__)
    decisive = tuple(v for v in collected if v.effect is effect)
    return Verdict(
        effect=effect,
        rules=_union(v.rules for v in collected),
        routes=_union(v.routes for v in decisive),
        reasons=tuple(dict.fromkeys(reason for v in decisive for reason in v.reasons)),
        standing=_union(v.standing for v in decisive) if all(v.standing for v in decisive) else (),
        floored=any(v.floored for v in decisive),
    )


def _union(groups: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for group in groups for name in group))


def answer_now(
    action: Action, attempt: bytes | None, blocked: Reason | None, breaker: Breaker | None = None
) -> Decision:
    """Return what an earlier action answers now, to whoever puts `attempt` forward.

    `blocked` is why its agent may not act at the moment, `breaker` what stops such actions. What was allowed may turn
    into a deny here, never the reverse; an action that is executing or ended is runnable for nobody but the attempt
    that holds it.
    """
    if action.state in DID_NOT_RUN:
        why = action.reasons[-1:]
        told = breaker if why and why[0].code == BREAKER_OPEN else None
        return replace(_told(Answer.DENY, why, action), breaker=told)
    if blocked is not None:
        return replace(
            _told(Answer.DENY, (blocked,), action), breaker=breaker if blocked.code == BREAKER_OPEN else None
        )
    if action.state is ActionState.PENDING:
        return _told(Answer.PENDING, action.reasons, action)
    if action.state is ActionState.READY or (action.state is ActionState.EXECUTING and is_held_by(action, attempt)):
        return _told(Answer.ALLOW, action.reasons, action)
    return _told(Answer.DENY, (Reason.of("already_executed", f"it is `{action.state}`"),), action)


def _told(answer: Answer, reasons: tuple[Reason, ...], action: Action) -> Decision:
    return Decision(answer=answer, reasons=reasons, rules=action.rules)
