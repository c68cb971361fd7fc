"""Plans: what one tool makes of requests, put together once when a policy is loaded.

A request becomes validated arguments and the facts derived from them, or a refusal that names what to correct. Nothing
is judged here, and nothing of the agent's word is believed.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from assent.core.actions import Proposal
from assent.core.canonical import BadJson, Json, canonical, canonical_of_ours
from assent.core.patterns import RESOURCE_SEPARATOR
from assent.core.reasons import Reason
from assent.policy import spelling
from assent.policy.bounds import MAX_LOOKED_AT, MAX_SEGMENTS
from assent.policy.catalogue import Tool
from assent.policy.fitting import arguments_check, is_plain, told
from assent.policy.schema import Kind
from assent.policy.spelling import Spelling
from assent.policy.templates import Template

MAX_RESOURCE: Final = 4_096
_OPTION: Final = "-"
_END_OF_OPTIONS: Final = "--"
_NUL: Final = "\x00"
_ENVIRONMENT_UNKNOWN: Final = Reason.of("environment_unknown")


class Plan:
    """One tool of one policy version; `demanded` is the spelling of every argument that rules or templates look at."""

    def __init__(self, tool: Tool, demanded: Mapping[str, Spelling], nonproduction: Collection[str]) -> None:
        self.tool = tool
        self._demanded = demanded
        self._nonproduction = frozenset(nonproduction)
        self._fit = arguments_check(tool.arguments)
        self._canonical: Callable[[Json], bytes] = canonical_of_ours if is_plain(tool.arguments) else canonical
        self._spelled = tuple((key, spelling.checker(how)) for key, how in demanded.items())
        self._is_spelled_whole = _is_spelled_whole(tool, demanded)
        self._opaque = tool.opaque

    def propose(self, arguments: Json) -> Proposal | Reason:
        """Return what the tool makes of `arguments`, or why it makes nothing of them."""
        # (1) the arguments fit the schema exactly
        if not isinstance(arguments, dict):
            return Reason.of("bad_arguments", "arguments are an object of names and values")
        if (fault := self._fit(arguments)) is not None:
            return Reason.of("bad_arguments", told(fault))
        try:
            stored = self._canonical(arguments)
        except BadJson as refused:
            return Reason.of("bad_arguments", refused.message)
        # (2) every value that decides is spelled in its one way
        if (reason := self._misspelled(arguments)) is not None:
            return reason
        # (3) what it acts on
        tool = self.tool
        resource = tool.resource.fill(arguments)
        if (wrong := self._resource_fault(resource)) is not None:
            return Reason.of("not_canonical", f"the resource: {wrong}")
        # (4) where
        environment = tool.environment.derive(arguments)
        if environment is None:
            return _ENVIRONMENT_UNKNOWN
        # (5) what would be executed
        command = tool.vector(arguments)
        if (wrong := _command_fault(tool, command)) is not None:
            return Reason.of("not_canonical", f"the command: {wrong}")
        return Proposal(
            tool=tool.name,
            definition=tool.definition,
            impact=tool.impact,
            arguments=stored,
            resource=resource,
            environment=environment,
            nonproduction=environment in self._nonproduction,
            redeemed_by=tool.redeemed_by,
            resource_is_public=tool.resource_is_public,
            sensitive=tuple([key for key in tool.sensitive if key in arguments]) if tool.sensitive else (),
            how_bad=tool.how_bad.show(arguments),
            undo=tool.undo.show(arguments),
            opaque=tuple([key for key in self._opaque if key in arguments]) if self._opaque else (),
            command=command,
        )

    def _misspelled(self, arguments: Mapping[str, Json]) -> Reason | None:
        for key, check in self._spelled:
            value = arguments.get(key)
            if isinstance(value, str):
                if len(value) > MAX_LOOKED_AT:
                    return _too_long(key)
                if check(value) is not None:
                    return Reason.of("not_canonical", f"`{key}`: {self._advice(key, value)}")
            elif isinstance(value, list):
                texts = [item for item in value if isinstance(item, str)]
                if len(value) + sum(map(len, texts)) > MAX_LOOKED_AT:
                    return _too_long(key)
                # Of a list nobody would know which item is meant, so only what is wrong is told.
                if (wrong := next(filter(None, map(check, texts)), None)) is not None:
                    return Reason.of("not_canonical", f"`{key}`: {wrong}")
        return None

    def _advice(self, key: str, value: str) -> str:
        how = self._demanded[key]
        # A sensitive value never stands in a message.
        return spelling.fault(value, how) or "" if key in self.tool.sensitive else spelling.advice(value, how)

    def _resource_fault(self, resource: str) -> str | None:
        if len(resource) > MAX_RESOURCE:
            return "it is too long"
        if resource.count(RESOURCE_SEPARATOR) >= MAX_SEGMENTS:
            return f"it has more than {MAX_SEGMENTS} segments"
        return None if self._is_spelled_whole else spelling.fault(resource, spelling.PATTERN)


def _command_fault(tool: Tool, command: Sequence[str]) -> str | None:
    """Return what no program could be given, or would read otherwise than the catalogue meant it, or None."""
    if any(_NUL in element for element in command):
        return "it holds a NUL, which no program takes"
    if tool.runs_argv:
        return None if command and command[0] else "it names no program"
    are_options = True
    for template, element in zip(tool.command, command, strict=True):
        are_options = are_options and element != _END_OF_OPTIONS
        if are_options and template.arguments and not template.parts[0] and element.startswith(_OPTION):
            return f"`{template.arguments[0]}` begins with `-`, which the program would read as an option"
    return None


def _too_long(key: str) -> Reason:
    return Reason.of("bad_arguments", f"`{key}` is longer than {MAX_LOOKED_AT} characters, more than a rule looks at")


def _is_spelled_whole(tool: Tool, demanded: Mapping[str, Spelling]) -> bool:
    """Whether a resource is canonical when its arguments are: each of them fills whole segments and is spelled so."""
    template: Template = tool.resource
    if spelling.fault(_with_stand_ins(template), spelling.PATTERN) is not None:
        return False
    edges = zip(template.arguments, template.parts[:-1:2], template.parts[2::2], strict=True)
    for key, before, after in edges:
        how = demanded.get(key)
        is_text = tool.arguments[key].kind is Kind.STRING
        if is_text and (how is None or not (how.is_path or how.is_segment)):
            return False
        if (before and not before.endswith(RESOURCE_SEPARATOR)) or (after and not after.startswith(RESOURCE_SEPARATOR)):
            return False
    return True


def _with_stand_ins(template: Template) -> str:
    return "".join("x" if index % 2 else part for index, part in enumerate(template.parts))
