"""Breaker rules as `breakers.yaml` declares them: what counts, over which scope, and what is too much.

The file may be missing: then only people trip. Whatever in it could not work (a scope that nothing is in, a budget over
an argument that may be left out) is refused at load, because a rule that never trips looks like one that watches.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from enum import Enum
from typing import Final

from assent.core.breaker_rules import EACH, BreakerRule, Condition, Sign, TooMany, TooMuch, TooOften
from assent.core.breakers import AGENTS_TO_CLOSE, Scope
from assent.core.patterns import TOOL_SEPARATOR, matches
from assent.core.patterns import fault as pattern_fault
from assent.policy.catalogue import Tool
from assent.policy.documents import Node, Scalar, Sequence
from assent.policy.fields import Fields, boolean, choice, integer, known, name, number, text
from assent.policy.findings import Findings, quoted
from assent.policy.schema import NUMERIC

MAX_RULES: Final = 200
MAX_LIMIT: Final = 1_000_000
MAX_PROBES: Final = 100
_DAY: Final = timedelta(days=1)
_MONTH: Final = timedelta(days=30)
_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_NOT_SAID: Final = timedelta()
_NOTHING: Final = Scope()
_NEVER: Final = TooOften(1.0, 0)
_NO_ITEMS: Final[tuple[Node, ...]] = ()


class Mode(Enum):
    """Whether a rule stops what it is about, or only tells of it."""

    ENFORCE = "enforce"
    WATCH = "watch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Nameable:
    """What a scope may name."""

    agents: Collection[str]
    tools: Mapping[str, Tool]
    environments: Collection[str]


def read_breakers(node: Node, findings: Findings, declared: Nameable) -> tuple[BreakerRule, ...]:
    """Return every rule, in the order of the file."""
    fields = Fields(node, findings, "breakers.yaml")
    usual = fields.take("defaults", _defaults, BreakerRule(id="", scope=_NOTHING))
    rules: tuple[Node, ...] = fields.need("rules", _items, _NO_ITEMS)
    fields.close()
    if len(rules) > MAX_RULES:
        fields.refuse("rules", f"there are more than {MAX_RULES} rules")
    read = tuple(_rule(item, findings, usual, declared) for item in rules[:MAX_RULES])
    for at, rule in enumerate(read):
        if any(rule.id == other.id for other in read[:at]):
            findings.add(rules[at].place, f"the rule {quoted(rule.id)} stands twice")
    return read


def _items(node: Node, findings: Findings) -> tuple[Node, ...]:
    if isinstance(node, Sequence):
        return tuple(node.items)
    findings.add(node.place, "`rules` must be a list such as [{id: runaway, scope: …, trip_on: …}]")
    return ()


def _defaults(node: Node, findings: Findings) -> BreakerRule:
    fields = Fields(node, findings, "`defaults`")
    usual = BreakerRule(id="", scope=_NOTHING)
    window = fields.take("sliding_window", _between(timedelta(seconds=10), _DAY), usual.window)
    usual = _timing(fields, replace(usual, window=window))
    fields.close()
    return usual


def _timing(fields: Fields, usual: BreakerRule) -> BreakerRule:
    return replace(
        usual,
        minimum_calls=fields.take("minimum_calls", _whole(1, MAX_LIMIT), usual.minimum_calls),
        wait_in_open=fields.take("wait_in_open", _between(timedelta(seconds=1), _DAY), usual.wait_in_open),
        # Fewer could never close what opened: it takes so many agents' success.
        probes=fields.take("probes", _whole(AGENTS_TO_CLOSE, MAX_PROBES), usual.probes),
    )


def _rule(node: Node, findings: Findings, usual: BreakerRule, declared: Nameable) -> BreakerRule:
    fields = Fields(node, findings, "a rule")
    key = fields.need("id", name, "")
    rule = replace(_timing(fields, usual), id=key, scope=fields.need("scope", _scope_of(declared), _NOTHING))
    rule = replace(rule, watches=fields.take("mode", choice(Mode, Mode.ENFORCE), Mode.ENFORCE) is Mode.WATCH)
    rule = fields.need("trip_on", lambda on, found: _trip_on(on, found, rule), rule)
    fields.close()
    _check(rule, fields, declared)
    return rule


def _scope_of(declared: Nameable) -> Callable[[Node, Findings], Scope]:
    def read(node: Node, findings: Findings) -> Scope:
        fields = Fields(node, findings, "a scope")
        agent = fields.take("agent", _optional, None)
        tool = fields.take("tool", _optional, None)
        environment = fields.take("environment", _optional, None)
        fields.close()
        _check_name(fields, "agent", agent, declared.agents, findings)
        _check_name(fields, "environment", environment, declared.environments, findings)
        if tool is not None:
            _check_tool(fields, tool, declared.tools)
        return Scope(agent=agent, tool=tool, environment=environment)

    return read


def _check_name(fields: Fields, key: str, value: str | None, among: Collection[str], findings: Findings) -> None:
    if value is not None and value != EACH:
        known(value, among, fields.at(key), findings, key)


def _check_tool(fields: Fields, pattern: str, tools: Mapping[str, Tool]) -> None:
    if (wrong := pattern_fault(pattern, TOOL_SEPARATOR)) is not None:
        fields.refuse("tool", f"{quoted(pattern)} is no pattern: {wrong}")
    elif pattern != EACH and not any(matches(pattern, tool, TOOL_SEPARATOR) for tool in tools):
        fields.refuse("tool", f"no tool of the catalogue matches {quoted(pattern)}")


def _trip_on(node: Node, findings: Findings, rule: BreakerRule) -> BreakerRule:
    fields = Fields(node, findings, "`trip_on`")
    limits = {sign: fields.take(sign.value, _whole(1, MAX_LIMIT), 0) for sign in Sign}
    conditions: list[Condition] = [TooMany(sign, limit) for sign, limit in limits.items() if fields.has(sign.value)]
    failure_rate, slow = fields.take("failure_rate", _rate, 0.0), fields.take("slow_rate", _slow_rate, _NEVER)
    conditions += [TooOften(failure_rate)] if fields.has("failure_rate") else []
    conditions += [slow] if fields.has("slow_rate") else []
    budget = fields.has("sum_of") or fields.has("over")
    if budget:
        conditions.append(_budget(fields))
    on_definition = fields.take("definition_changed", boolean, default=False)
    window = fields.take("window", _between(timedelta(seconds=10), _MONTH if budget else _DAY), rule.window)
    fields.close()
    if fields.has("definition_changed") and not on_definition:
        fields.refuse("definition_changed", "write `definition_changed: true`, or leave it out")
    if not conditions and not on_definition:
        findings.add(node.place, "`trip_on` says nothing that trips, such as `{denials: 10, window: 10m}`")
    return replace(rule, conditions=tuple(conditions), on_definition=on_definition, window=window)


def _budget(fields: Fields) -> TooMuch:
    return TooMuch(fields.need("sum_of", text, ""), fields.need("over", _amount, Decimal()))


def _slow_rate(node: Node, findings: Findings) -> TooOften:
    fields = Fields(node, findings, "`slow_rate`")
    over = fields.need("over", _between(timedelta(seconds=1), _DAY), _NOT_SAID)
    rate = fields.need("rate", _rate, 1.0)
    fields.close()
    return TooOften(rate, int(over.total_seconds() * 1_000))


def _check(rule: BreakerRule, fields: Fields, declared: Nameable) -> None:
    scope = rule.scope
    if scope.agent is None and any(isinstance(one, TooMany | TooMuch) for one in rule.conditions):
        fields.refuse("scope", 'what an agent does is counted by agent: add `agent: "*"`')
    by_tool = rule.on_definition or any(isinstance(one, TooOften | TooMuch) for one in rule.conditions)
    if scope.tool is None and by_tool:
        fields.refuse("scope", 'this is counted by tool: add `tool: "*"`, or the tools as a pattern')
    if rule.on_definition and scope.agent is not None:
        fields.refuse("scope", "a definition is the tool's, whoever asks: leave `agent` out")
    if rule.on_definition and rule.conditions:
        fields.refuse("trip_on", "`definition_changed` stands alone: give the other conditions a rule of their own")
    for one in rule.conditions:
        if isinstance(one, TooMuch) and scope.tool is not None:
            _check_argument(one.argument, scope.tool, fields, declared.tools)


def _check_argument(argument: str, pattern: str, fields: Fields, tools: Mapping[str, Tool]) -> None:
    within = [tool for tool in tools.values() if matches(pattern, tool.name, TOOL_SEPARATOR) or pattern == EACH]
    having = [tool for tool in within if argument in tool.arguments]
    if within and not having:
        fields.refuse("trip_on", f"no tool of this scope has an argument {quoted(argument)}")
    for tool in having:
        found = tool.arguments[argument]
        if found.kind not in NUMERIC:
            fields.refuse("trip_on", f"{quoted(argument)} of {quoted(tool.name)} is no number")
        elif found.optional or found.nullable:
            fields.refuse(
                "trip_on", f"{quoted(argument)} of {quoted(tool.name)} may be left out: it would count nothing"
            )


def _optional(node: Node, findings: Findings) -> str | None:
    return text(node, findings) or None


def _whole(low: int, high: int) -> Callable[[Node, Findings], int]:
    def read(node: Node, findings: Findings) -> int:
        value = integer(node, findings)
        if not low <= value <= high:
            findings.add(node.place, f"this must be between {low} and {high}")
        return value

    return read


def _rate(node: Node, findings: Findings) -> float:
    value = float(number(node, findings))
    if not 0 < value <= 1:
        findings.add(node.place, "a rate is above 0 and at most 1, such as 0.5")
    return value


def _amount(node: Node, findings: Findings) -> Decimal:
    value = Decimal(repr(number(node, findings)))
    if value < 0:
        findings.add(node.place, "a budget cannot be negative")
    return value


def _between(shortest: timedelta, longest: timedelta) -> Callable[[Node, Findings], timedelta]:
    """Return a reader of a whole number of s, m, h or d within bounds."""

    def read(node: Node, findings: Findings) -> timedelta:
        said = node.text if isinstance(node, Scalar) else ""
        digits, unit = said[:-1], said[-1:]
        if digits.isascii() and digits.isdigit() and len(digits) < 7 and unit in _UNITS:  # noqa: PLR2004  # 11 days in s
            value = timedelta(seconds=int(digits) * _UNITS[unit])
            if shortest <= value <= longest:
                return value
        bounds = f"from {shortest.total_seconds():g}s to {longest.total_seconds() / 86_400:g}d"
        findings.add(node.place, f"this must be a duration {bounds}, such as 5m")
        return longest

    return read
