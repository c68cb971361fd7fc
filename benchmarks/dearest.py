"""The dearest decisions that a policy can ask for: as many hostile rules as one may look at, and what it takes.

`python -m benchmarks.dearest` prints, as JSON, the processor milliseconds of one decision for each kind of rules. Steps
are counted, so the number of rules that just fit is known beforehand; that they do, and one more does not, is checked.
"""

import json
import shutil
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from assent.core.agents import AgentId
from assent.core.reasons import Reason
from assent.policy import LoadedPolicy, load
from assent.policy.bounds import CONDITION_STEPS, MAX_STEPS, RULE_STEPS
from benchmarks.checks import WrongAnswer
from benchmarks.pinned import SERVER_CORE, pin
from benchmarks.policy_files import MODEL

NOW: Final = datetime(2026, 3, 1, tzinfo=UTC)
TRIES: Final = 5
_TOOL: Final = """t.add:
  description: adds
  impact: read
  resource: "{path}"
  environment: staging
  arguments:
    path: {type: string, path: true}
    text: {type: string, unicode: true}
    to: {type: list, of: string}
"""
_FILES: Final = {
    "environments.yaml": "staging: {nonproduction: true}\n",
    "operators.yaml": "dana: {groups: [people]}\neve: {groups: [people], may: [approver]}\n",
    "routes.yaml": "default: {needs: [{any: 1, of: people}]}\n",
    "agents.yaml": "bot: {owner: dana, roles: [all], expires: 2099-01-01}\n",
    "tools/t.yaml": _TOOL,
}
_ALTERNATIVES: Final = ", ".join(f"{{equals: x{number}}}" for number in range(250))
_LONG: Final = "/".join(["a"] * 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hostile:
    """Rules that differ by their id only, and a question that meets all of them."""

    rule: str
    path: str = "a"
    text: str = "a"
    to: tuple[str, ...] = ()

    @property
    def arguments(self) -> dict[str, Any]:
        return {"path": self.path, "text": self.text, "to": list(self.to)}


HOSTILE: Final = {
    "rules about one place": Hostile(rule=""),
    "three patterns each": Hostile(rule='resources: ["b/*", "c/**", "a"], '),
    "a pattern over 64 segments": Hostile(rule='resources: ["a/*/**"], ', path=_LONG),
    "`**` within a pattern": Hostile(rule='resources: ["**/a/**/a/**"], ', path=_LONG),
    "a length": Hostile(rule="when: {text: {length: {max: 9}}}, "),
    "250 alternatives": Hostile(rule=f"when: {{text: [{_ALTERNATIVES}]}}, "),
    "a host": Hostile(rule="when: {text: {domain: x.example}}, ", text="a" * 64 + "@" + ".".join(["a"] * 120)),
    "a prefix of a long text": Hostile(rule=f"when: {{text: {{prefix: {'a' * 900}}}}}, ", text="a" * 16_000),
    "an expression that counts": Hostile(rule='when: {text: {matches: "(a?){50}a{50}b"}}, ', text="a" * 700),
    "an expression without end": Hostile(rule='when: {text: {matches: ".*a[ab]{200}c"}}, ', text="abbab" * 160),
    "each of many texts": Hostile(rule="when: {to: {each: {not_in: [b]}}}, ", to=("a",) * 1_000),
    "each of many empty texts": Hostile(rule="when: {to: {each: {not_in: [b]}}}, ", to=("",) * 8_000),
    "an expression on each": Hostile(rule='when: {to: {each: {matches: "a+"}}}, ', to=("a",) * 1_000),
    "a host for each": Hostile(rule="when: {to: {each: {domain: x.example}}}, ", to=("a.x.example",) * 1_000),
    "250 alternatives for each": Hostile(rule=f"when: {{to: {{each: [{_ALTERNATIVES}]}}}}, ", to=("a",) * 20),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dear:
    """What one decision took when it met as many `rules` of a kind as may be met."""

    kind: str
    rules: int
    milliseconds: float


def measure(kind: str) -> Dear:
    """Return what the dearest decision of a kind takes, the best of some tries: the machine has other work as well.

    Raises:
        WrongAnswer: the rules that were counted to fit do not, or one more does.

    """
    hostile = HOSTILE[kind]
    count = _fitting(hostile)
    taken, stopped = _ask(hostile, count)
    if stopped or not _ask(hostile, count + 1)[1]:
        raise WrongAnswer(f"{kind}: {count} rules are not as many as may be met")
    return Dear(kind=kind, rules=count, milliseconds=taken)


def _fitting(hostile: Hostile) -> int:
    rule = _load(hostile, 1).declared.rules["r0"]
    steps = RULE_STEPS + rule.steps
    for one in rule.condition:
        value = hostile.arguments[one.argument]
        steps += CONDITION_STEPS + sum(test.cost(value) for every in one.any_of for test in every)
    return MAX_STEPS // steps


def _ask(hostile: Hostile, count: int) -> tuple[float, bool]:
    """Return the milliseconds of a decision over `count` rules, and whether it was stopped for its cost."""
    policy = _load(hostile, count)
    taken: list[float] = []
    stopped = False
    for _ in range(TRIES):
        began = time.process_time()
        proposal = policy.propose("t.add", hostile.arguments)
        if isinstance(proposal, Reason):
            raise WrongAnswer(f"nothing was judged: {proposal.message}")
        verdict = policy.verdict(proposal, AgentId("bot"), ())
        taken.append((time.process_time() - began) * 1_000)
        stopped = any(reason.code == "policy_error" for reason in verdict.reasons)
    return min(taken), stopped


def _load(hostile: Hostile, count: int) -> LoadedPolicy:
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "policies"
        head = "all:\n  description: d\n  owner: dana\n  rules:\n"
        rule = f"tools: [t.add], environments: [staging], {hostile.rule}effect: allow}}\n"
        lines = "".join(f"    - {{id: r{number}, {rule}" for number in range(count))
        for name, content in (_FILES | {"roles/all.yaml": head + lines}).items():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_text(content)
        shutil.copyfile(MODEL, directory / "model.conf")
        return load(directory, lambda: NOW)


def main() -> None:
    """Measure every kind and print it."""
    pin(SERVER_CORE)
    print(json.dumps({"dearest": [asdict(measure(kind)) for kind in HOSTILE]}))


if __name__ == "__main__":
    main()
