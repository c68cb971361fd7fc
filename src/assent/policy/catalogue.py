"""The catalogue: what each tool is, and what one request comes to: validated arguments and the facts derived from them.

Resource and environment come from the arguments alone, never from the agent's word. A tool that is not here does not
exist; an argument that is not declared is refused.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from assent.core.actions import Impact, Proposal, RedeemedBy
from assent.core.canonical import BadJson, Json, canonical, digest
from assent.core.reasons import Reason
from assent.policy import spelling
from assent.policy.documents import Mapping as MappingNode
from assent.policy.documents import Node, plain
from assent.policy.environments import Constant, Derivation, Lookup, derivation
from assent.policy.fields import NO_NAMES, Fields, boolean, choice, entries, names, text
from assent.policy.findings import Findings, did_you_mean, quoted
from assent.policy.schema import SCALARS, Argument, Kind, misfit
from assent.policy.schema import arguments as read_arguments
from assent.policy.spelling import Spelling
from assent.policy.templates import Template, parse, resource_fault

TOOL_NAME: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
# What such an argument holds decides what happens, so reading is a claim that somebody has to make in words.
_POWERFUL: Final = frozenset(
    {"body", "cmd", "code", "command", "query", "request", "script", "sql", "statement", "uri", "url"}
)
_MAX_RESOURCE: Final = 4_096
_EMPTY: Final = Template(("",))
_NOWHERE: Final[Derivation] = Constant("")
_NO_ARGUMENTS: Final[dict[str, Argument]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One catalogued tool; `definition` is the hex digest over its entry as written."""

    name: str
    definition: str
    description: str
    impact: Impact
    resource: Template
    environment: Derivation
    arguments: Mapping[str, Argument]
    schema: Mapping[str, Json]
    sensitive: tuple[str, ...] = ()
    how_bad: Template = _EMPTY
    undo: Template = _EMPTY
    redeemed_by: RedeemedBy = RedeemedBy.AGENT
    resource_is_public: bool = False


def propose(
    tool: Tool, arguments: Json, *, demanded: Mapping[str, Spelling], nonproduction: Collection[str]
) -> Proposal | Reason:
    """Return what `tool` makes of `arguments`, or why it makes nothing of them.

    `demanded` names the arguments that rules look at with the spelling each must have, beyond those that the tool
    itself places into its resource or environment.
    """
    # (1) the arguments fit the schema exactly
    if not isinstance(arguments, dict):
        return Reason.of("bad_arguments", "arguments are an object of names and values")
    if (wrong := misfit(arguments, tool.arguments)) is not None:
        return Reason.of("bad_arguments", wrong)
    try:
        stored = canonical(arguments)
    except BadJson as fault:
        return Reason.of("bad_arguments", fault.message)
    # (2) every value that decides is spelled in its one way
    for key, how in demanded.items():
        if (wrong := _misspelled(arguments.get(key), how)) is not None:
            return Reason.of("not_canonical", f"`{key}`: {_advice(tool, key, arguments[key], how)}")
    # (3) what it acts on
    resource = tool.resource.fill(arguments)
    if (wrong := spelling.fault(resource, spelling.PATTERN)) is not None or len(resource) > _MAX_RESOURCE:
        return Reason.of("not_canonical", f"the resource: {wrong or 'it is too long'}")
    # (4) where
    environment = tool.environment.derive(arguments)
    if environment is None:
        return Reason.of("environment_unknown")
    return Proposal(
        tool=tool.name,
        definition=tool.definition,
        impact=tool.impact,
        arguments=stored,
        resource=resource,
        environment=environment,
        nonproduction=environment in nonproduction,
        redeemed_by=tool.redeemed_by,
        resource_is_public=tool.resource_is_public,
        sensitive=tool.sensitive,
        how_bad=tool.how_bad.show(arguments),
        undo=tool.undo.show(arguments),
    )


def _misspelled(value: Json, how: Spelling) -> str | None:
    """Return what is not canonical about a text, or about the first such text in a list."""
    if isinstance(value, str):
        return spelling.fault(value, how)
    if isinstance(value, list):
        return next((wrong for item in value if (wrong := _misspelled(item, how)) is not None), None)
    return None


def _advice(tool: Tool, key: str, value: Json, how: Spelling) -> str:
    # A sensitive value never stands in a message; of a list, nobody would know which item is meant.
    if isinstance(value, str) and key not in tool.sensitive:
        return spelling.advice(value, how)
    return _misspelled(value, how) or "it is not canonical"


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


def read_tools(node: Node, findings: Findings, environments: Collection[str]) -> Iterator[Tool]:
    """Yield the tools of one file."""
    for key, value in entries(node, findings, "a file of tools"):
        if not TOOL_NAME.fullmatch(key):
            findings.add(value.place, f"{quoted(key)} cannot name a tool: segments of letters and digits between `.`")
        else:
            yield _tool(key, value, findings, environments)


def _tool(name: str, node: Node, findings: Findings, environments: Collection[str]) -> Tool:
    fields = Fields(node, findings, f"the tool `{name}`")
    impact = fields.need("impact", choice(Impact, Impact.DESTRUCTIVE), Impact.DESTRUCTIVE)
    arguments = fields.need("arguments", read_arguments, _NO_ARGUMENTS)
    sensitive = fields.take("sensitive", names, NO_NAMES)
    required = frozenset(_placeable(arguments, sensitive))
    resource = fields.need("resource", _template_of(required), _EMPTY)
    words = fields.need if impact is not Impact.READ else fields.take
    tool = Tool(
        name=name,
        definition=_definition(name, node),
        description=fields.need("description", text, ""),
        impact=impact,
        resource=resource,
        environment=fields.need("environment", _environment(environments, arguments, impact), _NOWHERE),
        arguments=arguments,
        schema=_schema(node),
        sensitive=sensitive,
        how_bad=words("how_bad", _template_of(required), _EMPTY),
        undo=words("undo", _template_of(required), _EMPTY),
        redeemed_by=fields.take("redeemed_by", choice(RedeemedBy, RedeemedBy.TOOL), RedeemedBy.AGENT),
        resource_is_public=fields.take("resource_is_public", boolean, default=False),
    )
    read_because = fields.take("read_because", text, "")
    fields.close()
    _check(tool, fields, read_because)
    return tool


def _check(tool: Tool, fields: Fields, read_because: str) -> None:
    paths = frozenset(key for key, argument in tool.arguments.items() if argument.spelling.is_path)
    if tool.resource is not _EMPTY and (wrong := resource_fault(tool.resource, paths)) is not None:
        fields.refuse("resource", wrong)
    for key in tool.sensitive:
        if key not in tool.arguments:
            fields.refuse("sensitive", f"{quoted(key)} is no argument of this tool{did_you_mean(key, tool.arguments)}")
    if isinstance(tool.environment, Lookup) and tool.environment.argument in tool.sensitive:
        fields.refuse("environment", "the environment cannot be derived from a sensitive argument, it would tell it")
    powerful = sorted(_POWERFUL.intersection(tool.arguments))
    if tool.impact is Impact.READ and powerful and not read_because:
        fields.refuse("impact", f"what `{powerful[0]}` holds may do more than read: say why not in `read_because`")
    if tool.impact is not Impact.READ and read_because:
        fields.refuse("read_because", "only a tool with `impact: read` says why it only reads")


def _placeable(arguments: Mapping[str, Argument], sensitive: Collection[str]) -> Iterator[str]:
    for key, argument in arguments.items():
        if argument.kind in SCALARS and not argument.optional and not argument.nullable and key not in sensitive:
            yield key


def _template_of(placeable: frozenset[str]) -> Callable[[Node, Findings], Template]:
    def read(node: Node, findings: Findings) -> Template:
        template = parse(text(node, findings))
        if isinstance(template, str):
            findings.add(node.place, template)
            return _EMPTY
        for key in template.arguments:
            if key not in placeable:
                findings.add(node.place, f"{quoted(key)} is no required scalar argument that may be shown")
        return template

    return read


def _environment(
    declared: Collection[str], arguments: Mapping[str, Argument], impact: Impact
) -> Callable[[Node, Findings], Derivation]:
    def read(node: Node, findings: Findings) -> Derivation:
        return derivation(node, findings, declared=declared, arguments=arguments, impact=impact)

    return read


def _definition(name: str, node: Node) -> str:
    return digest("assent/tool/v1", canonical([name, plain(node)])).hex()


def _schema(node: Node) -> dict[str, Json]:
    declared = plain(node.entries["arguments"]) if isinstance(node, MappingNode) and "arguments" in node.entries else {}
    return declared if isinstance(declared, dict) else {}
