"""An agent waits: for one of its actions to move, or for whatever was decided for it since it last looked."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

from assent.core.actions import Action, ActionId, ActionState, attempt_of
from assent.core.errors import NotFound
from assent.flows.answers import Answered, read_anew, with_token
from assent.flows.authenticate import AgentCaller, confirm
from assent.flows.broker import Broker
from assent.ports import View

T = TypeVar("T")

CARDS = "cards"
"""What to wake when a card may show something else than holds."""

MAX_WAIT_SECONDS = 55.0


async def watch_action(
    broker: Broker,
    caller: AgentCaller,
    key: ActionId,
    *,
    after: int | None = None,
    attempt: str | None = None,
    wait_seconds: float = 0.0,
) -> Answered:
    """Return what the action answers, once its revision is above `after` or the wait is over.

    Whoever waits for an action that runs is waiting to hear that it was stopped, and hears that at once too.

    Raises:
        NotFound: no such action of this agent.
        Unauthenticated: the key was revoked, also while waiting.

    """
    held_by = None if attempt is None else attempt_of(attempt)

    async def work(view: View) -> Answered:
        await confirm(view, caller.key)
        action = await owned(view, caller, key)
        return await read_anew(view, broker.policy(), action, held_by)

    def moved(answered: Answered) -> bool:
        stopped = answered.is_stopped and answered.action.state is ActionState.EXECUTING
        return after is None or answered.action.revision > after or stopped

    # Only who asks with a wait says that they wait; anybody else may be paused, and come back.
    sign = broker.signs.waits_for(key) if wait_seconds > 0 else nullcontext()
    answered = await _wait_until(broker, work, moved, topic_of(key), wait_seconds=wait_seconds, sign=sign)
    return with_token(broker, answered)


async def watch_decided(
    broker: Broker, caller: AgentCaller, *, after: str | None, limit: int, wait_seconds: float = 0.0
) -> Sequence[Answered]:
    """Return what was decided for this agent after the cursor, oldest first, once there is something or time is up."""

    async def work(view: View) -> Sequence[Answered]:
        await confirm(view, caller.key)
        found = await view.decided_for(caller.agent, after, limit)
        return [await read_anew(view, broker.policy(), action, None) for action in found]

    sign = broker.signs.asks_for_decisions(caller.agent)
    found = await _wait_until(broker, work, bool, decided_topic(caller.agent), wait_seconds=wait_seconds, sign=sign)
    return [with_token(broker, answered) for answered in found]


def topic_of(action: str) -> str:
    """Return what to wake when this action moved."""
    return f"action:{action}"


def decided_topic(agent: str) -> str:
    """Return what to wake when something was decided for this agent."""
    return f"decided:{agent}"


def tell(broker: Broker, *moved: Action) -> None:
    """Wake everybody who waits for one of these actions, or for decisions of their agents; call it after the commit."""
    for action in moved:
        broker.signals.wake(topic_of(action.id))
        broker.signals.wake(decided_topic(action.agent))
    if any(action.decided_by_human for action in moved):
        broker.signals.wake(CARDS)


async def owned(view: View, caller: AgentCaller, key: ActionId) -> Action:
    """Return the caller's own action; another agent's is not found, so that ids tell nothing.

    Raises:
        NotFound: no such action of this agent.

    """
    action = await view.get(Action, key)
    if action is None or action.agent != caller.agent:
        raise NotFound("no such action")
    return action


async def _wait_until(
    broker: Broker,
    work: Callable[[View], Awaitable[T]],
    enough: Callable[[T], bool],
    topic: str,
    *,
    wait_seconds: float,
    sign: AbstractContextManager[None],
) -> T:
    """Read until `enough`, with `sign` of life from the first read on, which shows that this is the caller's.

    The subscription begins before the first read, so no wake-up falls between.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + min(wait_seconds, MAX_WAIT_SECONDS)
    subscription = broker.signals.subscribe((topic,))
    try:
        value = await broker.ledger.read(work)
        with sign, broker.looks.one_more():
            while not enough(value) and (left := deadline - loop.time()) > 0:
                # Another process may write to the same ledger (`--direct`), and wakes nobody here.
                await subscription.wait(min(left, broker.looks.each_seconds))
                value = await broker.ledger.read(work)
        return value
    finally:
        subscription.close()
