"""Rules by which breakers trip by themselves: what counts, over which scope, and when it is too much.

A dimension of a rule's scope that is `*` makes one breaker for each name that turns up there. What an agent does wrong
trips that agent; what fails is counted for each agent with each tool, because outcomes are the agents' own word.

Everything here is worked out for (agent, tool, environment) once (`counted`), so that a decision pays only for the
rules that count it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeAlias

from assent.core.breakers import BREAKER_OPEN, Healing, Scope
from assent.core.budgets import BudgetId
from assent.core.canonical import Json, canonical_of_ours
from assent.core.windows import Count, microseconds

EACH: Final = "*"


class Sign(StrEnum):
    """What an agent does that is counted one by one."""

    ACTIONS = "actions"
    DENIALS = "denials"
    REJECTIONS = "rejections"
    SAME_CONTENT = "same_content"


@dataclass(frozen=True, slots=True)
class TooMany:
    """So many of one sign within the window, or more."""

    sign: Sign
    limit: int


@dataclass(frozen=True, slots=True)
class TooOften:
    """A share of outcomes within the window: failed ones, or (`over_ms`) those that took at least so long."""

    rate: float
    over_ms: int | None = None


@dataclass(frozen=True, slots=True)
class TooMuch:
    """The sizes of one numeric argument come to more than this within the window; counted in the ledger."""

    argument: str
    over: Decimal


Condition: TypeAlias = TooMany | TooOften | TooMuch


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerRule:
    """One rule of `breakers.yaml`; any of its conditions trips. `watches` says that it counts and tells only.

    `on_definition` trips when a tool in scope is defined otherwise than before.
    """

    id: str
    scope: Scope
    conditions: tuple[Condition, ...] = ()
    on_definition: bool = False
    window: timedelta = timedelta(minutes=5)
    minimum_calls: int = 5
    wait_in_open: timedelta = timedelta(seconds=60)
    probes: int = 2
    watches: bool = False

    @property
    def healing(self) -> Healing:
        """How a breaker that this rule opened on failing closes again."""
        return Healing(wait_in_open=self.wait_in_open, probes=self.probes)

    @property
    def cuts_off_tool(self) -> bool:
        """Whether the whole tool trips once enough agents fail: only where the rule speaks of no agent."""
        return self.scope.agent is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What a tool was defined as when somebody last looked; `id` is the tool, a row of the ledger."""

    id: str
    digest: str
    revision: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """What is to be counted: the signs of an ask or of an answer to it, or an outcome (`failed`, `duration_ms`)."""

    signs: tuple[Sign, ...] = ()
    content: str = ""
    failed: bool | None = None
    duration_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Applying:
    """A rule as it applies to one agent, tool and environment: `scope` is what it would trip.

    `of` ends the name of every counter of it: another rule, scope or window counts elsewhere.
    """

    rule: BreakerRule
    scope: Scope
    of: str
    window_us: int

    def budget_of(self, condition: TooMuch) -> BudgetId:
        """Return the id of the budget of this rule over this scope."""
        return BudgetId(f"sum_of {condition.argument}{self.of}")

    def counting(self, condition: Condition, happened: Happened) -> tuple[Count, ...]:
        """Return what to count for `condition`, nothing where what happened does not concern it."""
        if isinstance(condition, TooMany):
            if condition.sign not in happened.signs:
                return ()
            about = happened.content if condition.sign is Sign.SAME_CONTENT else ""
            return (Count(f"{condition.sign.value} {about}{self.of}", self.window_us),)
        if isinstance(condition, TooOften) and happened.failed is not None:
            calls, bad = f"calls {condition.over_ms}{self.of}", f"bad {condition.over_ms}{self.of}"
            return Count(calls, self.window_us), Count(bad, self.window_us, int(_is_bad(condition, happened)))
        return ()

    def why(self, condition: Condition, sums: Sequence[int]) -> str | None:
        """Return in words why these sums are too much, or None when they are not."""
        rule, within = self.rule, f"within {in_words(self.rule.window)}"
        if isinstance(condition, TooMany):
            return f"{_NOUNS[condition.sign].format(sums[0])} {within}" if sums[0] >= condition.limit else None
        if not isinstance(condition, TooOften):
            return None
        calls, bad = sums
        if calls < rule.minimum_calls or not bad or bad / calls < condition.rate:
            return None
        how = "failed" if condition.over_ms is None else f"took {condition.over_ms / 1_000:g} s or longer"
        return f"{bad} of {calls} calls {how} {within}"

    def why_over(self, condition: TooMuch) -> str:
        """Return in words that a budget would be overdrawn; the amount itself is payload and not in it."""
        return f"`{condition.argument}` would come to more than {condition.over:f} within {in_words(self.rule.window)}"


@dataclass(frozen=True, slots=True)
class Counting:
    """One condition that concerns what happened, and what to count for it."""

    applying: Applying
    condition: Condition
    counts: tuple[Count, ...]


@dataclass(frozen=True, slots=True)
class Counted:
    """Everything that counts what one agent does with one tool in one environment.

    `in_signals`: something of it is counted outside of the ledger and stops, so that it must be readable. `budgets` are
    what is counted in the ledger.
    """

    rules: tuple[Applying, ...] = ()
    in_signals: bool = False
    budgets: tuple[tuple[Applying, TooMuch], ...] = ()


NOT_COUNTED: Final = Counted()
# What the agent asked was stopped before anybody looked at it.
_STOPPED_ALREADY: Final = frozenset({BREAKER_OPEN, "agent_suspended", "agent_expired", "unknown_agent"})
# Denied, but not for what was asked.
_NOT_ITS_DOING: Final = frozenset(
    {"too_many_pending", "no_eligible_approver", "policy_error", "broker_unavailable", "definition_changed"}
)


def decided(refused: str | None, content: str) -> Happened:
    """Return what an ask counts as; `refused` is the code of the first reason when it was denied."""
    if refused in _STOPPED_ALREADY:
        return Happened()
    signs = _ASKED if refused is None or refused in _NOT_ITS_DOING else _ASKED_AND_DENIED
    return Happened(signs=signs, content=content)


_ASKED: Final = (Sign.ACTIONS, Sign.SAME_CONTENT)
_ASKED_AND_DENIED: Final = (*_ASKED, Sign.DENIALS)
REJECTED: Final = Happened(signs=(Sign.REJECTIONS,))
_NOUNS: Final = {
    Sign.ACTIONS: "{} actions asked for",
    Sign.DENIALS: "{} asks denied",
    Sign.REJECTIONS: "{} asks rejected by a human",
    Sign.SAME_CONTENT: "the same asked for {} times",
}


def _is_bad(condition: TooOften, happened: Happened) -> bool:
    if condition.over_ms is None:
        return bool(happened.failed)
    return happened.duration_ms is not None and happened.duration_ms >= condition.over_ms


def counted(rules: Iterable[BreakerRule], *, agent: str, tool: str, environment: str) -> Counted:
    """Return the rules that count what `agent` does with `tool` in `environment`, each with what it would trip."""
    scopes = ((rule, _over(rule, agent, tool, environment)) for rule in rules if rule.conditions)
    found = tuple(_applying(rule, scope) for rule, scope in scopes if scope is not None)
    if not found:
        return NOT_COUNTED
    parts = [(one, condition) for one in found for condition in one.rule.conditions]
    return Counted(
        rules=found,
        in_signals=any(not one.rule.watches and not isinstance(condition, TooMuch) for one, condition in parts),
        budgets=tuple((one, condition) for one, condition in parts if isinstance(condition, TooMuch)),
    )


def _applying(rule: BreakerRule, scope: Scope) -> Applying:
    window_us = microseconds(rule.window)
    parts: list[Json] = [rule.id, window_us, scope.agent, scope.tool, scope.environment]
    of = canonical_of_ours(parts).decode()
    return Applying(rule, scope, of, window_us)


def _over(rule: BreakerRule, agent: str, tool: str, environment: str) -> Scope | None:
    pattern = rule.scope
    exact = Scope(
        agent=agent if pattern.agent == EACH else pattern.agent,
        tool=tool if pattern.tool == EACH else pattern.tool,
        environment=environment if pattern.environment == EACH else pattern.environment,
    )
    if not exact.covers(agent=agent, tool=tool, environment=environment):
        return None
    # Failing is counted for each agent: what one of them says about its runs is no word about the others'.
    alone = any(isinstance(condition, TooOften) for condition in rule.conditions)
    return replace(exact, agent=agent) if alone else exact


def counting(rules: Iterable[Applying], happened: Happened) -> Iterator[Counting]:
    """Yield every condition that concerns what happened."""
    for one in rules:
        for condition in one.rule.conditions:
            if counts := one.counting(condition, happened):
                yield Counting(one, condition, counts)


def defined_otherwise(rules: Iterable[BreakerRule], tool: str) -> Iterator[Applying]:
    """Yield the rules that trip when `tool` is defined otherwise than before."""
    for rule in rules:
        exact = replace(rule.scope, tool=tool if rule.scope.tool == EACH else rule.scope.tool)
        if rule.on_definition and exact.covers(agent="", tool=tool, environment=""):
            yield _applying(rule, replace(exact, tool=tool))


def in_words(window: timedelta) -> str:
    """Return a length of time as it is written in the rules: `90s`, `5m`, `1d`."""
    seconds = int(window.total_seconds())
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds and seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{window.total_seconds():g}s"
