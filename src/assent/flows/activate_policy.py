"""A policy version is taken up: by itself, or once a person or a release key vouches for what it widens.

What waits is then judged again.

The swap happens inside the transaction that records it, which passes alone: whatever is decided after it is decided by
the new version, and whatever was judged before is judged anew. A record that does not become durable undoes the swap.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from assent.core import grants
from assent.core.actions import Action, ActionEvent, ActionId, ActionState
from assent.core.breakers import Scope
from assent.core.errors import AssentError, Forged, NotFound, Stale
from assent.core.operators import Permission
from assent.core.privileges import Activation, Change, widening
from assent.core.reasons import Reason
from assent.core.releases import Vouched
from assent.flows import entries
from assent.flows.authenticate import OperatorCaller, confirm_operator, require
from assent.flows.broker import Broker
from assent.flows.end_action import end_without_running
from assent.flows.judge_again import asks_the_same, judge_again
from assent.flows.look_at_definitions import trip_what_changed, watched
from assent.flows.trip_breaker import Tripped, tell_tripped
from assent.flows.vouch_for_policy import vouched_for
from assent.flows.watch_actions import tell
from assent.ports import Gate, Policies, Policy, Tx, View

JUDGED_AT_ONCE = 50
MIN_DIGEST_PREFIX = 8


class Uptake(StrEnum):
    """What became of a version that was read."""

    UNCHANGED = "unchanged"
    ACTIVATED = "activated"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenUp:
    """A version that was read, and what became of it: `changes` against what served, `ended` what it called back.

    `vouched` is the release that let it serve, `unvouched` why the one beside it does not count.
    """

    version: str
    serving: str
    uptake: Uptake
    changes: Sequence[Change] = ()
    ended: tuple[Action, ...] = ()
    vouched: Vouched | None = None
    unvouched: str | None = None


class NotWaiting(AssentError):
    """The version that was confirmed is not the one that waits."""

    code = "digest_changed"


async def take_up_policy(broker: Broker, found: Policy) -> TakenUp:
    """Let `found` serve, or let it wait when it widens something that nobody confirmed and no release key vouches for.

    Raises:
        Stale: another version was taken up meanwhile.

    """
    policies = _policies(broker)
    serving = policies.current
    if found.version == serving.version:
        policies.hold(None)
        return TakenUp(version=found.version, serving=serving.version, uptake=Uptake.UNCHANGED)
    changes = tuple(found.changes_since(serving))
    if broker.activation is Activation.AUTO or not widening(changes):
        return await _activate(broker, policies, found, serving, changes)
    said = await broker.ledger.read(partial(vouched_for, broker=broker, found=found, serving=serving))
    if isinstance(said, Vouched):
        return await _activate(broker, policies, found, serving, changes, vouched=said)
    await _propose(broker, policies, found, changes, said)
    return TakenUp(
        version=found.version, serving=serving.version, uptake=Uptake.WAITING, changes=changes, unvouched=said
    )


async def _propose(
    broker: Broker, policies: Policies, found: Policy, changes: Sequence[Change], unvouched: str | None
) -> None:
    waiting, serving = policies.waiting, policies.current.version
    if waiting is None or (waiting.version, waiting.release) != (found.version, found.release):

        async def work(tx: Tx) -> None:
            await tx.append(entries.policy_proposed(found.version, serving, changes, unvouched=unvouched))

        await broker.ledger.transact(work)
    policies.hold(found)


async def activate_policy(broker: Broker, caller: OperatorCaller, digest: str) -> TakenUp:
    """Let the version that waits serve; `digest` are at least 8 hex digits of it. Confirming twice says the same.

    Raises:
        Forbidden: the caller, as the serving version knows them, may not activate policies.
        NotFound: no version waits.
        NotWaiting: another one does.

    """
    require(caller, Permission.POLICY_ACTIVATE)
    policies = _policies(broker)
    serving, waiting = policies.current, policies.waiting
    if _names(digest, serving):
        return TakenUp(version=serving.version, serving=serving.version, uptake=Uptake.UNCHANGED)
    if waiting is None:
        raise NotFound("no policy waits to be confirmed", hint="`assent policy reload` reads the directory again")
    if not _names(digest, waiting):
        raise NotWaiting(
            f"the version that waits is `{waiting.version[:12]}`, not `{digest[:12]}`",
            hint="look at what it changes with `assent policy show`, then confirm that digest",
        )
    changes = tuple(waiting.changes_since(serving))
    return await _activate(broker, policies, waiting, serving, changes, by=caller)


def _names(digest: str, policy: Policy) -> bool:
    return len(digest) >= MIN_DIGEST_PREFIX and policy.version.startswith(digest.lower())


async def _activate(
    broker: Broker,
    policies: Policies,
    found: Policy,
    serving: Policy,
    changes: Sequence[Change],
    *,
    by: OperatorCaller | None = None,
    vouched: Vouched | None = None,
) -> TakenUp:
    looked_at = watched(broker, found)

    async def work(tx: Tx) -> tuple[Tripped, ...]:
        if by is not None:
            await confirm_operator(tx, by)
        if policies.current is not serving:
            raise Stale("another policy was taken up meanwhile")
        # Once more, now that nothing else is written: a release counts once and ends in time.
        if vouched is not None and await vouched_for(tx, broker, found, serving) != vouched:
            raise Stale("the release that vouches for this version was used or ended meanwhile")
        operator = None if by is None else by.operator.id
        await tx.append(entries.policy_activated(found.version, serving.version, changes, by=operator, vouched=vouched))
        tripped = await trip_what_changed(tx, looked_at)
        policies.serve(found)
        return tripped

    try:
        tell_tripped(broker, *await broker.ledger.transact(work, gate=Gate.EXCLUSIVE))
    except BaseException:
        # Not known to be durable: what served before goes on serving.
        if policies.current is found:
            policies.serve(serving)
        raise
    policies.hold(None)
    ended = await judge_what_waits(broker)
    return TakenUp(
        version=found.version,
        serving=found.version,
        uptake=Uptake.ACTIVATED,
        changes=changes,
        ended=ended,
        vouched=vouched,
    )


async def judge_what_waits(broker: Broker) -> tuple[Action, ...]:
    """End whatever waits or lies ready that policy would not grant like this any more; return it.

    Votes and redemptions judge again themselves, so nothing passes meanwhile; this only tells those who wait.
    """

    async def look(view: View) -> list[ActionId]:
        return [action.id for action in await view.waiting(Scope())]

    waiting = await broker.ledger.read(look)
    ended: list[Action] = []
    for start in range(0, len(waiting), JUDGED_AT_ONCE):
        ended += await _judge_some(broker, waiting[start : start + JUDGED_AT_ONCE])
    tell(broker, *ended)
    return tuple(ended)


async def _judge_some(broker: Broker, keys: Sequence[ActionId]) -> list[Action]:
    async def work(tx: Tx) -> list[Action]:
        judged = [await _judge_one(tx, broker.policy(), key) for key in keys]
        return [action for action in judged if action is not None]

    return await broker.ledger.transact(work)


async def _judge_one(tx: Tx, policy: Policy, key: ActionId) -> Action | None:
    try:
        action = await tx.get(Action, key)
        if action is None or action.state not in {ActionState.PENDING, ActionState.READY}:
            return None
        why = await _why_otherwise(tx, policy, action)
    except Forged:
        # It cannot go on either, and somebody is told when they ask for it.
        return None
    if why is None:
        return None
    return (await end_without_running(tx, action, ActionEvent.CANCEL, why)).action


async def _why_otherwise(tx: Tx, policy: Policy, action: Action) -> Reason | None:
    judgement = judge_again(policy, action)
    approval = await tx.approval_of(action.id) if action.decided_by_human else None
    same = approval is not None and asks_the_same(judgement, approval)
    return grants.why_judged_otherwise(action, judgement.proposal, judgement.verdict, asks_the_same=same)


def _policies(broker: Broker) -> Policies:
    if broker.policies is None:
        raise NotFound("this broker serves one policy and takes up no other")
    return broker.policies
