"""Signs of life: which agents wait in this process, gathered in memory and written down coarsely by `keep_presence`.

Who asks with a wait says that they wait. What is lost here with a process is nobody's absence: agents are looked for
anew from the moment at which a process begins.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from assent.core.actions import ActionId
from assent.core.agents import AgentId


@dataclass(frozen=True, slots=True)
class Gathered:
    """Actions whose agents wait now, those whose last wait ended since the last look, and agents that asked at all."""

    waiting: frozenset[ActionId]
    left: frozenset[ActionId]
    agents: frozenset[AgentId]


class Signs:
    """Who waits here; all calls come from the event loop's thread."""

    def __init__(self) -> None:
        self._waiting: Counter[ActionId] = Counter()
        self._left: set[ActionId] = set()
        self._parked: Counter[AgentId] = Counter()
        self._asked: set[AgentId] = set()

    @contextmanager
    def waits_for(self, action: ActionId) -> Iterator[None]:
        """Count somebody as waiting for one action."""
        self._waiting[action] += 1
        try:
            yield
        finally:
            self._waiting[action] -= 1
            if not self._waiting[action]:
                del self._waiting[action]
                self._left.add(action)

    @contextmanager
    def asks_for_decisions(self, agent: AgentId) -> Iterator[None]:
        """Count an agent as there, because it asks what was decided."""
        self._parked[agent] += 1
        self._asked.add(agent)
        try:
            yield
        finally:
            self._parked[agent] -= 1
            if not self._parked[agent]:
                del self._parked[agent]
            self._asked.add(agent)

    def gather(self) -> Gathered:
        """Return what was seen since the last time, and begin anew."""
        waiting = frozenset(self._waiting)
        gathered = Gathered(waiting, frozenset(self._left) - waiting, frozenset(self._asked) | frozenset(self._parked))
        self._left, self._asked = set(), set()
        return gathered

    def put_back(self, gathered: Gathered) -> None:
        """Take back what could not be written down: it is the next look's."""
        self._left |= gathered.left
        self._asked |= gathered.agents
