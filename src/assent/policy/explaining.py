"""Explaining: what a question comes to and why, rule by rule, with the conditions that failed.

Rules are looked at one by one here, to say it in words; what they come to is asked of the judge like any question, so
that an explanation never says something else than a decision.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from assent.core.actions import Proposal
from assent.core.agents import AgentId, AgentProfile
from assent.core.approvals import Route
from assent.core.canonical import Json
from assent.core.decisions import Effect, Verdict, destroys_in_production
from assent.core.explanations import Asking, Explanation, RouteAsked, RuleSaid
from assent.core.operators import Assurance
from assent.core.patterns import RESOURCE_SEPARATOR, matches
from assent.core.reasons import Reason
from assent.policy.asking import answer, drivers_of, question, who_may_answer
from assent.policy.bounds import Meter
from assent.policy.conditions import FieldCondition
from assent.policy.declared import Declared
from assent.policy.environments import Lookup
from assent.policy.findings import did_you_mean
from assent.policy.loaded import LoadedPolicy
from assent.policy.rules import ANY, Rule
from assent.policy.words import condition_in_words, field_in_words, listed, needs_in_words, quoted

MOST_NEARLY: Final = 12
_AGENT: Final = "agent:"


def explain(policy: LoadedPolicy, asking: Asking, now: datetime) -> Explanation:
    """Return what `policy` makes of a question at `now`, and why."""
    decision = answer(policy, asking, now)
    said = Explanation(
        agent=asking.agent,
        tool=asking.tool,
        decision=decision.answer,
        reasons=decision.reasons,
        policy_version=policy.version,
        hints=tuple(hint for reason in decision.reasons for hint in _hints(policy.declared, asking, reason)),
    )
    proposal = policy.propose(asking.tool, dict(asking.arguments))
    if isinstance(proposal, Reason):
        return said
    return _Rules(policy, asking, proposal, now).told(said)


class _Rules:
    """Everything that rules say about one proposal."""

    def __init__(self, policy: LoadedPolicy, asking: Asking, proposal: Proposal, now: datetime) -> None:
        self._policy = policy
        self._asking = asking
        self._proposal = proposal
        self._now = now
        self._tool = policy.declared.tools[asking.tool]

    def told(self, said: Explanation) -> Explanation:
        """Return `said` with the facts, the rules that matched or nearly did, and whom a question would go to."""
        proposal = self._proposal
        agent = AgentId(self._asking.agent)
        verdict = self._policy.verdict_at(self._now, proposal, agent, self._asking.on_behalf_of)
        matched, nearly = self._sorted(verdict)
        return Explanation(
            agent=said.agent,
            tool=said.tool,
            decision=said.decision,
            reasons=said.reasons,
            policy_version=said.policy_version,
            hints=(*said.hints, *self._left_open(verdict)),
            environment=proposal.environment,
            resource=proposal.resource,
            impact=proposal.impact.value,
            matched=matched,
            nearly=nearly[:MOST_NEARLY],
            asked=tuple(self._asked(verdict)),
            how_bad=proposal.how_bad,
            undo=proposal.undo,
            command=proposal.command,
            standing=verdict.standing,
            floored=verdict.floored,
        )

    def _sorted(self, verdict: Verdict) -> tuple[tuple[RuleSaid, ...], tuple[RuleSaid, ...]]:
        matched: list[RuleSaid] = []
        nearly: list[RuleSaid] = []
        for profile in self._principals():
            for rule in self._policy.rules_about(profile.roles, self._tool.name):
                failed = tuple(self._failed(rule))
                said = self._said(rule, profile, failed)
                (nearly if failed else matched).append(said)
        if {rule.id for rule in matched} != set(verdict.rules) and verdict.rules:
            # The words and the judge must agree; where they do not, the judge is right.
            matched = [rule for rule in matched if rule.id in verdict.rules]
        return tuple(matched), tuple(sorted(nearly, key=_how_far))

    def _principals(self) -> Iterator[AgentProfile]:
        names = [self._asking.agent]
        names += [name.removeprefix(_AGENT) for name in self._asking.on_behalf_of if name.startswith(_AGENT)]
        for name in dict.fromkeys(names):
            if (profile := self._policy.agent(name)) is not None:
                yield profile

    def _said(self, rule: Rule, profile: AgentProfile, failed: tuple[str, ...]) -> RuleSaid:
        return RuleSaid(
            id=rule.id,
            role=rule.role,
            effect=rule.effect.value,
            at=str(rule.place),
            says=rule_in_words(rule),
            failed=failed,
            of_agent="" if profile.id == self._asking.agent else profile.id,
        )

    def _failed(self, rule: Rule) -> Iterator[str]:
        where, resource = self._proposal.environment, self._proposal.resource
        if ANY not in rule.environments and where not in rule.environments:
            yield f"it is about {listed(rule.environments)}, and this is in `{where}`"
        if not any(matches(pattern, resource, RESOURCE_SEPARATOR) for pattern in rule.resources):
            yield f"it is about {listed(rule.resources)}, and this is {quoted(resource)}"
        if not rule.in_force(self._now) and rule.until is not None:
            yield f"it expired on {rule.until:%Y-%m-%d}"
        for field in rule.condition:
            if not field.holds(self._asking.arguments, Meter(), when_unknown=rule.effect is Effect.DENY):
                wants = "it denies what is" if rule.effect is Effect.DENY else "it must be"
                yield f"`{field.argument}` {self._is(field)}, and {wants} {field_in_words(field)}"

    def _is(self, field: FieldCondition) -> str:
        value: Json = self._asking.arguments.get(field.argument)
        if value is None:
            return "is missing"
        if field.argument in self._tool.sensitive:
            return "is something else"
        return f"is {quoted(value)}"

    def _left_open(self, verdict: Verdict) -> Iterator[str]:
        if any(self._least(route) is not route.assurance for route in self._routes(verdict)):
            yield (
                "what destroys in production is answered at the console while enough people can be there, or else from "
                "`slack` up; `assurance` of the route says otherwise"
            )

    def _least(self, route: Route) -> Assurance:
        is_more = route.assurance_left_open and destroys_in_production(self._proposal)
        return Assurance.CONSOLE if is_more else route.assurance

    def _routes(self, verdict: Verdict) -> tuple[Route, ...]:
        return tuple(route for name in verdict.routes if (route := self._policy.route(name)) is not None)

    def _asked(self, verdict: Verdict) -> Iterator[RouteAsked]:
        profile = self._policy.agent(self._asking.agent)
        for route in self._routes(verdict):
            drivers = drivers_of(self._asking.on_behalf_of)
            asked = None if profile is None else question(profile, (route,), self._now, drivers=drivers)
            yield RouteAsked(
                name=route.name,
                needs=needs_in_words(route),
                assurance=self._least(route).name.lower(),
                expires_after=route.expires_after,
                who=() if asked is None else who_may_answer(asked, self._policy.operators(), self._now),
            )


def _how_far(rule: RuleSaid) -> tuple[int, bool, str]:
    # Another place is further away than another argument.
    places = sum(failed.startswith("it is about") for failed in rule.failed)
    return len(rule.failed) + places, rule.effect == Effect.DENY.value, rule.id


def rule_in_words(rule: Rule) -> str:
    """Return what a rule says, without its id."""
    verb = {Effect.ALLOW: "allows", Effect.REQUIRE_APPROVAL: f"asks on `{rule.route}` for", Effect.DENY: "denies"}
    where = "everywhere" if ANY in rule.environments else f"in {listed(rule.environments)}"
    on = "" if rule.resources == ("**",) else f" on {listed(rule.resources)}"
    when = f" when {condition_in_words(rule.condition)}" if rule.condition else ""
    until = f", until {rule.until:%Y-%m-%d}" if rule.until is not None else ""
    return f"{verb[rule.effect]} {listed(rule.tools)} {where}{on}{when}{until}"


def _hints(declared: Declared, asking: Asking, reason: Reason) -> Iterator[str]:
    """Yield what somebody who writes policies would say about a refusal."""
    if reason.code == "unknown_tool":
        yield f"the catalogue has no `{asking.tool}`{did_you_mean(asking.tool, declared.tools)}"
    elif reason.code == "unknown_agent":
        yield f"agents.yaml has no `{asking.agent}`{did_you_mean(asking.agent, declared.agents)}"
    elif reason.code == "environment_unknown":
        yield from _environments(declared, asking)
    elif reason.code == "no_rule":
        yield from _who_else(declared, asking)


def _environments(declared: Declared, asking: Asking) -> Iterator[str]:
    derivation = declared.tools[asking.tool].environment
    if isinstance(derivation, Lookup):
        part = f"segment {derivation.segment} of " if derivation.takes_segment else ""
        table = [*sorted(derivation.names.items()), *derivation.patterns]
        named = ", ".join(f"`{name}` for {where}" for name, where in table[:MOST_NEARLY])
        yield f"the environment comes from {part}`{derivation.argument}`: {named}"


def _who_else(declared: Declared, asking: Asking) -> Iterator[str]:
    profile = declared.agents.get(asking.agent)
    roles = () if profile is None else profile.roles
    about = {
        rule.role
        for rule in declared.rules.values()
        if rule.effect is not Effect.DENY and any(matches(pattern, asking.tool, ".") for pattern in rule.tools)
    }
    if not about.intersection(roles):
        yield f"no rule of its roles ({listed(roles) or 'it has none'}) grants `{asking.tool}`"
        if about:
            yield f"roles that do: {listed(sorted(about))}"
