"""Environments: which are declared, which of them are not production, and how a tool's is derived from its arguments.

An environment is never claimed: it is a constant of the tool, or looked up by an argument's value in a table of names.
Whatever the table does not hold has no environment, and is denied.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from assent.core.actions import Impact
from assent.core.canonical import Json
from assent.core.patterns import RESOURCE_SEPARATOR, fault, matches
from assent.policy.documents import Mapping as MappingNode
from assent.policy.documents import Node, Scalar, Sequence
from assent.policy.fields import Fields, boolean, entries, integer, known, name, text, texts
from assent.policy.findings import Findings, quoted
from assent.policy.schema import Argument, Kind

_NO_SEGMENT: Final = -1
_NO_TABLE: Final[dict[str, str]] = {}


@dataclass(frozen=True, slots=True)
class Constant:
    """The tool acts in one environment, whatever its arguments."""

    environment: str

    def derive(self, _arguments: Mapping[str, Json]) -> str | None:
        return self.environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """The environment is looked up by an argument's value, or by one segment of it.

    `names` maps exact values; `patterns` are tried when no name fits, and must agree with each other. `unsafe_pattern`
    is the reason why a tool that changes something has patterns at all.
    """

    argument: str
    segment: int
    names: Mapping[str, str]
    patterns: tuple[tuple[str, str], ...]
    unsafe_pattern: str = ""

    def derive(self, arguments: Mapping[str, Json]) -> str | None:
        value = arguments[self.argument]
        if not isinstance(value, str):
            return None
        if self.segment != _NO_SEGMENT:
            segments = value.split(RESOURCE_SEPARATOR)
            if self.segment >= len(segments):
                return None
            value = segments[self.segment]
        if (exact := self.names.get(value)) is not None:
            return exact
        found = {environment for pattern, environment in self.patterns if matches(pattern, value, RESOURCE_SEPARATOR)}
        return found.pop() if len(found) == 1 else None

    @property
    def takes_segment(self) -> bool:
        """Whether the argument is read as a path."""
        return self.segment != _NO_SEGMENT


Derivation = Constant | Lookup


def read_environments(node: Node, findings: Findings) -> dict[str, bool]:
    """Return every declared environment with whether it is marked nonproduction."""
    return {key: _nonproduction(value, findings) for key, value in entries(node, findings, "environments.yaml")}


def _nonproduction(node: Node, findings: Findings) -> bool:
    fields = Fields(node, findings, "an environment")
    marked = fields.take("nonproduction", boolean, default=False)
    fields.close()
    return marked


def derivation(
    node: Node, findings: Findings, *, declared: Collection[str], arguments: Mapping[str, Argument], impact: Impact
) -> Derivation:
    """Read how a tool's environment is derived."""
    if isinstance(node, Scalar):
        constant = name(node, findings)
        known(constant, declared, node, findings, "environment")
        return Constant(constant)
    fields = Fields(node, findings, "`environment`")
    source = fields.need("from", text, "")
    segment = fields.take("segment", integer, _NO_SEGMENT)
    reason = fields.take("unsafe_pattern", text, "")
    table = fields.need("match", lambda value, found: _table(value, found, declared), _NO_TABLE)
    fields.close()
    if fields.has("segment") and segment < 0:
        fields.refuse("segment", "segments count from 0")
    _check_source(source, fields, arguments)
    patterns = {value: environment for value, environment in table.items() if "*" in value}
    if patterns and impact is not Impact.READ and not reason:
        fields.refuse(
            "match", "a pattern may send a target to the wrong environment: name each, or say `unsafe_pattern: WHY NOT`"
        )
    exact = {value: environment for value, environment in table.items() if "*" not in value}
    return Lookup(
        argument=source, segment=segment, names=exact, patterns=tuple(patterns.items()), unsafe_pattern=reason
    )


def _check_source(source: str, fields: Fields, arguments: Mapping[str, Argument]) -> None:
    if not source:
        return
    argument = arguments.get(source)
    if argument is None:
        fields.refuse("from", f"{quoted(source)} is no argument of this tool")
    elif argument.kind is not Kind.STRING or argument.optional or argument.nullable:
        fields.refuse("from", f"{quoted(source)} must be a required text, the environment is derived from it")


def _table(node: Node, findings: Findings, declared: Collection[str]) -> dict[str, str]:
    """Read `value: environment` or `environment: [value, …]`, in any mixture."""
    if not isinstance(node, MappingNode) or not node.entries:
        findings.add(node.place, "`match` must map values to environments")
        return {}
    table: dict[str, str] = {}
    for key, value in node.entries.items():
        if isinstance(value, Sequence):
            if key not in declared:
                findings.add(node.key_place(key), f"there is no environment {quoted(key)}")
            for item in texts(value, findings):
                _enter(table, item, key, value, findings)
        else:
            environment = name(value, findings)
            if key in declared and environment and environment not in declared:
                meant = f"`{key}: [{environment}]`, or `{environment}: {key}`"
                findings.add(value.place, f"there is no environment {quoted(environment)}; did you mean {meant}")
            else:
                known(environment, declared, value, findings, "environment")
            _enter(table, key, environment, value, findings)
    return table


def _enter(table: dict[str, str], value: str, environment: str, node: Node, findings: Findings) -> None:
    if table.setdefault(value, environment) != environment:
        findings.add(node.place, f"{quoted(value)} stands for two environments")
    if "*" in value and (wrong := fault(value, RESOURCE_SEPARATOR)) is not None:
        findings.add(node.place, f"{quoted(value)} is no pattern: {wrong}")
