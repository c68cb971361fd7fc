"""An agent asks who it is: its registration, whether it may act now, and the tools that could be allowed to it."""

from collections.abc import Sequence
from dataclasses import dataclass

from assent.core.agents import AgentProfile, AgentStatus, why_not
from assent.core.reasons import Reason
from assent.flows.authenticate import AgentCaller, confirm
from assent.flows.broker import Broker
from assent.ports import ToolView, View


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What the broker knows of the calling agent; `blocked` says why it may not act now."""

    caller: AgentCaller
    policy_version: str
    profile: AgentProfile | None
    blocked: Reason | None
    tools: Sequence[ToolView]


async def describe_agent(broker: Broker, caller: AgentCaller) -> Described:
    """Return what the broker takes the caller for.

    Raises:
        Unauthenticated: the key is not valid any more.

    """
    policy = broker.policy()
    profile = policy.agent(caller.agent)

    async def work(view: View) -> Reason | None:
        await confirm(view, caller.key)
        return why_not(profile, await view.get(AgentStatus, caller.agent), view.now)

    blocked = await broker.ledger.read(work)
    return Described(
        caller=caller,
        policy_version=policy.version,
        profile=profile,
        blocked=blocked,
        tools=policy.tools_for(caller.agent),
    )
