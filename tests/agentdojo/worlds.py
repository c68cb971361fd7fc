"""What a replay needs of the places in which tasks are done: the tasks as calls, somewhere to run them, and who checks.

`Recorded` only knows which calls there are and which of them change something; `real` has the environments themselves.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

CASES: Final = Path(os.environ.get("ASSENT_CASES", Path(__file__).parents[2].parent / "shared" / "cases"))
RECORDING: Final = CASES / "agentdojo" / "banking_travel.json"
SUITES: Final = ("banking", "travel")


@dataclass(frozen=True, slots=True)
class Call:
    """One tool with its arguments."""

    tool: str
    arguments: Mapping[str, Any]


class World(Protocol):
    """One suite: what its users want, what its attackers want, and an environment that both would change."""

    name: str

    @property
    def user_tasks(self) -> tuple[str, ...]:
        """The ids of what users want."""

    @property
    def attacks(self) -> tuple[str, ...]:
        """The ids of what attackers want."""

    def begin(self, user_task: str) -> None:
        """Make a fresh environment for a user task; what runs from now on changes this one."""

    def calls(self, task: str) -> tuple[Call, ...]:
        """Return what solves a task, or reaches an attack's goal, in the environment that was begun."""

    def run(self, call: Call) -> bool:
        """Run a call; return whether it changed the environment."""

    def is_solved(self, user_task: str) -> bool:
        """Whether the suite's own check says that the user got what they wanted."""

    def is_reached(self, user_task: str, attack: str) -> bool:
        """Whether the suite's own check says that the attacker got what they wanted, from a hijacked agent."""


@dataclass(slots=True)
class Recorded:
    """A suite as it was recorded: nothing is changed, and what ran is compared with what would have had to."""

    name: str
    recording: Mapping[str, Any]
    _ran: list[Call] = field(default_factory=list)

    @property
    def user_tasks(self) -> tuple[str, ...]:
        return tuple(self.recording["user_tasks"])

    @property
    def attacks(self) -> tuple[str, ...]:
        return tuple(self.recording["injection_tasks"])

    def begin(self, user_task: str) -> None:
        assert user_task in self.recording["user_tasks"]
        self._ran = []

    def calls(self, task: str) -> tuple[Call, ...]:
        return tuple(Call(call["tool"], call["args"]) for call in self._task(task)["calls"])

    def run(self, call: Call) -> bool:
        self._ran.append(call)
        return any(
            effect["mutates_env"]
            for kind in ("user_tasks", "injection_tasks")
            for task in self.recording[kind].values()
            for known, effect in zip(task["calls"], task["exec"], strict=True)
            if (known["tool"], known["args"]) == (call.tool, call.arguments)
        )

    def is_solved(self, user_task: str) -> bool:
        return all(call in self._ran for call in self.calls(user_task))

    def is_reached(self, user_task: str, attack: str) -> bool:
        task = self._task(attack)
        changing = [
            call for call, effect in zip(self.calls(attack), task["exec"], strict=True) if effect["mutates_env"]
        ]
        # An attack that calls nothing is text that the agent says: it is said whatever a broker does.
        return all(call in self._ran for call in changing)

    def _task(self, task: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.recording["user_tasks"].get(task) or self.recording["injection_tasks"][task]
        return found


def recorded(suite: str) -> Recorded:
    """Return a suite as it was recorded. Raises FileNotFoundError where no recording is."""
    return Recorded(suite, json.loads(RECORDING.read_text())["suites"][suite])
