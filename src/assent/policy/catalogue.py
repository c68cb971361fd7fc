"""The catalogue: what each tool is, and which spelling its own templates demand of arguments.

Resource and environment come from the arguments alone, never from the agent's word. A tool that is not here does not
exist; an argument that is not declared is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from assent.core.actions import Impact, RedeemedBy, Runs
from assent.core.canonical import Json
from assent.core.diffs import DiffOf
from assent.policy import spelling
from assent.policy.environments import Derivation, Lookup
from assent.policy.findings import NOWHERE, Place
from assent.policy.schema import Argument, Kind
from assent.policy.spelling import Spelling
from assent.policy.templates import Template

NO_WORDS: Final = Template(("",))
ARGV: Final = Runs.ARGV.value
POWERFUL: Final = frozenset(
    {"argv", "body", "cmd", "code", "command", "query", "request", "script", "sql", "statement", "uri", "url"}
)
"""Arguments of these names may do more than read, whatever the tool is called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One catalogued tool; `definition` is the hex digest over its entry as written.

    `command` is the argument vector that `assent action run` executes, one template for each element; with `runs_argv`
    the argument `argv`, the only one, is that vector. `diff` says which arguments people read as a diff.
    """

    name: str
    definition: str
    description: str
    impact: Impact
    resource: Template
    environment: Derivation
    arguments: Mapping[str, Argument]
    schema: Mapping[str, Json]
    sensitive: tuple[str, ...] = ()
    how_bad: Template = NO_WORDS
    undo: Template = NO_WORDS
    redeemed_by: RedeemedBy = RedeemedBy.AGENT
    resource_is_public: bool = False
    command: tuple[Template, ...] = ()
    runs_argv: bool = False
    read_because: str = ""
    diff: DiffOf | None = None
    place: Place = field(default=NOWHERE, compare=False)

    @property
    def runs(self) -> Runs | None:
        """Where the argument vector comes from, None where the tool is no program."""
        if self.runs_argv:
            return Runs.ARGV
        return Runs.COMMAND if self.command else None

    def vector(self, arguments: Mapping[str, Json]) -> tuple[str, ...]:
        """Return the argument vector that `arguments`, which fit, come to; empty where the tool is no program."""
        if self.runs_argv:
            given = arguments[ARGV]
            return tuple(map(str, given)) if isinstance(given, list) else ()
        return tuple(element.fill(arguments) for element in self.command)

    @property
    def opaque(self) -> tuple[str, ...]:
        """The sensitive arguments that cannot change what happens."""
        return tuple(key for key in self.sensitive if self.arguments[key].opaque)


def own_demands(tool: Tool) -> dict[str, Spelling]:
    """Return the spelling of every text argument that the tool places into its resource or looks its environment up by.

    A value fills one segment of the resource, unless it is the whole resource or declared a path.
    """
    demanded: dict[str, Spelling] = {}
    for key in tool.resource.arguments:
        if tool.arguments[key].kind is Kind.STRING:
            how = tool.arguments[key].spelling
            is_path = how.is_path or tool.resource.parts == ("", key, "")
            demanded[key] = replace(how, is_path=is_path, is_segment=not is_path)
    if isinstance(tool.environment, Lookup):
        key = tool.environment.argument
        how = replace(tool.arguments[key].spelling, is_path=tool.environment.takes_segment)
        demanded[key] = spelling.stricter(demanded.get(key, how), how)
    return demanded
