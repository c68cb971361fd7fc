"""Whether agents that wait are still there: written down coarsely, told on cards, acted on where a route says so.

Nothing is written for a poll. A round writes down who waits, every five minutes for each, and who left; tells people
once when somebody was not seen for a while, and once when they are back; and cancels what an agent that is gone asked,
so that nobody is woken for it. A process that began lately, or stood still, takes nobody for gone before it has looked
for as long as the route allows: agents could not have been seen meanwhile.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from assent.core import presence as presences
from assent.core.actions import Action, ActionEvent, ActionId, ActionState
from assent.core.agents import AgentId
from assent.core.approvals import OPEN, Approval
from assent.core.deliveries import DeliveryState, put_off
from assent.core.errors import Forged, LedgerUnavailable
from assent.core.presence import WRITTEN_EACH, Presence
from assent.core.reasons import Reason
from assent.flows.broker import Broker
from assent.flows.end_action import end_without_running
from assent.flows.signs import Gathered
from assent.flows.watch_actions import CARDS, tell
from assent.ports import Tx, View

# One transaction stays short, so that a decision waiting behind it is not held up.
AT_ONCE: Final = 100
MOST_LEFT: Final = 500
MOST_SOON: Final = 1_000
SOON: Final = timedelta(seconds=45)
"""Who waits here is written down anew so long before anybody takes them for away who saw them leave elsewhere."""
NOTHING: Final = Gathered(frozenset(), frozenset(), frozenset())
STOOD_STILL: Final = timedelta(seconds=20)
"""Longer than this between two rounds, and nobody could have been seen meanwhile."""


@dataclass(slots=True)
class Watched:
    """What one process remembers between rounds: since when it looks, and when it last wrote of whom."""

    since: datetime | None = None
    last_round: datetime | None = None
    written: dict[ActionId, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kept:
    """What one round did: the actions that it cancelled, how many cards are to be changed, whether there is more."""

    gone: tuple[Action, ...] = ()
    cards: int = 0
    more: bool = False


async def keep_presence(broker: Broker, watched: Watched) -> Kept:
    """Write down who is there, and see to who is not; call it every few seconds.

    Raises:
        LedgerUnavailable: nothing was written; what was seen is kept for the next round.

    """
    gathered = broker.signs.gather()
    if gathered == NOTHING and not await _is_anything_due(broker, watched):
        return Kept()
    try:
        kept = await _round(broker, watched, gathered)
    except LedgerUnavailable:
        broker.signs.put_back(gathered)
        raise
    tell(broker, *kept.gone)
    if kept.cards:
        broker.signals.wake(CARDS)
    return kept


async def _is_anything_due(broker: Broker, watched: Watched) -> bool:
    async def work(view: View) -> tuple[bool, datetime]:
        return bool(await view.presences_due(1)), view.now

    found, now = await broker.ledger.read(work)
    if not found:
        watched.since, watched.last_round = _since(watched, now), now
    return found


async def _round(broker: Broker, watched: Watched, gathered: Gathered) -> Kept:
    def is_due(action: ActionId, now: datetime) -> bool:
        return action not in watched.written or now - watched.written[action] >= WRITTEN_EACH

    left = sorted(gathered.left)
    broker.signs.put_back(Gathered(frozenset(), frozenset(left[MOST_LEFT:]), frozenset()))
    del left[MOST_LEFT:]

    async def work(tx: Tx) -> tuple[Kept, datetime, list[ActionId]]:
        since = _since(watched, tx.now)
        told = [action for action in sorted(gathered.waiting) if is_due(action, tx.now)]
        cards = [await _is_there(tx, action, presences.waits) for action in told[:AT_ONCE]]
        # Whoever left is written down now: from here on their absence counts.
        others = [*left, *await _of(tx, gathered.agents)]
        cards += [await _is_there(tx, action, presences.seen) for action in dict.fromkeys(others)]
        here = await _here_and_soon_due(tx, gathered.waiting)
        cards += [await _is_there(tx, action, presences.waits) for action in here]
        due = await tx.presences_due(AT_ONCE)
        absent = [await _is_absent(tx, one, since) for one in due if one.id not in gathered.waiting]
        gone = tuple(action for action, _ in absent if action is not None)
        more = len(told) > AT_ONCE or AT_ONCE in {len(here), len(due)} or len(gathered.left) > MOST_LEFT
        return Kept(gone, sum(cards) + sum(count for _, count in absent), more), tx.now, [*told[:AT_ONCE], *here]

    kept, now, told = await broker.ledger.transact(work)
    watched.since, watched.last_round = _since(watched, now), now
    watched.written = {a: at for a, at in watched.written.items() if a in gathered.waiting} | dict.fromkeys(told, now)
    return kept


async def _here_and_soon_due(tx: Tx, waiting: frozenset[ActionId]) -> list[ActionId]:
    """Return who waits here and is soon looked for all the same: another process saw them leave there."""
    soon = await tx.presences_due(MOST_SOON, within=SOON) if waiting else ()
    return [one.id for one in soon if one.id in waiting][:AT_ONCE]


def _since(watched: Watched, now: datetime) -> datetime:
    if watched.since is None or watched.last_round is None or now - watched.last_round > STOOD_STILL:
        return now
    return watched.since


async def _of(tx: Tx, agents: Iterable[AgentId]) -> list[ActionId]:
    """Return what these agents are looked for and not written down lately; asking for decisions is a sign of life."""
    found = [one for agent in sorted(agents) for one in await tx.presences_of(agent)]
    return [one.id for one in found if presences.is_to_be_written(one, now=tx.now)]


async def _is_there(tx: Tx, key: ActionId, how: Callable[..., Presence]) -> int:
    """Write down that the agent of this action is there, and how; return how many cards are to say so."""
    try:
        return await _written(tx, key, how)
    except Forged:
        return 0  # nobody believes a row that was changed; the others go on


async def _written(tx: Tx, key: ActionId, how: Callable[..., Presence]) -> int:
    old = await tx.get(Presence, key)
    if old is not None and old.due_at is not None:
        await tx.replace(old, how(old, now=tx.now))
        return await _change_cards(tx, key) if old.is_quiet else 0
    action = await tx.get(Action, key)
    approval = None if action is None or action.state is not ActionState.PENDING else await tx.approval_of(key)
    if old is not None or action is None or approval is None:
        return 0
    begun = presences.begin(key, action.agent, approval.routes, now=tx.now)
    await tx.add(begun if how is presences.waits else replace(how(begun, now=tx.now), revision=1))
    return await _change_cards(tx, key)


async def _is_absent(tx: Tx, due: Presence, since: datetime) -> tuple[Action | None, int]:
    """See to an agent that was not seen for a while; return its action when it is gone, and how many cards change."""
    action = await _pending(tx, due.id)
    if action is None:
        await tx.replace(due, presences.forget(due))
        return None, 0
    looked = presences.looked_at(due, watched_since=since, now=tx.now)
    await tx.replace(due, looked)
    if presences.is_gone(due, watched_since=since, now=tx.now):
        why = f"the agent waited for it and was not seen since {due.seen_at:%H:%M:%S} UTC"
        reason = Reason.of("cancelled", why)
        ended = await end_without_running(tx, action, ActionEvent.CANCEL, reason, because="agent_gone")
        return ended.action, 0
    return None, await _change_cards(tx, due.id) if looked.is_quiet and not due.is_quiet else 0


async def _pending(tx: Tx, key: ActionId) -> Action | None:
    try:
        action = await tx.get(Action, key)
        approval = await tx.approval_of(key)
    except Forged:
        return None  # what is damaged ends by itself or not at all
    if action is None or approval is None or action.state is not ActionState.PENDING:
        return None
    return action


async def _change_cards(tx: Tx, key: ActionId) -> int:
    """Have every card of this action's question told anew; return how many."""
    approval = await tx.approval_of(key)
    if approval is None or approval.state not in OPEN:
        return 0
    return await _tell_anew(tx, approval)


async def _tell_anew(tx: Tx, approval: Approval) -> int:
    try:
        told = [one for one in await tx.deliveries_of(approval.id) if one.state is DeliveryState.CURRENT]
    except Forged:
        return 0  # one of them cannot be believed; they are told again with the next move
    for one in told:
        await tx.replace(one, put_off(one, until=tx.now, why="whether the agent is there has changed"))
    return len(told)
