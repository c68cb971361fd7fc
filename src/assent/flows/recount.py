"""Counters begin with what the ledger knows: an epoch that begins is no clean slate.

What was asked, answered and reported within the longest window is counted again, as long as it lies behind the last
trip of the breaker that it counts for: whatever that stopped has had its consequence.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

from assent.core import breaker_rules
from assent.core.actions import Action, ActionState
from assent.core.breaker_rules import REJECTED, Applying, Happened, TooMuch, counting
from assent.core.breakers import Breaker, Scope
from assent.core.windows import microseconds
from assent.flows.broker import Broker
from assent.ports import Known, Policy, View

# What a busy broker decides within a second; the newest count.
MAX_ACTIONS: Final = 5_000


async def recount(broker: Broker) -> None:
    """Begin the counters' epoch with what the ledger knows, or join the one that others count in.

    While nobody is there who could begin one, the ledger is not asked again and again.

    Raises:
        LedgerUnavailable: the ledger cannot be read; nothing has begun.

    """
    if not broker.signals.is_there():
        return
    policy = broker.policy()
    windows = [rule.window for rule in policy.breaker_rules() if any(not _is_budget(one) for one in rule.conditions)]
    if not windows:
        await broker.signals.begin(())
        return

    async def work(view: View) -> list[Known]:
        # An action that was asked before the window may have ended within it, as late as its lease allows.
        found = await view.actions_since(view.now - max(windows) - broker.lease, limit=MAX_ACTIONS)
        tripped = {breaker.scope: breaker for breaker in await view.breakers()}
        return [known for action in found for known in _known(policy, action, tripped, view.now)]

    await broker.signals.begin(await broker.ledger.read(work))


def _is_budget(condition: object) -> bool:
    return isinstance(condition, TooMuch)


def _known(policy: Policy, action: Action, tripped: Mapping[Scope, Breaker], now: datetime) -> Iterator[Known]:
    counted = policy.counted(action.agent, action.tool, action.environment)
    for at, happened in _happened(action):
        for one in counting(counted.rules, happened):
            if _counts(one.applying, at, tripped, now):
                ago = microseconds(now - at)
                yield from (Known(name, window, amount, ago) for name, window, amount in one.counts if amount)


def _happened(action: Action) -> Iterator[tuple[datetime, Happened]]:
    at_once = action.state is ActionState.DENIED and not action.decided_by_human
    refused = action.reasons[0].code if at_once and action.reasons else None
    yield action.created_at, breaker_rules.decided(refused, action.content.hex())
    if action.decided_by_human and action.reasons and action.reasons[-1].code == "approval_denied":
        yield action.decided_at or action.created_at, REJECTED
    if action.outcome is not None:
        failed = action.outcome.status is not ActionState.SUCCEEDED
        yield action.outcome.at, Happened(failed=failed, duration_ms=action.outcome.duration_ms)


def _counts(applying: Applying, at: datetime, tripped: Mapping[Scope, Breaker], now: datetime) -> bool:
    breaker = tripped.get(applying.scope)
    if breaker is not None and breaker.tripped_at is not None and at <= breaker.tripped_at:
        return False
    return now - at <= applying.rule.window + timedelta(seconds=1)
