"""Files to one checked whole: reads every part of a policy directory in the order in which they refer to each other."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from assent.core.breaker_rules import BreakerRule
from assent.policy import files
from assent.policy.breakers import Nameable, read_breakers
from assent.policy.cases import Case, read_cases
from assent.policy.catalogue import Tool, own_demands
from assent.policy.conditions import demands
from assent.policy.declared import Declared
from assent.policy.documents import Consume, Node, keep, read_data, read_document
from assent.policy.documents import Mapping as MappingNode
from assent.policy.environments import read_environments
from assent.policy.fields import entries
from assent.policy.files import Source, read_directory
from assent.policy.findings import Findings, Place, quoted
from assent.policy.judge import FUNCTIONS
from assent.policy.model import check_model
from assent.policy.people import read_agents, read_operators
from assent.policy.roles import Names, Rulebook
from assent.policy.routes import read_routes
from assent.policy.rules import Rule, covered
from assent.policy.spelling import Spelling, stricter
from assent.policy.tools import read_tools

_NOTHING: Final = MappingNode(".")
_OF_ONE_FILE: Final = (files.ENVIRONMENTS, files.OPERATORS, files.ROUTES, files.AGENTS)


def read_declared(directory: Path) -> Declared:
    """Return everything that `directory` declares; its cases are not asked.

    Raises:
        PolicyInvalid: with every finding, `file:line:column: message`.

    """
    findings = Findings()
    source = read_directory(directory, findings)
    findings.raise_if_any(str(directory))
    declared = declare(source, findings)
    findings.raise_if_any(str(directory))
    return declared


def declare(source: Source, findings: Findings) -> Declared:
    """Return everything that `source`, which holds every required file, declares; with findings it may not serve."""
    model = check_model(source.files[files.MODEL], FUNCTIONS, findings)
    one_file = {name: _document(source, name, findings) for name in _OF_ONE_FILE}
    environments = read_environments(one_file[files.ENVIRONMENTS], findings)
    operators = read_operators(one_file[files.OPERATORS], findings)
    routes = read_routes(one_file[files.ROUTES], findings, operators.values())
    tools = _tools(source, findings, environments)
    rulebook = _rules(
        source, findings, Names(tools=tools, environments=environments, routes=routes, operators=operators)
    )
    agents = read_agents(one_file[files.AGENTS], findings, operators=operators, roles=rulebook.roles)
    nameable = Nameable(agents=agents, tools=tools, environments=environments)
    breakers = _breakers(source, findings, nameable)
    cases = tuple(_cases(source, findings))
    return Declared(
        version=source.version,
        model=model,
        tools=tools,
        environments=environments,
        operators=operators,
        routes=routes,
        rules=rulebook.rules,
        roles=rulebook.roles,
        agents=agents,
        cases=cases,
        breakers=breakers,
        places=dict(_places(one_file)),
        demanded={} if findings else _demanded(tools, rulebook.rules.values()),
    )


def _places(one_file: Mapping[str, Node]) -> Iterator[tuple[str, Place]]:
    for file, node in one_file.items():
        if isinstance(node, MappingNode):
            yield from ((f"{file}/{key}", node.key_place(key)) for key in node.entries)


def _breakers(source: Source, findings: Findings, declared: Nameable) -> tuple[BreakerRule, ...]:
    if files.BREAKERS not in source.files:
        return ()
    return read_breakers(_document(source, files.BREAKERS, findings), findings, declared)


def _document(source: Source, name: str, findings: Findings) -> Node:
    return _read(name, source.files[name], findings)


def _read(name: str, content: bytes, findings: Findings, consume: Consume = keep) -> Node:
    return read_document(name, content, findings, consume) or _NOTHING


def _tools(source: Source, findings: Findings, environments: Mapping[str, bool]) -> dict[str, Tool]:
    tools: dict[str, Tool] = {}
    for name, content in source.within(files.TOOLS):
        node = _read(name, content, findings)
        for tool in read_tools(node, findings, environments):
            if tool.name in tools:
                findings.add(node.place, f"the tool {quoted(tool.name)} stands in two files")
            tools[tool.name] = tool
    if not tools:
        findings.add(Place(files.TOOLS), "the catalogue is empty: there is no tool to ask for")
    return tools


def _rules(source: Source, findings: Findings, names: Names) -> Rulebook:
    rulebook = Rulebook(names, findings)
    for name, content in source.within(files.ROLES):
        node = _read(name, content, findings, rulebook.take)
        for role, value in entries(node, findings, "a file of roles"):
            place = node.key_place(role) if isinstance(node, MappingNode) else value.place
            rulebook.add_role(role, value, place)
    if not rulebook.rules:
        findings.add(Place(files.ROLES), "there is no rule: nothing would ever be allowed")
    return rulebook


def _cases(source: Source, findings: Findings) -> Iterator[Case]:
    for name, content in source.within(files.CASES):
        node = read_data(name, content, findings)
        if node is not None:
            yield from read_cases(node, findings)


def _demanded(tools: Mapping[str, Tool], rules: Iterable[Rule]) -> dict[str, dict[str, Spelling]]:
    """Return, by tool and argument, the spelling that the catalogue and every rule's condition demand together."""
    demanded = {name: own_demands(tool) for name, tool in tools.items()}
    # Many rules are about the same tools: what they demand is put together before it is spread over these.
    by_tools: dict[tuple[str, ...], dict[str, Spelling]] = {}
    for rule in rules:
        if rule.condition:
            together = by_tools.setdefault(rule.tools, {})
            for key, how in demands(rule.condition).items():
                before = together.get(key, how)
                together[key] = how if before is how else stricter(before, how)
    for patterns, together in by_tools.items():
        for name in covered(patterns, tools):
            for key, how in together.items():
                _demand(demanded[name], key, how, tools[name])
    return demanded


def _demand(demanded: dict[str, Spelling], key: str, how: Spelling, tool: Tool) -> None:
    if key in tool.arguments:
        declared = (tool.arguments[key].of or tool.arguments[key]).spelling
        demanded[key] = stricter(demanded.get(key, declared), stricter(declared, how))
