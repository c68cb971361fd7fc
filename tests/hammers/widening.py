"""Policy files are damaged and edited: whatever widens an answer is refused, or told as widening in the diff.

Each round changes one to three files of a policy, by accident (bytes, words, lines) or by a sound edit of a field, and
asks a set of questions before and after. Some versions become the one that the next round starts from.
"""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from assent.core.agents import AgentId
from assent.core.approvals import Route
from assent.core.canonical import Json
from assent.core.decisions import STRICTNESS, Effect
from assent.core.errors import PolicyInvalid
from assent.core.operators import Permission
from assent.core.privileges import Change, widening
from assent.core.reasons import Reason
from assent.policy import LoadedPolicy, load
from tests.hammers.budget import Budget, Report, expect
from tests.policy.directory import NOW, SAMPLE, write
from tests.policy.mutants import ACCIDENTS, edit_field

FULL_MUTATIONS: Final = 20_000
AGENTS: Final = ("bot", "both", "viewer", "helper", "gone")
NAMED: Final = ((), ("operator:dana",), ("operator:fay", "agent:viewer"), ("operator:gil",), ("agent:reader",))
_MAX_DRIFT: Final = 6


@dataclass(frozen=True, slots=True)
class Asked:
    """Whom a question goes to: how many of which groups, how sure, and which people could answer it."""

    needs: frozenset[tuple[str, int]]
    assurance: int
    able: frozenset[str]

    def is_as_strict_as(self, other: "Asked") -> bool:
        """Whether this asks at least the people that `other` asks."""
        mine = dict(self.needs)
        return (
            all(mine.get(group, 0) >= count for group, count in other.needs)
            and self.assurance >= other.assurance
            and self.able <= other.able
        )


Answer = tuple[Effect, tuple[Asked, ...]]


def run(folder: Path, budget: Budget) -> Report:
    """Change files until the budget is spent.

    Raises:
        Disproved: an answer is wider than before, and neither a finding nor the diff says so.

    """
    chance, counts = budget.random(), Counter[str]()
    base, drift = dict(SAMPLE), 0
    first = policy = load(write(folder / "policies", base), _now)
    before = sound = answers(policy)
    while budget.goes_on(counts["mutations"]):
        files = _changed(base, chance)
        counts["mutations"] += 1
        write(folder / "policies", files)
        try:
            found = load(folder / "policies", _now)
        except PolicyInvalid:
            counts["refused with a finding"] += 1
            write(folder / "policies", base)
            continue
        counts["would serve"] += 1
        told, after = widening(found.changes_since(policy)), answers(found)
        counts["told as widening"] += bool(told)
        counts["answer wider"] += check(before, after, told=told, files=_difference(base, files))
        drift += 1
        if drift < _MAX_DRIFT and chance.random() < 0.5:  # half of them
            base, policy, before = files, found, after
        else:
            base, policy, before, drift = dict(SAMPLE), first, sound, 0
            write(folder / "policies", base)
    return Report(counts=dict(counts))


def _now() -> datetime:
    return NOW


def _changed(files: dict[str, str], chance: random.Random) -> dict[str, str]:
    found = dict(files)
    for _ in range(chance.choice([1, 1, 2, 3])):
        name = chance.choice([name for name, text in sorted(found.items()) if len(text) > 1])
        is_field = name.endswith(".yaml") and chance.random() < 0.6  # most accidents are refused at once
        kind = edit_field if is_field else chance.choice(ACCIDENTS)
        try:
            found[name] = kind(found[name], chance)
        except Exception:  # noqa: BLE001, S112  # an earlier accident left nothing to edit
            continue
    return found


def questions() -> Iterator[tuple[str, dict[str, Json]]]:
    """Yield what is asked: places that rules tell apart, and values that a schema or a spelling refuses."""
    for cluster in ("prod-eu", "stg-1", "stg-9"):
        for namespace in ("payments", "web", "secrets", "pay//ments"):
            where: dict[str, Json] = {"cluster": cluster, "namespace": namespace, "deployment": "d"}
            yield "k8s.get", where
            yield "k8s.delete", where
            for replicas in (0, 20, 100):
                yield "k8s.scale", {**where, "replicas": replicas}
    scale: dict[str, Json] = {"cluster": "stg-1", "namespace": "web", "deployment": "d", "replicas": 3}
    yield from (("k8s.scale", {**scale, **odd}) for odd in ODD)
    yield "k8s.scale", {key: value for key, value in scale.items() if key != "replicas"}


ODD: Final[tuple[dict[str, Json], ...]] = (
    {"note": None},
    {"note": "x\u200b"},
    {"other": 1},
    {"replicas": "3"},
    {"replicas": 501},
    {"deployment": "é"},
)


def answers(policy: LoadedPolicy) -> dict[str, Answer]:
    """Return what everybody gets for every question, and whom it would go to."""
    found: dict[str, Answer] = {}
    for tool, arguments in questions():
        proposal = policy.propose(tool, arguments)
        for agent in AGENTS:
            for named in NAMED:
                key = f"{agent} {named} {tool} {arguments}"
                if isinstance(proposal, Reason):
                    found[key] = Effect.DENY, ()
                    continue
                verdict = policy.verdict(proposal, AgentId(agent), named)
                routes = [policy.route(name) for name in verdict.routes]
                asked = tuple(_asked(policy, agent, route) for route in routes if route is not None)
                found[key] = verdict.effect, asked
    return found


def _asked(policy: LoadedPolicy, agent: str, route: Route) -> Asked:
    profile = policy.agent(agent)
    groups = {need.of for need in route.needs}
    able = frozenset(
        operator.id
        for operator in policy.operators()
        if groups.intersection(operator.groups)
        and operator.may(Permission.APPROVALS_DECIDE)
        and not operator.away
        and (profile is None or profile.owner != operator.id or operator.single_person is not None)
    )
    needs = Counter[str]()
    for need in route.needs:
        needs[need.of] += need.count
    return Asked(frozenset(needs.items()), int(route.assurance), able)


def check(before: dict[str, Answer], after: dict[str, Answer], *, told: Sequence[Change], files: str) -> bool:
    """Return whether any answer is wider; `files` are what differs.

    Raises:
        Disproved: one is, and nothing was told.

    """
    wider = [key for key, answer in after.items() if _is_wider(before[key], answer)]
    expect(told or not wider, f"{wider[:3]} of\n{files}")
    return bool(wider)


def _is_wider(before: Answer, after: Answer) -> bool:
    if before[0] is not after[0]:
        return STRICTNESS[after[0]] < STRICTNESS[before[0]]
    return not all(any(new.is_as_strict_as(old) for new in after[1]) for old in before[1])


def _difference(before: dict[str, str], after: dict[str, str]) -> str:
    changed = [name for name in before if before[name] != after.get(name)]
    return "\n".join(f"--- {name}\n{before[name]}\n+++\n{after[name]}" for name in changed)
