"""Operators look at agents, services and each other: who is declared, who holds which credentials, who may act now.

Whoever manages them may look, and whoever reads the audit log. Everybody may look at themselves. No secret is kept, so
none can be shown. Principals that the policy does not name any more are listed as long as they hold credentials.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from assent.core.agents import AgentId, AgentProfile, AgentStatus, why_not
from assent.core.canonical import load
from assent.core.credentials import MAX_LIVE_PER_PRINCIPAL, Credential, Kind, is_live
from assent.core.errors import NotFound
from assent.core.looking import RecordFilter
from assent.core.operators import Operator, OperatorId, Permission
from assent.core.passkeys import Passkey
from assent.core.reasons import Reason
from assent.core.records import Record, RecordKind
from assent.flows.authenticate import OperatorCaller, confirm_operator, require
from assent.flows.broker import Broker
from assent.flows.link_account import holds_now
from assent.flows.sign_for import held_live
from assent.ports import Policy, View

# How many records are looked through for when an agent asked last: a bound for the reader, whatever the log holds.
LAST_DECISIONS: Final = 1_000
# One principal's credentials, those in use first: more are never live at once.
SHOWN_CREDENTIALS: Final = 200
_IN_A_LIST: Final = 2 * MAX_LIVE_PER_PRINCIPAL


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenAgent:
    """One agent: as declared (None when the policy names it no more), whether it may act, its keys.

    `last_asked_at` is when it last asked, if that is among the newest 1,000 decisions of the log.
    """

    id: AgentId
    profile: AgentProfile | None
    status: AgentStatus | None
    blocked: Reason | None
    keys: tuple[Credential, ...]
    now: datetime
    last_asked_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenService:
    """One tool's own service: it is known by its keys alone."""

    id: str
    keys: tuple[Credential, ...]
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenOperator:
    """One operator: as declared (None when the policy names them no more), the agents they own, their tokens.

    `is_linked` says whether they linked the Slack account that is declared for them; `passkeys` sign for them now.
    """

    id: OperatorId
    declared: Operator | None
    tokens: tuple[Credential, ...]
    now: datetime
    owns: tuple[AgentId, ...] = field(default=())
    is_linked: bool = False
    passkeys: tuple[Passkey, ...] = ()


async def list_agents(
    broker: Broker, caller: OperatorCaller, *, limit: int, after: str | None = None
) -> Sequence[SeenAgent]:
    """Return agents by id, at most `limit`, those behind `after`; of their keys only the live ones.

    Raises:
        Forbidden: the caller neither manages agents nor reads the audit log.

    """
    _require_sight(caller, Permission.AGENTS_MANAGE)
    policy = broker.policy()

    async def work(view: View) -> Sequence[SeenAgent]:
        await confirm_operator(view, caller)
        asked, found = await _last_asked(view), list[SeenAgent]()
        for name in await _names(view, Kind.AGENT, [a.id for a in policy.agents()], after):
            keys = await _live(view, Kind.AGENT, name)
            if keys or policy.agent(name) is not None:
                found.append(await _agent(view, policy, AgentId(name), keys, asked))
            if len(found) == limit:
                break
        return found

    return await broker.ledger.read(work)


async def show_agent(broker: Broker, caller: OperatorCaller, agent: AgentId) -> SeenAgent:
    """Return one agent with its keys, also those that are over.

    Raises:
        Forbidden: the caller neither manages agents nor reads the audit log.
        NotFound: nobody ever heard of this agent.

    """
    _require_sight(caller, Permission.AGENTS_MANAGE)
    policy = broker.policy()

    async def work(view: View) -> SeenAgent:
        await confirm_operator(view, caller)
        keys = tuple(await view.credentials(Kind.AGENT, agent, limit=SHOWN_CREDENTIALS))
        seen = await _agent(view, policy, agent, keys, await _last_asked(view))
        if seen.profile is None and seen.status is None and not keys:
            raise NotFound(f"nobody ever heard of an agent `{agent}`", hint="list them with `assent agents list`")
        return seen

    return await broker.ledger.read(work)


async def _agent(
    view: View, policy: Policy, agent: AgentId, keys: tuple[Credential, ...], asked: Mapping[str, datetime]
) -> SeenAgent:
    profile, status = policy.agent(agent), await view.get(AgentStatus, agent)
    return SeenAgent(
        id=agent,
        profile=profile,
        status=status,
        blocked=why_not(profile, status, view.now),
        keys=keys,
        now=view.now,
        last_asked_at=asked.get(agent),
    )


async def list_services(
    broker: Broker, caller: OperatorCaller, *, limit: int, after: str | None = None
) -> Sequence[SeenService]:
    """Return the services of tools that hold live keys, by name, at most `limit`, those behind `after`.

    Raises:
        Forbidden: the caller neither manages agents nor reads the audit log.

    """
    _require_sight(caller, Permission.AGENTS_MANAGE)

    async def work(view: View) -> Sequence[SeenService]:
        await confirm_operator(view, caller)
        found = list[SeenService]()
        for name in await _names(view, Kind.SERVICE, (), after):
            keys = await _live(view, Kind.SERVICE, name)
            if keys:
                found.append(SeenService(id=name, keys=keys, now=view.now))
            if len(found) == limit:
                break
        return found

    return await broker.ledger.read(work)


async def list_operators(
    broker: Broker, caller: OperatorCaller, *, limit: int, after: str | None = None
) -> Sequence[SeenOperator]:
    """Return operators by id, at most `limit`, those behind `after`; of their tokens only the live ones.

    Raises:
        Forbidden: the caller neither manages operators nor reads the audit log.

    """
    _require_sight(caller, Permission.OPERATORS_MANAGE)
    policy = broker.policy()

    async def work(view: View) -> Sequence[SeenOperator]:
        await confirm_operator(view, caller)
        owned, found = _owned(policy), list[SeenOperator]()
        for name in await _names(view, Kind.OPERATOR, [o.id for o in policy.operators()], after):
            tokens = await _live(view, Kind.OPERATOR, name)
            if tokens or policy.operator(name) is not None:
                found.append(await _operator(view, policy, OperatorId(name), tokens, owned))
            if len(found) == limit:
                break
        return found

    return await broker.ledger.read(work)


async def show_operator(broker: Broker, caller: OperatorCaller, operator: OperatorId) -> SeenOperator:
    """Return one operator with their tokens, also those that are over; everybody may look at themselves.

    Raises:
        Forbidden: the caller neither manages operators nor reads the audit log, and this is somebody else.
        NotFound: nobody ever heard of this operator.

    """
    if operator != caller.operator.id:
        _require_sight(caller, Permission.OPERATORS_MANAGE)
    policy = broker.policy()

    async def work(view: View) -> SeenOperator:
        await confirm_operator(view, caller)
        tokens = tuple(await view.credentials(Kind.OPERATOR, operator, limit=SHOWN_CREDENTIALS))
        seen = await _operator(view, policy, operator, tokens, _owned(policy))
        if seen.declared is None and not tokens:
            raise NotFound(
                f"nobody ever heard of an operator `{operator}`", hint="list them with `assent operators list`"
            )
        return seen

    return await broker.ledger.read(work)


def _owned(policy: Policy) -> Mapping[str, Sequence[AgentId]]:
    found = defaultdict[str, list[AgentId]](list)
    for agent in policy.agents():
        found[agent.owner].append(agent.id)
    return found


async def _operator(
    view: View,
    policy: Policy,
    operator: OperatorId,
    tokens: tuple[Credential, ...],
    owned: Mapping[str, Sequence[AgentId]],
) -> SeenOperator:
    declared = policy.operator(operator)
    return SeenOperator(
        id=operator,
        declared=declared,
        tokens=tokens,
        now=view.now,
        owns=tuple(owned.get(operator, ())),
        is_linked=declared is not None and await holds_now(view, declared),
        passkeys=await held_live(view, operator),
    )


def _require_sight(caller: OperatorCaller, manages: Permission) -> None:
    if not caller.operator.may(Permission.AUDIT_READ):
        require(caller, manages)


async def _names(view: View, kind: Kind, declared: Sequence[str], after: str | None) -> Sequence[str]:
    known = {*declared, *await view.holders(kind)}
    return sorted(name for name in known if after is None or name > after)


async def _live(view: View, kind: Kind, principal: str) -> tuple[Credential, ...]:
    found = await view.credentials(kind, principal, limit=_IN_A_LIST)
    return tuple(credential for credential in found if is_live(credential, view.now))


async def _last_asked(view: View) -> Mapping[str, datetime]:
    found = (await view.records(RecordFilter(kind=RecordKind.ACTION_DECIDED), limit=LAST_DECISIONS)).records
    # Newest first, so what is written last is the newest.
    return {_agent_of(record): record.time for record in reversed(found)}


def _agent_of(record: Record) -> str:
    leaf = load(record.leaf)
    agent = leaf.get("agent") if isinstance(leaf, dict) else None
    return agent if isinstance(agent, str) else ""
