"""What changes about people, agents and routes: who may ask, who answers, and how sure we must be of them."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import fields

from assent.core.agents import AgentProfile
from assent.core.approvals import Route
from assent.core.decisions import Effect
from assent.core.operators import OIDC, Assurance, Operator, SinglePerson
from assent.policy.privileges.noted import Noted, listed, pairs
from assent.policy.rules import Rule
from assent.policy.words import assurance_in_words

_WORDS_OF_AGENTS = frozenset({"cut_off", "description"})


def compare_operators(old: Mapping[str, Operator], new: Mapping[str, Operator], noted: Noted) -> None:
    """Note what the people of `new` may do more or less."""

    def added(key: str, operator: Operator) -> None:
        if operator.permissions or operator.groups or operator.identities or operator.single_person:
            permissions = {permission.value for permission in operator.permissions}
            what = (
                f"is new, in {listed(set(operator.groups)) or 'no group'}, and may {listed(permissions) or 'nothing'}"
            )
            noted.widens(f"operator {key}", what)
        else:
            noted.widens(f"operator {key}", "is new, may nothing, and can be named as the driver of a run")

    def changed(key: str, before: Operator, after: Operator) -> None:
        _operator(f"operator {key}", before, after, noted)

    pairs(old, new, added=added, removed=lambda key, _: noted.narrows(f"operator {key}", "is gone"), changed=changed)


def _operator(about: str, before: Operator, after: Operator, noted: Noted) -> None:
    mine = {permission.value for permission in before.permissions}
    theirs = {permission.value for permission in after.permissions}
    _sets(about, mine, theirs, "may", noted)
    _sets(about, set(before.groups), set(after.groups), "is in", noted)
    if after.security_admin != before.security_admin:
        words = "is security admin" if after.security_admin else "is security admin no more"
        (noted.widens if after.security_admin else noted.narrows)(about, words)
    if after.away != before.away:
        (noted.narrows if after.away else noted.widens)(about, "is away" if after.away else "is back, and may answer")
    _single_person(about, before.single_person, after.single_person, noted)
    _identities(about, before, after, noted)
    _others(about, before, after, _KNOWN_OF_OPERATORS, noted)


def _sets(about: str, before: set[str], after: set[str], verb: str, noted: Noted) -> None:
    if after - before:
        noted.widens(about, f"{verb} {listed(after - before)}")
    if before - after:
        noted.narrows(about, f"{verb} no more {listed(before - after)}")


_KNOWN_OF_OPERATORS = frozenset(
    {"id", "groups", "permissions", "security_admin", "away", "single_person", "identities"}
)


def _single_person(about: str, before: SinglePerson | None, after: SinglePerson | None, noted: Noted) -> None:
    if before == after:
        return
    if after is not None and (before is None or after.until > before.until):
        noted.widens(about, f"may approve alone what their own agents ask, until {after.until:%Y-%m-%d}")
    else:
        noted.narrows(about, "may approve alone for less long, or no more")


def _identities(about: str, before: Operator, after: Operator, noted: Noted) -> None:
    for channel in sorted({*before.identities, *after.identities}):
        mine, theirs = before.identities.get(channel), after.identities.get(channel)
        if mine == theirs:
            continue
        if theirs is None and channel == OIDC:
            # Whoever can be at the console is heard from there alone where something is let go on.
            noted.widens(about, f"is no more known by {channel}, so that their token counts where the console did")
        elif theirs is None:
            noted.narrows(about, f"is no more known by {channel}")
        else:
            noted.widens(about, f"is now somebody else by {channel}" if mine else f"is now known by {channel}")


def compare_routes(old: Mapping[str, Route], new: Mapping[str, Route], noted: Noted) -> None:
    """Note which routes ask fewer people, less surely, or for longer."""

    def changed(key: str, before: Route, after: Route) -> None:
        _route(f"route {key}", before, after, noted)

    # A route is only met through a rule, and a rule that takes another one is noted itself.
    pairs(
        old,
        new,
        added=lambda key, _: noted.rewords(f"route {key}", "is new"),
        removed=lambda key, _: noted.rewords(f"route {key}", "is gone"),
        changed=changed,
    )


def _route(about: str, before: Route, after: Route, noted: Noted) -> None:
    had: Counter[str] = Counter()
    has: Counter[str] = Counter()
    for route, count in ((before, had), (after, has)):
        for need in route.needs:
            count[need.of] += need.count
    if had - has:
        noted.widens(about, f"asks for {_people(has)}, before for {_people(had)}")
    elif has != had:
        noted.narrows(about, f"asks for {_people(has)}, before for {_people(had)}")
    if _least(after) != _least(before):
        words = f"takes {assurance_in_words(after)}, before {assurance_in_words(before)}"
        is_wider = any(now < then for now, then in zip(_least(after), _least(before), strict=True))
        (noted.widens if is_wider else noted.narrows)(about, words)
    for name, longer_is_wider in (("expires_after", True), ("pick_up_within", True), ("cool_off", False)):
        mine, theirs = getattr(before, name, None), getattr(after, name, None)
        if mine != theirs and mine is not None and theirs is not None:
            (noted.widens if (theirs > mine) is longer_is_wider else noted.narrows)(
                about, f"`{name}` is {theirs}, before {mine}"
            )
    _others(about, before, after, _KNOWN_OF_ROUTES, noted)


def _least(route: Route) -> tuple[Assurance, Assurance]:
    # For what destroys in production, and for everything else; the first may ask for more.
    return (Assurance.CONSOLE if route.assurance_left_open else route.assurance), route.assurance


_KNOWN_OF_ROUTES = frozenset(
    {
        "name",
        "needs",
        "assurance",
        "assurance_left_open",
        "expires_after",
        "pick_up_within",
        "cool_off",
        "agent_gone_after",
        "steps",
    }
)


def _people(needs: Counter[str]) -> str:
    return " and ".join(f"{count} of `{group}`" for group, count in sorted(needs.items())) or "nobody"


def compare_agents(
    old: Mapping[str, AgentProfile],
    new: Mapping[str, AgentProfile],
    rules_of: Mapping[str, Collection[Rule]],
    noted: Noted,
) -> None:
    """Note which agents may more or less; `rules_of` are the rules of each role, before and after."""

    def added(key: str, agent: AgentProfile) -> None:
        noted.widens(f"agent {key}", f"is new, with {listed(set(agent.roles))}, owned by `{agent.owner}`")

    def changed(key: str, before: AgentProfile, after: AgentProfile) -> None:
        _agent(f"agent {key}", before, after, rules_of, noted)

    pairs(old, new, added=added, removed=lambda key, _: noted.narrows(f"agent {key}", "is gone"), changed=changed)


def _agent(
    about: str, before: AgentProfile, after: AgentProfile, rules_of: Mapping[str, Collection[Rule]], noted: Noted
) -> None:
    for role in sorted(set(after.roles) - set(before.roles)):
        gives = any(rule.effect is not Effect.DENY for rule in rules_of.get(role, ()))
        (noted.widens if gives else noted.narrows)(about, f"has the role `{role}`")
    for role in sorted(set(before.roles) - set(after.roles)):
        holds_back = any(rule.effect is not Effect.ALLOW for rule in rules_of.get(role, ()))
        words = f"has no more the role `{role}`"
        (noted.widens if holds_back and after.roles else noted.narrows)(
            about, f"{words}, whose denials and questions bound it" if holds_back else words
        )
    if after.expires != before.expires:
        (noted.widens if after.expires > before.expires else noted.narrows)(about, f"expires {after.expires:%Y-%m-%d}")
    if after.interactive != before.interactive:
        words = "must name its driver" if after.interactive else "acts without naming a driver"
        (noted.narrows if after.interactive else noted.widens)(about, words)
    if after.owner != before.owner:
        noted.widens(about, f"is owned by `{after.owner}`, so that `{before.owner}` may approve for it")
    for name in sorted(_WORDS_OF_AGENTS):
        if getattr(before, name, None) != getattr(after, name, None):
            noted.rewords(about, f"`{name}` is reworded")
    _others(about, before, after, _KNOWN_OF_AGENTS, noted)


_KNOWN_OF_AGENTS = frozenset({"id", "owner", "roles", "expires", "interactive"}) | _WORDS_OF_AGENTS


def _others(about: str, before: object, after: object, known: frozenset[str], noted: Noted) -> None:
    """Note as widening whatever differs in a field that nobody has taught this module to compare."""
    for one in fields(after):  # type: ignore[arg-type]  # all three kinds are dataclasses
        if one.name not in known and getattr(before, one.name) != getattr(after, one.name):
            noted.widens(about, f"`{one.name}` is changed")
