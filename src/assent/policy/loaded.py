"""One loaded version of the policy: immutable, complete, and the whole of what flows ask about privileges.

Judging is pure but for the clock that `until` and `expires` need. Whatever goes wrong inside it is a deny.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cached_property
from typing import Final

from assent.core import breaker_rules
from assent.core.actions import Impact, Proposal
from assent.core.agents import AgentId, AgentProfile
from assent.core.approvals import Route
from assent.core.breaker_rules import NOT_COUNTED, BreakerRule, Counted
from assent.core.canonical import Json
from assent.core.decisions import Effect, Verdict, strictest
from assent.core.diffs import DiffOf
from assent.core.operators import Operator
from assent.core.privileges import Change, Direction
from assent.core.reasons import Reason
from assent.policy.cases import Case
from assent.policy.catalogue import Tool
from assent.policy.declared import Declared
from assent.policy.index import RuleIndex
from assent.policy.judge import Facts, Judge, Question
from assent.policy.plan import Plan
from assent.policy.privileges import compare
from assent.policy.routes import DEFAULT
from assent.policy.rules import ANY, Rule
from assent.policy.scopes import covers_tool
from assent.ports import Clock, Policy, ToolView

MAX_PRINCIPALS: Final = 16
MAX_COUNTED: Final = 100_000
_REMEMBERED: Final = 4_096
_OPERATOR, _AGENT = "operator:", "agent:"


class LoadedPolicy:
    """Answers the `Policy` port from one version of the files."""

    def __init__(self, declared: Declared, clock: Clock, *, release: bytes | None = None) -> None:
        self._declared = declared
        self._release = release
        self._clock = clock
        self._nonproduction = frozenset(name for name, marked in declared.environments.items() if marked)
        self._plans = {
            name: Plan(tool, declared.demanded.get(name, {}), self._nonproduction)
            for name, tool in declared.tools.items()
        }
        self._combined = Combined()
        self._index = RuleIndex(declared.rules.values(), declared.tools)
        roles_of: dict[str, tuple[str, ...]] = {agent.id: agent.roles for agent in declared.agents.values()}
        self._judge = Judge(declared.model, Facts(roles_of, declared.rules))
        self._counted: dict[tuple[str, str, str], Counted] = {}

    @property
    def version(self) -> str:
        return self._declared.version

    @property
    def release(self) -> bytes | None:
        return self._release

    @property
    def cases(self) -> tuple[Case, ...]:
        """The decisions that this version's own files say it must come to."""
        return self._declared.cases

    @property
    def declared(self) -> Declared:
        """Everything that its files declare."""
        return self._declared

    def propose(self, tool: str, arguments: Json) -> Proposal | Reason:
        plan = self._plans.get(tool)
        if plan is None:
            return _UNKNOWN_TOOL
        try:
            return plan.propose(arguments)
        except Exception as fault:  # noqa: BLE001 # whatever it is, nothing was judged, and that denies
            return _failed(fault)

    def verdict(self, proposal: Proposal, agent: AgentId, on_behalf_of: Sequence[str]) -> Verdict:
        return self.verdict_at(self._clock(), proposal, agent, on_behalf_of)

    def verdict_at(self, now: datetime, proposal: Proposal, agent: AgentId, on_behalf_of: Sequence[str]) -> Verdict:
        """Return what the verdict is, was or will be at another moment."""
        try:
            principals = self._principals(agent, on_behalf_of, now)
            if isinstance(principals, Reason):
                return _denied(principals)
            if self.definition(proposal.tool) != proposal.definition:
                return _denied(
                    Reason.of("definition_changed" if proposal.tool in self._declared.tools else "unknown_tool")
                )
            question = Question(
                tool=proposal.tool,
                environment=proposal.environment,
                resource=proposal.resource,
                arguments=proposal.arguments,
                now=now,
                counts=len(principals) > 1,
            )
            # Both the version that derived it and this one must call the environment nonproduction.
            is_floored = proposal.impact is not Impact.READ and not (
                proposal.nonproduction and proposal.environment in self._nonproduction
            )
            return strictest([self._verdict_for(profile, question, is_floored=is_floored) for profile in principals])
        except Exception as fault:  # noqa: BLE001 # SystemError of a concurrent parse included: any error denies
            return _denied(_failed(fault))

    def definition(self, tool: str) -> str | None:
        catalogued = self._declared.tools.get(tool)
        return None if catalogued is None else catalogued.definition

    def diff_of(self, tool: str, definition: str) -> DiffOf | None:
        catalogued = self._declared.tools.get(tool)
        return None if catalogued is None or catalogued.definition != definition else catalogued.diff

    def agent(self, key: str) -> AgentProfile | None:
        return self._declared.agents.get(key)

    def agents(self) -> Sequence[AgentProfile]:
        return self._agents_by_id

    def operator(self, key: str) -> Operator | None:
        return self._declared.operators.get(key)

    def operators(self) -> Sequence[Operator]:
        return self._operators_by_id

    def route(self, name: str) -> Route | None:
        return self._declared.routes.get(name)

    def all_routes(self) -> Sequence[Route]:
        return tuple(self._declared.routes.values())

    @property
    def route_names(self) -> tuple[str, ...]:
        """The names of all routes."""
        return tuple(sorted(self._declared.routes))

    def is_nonproduction(self, environment: str) -> bool:
        return environment in self._nonproduction

    def breaker_rules(self) -> Sequence[BreakerRule]:
        return self._declared.breakers

    def counted(self, agent: str, tool: str, environment: str) -> Counted:
        triggers = self._declared.breakers
        if not triggers:
            return NOT_COUNTED
        key = (agent, tool, environment)
        found = self._counted.get(key)
        if found is None:
            found = breaker_rules.counted(triggers, agent=agent, tool=tool, environment=environment)
            # An agent may ask for tools of any name: what is not in the catalogue is not remembered.
            if tool in self._declared.tools and len(self._counted) < MAX_COUNTED:
                self._counted[key] = found
        return found

    def names(self, dimension: str) -> Sequence[str]:
        declared = self._declared
        known = {"agent": declared.agents, "tool": declared.tools, "environment": declared.environments}
        return tuple(known[dimension])

    def tools_for(self, agent: AgentId) -> Sequence[ToolView]:
        profile = self.agent(agent)
        if profile is None:
            return ()
        views = (self._view(profile, tool) for _, tool in sorted(self._declared.tools.items()))
        return tuple(view for view in views if view is not None)

    def rules_about(self, roles: Collection[str], tool: str) -> tuple[Rule, ...]:
        """Return every rule of these roles that is about `tool`, wherever it acts."""
        ids = dict.fromkeys(row[0] for row in self._index.about(roles, tool))
        rules = [self._declared.rules[key] for key in ids]
        return tuple(rule for rule in rules if covers_tool(rule, tool))

    def changes_since(self, older: Policy) -> tuple[Change, ...]:
        if isinstance(older, LoadedPolicy):
            return compare(older.declared, self._declared)
        unknown = "what served before cannot be compared with it"
        return (Change(direction=Direction.WIDENS, about="policy", what=unknown),)

    @cached_property
    def _agents_by_id(self) -> tuple[AgentProfile, ...]:
        return tuple(agent for _, agent in sorted(self._declared.agents.items()))

    @cached_property
    def _operators_by_id(self) -> tuple[Operator, ...]:
        return tuple(operator for _, operator in sorted(self._declared.operators.items()))

    def _principals(self, agent: AgentId, on_behalf_of: Sequence[str], now: datetime) -> list[AgentProfile] | Reason:
        """Return every agent whose rights bound this action, or why one of the names cannot be used."""
        profile = self.agent(agent)
        if profile is None:
            return Reason.of("unknown_agent")
        if now >= profile.expires:
            return Reason.of("agent_expired")
        if len(on_behalf_of) > MAX_PRINCIPALS:
            return Reason.of("unknown_principal", f"name at most {MAX_PRINCIPALS}")
        principals = {profile.id: profile}
        for name in on_behalf_of:
            if name.startswith(_OPERATOR) and self.operator(name.removeprefix(_OPERATOR)) is not None:
                continue
            other = self.agent(name.removeprefix(_AGENT)) if name.startswith(_AGENT) else None
            if other is None or now >= other.expires:
                return Reason.of("unknown_principal")
            principals[other.id] = other
        if profile.interactive and not any(name.startswith(_OPERATOR) for name in on_behalf_of):
            return Reason.of("driver_required")
        return list(principals.values())

    def _verdict_for(self, profile: AgentProfile, question: Question, *, is_floored: bool) -> Verdict:
        candidates = self._index.candidates(profile.roles, question.tool, question.resource)
        applying = self._judge.applying(question, profile.id, candidates)
        return self._combined.verdict(applying, question.now, is_floored=is_floored)

    def _view(self, profile: AgentProfile, tool: Tool) -> ToolView | None:
        now = self._clock()
        rules = [self._declared.rules[row[0]] for row in self._index.about(profile.roles, tool.name)]
        useful = [rule for rule in rules if rule.effect is not Effect.DENY and rule.in_force(now)]
        if not useful:
            return None
        return ToolView(
            name=tool.name,
            description=tool.description,
            impact=tool.impact.value,
            arguments=tool.schema,
            waits_for_human=not any(self._may_pass(rule, tool, now) for rule in useful),
            runs=tool.runs,
        )

    def _may_pass(self, rule: Rule, tool: Tool, now: datetime) -> bool:
        if rule.effect is not Effect.ALLOW:
            return False
        if tool.impact is Impact.READ or rule.stands(now):
            return True
        return ANY in rule.environments or not self._nonproduction.isdisjoint(rule.environments)


class Combined:
    """What rules that apply say together, remembered where no date is in play: the same few combinations return."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[tuple[bool, tuple[str, ...]], Verdict] = {}

    def verdict(self, rules: Collection[Rule], now: datetime, *, is_floored: bool) -> Verdict:
        """Return `combined`."""
        key = is_floored, tuple([rule.row[0] for rule in rules])
        found = self._known.get(key)
        if found is None:
            found = combined(rules, now, is_floored=is_floored)
            if len(self._known) < _REMEMBERED and all(rule.standing is None for rule in rules):
                self._known[key] = found
        return found


def combined(rules: Collection[Rule], now: datetime, *, is_floored: bool) -> Verdict:
    """Return what all rules that apply say together: deny > require_approval > allow > nothing, which denies.

    Below the production floor an allow becomes an ask on `default`, unless one of the allowing rules stands.
    """
    ids = tuple(sorted(rule.id for rule in rules))
    effects = {rule.effect for rule in rules}
    if Effect.DENY in effects:
        return Verdict(effect=Effect.DENY, rules=ids, reasons=(_RULE_DENIED,))
    if Effect.REQUIRE_APPROVAL in effects:
        routes = tuple(sorted({rule.route for rule in rules if rule.effect is Effect.REQUIRE_APPROVAL}))
        return Verdict(effect=Effect.REQUIRE_APPROVAL, rules=ids, routes=routes)
    if not rules:
        return _NO_RULE
    standing = tuple(sorted(rule.id for rule in rules if rule.stands(now)))
    if is_floored and not standing:
        return Verdict(effect=Effect.REQUIRE_APPROVAL, rules=ids, routes=(DEFAULT,), floored=True)
    return Verdict(effect=Effect.ALLOW, rules=ids, standing=standing)


def _denied(reason: Reason) -> Verdict:
    return Verdict(effect=Effect.DENY, reasons=(reason,))


def _failed(fault: Exception) -> Reason:
    return Reason.of("policy_error", f"judging stopped with `{type(fault).__name__}`")


_UNKNOWN_TOOL: Final = Reason.of("unknown_tool")
_RULE_DENIED: Final = Reason.of("rule_denied")
_NO_RULE: Final = _denied(Reason.of("no_rule"))
