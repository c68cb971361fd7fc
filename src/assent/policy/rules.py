"""Rules: what one says, as a row that Casbin judges and a few exact words about what it grants."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from assent.core.decisions import Effect
from assent.core.patterns import TOOL_SEPARATOR, matches
from assent.core.values import made_quickly
from assent.policy.conditions import Condition
from assent.policy.findings import Place

ANY: Final = "*"
SEPARATOR: Final = "|"
"""Between the alternatives of one field of a row; no tool, environment or pattern may contain it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The open, dated exception that lets an allow pass below the production floor."""

    reason: str
    until: datetime
    approved_by: str


@made_quickly
@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule; `row` is what Casbin judges: id, role, tools, environments, resources, effect.

    `steps` is what matching its patterns costs at most. `at` is where it stands: file, line and column.
    """

    row: tuple[str, ...]
    effect: Effect
    route: str = ""
    condition: Condition = ()
    standing: Standing | None = None
    until: datetime | None = None
    reason: str = ""
    description: str = ""
    steps: int = 0
    at: tuple[str, int, int] = field(default=("", 0, 0), compare=False)

    @property
    def place(self) -> Place:
        """Where it is declared."""
        return Place(*self.at)

    @property
    def id(self) -> str:
        return self.row[0]

    @property
    def role(self) -> str:
        return self.row[1]

    @property
    def tools(self) -> tuple[str, ...]:
        return tuple(self.row[2].split(SEPARATOR))

    @property
    def environments(self) -> tuple[str, ...]:
        return tuple(self.row[3].split(SEPARATOR))

    @property
    def resources(self) -> tuple[str, ...]:
        return tuple(self.row[4].split(SEPARATOR))

    def in_force(self, now: datetime) -> bool:
        """Whether it still counts: an expired allow or ask grants nothing, an expired deny still denies."""
        return self.until is None or now < self.until or self.effect is Effect.DENY

    def stands(self, now: datetime) -> bool:
        """Whether it lifts the production floor at `now`."""
        return self.standing is not None and now < self.standing.until


def covered(patterns: Collection[str], tools: Collection[str]) -> tuple[str, ...]:
    """Return the names among `tools` that any of the patterns matches."""
    return tuple(tool for tool in tools if any(matches(pattern, tool, TOOL_SEPARATOR) for pattern in patterns))
