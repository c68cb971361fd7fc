"""What changes about rules: each says what it grants and what it holds back, and a change is judged on both sides."""

from collections.abc import Collection, Mapping

from assent.core.agents import AgentProfile
from assent.core.decisions import Effect
from assent.policy.privileges.noted import Noted, pairs
from assent.policy.rules import ANY, Rule
from assent.policy.scopes import by_role, could_meet, within
from assent.policy.words import condition_in_words

_SAYS = {Effect.ALLOW: "allows", Effect.REQUIRE_APPROVAL: "asks for", Effect.DENY: "denies"}
_SAID = {Effect.ALLOW: "allowed", Effect.REQUIRE_APPROVAL: "asked for", Effect.DENY: "denied"}

_MOST_WORDS = 300


class RuleChanges:
    """Compares the rules of two versions; `tools` are the names of both catalogues."""

    def __init__(
        self,
        old: Mapping[str, Rule],
        new: Mapping[str, Rule],
        *,
        agents: Mapping[str, AgentProfile],
        tools: Collection[str],
        noted: Noted,
    ) -> None:
        self._old, self._new, self._tools, self._noted = old, new, tools, noted
        self._old_by_role, self._new_by_role = by_role(old), by_role(new)
        self._beside: dict[str, set[str]] = {}
        for agent in agents.values():
            for role in agent.roles:
                self._beside.setdefault(role, {role}).update(agent.roles)

    def compare(self) -> None:
        """Note every rule that is new, gone or changed."""
        pairs(self._old, self._new, added=self._added, removed=self._removed, changed=self._changed)

    def _added(self, key: str, rule: Rule) -> None:
        about, what = _about(key), f"is new and {_SAYS[rule.effect]} {_scope(rule)}"
        if rule.effect is Effect.DENY or self._was_granted(rule):
            self._noted.narrows(about, what)
        else:
            self._noted.widens(about, what)

    def _was_granted(self, rule: Rule) -> bool:
        """Whether its own role granted before whatever a new question is about, so that asking only adds to it."""
        if rule.effect is not Effect.REQUIRE_APPROVAL:
            return False
        before = self._old_by_role.get(rule.role, [])
        return any(other.effect is Effect.ALLOW and within(rule, other, self._tools) for other in before)

    def _removed(self, key: str, rule: Rule) -> None:
        about, what = _about(key), f"is gone, it {_SAID[rule.effect]} {_scope(rule)}"
        if self._held_back(rule):
            self._noted.widens(about, what)
        else:
            self._noted.narrows(about, what)

    def _held_back(self, rule: Rule) -> bool:
        """Whether some agent has, beside this rule, one that grants what this one denied or asked about."""
        if rule.effect is Effect.ALLOW:
            return False
        looser = {Effect.ALLOW} if rule.effect is Effect.REQUIRE_APPROVAL else {Effect.ALLOW, Effect.REQUIRE_APPROVAL}
        return any(
            other.effect in looser and could_meet(rule, other, self._tools)
            for role in self._beside.get(rule.role, {rule.role})
            for other in self._new_by_role.get(role, [])
        )

    def _changed(self, key: str, before: Rule, after: Rule) -> None:
        about = _about(key)
        if before.role != after.role:
            self._removed(key, before)
            self._added(key, after)
            return
        narrower, wider = within(after, before, self._tools), within(before, after, self._tools)
        if before.effect is not after.effect:
            self._other_effect(about, before, after, narrower=narrower, wider=wider)
        elif after.effect is Effect.DENY:
            self._note(about, widens=not wider, narrows=not narrower, what=f"denies {_scope(after)}")
        elif after.effect is Effect.ALLOW:
            longer = _stands_longer(before, after)
            words = "stands as an exception, " if longer else ""
            self._note(about, widens=longer or not narrower, narrows=not wider, what=f"{words}allows {_scope(after)}")
        else:
            self._question(about, before, after, narrower=narrower, wider=wider)

    def _question(self, about: str, before: Rule, after: Rule, *, narrower: bool, wider: bool) -> None:
        if before.route != after.route:
            self._noted.widens(about, f"asks on the route `{after.route}`, before on `{before.route}`")
        lets_go = not wider and self._held_back(before)
        self._note(about, widens=lets_go or not narrower, narrows=not wider, what=f"asks for {_scope(after)}")

    def _other_effect(self, about: str, before: Rule, after: Rule, *, narrower: bool, wider: bool) -> None:
        what = f"{_SAYS[after.effect]} {_scope(after)}, before it said `{before.effect}`"
        if before.effect is Effect.ALLOW:
            # What was allowed is asked about or denied: that takes away, wherever it reaches.
            is_narrower = after.effect is Effect.DENY or narrower
        else:
            is_narrower = before.effect is Effect.REQUIRE_APPROVAL and after.effect is Effect.DENY and wider
        (self._noted.narrows if is_narrower else self._noted.widens)(about, what)

    def _note(self, about: str, *, widens: bool, narrows: bool, what: str) -> None:
        if widens:
            self._noted.widens(about, f"now {what}")
        elif narrows:
            self._noted.narrows(about, f"now {what}")
        else:
            self._noted.rewords(about, "is reworded")


def _stands_longer(before: Rule, after: Rule) -> bool:
    if after.standing is None:
        return False
    return before.standing is None or after.standing.until > before.standing.until


def _about(key: str) -> str:
    return f"rule {key}"


def _scope(rule: Rule) -> str:
    places = "everywhere" if ANY in rule.environments else f"in {', '.join(rule.environments)}"
    where = "" if rule.resources == ("**",) else f" on {', '.join(rule.resources)}"
    said = condition_in_words(rule.condition)
    when = f" when {said[:_MOST_WORDS]}{'…' * (len(said) > _MOST_WORDS)}" if said else ""
    until = f" until {rule.until:%Y-%m-%d}" if rule.until is not None else ""
    return f"{', '.join(rule.tools)} {places}{where}{when}{until}"
