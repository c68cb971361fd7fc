"""The catalogue: what each tool is, and what one request comes to: validated arguments and the facts derived from them.

Resource and environment come from the arguments alone, never from the agent's word. A tool that is not here does not
exist; an argument that is not declared is refused.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

from assent.core.actions import Impact, Proposal, RedeemedBy
from assent.core.canonical import BadJson, Json, canonical
from assent.core.reasons import Reason
from assent.policy import spelling
from assent.policy.environments import Derivation, Lookup
from assent.policy.schema import Argument, Kind, misfit
from assent.policy.spelling import Spelling
from assent.policy.templates import Template

_MAX_RESOURCE: Final = 4_096
NO_WORDS: Final = Template(("",))


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
    how_bad: Template = NO_WORDS
    undo: Template = NO_WORDS
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
