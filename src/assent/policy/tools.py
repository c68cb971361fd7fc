"""Reads the catalogue's files: each entry becomes a tool, or findings say why it cannot."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final

from assent.core.actions import Impact, RedeemedBy, Runs
from assent.core.canonical import Json, canonical, digest
from assent.core.diffs import DiffOf
from assent.policy.catalogue import ARGV, NO_WORDS, POWERFUL, Tool
from assent.policy.documents import Mapping as MappingNode
from assent.policy.documents import Node, Scalar, Sequence, plain
from assent.policy.environments import Constant, Derivation, Lookup, derivation
from assent.policy.fields import NO_NAMES, Fields, boolean, choice, entries, names, text
from assent.policy.findings import Findings, Place, did_you_mean, quoted
from assent.policy.schema import SCALARS, Argument, Kind
from assent.policy.schema import arguments as read_arguments
from assent.policy.templates import Template, parse, resource_fault

TOOL_NAME: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
# What such an argument holds decides what happens, so reading is a claim that somebody has to make in words.
_NOWHERE: Final[Derivation] = Constant("")
_NO_COMMAND: Final[tuple[Template, ...] | Runs] = ()
_NO_ARGUMENTS: Final[dict[str, Argument]] = {}
_NO_DIFF: Final[DiffOf | None] = None


def read_tools(node: Node, findings: Findings, environments: Collection[str]) -> Iterator[Tool]:
    """Yield the tools of one file."""
    for key, value in entries(node, findings, "a file of tools"):
        if not TOOL_NAME.fullmatch(key):
            findings.add(value.place, f"{quoted(key)} cannot name a tool: segments of letters and digits between `.`")
        else:
            place = node.key_place(key) if isinstance(node, MappingNode) else value.place
            yield _tool(key, value, findings, environments, place)


def _tool(name: str, node: Node, findings: Findings, environments: Collection[str], place: Place) -> Tool:
    fields = Fields(node, findings, f"the tool `{name}`")
    impact = fields.need("impact", choice(Impact, Impact.DESTRUCTIVE), Impact.DESTRUCTIVE)
    arguments = fields.need("arguments", read_arguments, _NO_ARGUMENTS)
    sensitive = fields.take("sensitive", names, NO_NAMES)
    required = frozenset(_placeable(arguments, sensitive))
    resource = fields.need("resource", _template_of(required), NO_WORDS)
    words = fields.need if impact is not Impact.READ else fields.take
    command = fields.take("command", _command_of(required), _NO_COMMAND)
    tool = Tool(
        place=place,
        name=name,
        definition=_definition(name, node),
        description=fields.need("description", text, ""),
        impact=impact,
        resource=resource,
        environment=fields.need("environment", _environment(environments, arguments, impact), _NOWHERE),
        arguments=arguments,
        schema=_schema(node),
        sensitive=sensitive,
        how_bad=words("how_bad", _template_of(required), NO_WORDS),
        undo=words("undo", _template_of(required), NO_WORDS),
        redeemed_by=fields.take("redeemed_by", choice(RedeemedBy, RedeemedBy.TOOL), RedeemedBy.AGENT),
        resource_is_public=fields.take("resource_is_public", boolean, default=False),
        command=() if isinstance(command, Runs) else command,
        runs_argv=command is Runs.ARGV,
        read_because=fields.take("read_because", text, ""),
        diff=fields.take("diff", _diff_of(arguments), _NO_DIFF),
    )
    fields.close()
    _check(tool, fields)
    if tool.runs_argv and not _is_vector_alone(tool):
        # Whatever else was judged would be shown, and then not done.
        fields.refuse("command", f"with `{ARGV}` the tool takes `{ARGV}: {{type: list, of: string}}` and nothing else")
    return tool


def _check(tool: Tool, fields: Fields) -> None:
    paths = frozenset(key for key, argument in tool.arguments.items() if argument.spelling.is_path)
    if tool.resource is not NO_WORDS and (wrong := resource_fault(tool.resource, paths)) is not None:
        fields.refuse("resource", wrong)
    for key in tool.sensitive:
        if key not in tool.arguments:
            fields.refuse("sensitive", f"{quoted(key)} is no argument of this tool{did_you_mean(key, tool.arguments)}")
    if isinstance(tool.environment, Lookup) and tool.environment.argument in tool.sensitive:
        fields.refuse("environment", "the environment cannot be derived from a sensitive argument, it would tell it")
    for key, argument in tool.arguments.items():
        if argument.opaque and key not in tool.sensitive:
            fields.refuse("sensitive", f"{quoted(key)} is opaque, so it must be sensitive: everything else is shown")
        if any(inner.opaque for inner in _within(argument)):
            fields.refuse("arguments", f"what {quoted(key)} holds cannot be opaque, only an argument as a whole")
    powerful = sorted(POWERFUL.intersection(tool.arguments))
    if tool.impact is Impact.READ and powerful and not tool.read_because:
        fields.refuse("impact", f"what `{powerful[0]}` holds may do more than read: say why not in `read_because`")
    if tool.impact is not Impact.READ and tool.read_because:
        fields.refuse("read_because", "only a tool with `impact: read` says why it only reads")


def _is_vector_alone(tool: Tool) -> bool:
    one = tool.arguments.get(ARGV)
    if one is None or len(tool.arguments) > 1 or one.optional or one.nullable or tool.sensitive:
        return False
    return one.of is not None and one.of.kind is Kind.STRING and not one.of.nullable


def _within(argument: Argument) -> Iterator[Argument]:
    for inner in (*argument.fields.values(), *((argument.of,) if argument.of is not None else ())):
        yield inner
        yield from _within(inner)


def _placeable(arguments: Mapping[str, Argument], sensitive: Collection[str]) -> Iterator[str]:
    for key, argument in arguments.items():
        if argument.kind in SCALARS and not argument.optional and not argument.nullable and key not in sensitive:
            yield key


def _template_of(placeable: frozenset[str]) -> Callable[[Node, Findings], Template]:
    def read(node: Node, findings: Findings) -> Template:
        template = parse(text(node, findings))
        if isinstance(template, str):
            findings.add(node.place, template)
            return NO_WORDS
        for key in template.arguments:
            if key not in placeable:
                findings.add(node.place, f"{quoted(key)} is no required scalar argument that may be shown")
        return template

    return read


def _command_of(placeable: frozenset[str]) -> Callable[[Node, Findings], tuple[Template, ...] | Runs]:
    element = _template_of(placeable)

    def read(node: Node, findings: Findings) -> tuple[Template, ...] | Runs:
        if isinstance(node, Scalar) and node.text == ARGV:
            return Runs.ARGV
        if not isinstance(node, Sequence) or not node.items:
            findings.add(node.place, f"`command` must be a list: the program, then its arguments; or `{ARGV}`")
            return ()
        command = tuple(element(item, findings) for item in node.items)
        if command[0].arguments:
            findings.add(node.items[0].place, "the program must be written out, no argument may name it")
        return command

    return read


def _diff_of(arguments: Mapping[str, Argument]) -> Callable[[Node, Findings], DiffOf | None]:
    def one(node: Node, findings: Findings) -> str:
        name = text(node, findings)
        if name and name not in arguments:
            findings.add(node.place, f"{quoted(name)} is no argument of this tool{did_you_mean(name, arguments)}")
        elif name and arguments[name].kind is not Kind.STRING:
            findings.add(node.place, f"{quoted(name)} is no text, and only texts have a diff")
        return name

    def read(node: Node, findings: Findings) -> DiffOf | None:
        fields = Fields(node, findings, "a diff")
        if fields.has("patch"):
            found = DiffOf(patch=fields.need("patch", one, ""))
        else:
            found = DiffOf(before=fields.need("before", one, ""), after=fields.need("after", one, ""))
        fields.close()
        if found.before and found.before == found.after:
            fields.refuse("after", "`before` and `after` are the same argument: nothing would ever differ")
        return found

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
