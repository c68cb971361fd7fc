"""Breakers as one would write them on one page: lists of what happened, looked through from the beginning each time.

Nothing of the product is used here. Times are whole seconds; scopes are triples of agent, tool and environment, each
a name or None. There are two rules: `failing` (a share of half of at least two outcomes, by agent and tool, and by tool
when a third agent fails) and `runaway` (six asks of an agent).
"""

from dataclasses import dataclass, field
from typing import Any, TypeAlias

Scope: TypeAlias = tuple[str | None, str | None, str | None]

FAILING_WINDOW = 300
RUNAWAY_WINDOW = 60
RUNAWAY = 6
WAIT = 60
LONGEST_WAIT = 3_600
PLACES = 2
LEASE = 300
EXPIRES = 900
PICK_UP = 1_800
SECOND_PERSON = 900


@dataclass
class Breaker:
    """One breaker that was ever tripped."""

    scope: Scope
    state: str
    by: str
    tripped_at: int
    times: int = 0
    half_open_at: int | None = None
    probes: dict[str, tuple[str, bool, bool]] = field(default_factory=dict)
    asked: tuple[str, int] | None = None


@dataclass
class Action:
    """One action: `state` is executing, pending, ready, ran, or over (it never ran)."""

    id: str
    agent: str
    tool: str
    env: str
    state: str
    at: int
    until: int
    outcome: tuple[bool, int] | None = None


def covers(scope: Scope, action: Scope) -> bool:
    return all(name is None or name == is_named for name, is_named in zip(scope, action, strict=True))


def within(at: int, now: int, window: int) -> bool:
    """Whether a moment lies in the slice of `now` or in one of the 20 before it."""
    return (now * 20) // window - (at * 20) // window <= 20


@dataclass
class Model:
    """What must be so."""

    now: int
    breakers: dict[Scope, Breaker] = field(default_factory=dict)
    actions: dict[str, Action] = field(default_factory=dict)
    asks: dict[str, list[int]] = field(default_factory=dict)
    outcomes: dict[tuple[str, str], list[tuple[int, bool]]] = field(default_factory=dict)

    def blocking(self, agent: str, tool: str, env: str) -> list[Breaker]:
        """Return the breakers that stop an ask; one that has a place for a probe does not."""
        return [one for one in self._over(agent, tool, env) if one.state != "half_open" or len(one.probes) >= PLACES]

    def _over(self, agent: str, tool: str, env: str) -> list[Breaker]:
        found = [one for one in self.breakers.values() if one.state != "closed"]
        return [one for one in found if covers(one.scope, (agent, tool, env))]

    def expected(self, agent: str, tool: str, env: str) -> str:
        """Return what an ask must come to: `denied`, `pending` or `executing`."""
        if self.blocking(agent, tool, env):
            return "denied"
        over = self._over(agent, tool, env)
        alone = any(one.scope[0] or any(agent == who for who, _, _ in one.probes.values()) for one in over)
        return "pending" if over and (alone or tool != "files.read") else "executing"

    def ask(self, key: str, agent: str, tool: str, env: str) -> None:
        state = self.expected(agent, tool, env)
        if state == "denied":
            return
        until = self.now + (EXPIRES if state == "pending" else LEASE)
        self.actions[key] = Action(key, agent, tool, env, state, self.now, until)
        for one in self._over(agent, tool, env):
            one.probes[key] = (agent, state == "pending", False)
        self.asks.setdefault(agent, []).append(self.now)
        if sum(within(at, self.now, RUNAWAY_WINDOW) for at in self.asks[agent]) >= RUNAWAY:
            self.asks[agent] = []
            self._open((agent, None, None), "forced_open", "rule:runaway")

    def approve(self, key: str) -> None:
        self.actions[key].state, self.actions[key].until = "ready", self.now + PICK_UP

    def redeem(self, key: str) -> None:
        self.actions[key].state, self.actions[key].until = "executing", self.now + LEASE

    def withdraw(self, key: str) -> None:
        self._never_ran(self.actions[key])

    def report(self, key: str, *, succeeded: bool) -> None:
        self._ran(self.actions[key], succeeded=succeeded)
        self._count(self.actions[key])

    def trip(self, scope: Scope, by: str) -> None:
        self._open(scope, "forced_open", by)

    def reset(self, scope: Scope, by: str) -> str:
        """Return what a reset must come to."""
        one = self.breakers[scope]
        if one.state == "closed":
            return "already_closed"
        if scope[0] is not None and by == "owner":
            return "not_eligible"
        seconded = one.asked is not None and one.asked[0] != by and self.now - one.asked[1] <= SECOND_PERSON
        if scope[2] == "staging" or seconded:
            self._close(one)
            return "closed"
        one.asked = (by, self.now)
        return "waits"

    def let_pass(self, seconds: int) -> None:
        """Let time pass, and then whatever fell due meanwhile."""
        self.now += seconds
        due = sorted((one for one in self.actions.values() if one.until <= self.now), key=lambda one: one.until)
        for one in due:
            if one.state == "pending":
                self._never_ran(one)
        unheard = [one for one in due if one.state == "executing"]
        for one in due:
            if one.state == "ready":
                self._never_ran(one)
            elif one.state == "executing":
                self._ran(one, succeeded=False)
        for breaker in self.breakers.values():
            if breaker.state == "open" and breaker.half_open_at is not None and breaker.half_open_at <= self.now:
                breaker.state, breaker.half_open_at, breaker.asked = "half_open", None, None
        for one in unheard:
            self._count(one)

    def crash(self) -> None:
        """Forget what was counted, and count anew what lies behind the last trip of what it counts for.

        What was asked longer ago than the longest window and a lease is not looked at: a count that is lost.
        """
        self.asks, self.outcomes = {}, {}
        for one in self.actions.values():
            if self.now - one.at > max(FAILING_WINDOW, RUNAWAY_WINDOW) + LEASE:
                continue
            if self._counts(one.at, (one.agent, None, None), RUNAWAY_WINDOW):
                self.asks.setdefault(one.agent, []).append(one.at)
            if one.outcome is not None:
                failed, at = one.outcome
                if self._counts(at, (one.agent, one.tool, None), FAILING_WINDOW):
                    self.outcomes.setdefault((one.agent, one.tool), []).append((at, failed))

    def _counts(self, at: int, scope: Scope, window: int) -> bool:
        tripped = self.breakers.get(scope)
        return self.now - at <= window + 1 and (tripped is None or at > tripped.tripped_at)

    def _never_ran(self, action: Action) -> None:
        action.state, action.until = "over", self.now * 10
        for one in self.breakers.values():
            one.probes.pop(action.id, None)

    def _ran(self, action: Action, *, succeeded: bool) -> None:
        action.state, action.until, action.outcome = "ran", self.now * 10, (not succeeded, self.now)
        for one in [one for one in self.breakers.values() if action.id in one.probes]:
            if not succeeded:
                one.times += 1
                one.state, one.tripped_at = "open", self.now
                one.half_open_at = self.now + min(WAIT * 2 ** (one.times - 1), LONGEST_WAIT)
                one.probes, one.asked = {}, None
                self._cut_off(one.scope)
                continue
            agent, by_human, _ = one.probes[action.id]
            one.probes[action.id] = (agent, by_human, True)
            good = [(who, human) for who, human, fine in one.probes.values() if fine]
            if any(human for _, human in good) or len({who for who, _ in good}) >= 2:
                self._close(one)

    def _count(self, action: Action) -> None:
        agent, tool = action.agent, action.tool
        counted = self.outcomes.setdefault((agent, tool), [])
        counted.append((self.now, bool(action.outcome and action.outcome[0])))
        lately = [failed for at, failed in counted if within(at, self.now, FAILING_WINDOW)]
        if len(lately) < 2 or sum(lately) * 2 < len(lately):
            return
        self.outcomes[agent, tool] = []
        mine, whole = (agent, tool, None), (None, tool, None)
        if any(self.breakers[one].state != "closed" for one in (mine, whole) if one in self.breakers):
            return
        others = [
            one
            for one in self.breakers.values()
            if one.by == "rule:failing"
            and one.state in {"open", "half_open"}
            and one.scope[0] is not None
            and (None, *one.scope[1:]) == whole
            and one.tripped_at >= self.now - FAILING_WINDOW
        ]
        if len({agent, *(one.scope[0] for one in others)}) < 3:
            self._open(mine, "open", "rule:failing")
            return
        self._open(whole, "open", "rule:failing")
        for one in others:
            self._close(one)

    def _open(self, scope: Scope, state: str, by: str) -> None:
        old = self.breakers.get(scope)
        if by.startswith("rule:") and old is not None and old.state == "forced_open":
            return
        self.breakers[scope] = one = Breaker(scope, state, by, self.now)
        if state == "open":
            one.times, one.half_open_at = 1, self.now + WAIT
        self._cut_off(scope)

    def _close(self, one: Breaker) -> None:
        one.state, one.half_open_at, one.probes, one.asked, one.times = "closed", None, {}, None, 0

    def _cut_off(self, scope: Scope) -> None:
        for one in self.actions.values():
            if one.state in {"pending", "ready"} and covers(scope, (one.agent, one.tool, one.env)):
                self._never_ran(one)

    def standing(self, state: str) -> list[Any]:
        """Return the keys of the actions in one state."""
        return sorted(one.id for one in self.actions.values() if one.state == state)
