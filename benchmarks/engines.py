"""Policy engines on the same rules, each in a process of its own: ours, stock Casbin, Cedar.

`python -m benchmarks.engines NAME SIZE SHAPE SECONDS` judges questions one after the other for that long and prints
what it measured as JSON. The first pass over the questions is compared with the oracle; a wrong answer ends it.
"""

import gc
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks import policy_files
from benchmarks.checks import WrongAnswer
from benchmarks.pinned import SERVER_CORE, pin
from benchmarks.questions import (
    EVERY_TOOL,
    PLACES,
    Answer,
    Question,
    Rule,
    Shape,
    World,
    agent_name,
    answers,
    questions,
    world,
)

QUESTIONS: Final = 400
SEED: Final = 20_260_301
Decide = Callable[[Question], Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What one engine needed for one size; `checked` answers were compared with the oracle."""

    engine: str
    rules: int
    shape: str
    load_seconds: float
    memory_mb: float
    decisions: int
    checked: int
    p50_us: float
    p99_us: float
    per_second: float


def assent(of: World) -> Decide:
    """Return the broker's own policy step: propose, then verdict."""
    from assent.core.agents import AgentId
    from assent.core.decisions import Effect
    from assent.core.reasons import Reason
    from assent.policy import load

    with tempfile.TemporaryDirectory() as folder:
        policy_files.write(of, Path(folder) / "policies")
        policy = load(Path(folder) / "policies", lambda: datetime.now(UTC))

    def decide(question: Question) -> Answer:
        proposal = policy.propose(question.tool, {"path": question.path})
        if isinstance(proposal, Reason):
            return Answer.DENY
        verdict = policy.verdict(proposal, AgentId(question.agent), ())
        return Answer.ALLOW if verdict.effect is Effect.ALLOW else Answer.DENY

    return decide


_CASBIN: Final = """
[request_definition]
r = sub, act, env, obj
[policy_definition]
p = sub, act, env, obj, eft
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = g(r.sub, p.sub) && r.env == p.env && keyMatch(r.act, p.act) && keyMatch(r.obj, p.obj)
"""


def casbin(of: World) -> Decide:
    """Return stock Casbin: one enforcer, every rule, roles by `g`, its own `keyMatch`."""
    import logging

    import casbin

    # Its warning about every denied request would be measured as well.
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        # From a file: added one by one, its check for duplicates makes loading quadratic.
        lines = [f"p, {', '.join(_casbin_rule(rule))}" for rule in of.rules]
        lines += [f"g, {agent_name(number)}, {of.role_of(number)}" for number in range(of.agents)]
        (Path(folder) / "policy.csv").write_text("\n".join(lines))
        (Path(folder) / "model.conf").write_text(_CASBIN)
        files = (str(Path(folder) / "model.conf"), str(Path(folder) / "policy.csv"))
        enforcer = casbin.Enforcer(*files)  # type: ignore[arg-type,call-arg]  # our stub names only what the broker uses

    def decide(question: Question) -> Answer:
        allowed = enforcer.enforce(question.agent, question.tool, question.environment, question.path)
        return Answer.ALLOW if allowed else Answer.DENY

    return decide


def _casbin_rule(rule: Rule) -> list[str]:
    return [rule.role, rule.tool, PLACES[rule.place], f"{rule.place}/{rule.area}/*", rule.effect.value]


def cedar(of: World) -> Decide:
    """Return Cedar by cedarpy in its best form: policies and entities parsed once."""
    import cedarpy

    policies = cedarpy.PolicySet.from_str("\n".join(map(_cedar_rule, of.rules)))
    entities = cedarpy.Entities.from_json_str(json.dumps(_cedar_entities(of)))

    def decide(question: Question) -> Answer:
        request = {
            "principal": f'Agent::"{question.agent}"',
            "action": f'Action::"{question.tool}"',
            "resource": 'File::"one"',
            "context": {"path": question.path, "environment": question.environment},
        }
        found = cedarpy.is_authorized(request, policies, entities)
        return Answer.ALLOW if found.allowed else Answer.DENY

    return decide


def _cedar_rule(rule: Rule) -> str:
    effect = "permit" if rule.effect is Answer.ALLOW else "forbid"
    action = "action" if rule.tool == EVERY_TOOL else f'action == Action::"{rule.tool}"'
    where = f'context.environment == "{PLACES[rule.place]}" && context.path like "{rule.place}/{rule.area}/*"'
    return f'{effect}(principal in Role::"{rule.role}", {action}, resource) when {{ {where} }};'


def _cedar_entities(of: World) -> list[dict[str, Any]]:
    roles = [{"uid": {"type": "Role", "id": role}, "attrs": {}, "parents": []} for role in of.roles]
    agents = [
        {"uid": {"type": "Agent", "id": agent_name(n)}, "attrs": {}, "parents": [{"type": "Role", "id": of.role_of(n)}]}
        for n in range(of.agents)
    ]
    return [*roles, *agents]


ENGINES: Final[dict[str, Callable[[World], Decide]]] = {"assent": assent, "casbin": casbin, "cedar": cedar}


def judge(name: str, size: int, shape: Shape, seconds: float) -> Judged:
    """Return what engine `name` needs for each decision over `size` rules.

    Raises:
        WrongAnswer: it decided otherwise than the oracle.

    """
    of = world(size, shape)
    asked = questions(of, QUESTIONS, SEED)
    right = answers(of, asked)
    before = _memory_mb()
    start = time.perf_counter()
    decide = ENGINES[name](of)
    loaded = time.perf_counter() - start
    checked, spent = _measure(decide, asked, right, seconds)
    spent.sort()
    return Judged(
        engine=name,
        rules=size,
        shape=shape.value,
        load_seconds=loaded,
        memory_mb=_memory_mb() - before,
        decisions=len(spent),
        checked=checked,
        p50_us=spent[len(spent) // 2] / 1_000,
        p99_us=spent[len(spent) * 99 // 100] / 1_000,
        per_second=len(spent) * 1e9 / sum(spent),
    )


def _measure(decide: Decide, asked: list[Question], right: list[Answer], seconds: float) -> tuple[int, list[int]]:
    """Return how many answers were compared, and nanoseconds for each decision; at least one pass, or the time."""
    gc.collect()
    gc.freeze()
    spent: list[int] = []
    stop = time.perf_counter() + seconds
    while time.perf_counter() < stop:
        for question, answer in zip(asked, right, strict=True):
            began = time.perf_counter_ns()
            found = decide(question)
            spent.append(time.perf_counter_ns() - began)
            if found is not answer:
                raise WrongAnswer(f"{question}: expected {answer}, heard {found}")
            if time.perf_counter() >= stop:
                break
    return len(spent), spent


def _memory_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1_024 / 1e6


def main() -> None:
    """Measure what the command line names and print it."""
    name, size, shape, seconds = sys.argv[1:5]
    pin(SERVER_CORE)
    print(json.dumps(asdict(judge(name, int(size), Shape(shape), float(seconds)))))


if __name__ == "__main__":
    main()
