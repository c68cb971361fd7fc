"""Status: whether everybody an action is asked for may act now. Suspending one of them stops all of it."""

from collections.abc import Sequence

from assent.core.agents import AgentStatus, is_suspended
from assent.ports import View

AGENT_PREFIX = "agent:"


async def status_of(view: View, agent: str, on_behalf_of: Sequence[str]) -> AgentStatus | None:
    """Return the status of the asking agent, or of an agent it acts for when that one is suspended."""
    own = await view.get(AgentStatus, agent)
    if is_suspended(own):
        return own
    for name in on_behalf_of:
        if name.startswith(AGENT_PREFIX):
            other = await view.get(AgentStatus, name.removeprefix(AGENT_PREFIX))
            if is_suspended(other):
                return other
    return own
