"""The diff of privileges between two versions: everything that widens, narrows or is only worded otherwise.

Whatever could let more pass is noted as widening, also where that is not certain: a test holds it to that with random
pairs of versions and every question of a set.
"""

from dataclasses import fields

from assent.core.decisions import Effect
from assent.core.privileges import Change
from assent.policy.catalogue import Tool
from assent.policy.declared import Declared
from assent.policy.model import conditions_of
from assent.policy.privileges.console import compare_console
from assent.policy.privileges.noted import Noted, listed, pairs
from assent.policy.privileges.people import compare_agents, compare_operators, compare_routes
from assent.policy.privileges.rules import RuleChanges
from assent.policy.privileges.tools import compare_tool, is_as_strict
from assent.policy.rules import Rule
from assent.policy.scopes import by_role, covers_tool

_COMPARED = frozenset(
    {
        "model",
        "environments",
        "operators",
        "routes",
        "agents",
        "tools",
        "rules",
        "roles",
        "demanded",
        "cases",
        "places",
        "version",
    }
)


def compare(old: Declared, new: Declared) -> tuple[Change, ...]:
    """Return every change from `old` to `new`, what widens first."""
    noted = Noted()
    if old.version == new.version:
        return ()
    _model(old, new, noted)
    _environments(old, new, noted)
    compare_operators(old.operators, new.operators, noted)
    compare_routes(old.routes, new.routes, noted)
    stayed = {name: route for name, route in new.routes.items() if name in old.routes}
    compare_console(old.operators, new.operators, stayed, new.agents, noted)
    rules_of: dict[str, list[Rule]] = by_role(old.rules)
    for role, rules in by_role(new.rules).items():
        rules_of.setdefault(role, []).extend(rules)
    compare_agents(old.agents, new.agents, rules_of, noted)
    _tools(old, new, noted)
    tools = {*old.tools, *new.tools}
    RuleChanges(old.rules, new.rules, agents={**old.agents, **new.agents}, tools=tools, noted=noted).compare()
    _spelling(old, new, noted)
    _words(old, new, noted)
    return noted.changes()


def _model(old: Declared, new: Declared, noted: Noted) -> None:
    before, after = conditions_of(old.model), conditions_of(new.model)
    if not before <= after:
        noted.widens("model.conf", f"lacks {listed(before - after)}")
    elif before != after:
        noted.narrows("model.conf", f"demands {listed(after - before)} as well")


def _environments(old: Declared, new: Declared, noted: Noted) -> None:
    def changed(key: str, _before: bool, after: bool) -> None:  # noqa: FBT001  # the value that both versions declare
        if after:
            noted.widens(f"environment {key}", "is marked nonproduction: no question is asked there by itself")
        else:
            noted.narrows(f"environment {key}", "is production")

    pairs(
        old.environments,
        new.environments,
        # It is met only through a tool, and a tool that leads there is noted itself.
        added=lambda key, marked: noted.rewords(f"environment {key}", "is new" + (", nonproduction" if marked else "")),
        removed=lambda key, _: noted.rewords(f"environment {key}", "is gone"),
        changed=changed,
    )


def _tools(old: Declared, new: Declared, noted: Noted) -> None:
    def added(key: str, tool: Tool) -> None:
        granting = {r.id for r in new.rules.values() if r.effect is not Effect.DENY and covers_tool(r, key)}
        if granting:
            noted.widens(f"tool {key}", f"is new, `{tool.impact}`, within reach of {listed(granting)}")
        else:
            noted.rewords(f"tool {key}", "is new, and no rule lets anybody use it")

    def changed(key: str, before: Tool, after: Tool) -> None:
        compare_tool(f"tool {key}", before, after, noted)

    pairs(
        old.tools,
        new.tools,
        added=added,
        removed=lambda key, _: noted.narrows(f"tool {key}", "is gone"),
        changed=changed,
    )


def _spelling(old: Declared, new: Declared, noted: Noted) -> None:
    """Note arguments of a tool of both versions that were held to one spelling and are not any more."""
    for tool, before in old.demanded.items():
        after = new.demanded.get(tool)
        if after is None:
            continue
        loose = {key for key, how in before.items() if key not in after or not is_as_strict(after[key], how)}
        if loose:
            noted.widens(f"tool {tool}", f"{listed(loose)} may be spelled in ways that were refused")


def _words(old: Declared, new: Declared, noted: Noted) -> None:
    for role in sorted({*old.roles, *new.roles}):
        before, after = old.roles.get(role), new.roles.get(role)
        if before is None or after is None:
            noted.rewords(f"role {role}", "is new" if before is None else "is gone")
        elif (before.description, before.owner, before.review_by) != (after.description, after.owner, after.review_by):
            noted.rewords(f"role {role}", "says something else about itself")
    gone = {case.name for case in old.cases} - {case.name for case in new.cases}
    if gone:
        noted.rewords("cases", f"{listed(gone)} are asked no more")
    for one in fields(new):
        if one.name not in _COMPARED and getattr(old, one.name) != getattr(new, one.name):
            noted.widens(one.name, "is changed")
