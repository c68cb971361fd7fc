"""Everything that the files of one policy version declare, read and checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from assent.core.agents import AgentProfile
from assent.core.approvals import Route
from assent.core.breaker_rules import BreakerRule
from assent.core.operators import Operator
from assent.policy.cases import Case
from assent.policy.catalogue import Tool
from assent.policy.findings import NOWHERE, Place
from assent.policy.roles import Role
from assent.policy.rules import Rule
from assent.policy.spelling import Spelling


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """Everything that the files declare, checked.

    `demanded` is the spelling of arguments by tool, `places` says where named things of one-file kinds stand.
    """

    version: str
    model: str
    tools: Mapping[str, Tool]
    environments: Mapping[str, bool]
    operators: Mapping[str, Operator]
    routes: Mapping[str, Route]
    rules: Mapping[str, Rule]
    agents: Mapping[str, AgentProfile]
    demanded: Mapping[str, Mapping[str, Spelling]]
    roles: Mapping[str, Role] = field(default_factory=dict)
    cases: tuple[Case, ...] = ()
    breakers: tuple[BreakerRule, ...] = ()
    places: Mapping[str, Place] = field(default_factory=dict, compare=False)

    def place(self, file: str, key: str) -> Place:
        """Return where the thing called `key` stands in `file`."""
        return self.places.get(f"{file}/{key}", NOWHERE)
