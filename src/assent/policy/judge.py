"""The judge: Casbin's enforcer on the candidate rules, with the loaded model, returning every rule that applies.

One enforcer belongs to one policy version and is built before that version serves; nothing is added to it later. Only
our own match functions are known to it, and values reach it as fields, never as matcher text. It is used under a lock:
`enforce` from two threads can raise on CPython 3.11. Whoever calls must turn any exception into a deny.
"""

import ast
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Final

import casbin
from casbin.effect import Effector
from casbin.model import FunctionMap, Model
from casbin.util import SimpleEval

from assent.core.canonical import Json, load
from assent.core.decisions import Effect
from assent.core.errors import AssentError
from assent.core.patterns import RESOURCE_SEPARATOR, TOOL_SEPARATOR, matcher
from assent.policy.bounds import FEW, RULE_STEPS, Meter
from assent.policy.conditions import holds
from assent.policy.rules import ANY, SEPARATOR, Rule

SENTINEL: Final = ("*sentinel*", "", "", "", "", Effect.DENY.value)
"""Stands in a list that would be empty: of that Casbin makes one rule of empty fields to judge, and then some allow."""

Row = tuple[str, ...]
Match = Callable[..., bool]


class JudgeFailed(AssentError):
    """Casbin's answer and the rules that were collected do not fit together."""

    code = "policy_error"


class Question:
    """What is asked, as the matcher's functions see it; arguments are parsed when a condition first looks at them.

    One question is put for each principal in turn, and all of them draw on one meter. With `counts` every candidate
    is counted; without, only when they are many.
    """

    __slots__ = ("_arguments", "_bytes", "counts", "environment", "meter", "now", "resource", "tool")

    def __init__(
        self, *, tool: str, environment: str, resource: str, arguments: bytes, now: datetime, counts: bool = False
    ) -> None:
        self.tool = tool
        self.environment = environment
        self.resource = resource
        self.now = now
        self.counts = counts
        self.meter = Meter()
        self._bytes = arguments
        self._arguments: dict[str, Json] | None = None

    @property
    def arguments(self) -> Mapping[str, Json]:
        if self._arguments is None:
            parsed = load(self._bytes)
            if not isinstance(parsed, dict):
                raise JudgeFailed("the arguments are no object")
            self._arguments = parsed
        return self._arguments


@dataclass(frozen=True, slots=True)
class Facts:
    """What the matcher's functions look up: roles by agent, rules by id."""

    roles_of: Mapping[str, Collection[str]]
    rules: Mapping[str, Rule]


def functions(facts: Facts, hits: list[str]) -> dict[str, Match]:
    """Return everything a matcher may call; `hit` appends to `hits`."""
    covers_tool, covers_resource = _covers(TOOL_SEPARATOR), _covers(RESOURCE_SEPARATOR)
    roles_of, rules = facts.roles_of, facts.rules

    def has_role(agent: str, role: str) -> bool:
        return role in roles_of.get(agent, ())

    def covers_environment(environments: str, environment: str) -> bool:
        if environments in (ANY, environment):
            return True
        return SEPARATOR in environments and environment in environments.split(SEPARATOR)

    def rule_holds(rule_id: str, question: Question) -> bool:
        rule = rules[rule_id]
        if rule.until is not None and not rule.in_force(question.now):
            return False
        if not rule.condition:
            return True
        return holds(rule.condition, question.arguments, question.meter, when_unknown=rule.effect is Effect.DENY)

    def hit(rule_id: str) -> bool:
        hits.append(rule_id)
        return True

    return {
        "has_role": has_role,
        "covers_tool": covers_tool,
        "covers_environment": covers_environment,
        "covers_resource": covers_resource,
        "holds": rule_holds,
        "hit": hit,
    }


def _covers(separator: str) -> Callable[[str, str], bool]:
    """Return the function that tells whether any pattern of a field matches a value; fields seen are prepared once."""
    prepared: dict[str, Callable[[str], bool]] = {}

    def prepare(field: str) -> Callable[[str], bool]:
        patterns = [matcher(pattern, separator) for pattern in field.split(SEPARATOR)]
        found = patterns[0] if len(patterns) == 1 else lambda value: any(matches(value) for matches in patterns)
        if len(prepared) < _REMEMBERED:
            prepared[field] = found
        return found

    def covers(field: str, value: str) -> bool:
        matches = prepared.get(field)
        return (prepare(field) if matches is None else matches)(value)

    return covers


FUNCTIONS: Final = frozenset(functions(Facts({}, {}), []))
_REMEMBERED: Final = 4_096
_COMPILED: Final = "compiled"


class CollectingEffector(Effector):
    """Casbin's own combination (an allow is needed, a deny beats it), without stopping at the first deny."""

    def intermediate_effect(self, effects: set[int]) -> int:  # noqa: ARG002 # Casbin calls it by position
        return Effector.INDETERMINATE

    def final_effect(self, effects: set[int]) -> int:
        if Effector.DENY in effects or Effector.ALLOW not in effects:
            return Effector.DENY
        return Effector.ALLOW


class _Matcher:
    """The loaded matcher as compiled code: Casbin's own evaluator walks the same tree on every call, ten times slower.

    The tree is what Casbin's parser made of the text in model.conf. The loader holds that text to a conjunction of
    calls of known functions over fields, so code made of it reaches nothing but these.
    """

    def __init__(self, expression: str, functions: Mapping[str, Match] | None) -> None:
        parsed = ast.Expression(SimpleEval(expression).ast_parsed_value)
        self._code = compile(parsed, "model.conf", "eval")
        self._known: dict[str, object] = {"__builtins__": {}, **(functions or {})}

    def eval(self, names: Mapping[str, object]) -> object:
        """Return what the matcher says of one rule and one request; Casbin calls this by its name."""
        return eval(self._code, self._known, names)  # noqa: S307  # the model's own text, checked when it was loaded


class _Enforcer(casbin.Enforcer):
    """Casbin's enforcer, keeping the compiled matcher: stock Casbin parses the same text again on every call."""

    def __init__(self, model: Model, functions: Mapping[str, Match]) -> None:
        super().__init__(model)
        self.set_effector(CollectingEffector())
        # A logger of our own that nobody configures: Casbin's would write every denied request, arguments and all.
        self.logger = logging.Logger("assent.policy.casbin")  # noqa: LOG001 # outside the tree of loggers: no configuration reaches it
        self.logger.disabled = True
        known = FunctionMap()
        for name, function in functions.items():
            known.add_function(name, function)
        self.fm = known
        # Compiled once from the loaded text. Casbin scans that text on every call, so a short name stands in its place.
        loaded = self.model["m"]["m"]
        self._matcher = _Matcher(loaded.value.replace("&&", " and "), functions)
        loaded.value = _COMPILED

    def _get_expression(self, expr: str, functions: Mapping[str, Match] | None = None) -> _Matcher:  # noqa: ARG002  # Casbin's hook
        if expr != _COMPILED:
            raise JudgeFailed("Casbin asks for another matcher than the loaded one")
        return self._matcher


class Judge:
    """Judges questions over candidate rows with one loaded model.

    Raises (every method): anything that Casbin or a condition raises; the caller denies.
    """

    def __init__(self, model_text: str, facts: Facts) -> None:
        self._facts = facts
        self._hits: list[str] = []
        self._lock = Lock()
        self._enforcer = _Enforcer(casbin.Enforcer.new_model(text=model_text), functions(facts, self._hits))
        self._policy = self._enforcer.model["p"]["p"]

    def applying(self, question: Question, agent: str, candidates: Sequence[Row]) -> tuple[Rule, ...]:
        """Return every rule among `candidates` that applies to `agent` and its question, in their order.

        Raises:
            TooCostly: they are more than one decision may look at.

        """
        rules = self._facts.rules
        if question.counts or len(candidates) > FEW:
            question.meter.spend(sum(RULE_STEPS + rules[row[0]].steps for row in candidates))
        with self._lock:
            self._hits.clear()
            self._policy.policy = candidates or [SENTINEL]
            allowed = self._enforcer.enforce(agent, question.tool, question.environment, question.resource, question)
            hits = dict.fromkeys(self._hits)
        found = tuple([rules[rule_id] for rule_id in hits])
        effects = [rule.effect for rule in found]
        if allowed is not (Effect.ALLOW in effects and Effect.DENY not in effects):
            raise JudgeFailed("Casbin's answer does not follow from the rules that apply")
        return found
