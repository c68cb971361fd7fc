"""An operator opens or closes a breaker. From the commit of a trip on, nothing in its scope passes anywhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from assent.core import breakers
from assent.core.actions import Action
from assent.core.breakers import Breaker, BreakerId, BreakerState, Closed, NeedsSecond, Scope
from assent.core.canonical import Json
from assent.core.errors import HeldNotDurable, IllegalMove, LedgerUnavailable, NotFound
from assent.core.operators import Assurance, Operator, OperatorId, Permission
from assent.core.reasons import Reason
from assent.flows import breaker_entries
from assent.flows.active_policy import decide, refuse_behind
from assent.flows.authenticate import OperatorCaller, confirm_operator, require
from assent.flows.broker import Broker
from assent.flows.end_action import end_waiting
from assent.flows.held import HeldTrip
from assent.flows.names import Unknown, unknown_names
from assent.flows.second_person import heard_still, sought, why_not_heard
from assent.flows.watch_actions import tell
from assent.ports import Gate, Policy, Tx, View

# A person waits: with starting the command and carrying the answer it stays below two seconds from Enter.
TRIP_WITHIN_SECONDS = 1.0
ALERTS = "alerts"
"""What to wake when something happened that people are to be told of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tripped:
    """A trip that is durable: what it cut off, what was running already, and how to cut the agent off elsewhere.

    `unknown` lists the names of the scope that nobody declared: it holds all the same, over whoever comes to bear them.
    """

    breaker: Breaker
    cut_off: tuple[Action, ...]
    running: tuple[Action, ...]
    cut_off_elsewhere: str = ""
    unknown: tuple[Unknown, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A trip as somebody wants it: over what, why, and when to ask again; `more` is recorded in public."""

    scope: Scope
    reason: str = ""
    ttl: timedelta | None = None
    more: Mapping[str, Json] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetAnswer:
    """What became of a reset: closed, waiting for a second person (`who` may be it), or refused.

    `assurance` is what the second person's surface must have.
    """

    breaker: Breaker
    closed: bool = False
    refused: Reason | None = None
    who: tuple[str, ...] = ()
    assurance: Assurance | None = None


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
        HeldNotDurable: the ledger could not be written. Nothing in scope passes in this process, and the trip is
            written before anything else in its scope when the ledger is back.

    """
    more: dict[str, Json] | None = None if by_hand is None else {"by_hand": dict(by_hand)}
    return await _trip(broker, caller, Wish(scope=scope, reason=reason, ttl=ttl, more=more))


async def drill_trip(broker: Broker, caller: OperatorCaller, scope: Scope) -> Tripped:
    """Return the breaker over `scope` tripped to try out the stop, and recorded as that.

    Raises:
        Forbidden: the caller may not trip breakers.
        IllegalMove: the scope names no environment that is marked nonproduction, or something is stopped there already
            and the end of the drill would let it go on.
        HeldNotDurable: as `trip` says.

    """
    require(caller, Permission.BREAKERS_TRIP)
    if scope.environment is None or not broker.policy().is_nonproduction(scope.environment):
        raise IllegalMove(
            "a drill stops real work, so it needs an environment that is marked nonproduction",
            hint="name one in `scope.environment`; `nonproduction: true` stands in environments.yaml",
        )
    return await _trip(broker, caller, Wish(scope=scope, reason="drill", more={"drill": True}))


async def _trip(broker: Broker, caller: OperatorCaller, wish: Wish) -> Tripped:
    require(caller, Permission.BREAKERS_TRIP)
    by, new_id = caller.operator.id, BreakerId(broker.new_id("brk"))

    async def work(tx: Tx) -> Tripped:
        await confirm_operator(tx, caller)
        return await _store_trip(tx, wish, by=by, new_id=new_id)

    async def write_later(tx: Tx) -> Tripped:
        # A drill that could not begin is a trip like any other: somebody was told that it is stopped.
        return await _store_trip(tx, replace(wish, more={"held": True}), by=by, new_id=new_id)

    try:
        tripped = await broker.ledger.transact(
            work, gate=Gate.EXCLUSIVE, within_seconds=TRIP_WITHIN_SECONDS, urgent=True
        )
    except LedgerUnavailable as fault:
        broker.held.hold(HeldTrip(wish.scope, write_later))
        raise HeldNotDurable(
            f"{wish.scope.describe()} is stopped in the memory of this broker only: the ledger cannot be written",
            hint="nothing is decided without the ledger; the trip is written first when it is back, unless this "
            "broker ends before that: then trip again",
        ) from fault
    tell_tripped(broker, tripped)
    return _with_advice(tripped, broker.policy())


async def _store_trip(tx: Tx, wish: Wish, *, by: OperatorId, new_id: BreakerId) -> Tripped:
    existing = await tx.breaker_over(wish.scope)
    if wish.more and wish.more.get("drill") and existing is not None and breakers.denies(existing):
        raise IllegalMove(f"the breaker `{existing.id}` is open over {wish.scope.describe()} already")
    tripped = breakers.trip(
        existing,
        new_id=new_id,
        scope=wish.scope,
        by=by,
        now=tx.now,
        reason=wish.reason,
        ask_again_at=None if wish.ttl is None else tx.now + wish.ttl,
    )
    await (tx.add(tripped) if existing is None else tx.replace(existing, tripped))
    return await cut_off(tx, tripped, by=by, more=wish.more)


async def cut_off(
    tx: Tx, tripped: Breaker, *, by: str | None = None, more: Mapping[str, Json] | None = None
) -> Tripped:
    """Return what the stored breaker cuts off and what goes on running; ends the first, and records the trip."""
    cut = await end_waiting(tx, tripped, by=by)
    running = tuple(await tx.running(tripped.scope))
    await tx.append(breaker_entries.tripped(tripped, cancelled=len(cut), running=len(running), more=more))
    return Tripped(breaker=tripped, cut_off=cut, running=running)


def tell_tripped(broker: Broker, *trips: Tripped) -> None:
    """Wake whoever waits for something that was stopped, and whoever tells people; call it after the commit."""
    for tripped in trips:
        tell(broker, *tripped.cut_off, *tripped.running)
        broker.signals.wake(ALERTS)


async def write_held(broker: Broker) -> int:
    """Store the trips that hold in memory, oldest first; return how many the ledger took.

    Raises:
        LedgerUnavailable: it still takes none; what is held stays held.

    """
    held = broker.held.trips
    for trip in held:
        await broker.ledger.transact(trip.write, gate=Gate.EXCLUSIVE)
        broker.held.written(trip)
        broker.signals.wake(ALERTS)
    return len(held)


def _with_advice(tripped: Tripped, policy: Policy) -> Tripped:
    named = tripped.breaker.scope.agent
    profile = None if named is None else policy.agent(named)
    advice = "" if profile is None else profile.cut_off
    return replace(tripped, cut_off_elsewhere=advice, unknown=unknown_names(policy, tripped.breaker.scope))


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
        await refuse_behind(tx, policy)
        breaker = await find(tx, key)
        who, alone = _who(breaker, policy), _is_enough_alone(breaker, policy)
        breaker = replace(breaker, reset_asked=await heard_still(tx, breaker.reset_asked, who))
        refused = _why_not(breaker, caller.operator, policy)
        if refused is None and not alone:
            refused = await why_not_heard(tx, broker, caller, first=breaker.reset_asked, who=who)
        if refused is not None:
            return ResetAnswer(breaker=breaker, refused=refused, who=who)
        result = await _store_reset(tx, breaker, caller, reason, alone=alone)
        if not isinstance(result, NeedsSecond):
            return ResetAnswer(breaker=result.breaker, closed=True)
        second = sought(broker, caller, who)
        return ResetAnswer(breaker=result.breaker, who=second.who, assurance=second.assurance)

    answer = await decide(broker, work, gate=Gate.EXCLUSIVE)
    broker.signals.wake(ALERTS)
    return answer


async def find(view: View, key: BreakerId) -> Breaker:
    """Return the breaker of that id.

    Raises:
        NotFound: no such breaker.

    """
    breaker = await view.get(Breaker, key)
    if breaker is None:
        raise NotFound(f"no breaker `{key}`", hint="list them with `assent breakers list`")
    return breaker


async def _store_reset(
    tx: Tx, breaker: Breaker, caller: OperatorCaller, reason: str, *, alone: bool
) -> Closed | NeedsSecond:
    result = breakers.reset(
        breaker,
        by=caller.operator.id,
        now=tx.now,
        reason=reason,
        one_person_is_enough=alone,
        assurance=caller.assurance,
        using=caller.using,
    )
    closed = not isinstance(result, NeedsSecond)
    await tx.replace(breaker, result.breaker)
    await tx.append(breaker_entries.reset(result.breaker, by=caller.voter(), closed=closed, reason=reason))
    return result


def _is_enough_alone(breaker: Breaker, policy: Policy) -> bool:
    environment = breaker.scope.environment
    return environment is not None and policy.is_nonproduction(environment)


def _why_not(breaker: Breaker, by: Operator, policy: Policy) -> Reason | None:
    if breaker.state is BreakerState.CLOSED:
        return Reason.of("already_closed")
    if by.id == _owner(breaker, policy):
        return Reason.of("not_eligible", "you own the agent that this breaker stops")
    return None


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
