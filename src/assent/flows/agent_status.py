"""Status: whether everybody an action is asked for may act now. Suspending one of them stops all of it."""

from collections.abc import Sequence

from assent.core.agents import AgentId, AgentStatus, is_suspended
from assent.core.credentials import Kind
from assent.core.errors import NotFound
from assent.ports import Policy, View

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


async def refuse_unheard_of(view: View, policy: Policy, agent: AgentId, status: AgentStatus | None) -> None:
    """Return only for an agent that the policy names, that has a status, or that ever held a key.

    Raises:
        NotFound: nobody ever heard of it.

    """
    if policy.agent(agent) is None and status is None and not await view.credentials(Kind.AGENT, agent, limit=1):
        raise NotFound(
            f"nobody ever heard of an agent `{agent}`, nothing was changed",
            hint="list them with `assent agents list`; `assent breakers trip --agent` stops any name",
        )
