"""Judging while every kind of predicate is in play: thirteen conditions meet each question, however many rules.

`python -m benchmarks.predicates SIZE SECONDS` prints what it measured as JSON. Rules come in groups of thirteen, one
for each kind of predicate, each with words of its own. Half of the questions meet all thirteen, half nine of them;
which ones is checked for every answer.
"""

import gc
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from assent.core.agents import AgentId
from assent.core.canonical import Json
from assent.core.reasons import Reason
from assent.policy import LoadedPolicy, load
from benchmarks.checks import WrongAnswer
from benchmarks.pinned import SERVER_CORE, pin
from benchmarks.policy_files import MODEL

NOW: Final = datetime(2026, 3, 1, tzinfo=UTC)
SEED: Final = 20_260_301
GROUPS_ASKED: Final = 70
"""So many are there at the smallest size: what differs between sizes is how many rules nobody asks about."""
GROUPS_PER_ROLE: Final = 8
WHENS: Final = {
    "equals": "{{path: {{equals: g{n}/a}}}}",
    "in": "{{path: {{in: [g{n}/a, g{n}/b]}}}}",
    "not_in": "{{path: {{not_in: [g{n}/x, g{n}/y]}}}}",
    "prefix": "{{path: {{prefix: g{n}/}}}}",
    "under": "{{path: {{under: g{n}}}}}",
    "min": "{{size: {{min: {n}}}}}",
    "max": "{{size: {{max: {n}}}}}",
    "length": "{{labels: {{length: {{min: 1, max: {more}}}}}}}",
    "each": "{{labels: {{each: {{prefix: l{n}}}}}}}",
    "domain": "{{host: {{domain: d{n}.example}}}}",
    "matches": '{{host: {{matches: "[a-z]+\\\\.d{n}\\\\.example"}}}}',
    "present": "{{host: {{present: true}}, size: {{min: {n}}}}}",
    "absent": "{{note: {{absent: true}}, size: {{min: {n}}}}}",
}
_MISSED: Final = frozenset({"equals", "in", "not_in", "absent"})
_FILES: Final = {
    "environments.yaml": "staging: {nonproduction: true}\n",
    "operators.yaml": "dana: {groups: [people]}\neve: {groups: [people], may: [approver]}\n",
    "routes.yaml": "default: {needs: [{any: 1, of: people}]}\n",
    "tools/t.yaml": """t.add:
  description: adds
  impact: read
  resource: "{path}"
  environment: staging
  arguments:
    path: string
    host: string
    size: integer
    labels: {type: list, of: string}
    note: {type: string, optional: true}
""",
}


def _write(directory: Path, size: int) -> None:
    for folder in ("tools", "roles"):
        (directory / folder).mkdir(parents=True, mode=0o755)
    shutil.copyfile(MODEL, directory / "model.conf")
    roles: dict[str, list[str]] = {}
    for number, line in enumerate(_rules(size)):
        roles.setdefault(_role(number // len(WHENS)), []).append(line)
    agents = "".join(f"a-{role}: {{owner: dana, roles: [{role}], expires: 2099-01-01}}\n" for role in roles)
    said = {
        f"roles/{role}.yaml": f"{role}:\n  description: one of many\n  owner: dana\n  rules:\n{''.join(lines)}"
        for role, lines in roles.items()
    }
    for name, text in ({**_FILES, "agents.yaml": agents} | said).items():
        (directory / name).write_text(text)


def _role(group: int) -> str:
    return f"r{group // GROUPS_PER_ROLE}"


def _rules(size: int) -> Iterator[str]:
    kinds = list(WHENS)
    for number in range(size):
        group, kind = number // len(kinds), kinds[number % len(kinds)]
        when = WHENS[kind].format(n=group, more=group + 2)
        yield (
            f'    - {{id: g{group}.{kind}, tools: [t.add], environments: [staging], resources: ["g{group}/**"],'
            f" when: {when}, effect: allow}}\n"
        )


def _question(group: int, *, meets_all: bool) -> tuple[AgentId, dict[str, Json], tuple[str, ...]]:
    """Return who asks with which arguments, and the rules that apply."""
    arguments: dict[str, Json] = {
        "path": f"g{group}/{'a' if meets_all else 'x'}",
        "host": f"api.d{group}.example",
        "size": group,
        "labels": [f"l{group}a", f"l{group}b"],
    }
    if not meets_all:
        arguments["note"] = "there is one"
    met = [kind for kind in WHENS if meets_all or kind not in _MISSED]
    return AgentId(f"a-{_role(group)}"), arguments, tuple(sorted(f"g{group}.{kind}" for kind in met))


def measure(size: int, seconds: float) -> dict[str, Any]:
    """Return what one decision over `size` rules costs.

    Raises:
        WrongAnswer: other rules applied than should.

    """
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder) / "policies", size)
        policy = load(Path(folder) / "policies", lambda: NOW)
    choose = random.Random(SEED)  # the same questions in every run
    groups = choose.sample(range(size // len(WHENS)), GROUPS_ASKED)
    asked = [_question(group, meets_all=meets_all) for group in groups for meets_all in (True, False)]
    gc.collect()
    gc.freeze()
    spent = sorted(_judged(policy, asked, seconds))
    return {"rules": size, "decisions": len(spent), "p50_us": spent[len(spent) // 2] / 1_000}


def _judged(
    policy: LoadedPolicy, asked: list[tuple[AgentId, dict[str, Json], tuple[str, ...]]], seconds: float
) -> Iterator[int]:
    """Yield the nanoseconds of every decision but those of the first pass, which meets each question anew."""
    stop, passes = time.perf_counter() + seconds, 0
    while passes <= 1 or time.perf_counter() < stop:
        for agent, arguments, right in asked:
            began = time.perf_counter_ns()
            proposal = policy.propose("t.add", arguments)
            if isinstance(proposal, Reason):
                raise WrongAnswer(f"the question was refused: {proposal.message}")
            verdict = policy.verdict(proposal, agent, ())
            took = time.perf_counter_ns() - began
            if verdict.rules != right:
                raise WrongAnswer(f"{right} should apply, {verdict.rules} did")
            if passes:
                yield took
        passes += 1


def main() -> None:
    """Measure what the command line names and print it."""
    size, seconds = sys.argv[1:3]
    pin(SERVER_CORE)
    print(json.dumps(measure(int(size), float(seconds))))


if __name__ == "__main__":
    main()
