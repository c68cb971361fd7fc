"""An agent is suspended or may go on. From the commit of a suspension on nothing is decided or redeemed for it.

It reaches whatever names the agent: its own actions, and those that others ask on its behalf. What runs already goes
on; whoever suspends is told of it.
"""

from dataclasses import dataclass

from assent.core import agents
from assent.core.actions import Action, ActionEvent
from assent.core.agents import AgentId, AgentStatus, is_suspended
from assent.core.breakers import Scope
from assent.core.credentials import Kind
from assent.core.errors import Forbidden, NotFound
from assent.core.operators import OperatorId, Permission
from assent.core.reasons import Reason
from assent.flows import entries
from assent.flows.agent_status import AGENT_PREFIX
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
        await _refuse_unheard_of(tx, policy, agent, existing)
        status = agents.suspend(existing, agent, by=caller.operator.id, now=tx.now, reason=reason)
        cut, running = await _cut_off(tx, agent, by=caller.operator.id), await _running(tx, agent)
        if status is not existing:
            await (tx.add(status) if existing is None else tx.replace(existing, status))
            await tx.append(entries.agent_suspended(status, cancelled=len(cut), running=len(running)))
        return Suspended(status=status, cut_off=cut, running=running, cut_off_elsewhere=_advice(policy, agent))

    suspended = await broker.ledger.transact(work, gate=Gate.EXCLUSIVE)
    tell(broker, *suspended.cut_off)
    return suspended


async def _refuse_unheard_of(tx: Tx, policy: Policy, agent: AgentId, status: AgentStatus | None) -> None:
    if policy.agent(agent) is None and status is None and not await tx.credentials(Kind.AGENT, agent, limit=1):
        raise NotFound(
            f"nobody ever heard of an agent `{agent}`, nothing was suspended",
            hint="list them with `assent agents list`; `assent breakers trip --agent` stops any name",
        )


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


async def resume_agent(broker: Broker, caller: OperatorCaller, agent: AgentId, *, reason: str) -> AgentStatus | None:
    """Return the status of the agent that may ask again; one that was not suspended stays as it is (None: never was).

    Raises:
        Forbidden: the caller does not manage agents, or owns this one and somebody else suspended it.
        NotFound: nobody ever heard of this agent.

    """
    require(caller, Permission.AGENTS_MANAGE)
    policy = broker.policy()

    async def work(tx: Tx) -> AgentStatus | None:
        await confirm_operator(tx, caller)
        status = await tx.get(AgentStatus, agent)
        await _refuse_unheard_of(tx, policy, agent, status)
        if status is None or not is_suspended(status):
            return status
        _refuse_owner(policy, caller, status)
        resumed = agents.resume(status, by=caller.operator.id, now=tx.now, reason=reason)
        await tx.replace(status, resumed)
        await tx.append(entries.agent_resumed(resumed))
        return resumed

    return await broker.ledger.transact(work, gate=Gate.EXCLUSIVE)


def _refuse_owner(policy: Policy, caller: OperatorCaller, status: AgentStatus) -> None:
    profile = policy.agent(status.id)
    if profile is None or profile.owner != caller.operator.id or status.changed_by == caller.operator.id:
        return
    others = [o.id for o in policy.operators() if o.may(Permission.AGENTS_MANAGE) and o.id != profile.owner]
    raise Forbidden(
        f"you own `{status.id}` and `{status.changed_by}` suspended it, so somebody else has to resume it",
        hint=f"these may: {', '.join(others) or 'nobody; give somebody `agents.manage` in operators.yaml'}",
    )
