"""A policy version is taken up: by itself, or once a person or a release key vouches for what it widens.

What waits is then judged again.

The swap happens inside the transaction that records it, which passes alone: whatever is decided after it is decided by
the new version, and whatever was judged before is judged anew. A record that does not become durable undoes the swap.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from assent.core import grants
from assent.core.actions import Action, ActionEvent, ActionId, ActionState
from assent.core.breakers import Scope
from assent.core.errors import AssentError, Forged, NotFound, Stale
from assent.core.operators import Permission
from assent.core.privileges import Activation, Change, widening
from assent.core.publications import Publication
from assent.core.reasons import Reason
from assent.core.releases import Vouched
from assent.flows import active_policy, policy_entries
from assent.flows.active_policy import POLICY, Activating, Publishing, is_behind, refuse_behind
from assent.flows.authenticate import OperatorCaller, confirm_operator, require
from assent.flows.broker import Broker
from assent.flows.end_action import end_without_running
from assent.flows.follow_policy import follow_policy
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

    `vouched` is the release that let it serve, `unvouched` why the one beside it does not count. `publication` is how
    it was published, None where it was not. `passed_over` is what the policy directory holds where that is not read.
    """

    version: str
    serving: str
    uptake: Uptake
    changes: Sequence[Change] = ()
    ended: tuple[Action, ...] = ()
    vouched: Vouched | None = None
    unvouched: str | None = None
    publication: Publication | None = None
    passed_over: str | None = None


class NotWaiting(AssentError):
    """The version that was confirmed is not the one that waits."""

    code = "digest_changed"


async def take_up_policy(broker: Broker, found: Policy, publishing: Publishing | None = None) -> TakenUp:
    """Let `found` serve, or let it wait when it widens something that nobody confirmed and no release key vouches for.

    It is of this broker's own directory, or is published with it.

    Raises:
        Stale: another version was taken up meanwhile.
        PolicyBehind: what serves here is not the version that is active.

    """
    policies = policies_of(broker)
    serving = policies.current
    if found.version == serving.version and publishing is None:
        policies.hold(None)
        return TakenUp(version=found.version, serving=serving.version, uptake=Uptake.UNCHANGED)
    changes = tuple(found.changes_since(serving))
    if broker.activation is Activation.AUTO or not widening(changes):
        return await _activate(broker, policies, found, serving, changes, publishing=publishing)
    said = await broker.ledger.read(partial(vouched_for, broker=broker, found=found, serving=serving))
    if isinstance(said, Vouched):
        return await _activate(broker, policies, found, serving, changes, vouched=said, publishing=publishing)
    published = await _propose(broker, found, changes, said, publishing)
    return TakenUp(
        version=found.version,
        serving=serving.version,
        uptake=Uptake.WAITING,
        changes=changes,
        unvouched=said,
        publication=published,
    )


async def _propose(
    broker: Broker, found: Policy, changes: Sequence[Change], unvouched: str | None, publishing: Publishing | None
) -> Publication | None:
    policies = policies_of(broker)
    waiting, serving = policies.waiting, policies.current
    is_known = waiting is not None and (waiting.version, waiting.release) == (found.version, found.release)
    if is_known and publishing is None:
        policies.hold(found)
        return None

    async def work(tx: Tx) -> Publication | None:
        await refuse_behind(tx, serving)
        published = None if publishing is None else await active_policy.publish(tx, publishing)
        await tx.append(policy_entries.policy_proposed(found.version, serving.version, changes, unvouched=unvouched))
        return published

    published = await active_policy.decide(broker, work, gate=Gate.EXCLUSIVE)
    policies.hold(found)
    if published is not None:
        broker.following.held = published.id
        broker.signals.wake(POLICY)
    return published


async def activate_policy(broker: Broker, caller: OperatorCaller, digest: str) -> TakenUp:
    """Let the version that waits serve; `digest` are at least 8 hex digits of it. Confirming twice says the same.

    Raises:
        Forbidden: the caller, as the serving version knows them, may not activate policies.
        NotFound: no version waits.
        NotWaiting: another one does.

    """
    require(caller, Permission.POLICY_ACTIVATE)
    policies = policies_of(broker)
    # It may have been published at another broker a moment ago.
    await follow_policy(broker)
    serving, waiting = policies.current, policies.waiting
    if _names(digest, serving):
        return TakenUp(version=serving.version, serving=serving.version, uptake=Uptake.UNCHANGED)
    if waiting is None:
        raise NotFound(
            "no policy waits to be confirmed",
            hint="`assent policy publish` brings one, or `assent policy reload` where brokers read a directory",
        )
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
    publishing: Publishing | None = None,
) -> TakenUp:
    looked_at = watched(broker, found)
    activating = Activating(
        version=found.version,
        previous=serving.version,
        changes=changes,
        by=None if by is None else by.operator.id,
        vouched=vouched,
        files=None if publishing is not None else await _files(broker, policies, found),
    )

    async def work(tx: Tx) -> tuple[tuple[Tripped, ...], Publication | None]:
        if by is not None:
            await confirm_operator(tx, by)
        if policies.current is not serving:
            raise Stale("another policy was taken up meanwhile")
        await refuse_behind(tx, serving)
        # Once more, now that nothing else is written: a release counts once and ends in time.
        if vouched is not None and await vouched_for(tx, broker, found, serving) != vouched:
            raise Stale("the release that vouches for this version was used or ended meanwhile")
        if publishing is not None:
            await active_policy.publish(tx, publishing)
        publication = await active_policy.activate(tx, activating)
        tripped = await trip_what_changed(tx, looked_at)
        policies.serve(found)
        return tripped, publication

    try:
        tripped, publication = await active_policy.decide(broker, work, gate=Gate.EXCLUSIVE)
    except BaseException:
        # Not known to be durable: what served before goes on serving.
        if policies.current is found:
            policies.serve(serving)
        raise
    tell_tripped(broker, *tripped)
    policies.hold(None)
    broker.following.held = None
    broker.signals.wake(POLICY)
    ended = await judge_what_waits(broker)
    return TakenUp(
        version=found.version,
        serving=found.version,
        uptake=Uptake.ACTIVATED,
        changes=changes,
        ended=ended,
        vouched=vouched,
        publication=publication,
    )


async def _files(broker: Broker, policies: Policies, found: Policy) -> Mapping[str, bytes] | None:
    """Return the files of a version where other brokers of this ledger need them."""
    return await asyncio.to_thread(policies.files_of, found.version) if broker.is_shared else None


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
        policy = broker.policy()
        if await is_behind(tx, policy):
            return []  # whoever took up the version that came between judges by that
        judged = [await _judge_one(tx, policy, key) for key in keys]
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


def policies_of(broker: Broker) -> Policies:
    """Return what takes up other versions. Raises NotFound: this broker takes up none."""
    if broker.policies is None:
        raise NotFound("this broker serves one policy and takes up no other")
    return broker.policies
