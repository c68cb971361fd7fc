"""An operator opens or closes a breaker. From the commit of a trip on, nothing in its scope passes anywhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from assent.core import breakers
from assent.core.actions import Action, ActionEvent
from assent.core.breakers import Breaker, BreakerId, BreakerState, NeedsSecond, Scope
from assent.core.canonical import Json
from assent.core.errors import NotFound
from assent.core.operators import Operator, OperatorId, Permission
from assent.core.reasons import Reason
from assent.flows import entries
from assent.flows.authenticate import OperatorCaller, confirm_operator, require
from assent.flows.broker import Broker
from assent.flows.end_action import end_without_running
from assent.flows.one_hand import ONE_HAND, is_one_hand
from assent.flows.watch_actions import tell
from assent.ports import Gate, Policy, Tx, View


@dataclass(frozen=True, slots=True, kw_only=True)
class Tripped:
    """A trip that is durable: what it cut off, what was running already, and how to cut the agent off elsewhere."""

    breaker: Breaker
    cut_off: tuple[Action, ...]
    running: tuple[Action, ...]
    cut_off_elsewhere: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetAnswer:
    """What became of a reset: closed, waiting for a second person (`who` may be it), or refused."""

    breaker: Breaker
    closed: bool = False
    refused: Reason | None = None
    who: tuple[str, ...] = ()


async def trip(
    broker: Broker,
    caller: OperatorCaller,
    scope: Scope,
    *,
    reason: str = "",
    ttl: timedelta | None = None,
    by_hand: Mapping[str, Json] | None = None,
) -> Tripped:
    """Return the breaker over `scope`, forced open, with what that cut off, in one transaction behind the gate.

    `by_hand` is recorded in public: who did it, and where, when it was done on the ledger itself.

    Raises:
        Forbidden: the caller may not trip breakers.
        LedgerUnavailable: the trip is not known to be durable.

    """
    require(caller, Permission.BREAKERS_TRIP)
    new_id = BreakerId(broker.new_id("brk"))

    async def work(tx: Tx) -> Tripped:
        await confirm_operator(tx, caller)
        breaker = await _open(tx, scope, by=caller.operator.id, new_id=new_id, reason=reason, ttl=ttl)
        why = Reason.of("breaker_open", scope.describe())
        cut = [
            (await end_without_running(tx, action, ActionEvent.CANCEL, why, by=caller.operator.id)).action
            for action in await tx.waiting(scope)
        ]
        running = tuple(await tx.running(scope))
        await tx.append(entries.breaker_tripped(breaker, cancelled=len(cut), running=len(running), by_hand=by_hand))
        return Tripped(breaker=breaker, cut_off=tuple(cut), running=running)

    tripped = await broker.ledger.transact(work, gate=Gate.EXCLUSIVE)
    tell(broker, *tripped.cut_off)
    return _with_advice(tripped, broker.policy())


async def _open(
    tx: Tx, scope: Scope, *, by: OperatorId, new_id: BreakerId, reason: str, ttl: timedelta | None
) -> Breaker:
    existing = await tx.breaker_over(scope)
    tripped = breakers.trip(
        existing,
        new_id=new_id,
        scope=scope,
        by=by,
        now=tx.now,
        reason=reason,
        ask_again_at=None if ttl is None else tx.now + ttl,
    )
    await (tx.add(tripped) if existing is None else tx.replace(existing, tripped))
    return tripped


def _with_advice(tripped: Tripped, policy: Policy) -> Tripped:
    named = tripped.breaker.scope.agent
    profile = None if named is None else policy.agent(named)
    if profile is None:
        return tripped
    return Tripped(
        breaker=tripped.breaker,
        cut_off=tripped.cut_off,
        running=tripped.running,
        cut_off_elsewhere=profile.cut_off,
    )


async def reset(broker: Broker, caller: OperatorCaller, key: BreakerId, *, reason: str) -> ResetAnswer:
    """Return the breaker closed, or waiting for a second, different person.

    Raises:
        Forbidden: the caller may not reset breakers.
        NotFound: no such breaker.

    """
    require(caller, Permission.BREAKERS_RESET)
    policy = broker.policy()

    async def work(tx: Tx) -> ResetAnswer:
        await confirm_operator(tx, caller)
        breaker = await tx.get(Breaker, key)
        if breaker is None:
            raise NotFound(f"no breaker `{key}`", hint="list them with `assent breakers list`")
        refused = _why_not(breaker, caller.operator, policy) or await _why_not_second(tx, breaker, caller.operator)
        if refused is not None:
            return ResetAnswer(breaker=breaker, refused=refused, who=_who(breaker, policy))
        return await _store_reset(tx, breaker, caller.operator, policy, reason)

    return await broker.ledger.transact(work, gate=Gate.EXCLUSIVE)


async def _store_reset(tx: Tx, breaker: Breaker, by: Operator, policy: Policy, reason: str) -> ResetAnswer:
    environment = breaker.scope.environment
    alone = environment is not None and policy.is_nonproduction(environment)
    result = breakers.reset(breaker, by=by.id, now=tx.now, reason=reason, one_person_is_enough=alone)
    closed = not isinstance(result, NeedsSecond)
    await tx.replace(breaker, result.breaker)
    await tx.append(entries.breaker_reset(result.breaker, by=by.id, closed=closed, reason=reason))
    who = () if closed else tuple(o for o in _who(breaker, policy) if o != by.id)
    return ResetAnswer(breaker=result.breaker, closed=closed, who=who)


def _why_not(breaker: Breaker, by: Operator, policy: Policy) -> Reason | None:
    if breaker.state is BreakerState.CLOSED:
        return Reason.of("already_closed")
    if by.id == _owner(breaker, policy):
        return Reason.of("not_eligible", "you own the agent that this breaker stops")
    return None


async def _why_not_second(tx: Tx, breaker: Breaker, by: Operator) -> Reason | None:
    asked = breaker.reset_asked
    if asked is None or asked.by == by.id or not await is_one_hand(tx, asked.by, by.id):
        return None
    return Reason.of("not_eligible", f"{ONE_HAND}, so you are no second person beside `{asked.by}`")


def _who(breaker: Breaker, policy: Policy) -> tuple[str, ...]:
    owner = _owner(breaker, policy)
    return tuple(o.id for o in policy.operators() if o.may(Permission.BREAKERS_RESET) and o.id != owner)


def _owner(breaker: Breaker, policy: Policy) -> str | None:
    profile = None if breaker.scope.agent is None else policy.agent(breaker.scope.agent)
    return None if profile is None else profile.owner


async def list_breakers(broker: Broker, caller: OperatorCaller) -> Sequence[Breaker]:
    """Return all breakers, newest change first.

    Raises:
        Forbidden: the caller may neither trip breakers nor read the audit log.

    """
    if not any(caller.operator.may(p) for p in (Permission.BREAKERS_TRIP, Permission.AUDIT_READ)):
        require(caller, Permission.BREAKERS_TRIP)

    async def work(view: View) -> Sequence[Breaker]:
        await confirm_operator(view, caller)
        return await view.breakers()

    return await broker.ledger.read(work)
