"""Trying cases: what the broker would answer to each, and which rules no case ever met."""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from assent.core.agents import AgentId
from assent.core.decisions import Decision, Effect
from assent.core.explanations import Asking
from assent.core.reasons import Reason
from assent.policy.asking import answer
from assent.policy.cases import Case, widened
from assent.policy.findings import Findings
from assent.policy.loaded import LoadedPolicy
from assent.policy.rules import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One case and what it came to; `differs` says how that is not what the case expects, empty when it is."""

    case: Case
    decision: Decision
    differs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """All cases of the policy `version`, and the rules that none of them met."""

    version: str
    tried: Sequence[Tried]
    unreached: Sequence[Rule]
    rules: int

    @property
    def failed(self) -> tuple[Tried, ...]:
        """The cases that came to something else."""
        return tuple(tried for tried in self.tried if tried.differs)


def try_cases(policy: LoadedPolicy, now: datetime) -> Trial:
    """Return what every case of `policy` comes to, at its own moment or at `now`."""
    tried = [_tried(policy, case, case.now or now) for case in policy.cases]
    met = {rule for one in tried for rule in one.decision.rules}
    rules = policy.declared.rules
    unreached = sorted((rule for key, rule in rules.items() if key not in met), key=lambda rule: rule.place)
    return Trial(version=policy.version, tried=tried, unreached=unreached, rules=len(rules))


def ask_cases(policy: LoadedPolicy, findings: Findings, now: datetime) -> None:
    """Add to `findings` every case that would get more than it says."""
    for case in policy.cases:
        if (wrong := widened(case, _effect(policy, case, case.now or now))) is not None:
            findings.add(case.place, wrong)


def _tried(policy: LoadedPolicy, case: Case, now: datetime) -> Tried:
    asking = Asking(agent=case.agent, tool=case.tool, arguments=case.arguments, on_behalf_of=case.on_behalf_of)
    decision = answer(policy, asking, now)
    return Tried(case=case, decision=decision, differs=tuple(_differences(case, decision)))


def _differences(case: Case, decision: Decision) -> Iterator[str]:
    expect = case.expect
    reasons = [reason.code for reason in decision.reasons]
    if decision.answer is not expect.decision:
        why = f" ({', '.join(reasons)})" if reasons else ""
        yield f"expected `{expect.decision}`, came to `{decision.answer}`{why}"
    if expect.rules is not None and set(decision.rules) != set(expect.rules):
        yield f"expected the rules {_named(expect.rules)}, met {_named(decision.rules)}"
    routes = expect.routes if expect.route is None else (expect.route,)
    if routes is not None and set(decision.routes) != set(routes):
        yield f"expected to ask on {_named(routes)}, asks on {_named(decision.routes)}"
    if expect.reason is not None and reasons != [expect.reason]:
        yield f"expected the reason `{expect.reason}`, got {_named(reasons)}"


def _named(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


def _effect(policy: LoadedPolicy, case: Case, now: datetime) -> Effect:
    proposal = policy.propose(case.tool, dict(case.arguments))
    if isinstance(proposal, Reason):
        return Effect.DENY
    return policy.verdict_at(now, proposal, AgentId(case.agent), case.on_behalf_of).effect


@contextmanager
def uncollected() -> Iterator[None]:
    """Keep the garbage collector from going through a growing policy again and again: nothing of it is garbage yet."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
