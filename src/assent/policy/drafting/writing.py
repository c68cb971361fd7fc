"""Drafts as files: a tool for each sketch, a rule for each thing that was asked, a case for each rule.

Everything is drafted as narrowly as it was seen: exact tools, environments and resources, questions to people in
place of permissions. What a person must write is a comment that says what is missing.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from assent.core.actions import Impact
from assent.core.canonical import Json
from assent.core.characters import visible
from assent.policy.catalogue import POWERFUL, Tool
from assent.policy.drafting.sketches import Denial, Sketch, Type, sample
from assent.policy.findings import quoted
from assent.policy.schema import ARGUMENT_NAME
from assent.policy.tools import TOOL_NAME

MOST_VALUES: Final = 10
_NO_NAMES: Final = POWERFUL | {
    *("comment", "content", "description", "expression", "filter", "jql", "message", "note", "prompt", "reason"),
    *("summary", "text", "title", "value"),
}
_LONGEST_NAME: Final = 200
_LONGEST_ID: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the policy says already: its tools, its production, the agent that the draft is for and that one's owner."""

    tools: Mapping[str, Tool] = field(default_factory=dict)
    production: str = "production"
    agent: str = "your-agent"
    owner: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Files to be written into `drafts/`, named by the folder that each is for, and what a person must still say."""

    files: Mapping[str, str]
    open_points: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """One drafted rule with its case, both as text."""

    text: str
    case: str | None


def draft(name: str, sketches: Mapping[str, Sketch], denials: Iterable[Denial], known: Known) -> Draft:
    """Return the draft called `name`: new tools from `sketches`, rules for them and for what was denied."""
    points = [f"{tool}: the catalogue has it, it is left as it is" for tool in sorted(sketches) if tool in known.tools]
    points += [f"{tool}: this cannot name a tool, it is left out" for tool in sketches if not TOOL_NAME.fullmatch(tool)]
    named = {tool: _declarable(sketch) for tool, sketch in sorted(sketches.items()) if TOOL_NAME.fullmatch(tool)}
    new = {tool: sketch for tool, sketch in named.items() if tool not in known.tools}
    tools = [_tool(sketch, known, points) for sketch in new.values()]
    if new:
        points.append(
            f"{', '.join(new)}: say what each changes (`how_bad`) and how that is undone, or that it only reads"
        )
    rules = [*_rules_for_new(new, name, known), *_rules_for_denied(_without_rule(denials), name, known, points)]
    cases = [rule.case for rule in rules if rule.case is not None]
    files = {"tools": tools, "roles": [_role(name, rules, known, points)] if rules else [], "tests": cases}
    return Draft(
        files={kind: "\n".join([_schema_of(kind), *texts]) for kind, texts in files.items() if texts},
        open_points=tuple(points),
    )


def _schema_of(kind: str) -> str:
    return f"# yaml-language-server: $schema=../schemas/{kind}.json"


# --- tools ---


def _declarable(sketch: Sketch) -> Sketch:
    """Return a sketch without arguments whose names no catalogue takes; an agent may have sent anything."""
    arguments = {key: one for key, one in sketch.arguments.items() if ARGUMENT_NAME.fullmatch(key)}
    left_out = [f"{quoted(key)} cannot name an argument" for key in sketch.arguments if key not in arguments]
    return replace(sketch, arguments=arguments, notes=(*sketch.notes, *left_out))


def _tool(sketch: Sketch, known: Known, points: list[str]) -> str:
    points += [f"{sketch.name}: {note}" for note in sketch.notes]
    placeable = [k for k, one in sketch.arguments.items() if _is_placeable(one) and k not in sketch.moments]
    from_which = placeable[0] if placeable else "ARGUMENT"
    lines = [*(f"# {visible(note)}" for note in (f"from {sketch.source}", *sketch.notes)), f"{_plain(sketch.name)}:"]
    lines.append(f"  description: {_quoted(sketch.description or f'what {sketch.name} does')}")
    if sketch.reads:
        lines.append("  # its maker says that it only reads; if you believe that, `impact: read`")
    lines += [
        "  impact: destructive",
        f"  resource: {_quoted(_resource(sketch.name, sketch.arguments, placeable))}",
        f"  # where it acts: one environment, or {{from: {from_which}, match: {{{known.production}: [VALUE]}}}}",
        f"  environment: {known.production}",
    ]
    if sketch.arguments:
        lines += ["  arguments:", *(f"    {_key(key)}: {_flow(one)}" for key, one in sketch.arguments.items())]
    else:
        lines.append("  # arguments:" if sketch.notes else "  arguments: {}")
    if powerful := sorted(POWERFUL.intersection(sketch.arguments)):
        lines.append(f"  # `{powerful[0]}` decides what happens: a tool that only reads says in `read_because` why")
    lines += [
        "  # what it changes, in words for whoever is asked; may hold {argument}",
        "  # how_bad:",
        "  # how that is taken back",
        "  # undo:",
        "",
    ]
    return "\n".join(lines)


def _is_placeable(one: Type) -> bool:
    return one["type"] in {"string", "integer"} and not one.get("optional") and not one.get("nullable")


def _resource(name: str, arguments: Mapping[str, Type], placeable: Sequence[str]) -> str:
    """Return a resource of the tool's family and the required arguments that look like names."""
    named = [key for key in placeable if key not in _NO_NAMES and not _is_long(arguments[key])]
    return "/".join([name.split(".", maxsplit=1)[0], *(f"{{{key}}}" for key in named[:4])])


def _is_long(one: Type) -> bool:
    return int(one.get("max_length", 0)) > _LONGEST_NAME


def _flow(value: Json) -> str:
    """Return a type as it stands in a catalogue; the name alone where it says nothing more."""
    if isinstance(value, dict) and set(value) == {"type"}:
        return str(value["type"])
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)}: {_flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return _plain(value) if isinstance(value, str) else json.dumps(value)


def _key(key: str) -> str:
    return _plain(key)


def _plain(text: str) -> str:
    """Return a word as it is where no reader of YAML takes it for anything else: not `no`, `null` or `12`."""
    return text if _WORD.fullmatch(text) and text.lower() not in _READ_OTHERWISE else _quoted(text)


_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")
_READ_OTHERWISE: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"})


def _quoted(text: str) -> str:
    return json.dumps(visible(text), ensure_ascii=False)


# --- rules ---


def _without_rule(denials: Iterable[Denial]) -> dict[tuple[str, str], list[Denial]]:
    found: dict[tuple[str, str], list[Denial]] = {}
    for denial in denials:
        if denial.code == "no_rule":
            found.setdefault((denial.tool, denial.environment), []).append(denial)
    return dict(sorted(found.items()))


def _rules_for_new(new: Mapping[str, Sketch], name: str, known: Known) -> Iterator[_Rule]:
    for tool, sketch in new.items():
        rule = _rule_id(name, tool)
        yield _Rule(
            text=_rule(rule, tool, known.production, effect="require_approval"),
            case=_case(
                f"{tool} asks; its arguments are made up", known, tool, _samples(sketch), expect=("pending", rule)
            ),
        )


def _samples(sketch: Sketch) -> dict[str, Json]:
    return {key: sample(one) for key, one in sketch.arguments.items() if not one.get("optional")}


def _rules_for_denied(
    asked: Mapping[tuple[str, str], Sequence[Denial]], name: str, known: Known, points: list[str]
) -> Iterator[_Rule]:
    for (tool, environment), denials in asked.items():
        catalogued = known.tools.get(tool)
        if catalogued is None:
            points.append(f"{tool}: it was denied for want of a rule and is not in this catalogue; nothing is drafted")
            continue
        rule = _rule_id(name, tool, environment)
        shown = [] if catalogued.sensitive else [one.arguments for one in denials if one.arguments is not None]
        resources = sorted({denial.resource for denial in denials if _is_pattern(denial.resource)})
        passes = catalogued.impact is Impact.READ and bool(resources)
        if len(resources) > MOST_VALUES:
            points.append(f"{rule}: {len(resources)} resources were asked for, its pattern is wider than they are")
        if not resources:
            points.append(f"{rule}: which resources were meant is not on record, without `resources` it covers all")
        if not shown:
            points.append(f"{rule}: what was asked is not shown here, its case is yours to write")
        lines = _rule(
            rule,
            tool,
            environment,
            effect="allow" if passes else "require_approval",
            resources=resources if len(resources) <= MOST_VALUES else [_common(resources)],
            condition=_bounds(shown),
        )
        case = f"{tool} in {environment}, as it was asked"
        decision = "allow" if passes else "pending"
        yield _Rule(
            text=f"    # denied {len(denials)} times for want of a rule\n{lines}",
            case=_case(case, known, tool, shown[0], expect=(decision, rule)) if shown else None,
        )


def _is_pattern(resource: str) -> bool:
    """Tell whether a resource can stand in a rule as it is, meaning itself alone."""
    return bool(resource) and _NO_PATTERN.search(resource) is None and visible(resource) == resource


_NO_PATTERN: Final = re.compile(r"""[*|,;"'#\\{}()\[\]]""")


def _rule_id(name: str, tool: str, *more: str) -> str:
    """Return a rule's id; a draft is often called as its tools begin, which is not said twice."""
    return "-".join([name, tool.removeprefix(f"{name}."), *more]).replace(".", "-")[:_LONGEST_ID].rstrip("-")


def _bounds(asked: Sequence[Mapping[str, Json]]) -> Mapping[str, Json]:
    """Return between which numbers all asks were, and what was true of all."""
    found: dict[str, Json] = {}
    for key in dict.fromkeys(key for arguments in asked for key in arguments):
        values = [arguments.get(key) for arguments in asked]
        numbers = [one for one in values if isinstance(one, int | float) and not isinstance(one, bool)]
        if len(numbers) == len(values):
            found[key] = {"min": min(numbers), "max": max(numbers)}
        elif all(isinstance(one, bool) and one is values[0] for one in values):
            found[key] = {"equals": values[0]}
    return found


def _common(resources: Sequence[str]) -> str:
    """Return the longest beginning that all share, as a pattern of what is below it."""
    shared: list[str] = []
    for column in zip(*(resource.split("/") for resource in resources), strict=False):
        if len(set(column)) > 1:
            break
        shared.append(column[0])
    return "/".join([*shared, "**"])


def _rule(
    rule: str,
    tool: str,
    environment: str,
    *,
    effect: str,
    resources: Sequence[str] = (),
    condition: Mapping[str, Json] | None = None,
) -> str:
    lines = [f"- id: {rule}", f"  tools: [{_plain(tool)}]", f"  environments: [{_plain(environment)}]"]
    if resources:
        lines.append(f"  resources: {json.dumps(list(resources), ensure_ascii=False)}")
    if condition:
        lines.append(f"  when: {_flow(dict(condition))}")
    return "\n".join(f"    {line}" for line in [*lines, f"  effect: {effect}"])


def _role(name: str, rules: Sequence[_Rule], known: Known, points: list[str]) -> str:
    lines = [f"{name}:", f"  description: {_quoted(f'drafted for {known.agent}: say what such agents do')}"]
    if known.owner:
        lines.append(f"  owner: {_plain(known.owner)}")
    else:
        lines.append("  # owner: the operator who keeps this role")
        points.append(f"{name}: the role has no owner yet; without one it does not load")
    lines.append("  # a human is asked every time, until you know better")
    return "\n".join([*lines, "  rules:", *(rule.text for rule in rules), ""])


def _case(name: str, known: Known, tool: str, arguments: Mapping[str, Json], *, expect: tuple[str, str]) -> str:
    decision, rule = expect
    lines = [
        f"- name: {_quoted(name)}",
        f"  agent: {_plain(known.agent)}",
        f"  tool: {_plain(tool)}",
        f"  arguments: {json.dumps(dict(arguments))}",
        f"  expect: {{decision: {decision}, rules: [{rule}]}}",
    ]
    return "\n".join([*lines, ""])
