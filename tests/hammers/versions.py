"""Versions of one policy that differ in every part at once, so that a mixture of two can be told from each.

Rules, routes, groups and descriptions carry the number of their version; what is allowed differs from one to the next.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from assent.core.actions import Proposal
from assent.core.agents import AgentId
from assent.core.canonical import Json
from assent.policy import LoadedPolicy
from tests.hammers import policy

COUNT: Final = 4
# As many as it takes to make loading slow enough to be caught in the middle.
FURTHER_RULES: Final = 100
_SHAPE: Final[dict[str, Any]] = {
    "path": "stg/x/y",
    "count": 3,
    "ratio": 0.5,
    "careful": True,
    "note": None,
    "tags": ["a"],
    "window": {"start": "03:00", "minutes": 15, "days": [1]},
}
QUESTIONS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("notes.read", {"path": "prod/a.txt"}),
    ("notes.write", {"path": "stg/a.txt", "content": "x"}),
    ("notes.write", {"path": "prod/a.txt", "content": "x"}),
    ("notes.delete", {"path": "stg/a.txt"}),
    ("shape.apply", _SHAPE),
)
_REFUSED: Final = "  rules: {nothing, of, the, kind}\n"


def write(directory: Path, number: int) -> None:
    """Write version `number` over whatever version is there."""
    _write(directory, _files(number))


def write_refused(directory: Path, number: int) -> None:
    """Write a version that no loader may take: its roles are damaged."""
    files = _files(number)
    role = files["roles/hammerer.yaml"]
    _write(directory, files | {"roles/hammerer.yaml": role.partition("  rules:")[0] + _REFUSED})


def _write(directory: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (directory / name).write_text(text)


def _files(number: int) -> dict[str, str]:
    files = dict(policy.FILES)
    files["tools/notes.yaml"] = files["tools/notes.yaml"].replace("a note", f"a note, version {number}")
    files["routes.yaml"] = (
        files["routes.yaml"].replace("default:", f"route-{number}:").replace("of: approvers", f"of: approvers-{number}")
        + files["routes.yaml"]
    )
    files["operators.yaml"] = files["operators.yaml"].replace("[approvers]", f"[approvers, approvers-{number}]")
    role = files["roles/hammerer.yaml"]
    for rule in ("read", "staging", "production", "never"):
        role = role.replace(f"id: {rule}", f"id: {rule}-{number}")
    role = role.replace("route: default", f"route: route-{number}")
    if number % 2:
        role = role.replace("environments: [staging], effect: allow", "environments: [staging], effect: deny")
    files["roles/hammerer.yaml"] = role + "".join(
        f"    - {{id: more-{number}-{place}, tools: [notes.read], environments: [staging],"
        f' resources: ["stg/{place}/**"], effect: allow}}\n'
        for place in range(FURTHER_RULES)
    )
    return files


@dataclass(frozen=True, slots=True)
class Decided:
    """Everything that one decision took from a policy."""

    version: str
    definition: str
    effect: str
    rules: tuple[str, ...]
    routes: tuple[object, ...]
    people: tuple[object, ...]


def decided(current: LoadedPolicy, tool: str, arguments: Json) -> Decided:
    """Return what a version says of a question, and the rest of it that a decision looks at."""
    proposal = current.propose(tool, arguments)
    if not isinstance(proposal, Proposal):
        raise TypeError(f"version {current.version} makes nothing of {tool}: {proposal}")
    verdict = current.verdict(proposal, AgentId(policy.AGENT), ())
    return Decided(
        version=current.version,
        definition=proposal.definition,
        effect=verdict.effect.value,
        rules=verdict.rules,
        routes=tuple(current.route(name) for name in verdict.routes),
        people=tuple(current.operators()),
    )
