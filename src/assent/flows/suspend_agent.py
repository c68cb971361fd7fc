"""An agent is suspended. From the commit on nothing is decided or redeemed for it, until two people let it go on.

It reaches whatever names the agent: its own actions, and those that others ask on its behalf. What runs already goes
on; whoever suspends is told of it.
"""

from dataclasses import dataclass

from assent.core import agents
from assent.core.actions import Action, ActionEvent
from assent.core.agents import AgentId, AgentStatus
from assent.core.breakers import Scope
from assent.core.operators import OperatorId, Permission
from assent.core.reasons import Reason
from assent.flows import entries
from assent.flows.agent_status import AGENT_PREFIX, refuse_unheard_of
from assent.flows.authenticate import OperatorCaller, confirm_operator, require
from assent.flows.broker import Broker
from assent.flows.end_action import end_without_running
from assent.flows.watch_actions import tell
from assent.ports import Gate, Policy, Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspended:
    """A suspension that is durable, what it cut off, what runs still, and how to cut the agent off elsewhere."""

    status: AgentStatus
    cut_off: tuple[Action, ...]
    running: tuple[Action, ...]
    cut_off_elsewhere: str


async def suspend_agent(broker: Broker, caller: OperatorCaller, agent: AgentId, *, reason: str) -> Suspended:
    """Return the agent suspended, with what that cut off; one that is suspended stays so, by whom it was.

    Then a first person's wish that it may go on is taken back, which is recorded as another suspension.

    Raises:
        Forbidden: the caller does not manage agents.
        NotFound: nobody ever heard of this agent.
        LedgerUnavailable: the suspension is not known to be durable.

    """
    require(caller, Permission.AGENTS_MANAGE)
    policy = broker.policy()

    async def work(tx: Tx) -> Suspended:
        await confirm_operator(tx, caller)
        existing = await tx.get(AgentStatus, agent)
        await refuse_unheard_of(tx, policy, agent, existing)
        by = caller.operator.id
        status = agents.suspend(existing, agent, by=by, now=tx.now, reason=reason)
        cut, running = await _cut_off(tx, agent, by=by), await _running(tx, agent)
        if status is not existing:
            await (tx.add(status) if existing is None else tx.replace(existing, status))
            told = entries.agent_suspended(status, by=by, reason=reason, cancelled=len(cut), running=len(running))
            await tx.append(told)
        return Suspended(status=status, cut_off=cut, running=running, cut_off_elsewhere=_advice(policy, agent))

    suspended = await broker.ledger.transact(work, gate=Gate.EXCLUSIVE)
    tell(broker, *suspended.cut_off)
    return suspended


async def _cut_off(tx: Tx, agent: AgentId, *, by: OperatorId) -> tuple[Action, ...]:
    why = Reason.of("agent_suspended")
    waiting = [action for action in await tx.waiting(Scope()) if _names(action, agent)]
    ended = [await end_without_running(tx, action, ActionEvent.CANCEL, why, by=by) for action in waiting]
    return tuple(one.action for one in ended)


async def _running(tx: Tx, agent: AgentId) -> tuple[Action, ...]:
    return tuple(action for action in await tx.running(Scope()) if _names(action, agent))


def _names(action: Action, agent: AgentId) -> bool:
    return action.agent == agent or f"{AGENT_PREFIX}{agent}" in action.on_behalf_of


def _advice(policy: Policy, agent: AgentId) -> str:
    profile = policy.agent(agent)
    return "" if profile is None else profile.cut_off
