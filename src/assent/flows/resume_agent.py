"""A suspended agent may go on: one person asks for it, a second, different one agrees within 15 minutes."""

from dataclasses import dataclass, replace

from assent.core import agents
from assent.core.agents import AgentId, AgentStatus, is_suspended
from assent.core.operators import Assurance, Operator, Permission
from assent.core.reasons import Reason
from assent.flows import entries
from assent.flows.active_policy import decide, refuse_behind
from assent.flows.agent_status import refuse_unheard_of
from assent.flows.authenticate import OperatorCaller, confirm_operator, require
from assent.flows.broker import Broker
from assent.flows.second_person import heard_still, sought, why_not_heard
from assent.ports import Gate, Policy, Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeAnswer:
    """What became of a resumption: the agent may ask, or it waits for a second person (`who` may be it), or refused.

    `status` is None for an agent that never was suspended. `assurance` is what the second person's surface must have.
    """

    agent: AgentId
    status: AgentStatus | None
    refused: Reason | None = None
    who: tuple[str, ...] = ()
    assurance: Assurance | None = None

    @property
    def goes_on(self) -> bool:
        """Whether the agent may ask."""
        return not is_suspended(self.status)


async def resume_agent(broker: Broker, caller: OperatorCaller, agent: AgentId, *, reason: str) -> ResumeAnswer:
    """Return the agent that may ask again, or that waits for a second, different person who is not its owner.

    One that is not suspended stays as it is.

    Raises:
        Forbidden: the caller does not manage agents.
        NotFound: nobody ever heard of this agent.
        LedgerUnavailable: nobody knows what became of it, or another policy is active than the one loaded here.

    """
    require(caller, Permission.AGENTS_MANAGE)
    policy = broker.policy()

    async def work(tx: Tx) -> ResumeAnswer:
        await confirm_operator(tx, caller)
        await refuse_behind(tx, policy)
        status = await tx.get(AgentStatus, agent)
        await refuse_unheard_of(tx, policy, agent, status)
        if status is None or not is_suspended(status):
            return ResumeAnswer(agent=agent, status=status)
        who = _who(policy, agent)
        status = replace(status, resume_asked=await heard_still(tx, status.resume_asked, who))
        refused = _why_not(policy, agent, caller.operator) or await why_not_heard(
            tx, broker, caller, first=status.resume_asked, who=who
        )
        if refused is not None:
            return ResumeAnswer(agent=agent, status=status, refused=refused, who=who)
        resumed = await _store(tx, status, caller, reason)
        if not is_suspended(resumed):
            return ResumeAnswer(agent=agent, status=resumed)
        second = sought(broker, caller, who)
        return ResumeAnswer(agent=agent, status=resumed, who=second.who, assurance=second.assurance)

    return await decide(broker, work, gate=Gate.EXCLUSIVE)


async def _store(tx: Tx, status: AgentStatus, caller: OperatorCaller, reason: str) -> AgentStatus:
    moved = agents.resume(
        status,
        by=caller.operator.id,
        now=tx.now,
        reason=reason,
        assurance=caller.assurance,
        using=caller.using,
    )
    await tx.replace(status, moved)
    await tx.append(entries.agent_resumed(moved, by=caller.voter(), reason=reason))
    return moved


def _why_not(policy: Policy, agent: AgentId, by: Operator) -> Reason | None:
    owns = by.id == _owner(policy, agent)
    return Reason.of("not_eligible", "you own this agent") if owns else None


def _who(policy: Policy, agent: AgentId) -> tuple[str, ...]:
    owner = _owner(policy, agent)
    return tuple(o.id for o in policy.operators() if o.may(Permission.AGENTS_MANAGE) and o.id != owner)


def _owner(policy: Policy, agent: AgentId) -> str | None:
    profile = policy.agent(agent)
    return None if profile is None else profile.owner
