"""Presence: whether an agent that said it waits for people is still there, as coarsely as people need to know it.

    unheard of → waits ⇄ quiet → gone

An agent says that it waits by asking with a wait. One that never did may be paused and come back: it is never gone.
While it waits, that is written down now and then alone, and it has credit for longer; when it leaves, at once.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from assent.core.actions import ActionId
from assent.core.agents import AgentId
from assent.core.approvals import Route

WRITTEN_EACH: Final = timedelta(minutes=5)
"""So often it is written down of somebody who goes on waiting."""
CREDIT: Final = timedelta(minutes=10)
"""Whoever was written down as waiting is taken for there so long: the process that saw it may have died since."""
SEEN_EACH: Final = timedelta(seconds=30)
"""So often it is written down of somebody who gives another sign of life."""
QUIET_AFTER: Final = timedelta(seconds=90)
"""Nobody who waits is silent for so long: one wait ends after 55 seconds, and the next begins."""
LOOKED_EACH: Final = timedelta(hours=1)
"""So often it is seen to whether a question still waits whose agent may stay away for as long as it likes."""
LEAST_GONE_AFTER: Final = timedelta(minutes=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """When the agent of one action was last known to be there; `id` is the action's. A row of the ledger.

    `is_waiting`: it waited then, and nobody has seen it leave. `gone_after` is how long it may stay away before nobody
    is asked any more, None for as long as it likes. `due_at` is when to look again, None when there is no reason to.
    `is_quiet` says that people were told that it is away.
    """

    id: ActionId
    agent: AgentId
    seen_at: datetime
    gone_after: timedelta | None = None
    is_waiting: bool = False
    is_quiet: bool = False
    due_at: datetime | None = None
    revision: int = 1


def begin(action: ActionId, agent: AgentId, routes: Iterable[Route], *, now: datetime) -> Presence:
    """Return the presence of an agent that says for the first time that it waits; the most patient route counts."""
    waits = [route.agent_gone_after for route in routes]
    patient = None if None in waits else max((wait for wait in waits if wait is not None), default=None)
    return Presence(id=action, agent=agent, seen_at=now, gone_after=patient, is_waiting=True, due_at=now + CREDIT)


def waits(presence: Presence, *, now: datetime) -> Presence:
    """Return the presence of an agent that waits and goes on waiting."""
    return replace(seen(presence, now=now), is_waiting=True, due_at=now + CREDIT)


def seen(presence: Presence, *, now: datetime) -> Presence:
    """Return the presence of an agent that gave a sign of life now and is not known to wait any longer."""
    revision, due_at = presence.revision + 1, now + QUIET_AFTER
    return replace(presence, seen_at=now, is_waiting=False, is_quiet=False, due_at=due_at, revision=revision)


def looked_at(presence: Presence, *, watched_since: datetime, now: datetime) -> Presence:
    """Return the presence as it stands now, quiet or gone when it was away long enough.

    Nobody was seen before `watched_since`: what was missed while nobody looked is nobody's absence.
    """
    if is_gone(presence, watched_since=watched_since, now=now):
        return replace(forget(presence), is_quiet=True)
    since = _since(presence, watched_since)
    is_quiet = presence.is_quiet or now >= since + QUIET_AFTER
    due_at = (_gone_at(presence, since) or now + LOOKED_EACH) if is_quiet else since + QUIET_AFTER
    return replace(presence, is_quiet=is_quiet, due_at=due_at, revision=presence.revision + 1)


def is_gone(presence: Presence, *, watched_since: datetime, now: datetime) -> bool:
    """Whether the agent stayed away for as long as its routes allow; never early."""
    at = _gone_at(presence, _since(presence, watched_since))
    return at is not None and now >= at


def is_to_be_written(presence: Presence, *, now: datetime) -> bool:
    """Whether it is time to write down another sign of life than waiting."""
    return presence.is_quiet or now - presence.seen_at >= (CREDIT if presence.is_waiting else SEEN_EACH)


def forget(presence: Presence) -> Presence:
    """Return the presence of an agent for whom nobody looks any more."""
    return replace(presence, due_at=None, revision=presence.revision + 1)


def _gone_at(presence: Presence, since: datetime) -> datetime | None:
    return None if presence.gone_after is None else since + presence.gone_after


def _since(presence: Presence, watched_since: datetime) -> datetime:
    return max(presence.seen_at + (CREDIT if presence.is_waiting else timedelta(0)), watched_since)
