"""The access-policy document: who may do what, who is asked, and what is never done, for people who read no YAML.

One section for each agent, with what it may do tool by tool; then roles, routes, people, exceptions and the catalogue.
It is made from the loaded version alone and carries its digest.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

from assent.core.actions import Impact
from assent.core.agents import AgentId, AgentProfile
from assent.core.decisions import Effect
from assent.core.errors import NotFound
from assent.core.explanations import DocumentFormat
from assent.core.operators import Operator, OperatorId
from assent.policy.asking import question, who_may_answer
from assent.policy.catalogue import Tool
from assent.policy.declared import Declared
from assent.policy.environments import Constant
from assent.policy.exported import as_casbin
from assent.policy.findings import did_you_mean
from assent.policy.loaded import LoadedPolicy
from assent.policy.roles import Role
from assent.policy.routes import DEFAULT
from assent.policy.rules import ANY, Rule, covered
from assent.policy.scopes import by_role, covers_tool
from assent.policy.words import assurance_in_words, condition_in_words, listed, needs_in_words

_EFFECTS: Final = {
    Effect.ALLOW: "May, without asking",
    Effect.REQUIRE_APPROVAL: "May, when people agree",
    Effect.DENY: "Never",
}
_ORDER: Final = (
    "Whatever is not written here is denied. Of all rules that match an action, a denial beats a question, and a"
    " question beats a permission."
)
_MOST_VALUES: Final = 20
_STRONGEST: Final = (Effect.DENY, Effect.REQUIRE_APPROVAL, Effect.ALLOW)


def written_out(
    policy: LoadedPolicy, kind: DocumentFormat, now: datetime, *, agent: str | None = None, role: str | None = None
) -> str:
    """Return a policy for people or for Casbin, whole or of one agent or role.

    Raises:
        NotFound: there is no such agent or role.

    """
    declared = policy.declared
    if kind is DocumentFormat.CASBIN:
        return as_casbin(declared)
    document = Document(declared, now)
    if agent is not None:
        if agent not in declared.agents:
            raise NotFound(f"there is no agent `{agent}`{did_you_mean(agent, declared.agents)}")
        return document.of_agent(declared.agents[agent])
    if role is not None:
        if role not in declared.roles:
            raise NotFound(f"there is no role `{role}`{did_you_mean(role, declared.roles)}")
        return document.of_role(declared.roles[role])
    return document.whole()


class Document:
    """The document of one policy version at one moment."""

    def __init__(self, declared: Declared, now: datetime) -> None:
        self._declared = declared
        self._now = now
        self._rules_of = by_role(declared.rules)
        self._covered: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._owned = defaultdict[str, list[str]](list)
        for agent in declared.agents.values():
            self._owned[agent.owner].append(agent.id)

    def whole(self) -> str:
        """Return the document of everybody."""
        agents = [agent for _, agent in sorted(self._declared.agents.items())]
        roles = [role for _, role in sorted(self._declared.roles.items())]
        return self._document(agents, roles, title="Access policy")

    def of_agent(self, agent: AgentProfile) -> str:
        """Return the document of one agent and its roles."""
        roles = [self._declared.roles[name] for name in agent.roles]
        return self._document([agent], roles, title=f"Access policy of {agent.id}")

    def of_role(self, role: Role) -> str:
        """Return the document of one role and the agents that have it."""
        agents = [agent for _, agent in sorted(self._declared.agents.items()) if role.name in agent.roles]
        return self._document(agents, [role], title=f"Access policy of the role {role.name}")

    def _document(self, agents: Collection[AgentProfile], roles: Collection[Role], *, title: str) -> str:
        rules = [rule for role in roles for rule in self._rules_of.get(role.name, ())]
        tools = [tool for name, tool in sorted(self._declared.tools.items()) if _any_covers(rules, name)]
        parts = [f"# {title}", self._preface(), "## Agents", *map(self._agent, agents)]
        parts += ["## Roles", *map(self._role, roles), *self._exceptions(rules)]
        parts += [
            "## Who is asked",
            self._routes(rules, _one_of(agents)),
            self._people(),
            "## Tools",
            self._catalogue(tools),
        ]
        return "\n\n".join(part for part in parts if part) + "\n"

    def _preface(self) -> str:
        production = sorted(name for name, marked in self._declared.environments.items() if not marked)
        free = sorted(name for name, marked in self._declared.environments.items() if marked)
        floor = (
            f"Production is {listed(production) or 'nowhere'}: what changes something there is asked on `{DEFAULT}`"
            " even where a rule allows it, unless an exception is listed below."
        )
        lines = [
            f"Version `{self._declared.version}`, as of {self._now:%Y-%m-%d}.",
            _ORDER,
            f"{floor} Not production: {listed(free)}." if free else floor,
        ]
        return "\n".join(lines)

    # --- agents ---

    def _agent(self, agent: AgentProfile) -> str:
        facts = [
            f"- answers to: {self._owner(agent)}",
            f"- roles: {listed(agent.roles)}",
            f"- until: {agent.expires:%Y-%m-%d}" + (" (over)" if agent.expires <= self._now else ""),
        ]
        if agent.interactive:
            facts.append("- acts only in the name of a person, who never approves it")
        if agent.cut_off:
            facts.append(f"- cut off elsewhere: {_text(agent.cut_off)}")
        rules = [rule for role in agent.roles for rule in self._rules_of.get(role, ())]
        tools = [tool for _, tool in sorted(self._declared.tools.items())]
        rows = [row for tool in tools for row in self._tool_rows(tool, rules)]
        table = _table(("tool", "where", "what happens", "rule"), rows)
        return "\n".join([f"### {agent.id}", "", *facts, "", table])

    def _owner(self, agent: AgentProfile) -> str:
        owner = self._declared.operators[agent.owner]
        single = owner.single_person
        if single is None or single.until <= self._now:
            return f"`{owner.id}`, who may deny and cancel, and never approves"
        return f"`{owner.id}`, who until {single.until:%Y-%m-%d} **may approve what it asks** but for what destroys"

    def _tool_rows(self, tool: Tool, rules: Iterable[Rule]) -> Iterator[tuple[str, ...]]:
        about = [rule for rule in rules if covers_tool(rule, tool.name) and rule.in_force(self._now)]
        if not any(rule.effect is not Effect.DENY for rule in about):
            return
        never = {place for rule in about if _denies_all(rule) for place in _places_of(rule, tool)}
        ordered = [rule for effect in reversed(_STRONGEST) for rule in about if rule.effect is effect]
        name = f"`{tool.name}`"
        for rule in ordered:
            places = [p for p in _places_of(rule, tool) if rule.effect is Effect.DENY or p not in never]
            if places:
                yield name, self._where(rule, places), self._outcome(rule, tool, places), f"`{rule.id}`"
                name = ""

    def _where(self, rule: Rule, places: Iterable[str]) -> str:
        where = ", ".join(places)
        return where if rule.resources == ("**",) else f"{where}: {listed(rule.resources)}"

    def _outcome(self, rule: Rule, tool: Tool, places: Collection[str]) -> str:
        when = f" when {condition_in_words(rule.condition)}" if rule.condition else ""
        until = f", until {rule.until:%Y-%m-%d}" if rule.until is not None and rule.effect is not Effect.DENY else ""
        if rule.effect is Effect.DENY:
            return f"**denied**{when}" + (f": {_text(rule.reason)}" if rule.reason else "")
        if rule.effect is Effect.REQUIRE_APPROVAL:
            return f"**asked** on `{rule.route}`{when}{until}"
        if tool.impact is Impact.READ or rule.stands(self._now):
            return f"allowed{when}{until}"
        floored = [place for place in places if not self._declared.environments.get(place, False)]
        if not floored:
            return f"allowed{when}{until}"
        if len(floored) == len(places):
            return f"**asked** on `{DEFAULT}` (production){when}{until}"
        return f"allowed{when}{until}; in {', '.join(floored)} **asked** on `{DEFAULT}`"

    # --- roles ---

    def _role(self, role: Role) -> str:
        held = sorted(agent.id for agent in self._declared.agents.values() if role.name in agent.roles)
        facts = [f"### {role.name}", "", f"{_sentence(role.description)} Kept by `{role.owner}`."]
        if role.review_by is not None:
            late = " (overdue)" if role.review_by <= self._now else ""
            facts[-1] += f" To be reviewed by {role.review_by:%Y-%m-%d}{late}."
        facts[-1] += f" Held by {listed(held) or 'no agent'}."
        for effect, heading in _EFFECTS.items():
            rules = [rule for rule in self._rules_of.get(role.name, ()) if self._comes_to(rule) is effect]
            if rules:
                facts += ["", f"**{heading}**", "", *(f"- {self._rule(rule)}" for rule in rules)]
        return "\n".join(facts)

    def _comes_to(self, rule: Rule) -> Effect:
        """Return what a rule comes to where it applies: an allow that is asked everywhere is a question."""
        met = list(self._met(rule))
        return Effect.REQUIRE_APPROVAL if met and all(floored for _, _, floored in met) else rule.effect

    def _met(self, rule: Rule) -> Iterator[tuple[str, str, bool]]:
        """Yield every tool and place that an allow meets, and whether the production floor asks there all the same."""
        if rule.effect is not Effect.ALLOW:
            return
        if rule.tools not in self._covered:
            self._covered[rule.tools] = covered(rule.tools, sorted(self._declared.tools))
        for tool in (self._declared.tools[name] for name in self._covered[rule.tools]):
            lifted = tool.impact is Impact.READ or rule.stands(self._now)
            for place in _places_of(rule, tool):
                yield tool.name, place, not (lifted or self._declared.environments.get(place, False))

    def _floor(self, rule: Rule) -> str:
        met = list(self._met(rule))
        floored = [(tool, place) for tool, place, is_floored in met if is_floored]
        if not floored:
            return ""
        places = ", ".join(dict.fromkeys(place for _, place in floored))
        tools = dict.fromkeys(tool for tool, _ in floored)
        if len(floored) == len(met):
            return f"; asked on `{DEFAULT}`, as every change in {places}"
        which = "" if len(tools) == len({tool for tool, _, _ in met}) else f"{listed(tools)} "
        return f"; {which}in {places} asked on `{DEFAULT}`"

    def _rule(self, rule: Rule) -> str:
        where = "everywhere" if ANY in rule.environments else f"in {', '.join(rule.environments)}"
        said = f"{listed(rule.tools)} {where}"
        if rule.resources != ("**",):
            said += f", on {listed(rule.resources)}"
        if rule.condition:
            said += f", when {condition_in_words(rule.condition)}"
        if rule.effect is Effect.REQUIRE_APPROVAL:
            said += f"; asked on `{rule.route}`"
        said += self._floor(rule)
        if rule.until is not None and rule.effect is not Effect.DENY:
            said += f", until {rule.until:%Y-%m-%d}" + ("" if rule.in_force(self._now) else " (over)")
        if rule.description or rule.reason:
            said += f" — {_text(rule.description or rule.reason)}"
        return f"{said} (`{rule.id}`)"

    def _exceptions(self, rules: Iterable[Rule]) -> Iterator[str]:
        rows = [
            (
                f"`{rule.id}`",
                listed(rule.tools),
                _text(rule.standing.reason),
                f"`{rule.standing.approved_by}`",
                f"{rule.standing.until:%Y-%m-%d}" + ("" if rule.stands(self._now) else " (over)"),
            )
            for rule in rules
            if rule.standing is not None
        ]
        if rows:
            yield "## Exceptions from the production floor"
            yield _table(("rule", "tools", "why", "approved by", "until"), rows)

    # --- people and tools ---

    def _routes(self, rules: Iterable[Rule], agent: AgentProfile) -> str:
        used = {DEFAULT, *(rule.route for rule in rules if rule.effect is Effect.REQUIRE_APPROVAL)}
        rows = []
        for name, route in sorted(self._declared.routes.items()):
            if name not in used:
                continue
            rows.append(
                (
                    f"`{name}`",
                    needs_in_words(route),
                    assurance_in_words(route),
                    _span(route.expires_after.total_seconds()),
                    ", ".join(f"`{who}`" for who in self._able(name, agent)) or "nobody",
                )
            )
        return _table(("route", "needs", "by", "answered within", "people"), rows)

    def _able(self, name: str, agent: AgentProfile) -> tuple[str, ...]:
        asked = question(agent, (self._declared.routes[name],), self._now)
        return who_may_answer(asked, tuple(self._declared.operators.values()), self._now)

    def _people(self) -> str:
        rows = [self._person(operator) for _, operator in sorted(self._declared.operators.items())]
        return _table(("person", "groups", "may", "owns"), rows)

    def _person(self, operator: Operator) -> tuple[str, ...]:
        owns = sorted(self._owned.get(operator.id, ()))
        may = operator.sets or tuple(sorted(permission.value for permission in operator.permissions))
        if operator.single_person is not None:
            single = operator.single_person
            over = " (over)" if single.until <= self._now else ""
            what = f"approve what their own agents ask until {single.until:%Y-%m-%d}{over}: {_text(single.reason)}"
            may = (*may, what)
        away = " (away)" if operator.away else ""
        return f"`{operator.id}`{away}", ", ".join(operator.groups), ", ".join(may) or "nothing", ", ".join(owns)

    def _catalogue(self, tools: Iterable[Tool]) -> str:
        rows = [
            (
                f"`{tool.name}`",
                tool.impact.value,
                f"`{_words(tool.resource.parts)}`",
                _acts_in(tool),
                _text(tool.description),
                _text(_words(tool.how_bad.parts)),
                _text(_words(tool.undo.parts)),
            )
            for tool in tools
        ]
        return _table(("tool", "impact", "acts on", "in", "does", "how bad", "undone by"), rows)


def _one_of(agents: Collection[AgentProfile]) -> AgentProfile:
    """Return the one agent that a document is about, or an agent of nobody where it is about several."""
    if len(agents) == 1:
        return next(iter(agents))
    return AgentProfile(id=AgentId(""), owner=OperatorId(""), roles=(), expires=datetime.max.replace(tzinfo=UTC))


def _any_covers(rules: Iterable[Rule], tool: str) -> bool:
    return any(covers_tool(rule, tool) for rule in rules)


def _places(tool: Tool) -> list[str]:
    if isinstance(tool.environment, Constant):
        return [tool.environment.environment]
    places = [*tool.environment.names.values(), *(place for _, place in tool.environment.patterns)]
    return sorted(set(places))


def _acts_in(tool: Tool) -> str:
    """Return where a tool acts, and by which values of which argument that is known."""
    where = tool.environment
    if isinstance(where, Constant):
        return where.environment
    values: dict[str, list[str]] = {}
    for value, place in (*where.names.items(), *where.patterns):
        values.setdefault(place, []).append(value)
    table = "; ".join(f"{place}: {_some(found)}" for place, found in sorted(values.items()))
    segment = f", segment {where.segment + 1}" if where.segment >= 0 else ""
    return f"by `{where.argument}`{segment}: {table}"


def _some(values: Collection[str]) -> str:
    shown = listed(list(values)[:_MOST_VALUES])
    return shown if len(values) <= _MOST_VALUES else f"{shown} and {len(values) - _MOST_VALUES} more"


def _places_of(rule: Rule, tool: Tool) -> list[str]:
    """Return where a rule meets a tool, of the places that the tool acts in."""
    places = _places(tool)
    return places if ANY in rule.environments else [place for place in rule.environments if place in places]


def _denies_all(rule: Rule) -> bool:
    return rule.effect is Effect.DENY and not rule.condition and rule.resources == ("**",)


def _words(parts: tuple[str, ...]) -> str:
    return "".join(f"{{{part}}}" if index % 2 else part for index, part in enumerate(parts))


def _span(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _sentence(text: str) -> str:
    said = _text(text)
    return said[:1].upper() + said[1:] + ("" if said.endswith((".", "!", "?")) else ".")


def _text(text: str) -> str:
    """Return prose of a policy author as it may stand in Markdown: no line, cell or element of its own."""
    return text.replace("\\", "\\\\").replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_").replace("[", "\\[")


def _table(headings: tuple[str, ...], rows: Collection[tuple[str, ...]]) -> str:
    if not rows:
        return "*none*"
    lines = [headings, tuple("---" for _ in headings), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
