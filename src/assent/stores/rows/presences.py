"""How it is stored when agents that wait were last seen."""

from datetime import timedelta

from assent.core.presence import Presence
from assent.core.windows import microseconds
from assent.stores.rows.moments import moment, moment_or_none, stamp, stamp_or_none
from assent.stores.rows.table import Split, Stored, Table
from assent.stores.sealing import LedgerKeys


def _split(presence: Presence, _keys: LedgerKeys) -> Split:
    columns = (presence.id, presence.revision, presence.agent, stamp_or_none(presence.due_at))
    facts: dict[str, object] = {
        "seen_at": stamp(presence.seen_at),
        "gone_after": None if presence.gone_after is None else microseconds(presence.gone_after),
        "is_waiting": presence.is_waiting,
        "is_quiet": presence.is_quiet,
    }
    return columns, facts, ()


def _join(stored: Stored) -> Presence:
    columns, facts = stored.columns, stored.facts
    gone_after = facts["gone_after"]
    return Presence(
        id=columns["id"],
        revision=columns["revision"],
        agent=columns["agent"],
        due_at=moment_or_none(columns["due_at"]),
        seen_at=moment(facts["seen_at"]),
        gone_after=None if gone_after is None else timedelta(microseconds=gone_after),
        is_waiting=facts.get("is_waiting", False),
        is_quiet=facts["is_quiet"],
    )


PRESENCES: Table[Presence] = Table(
    name="presence", columns=("id", "revision", "agent", "due_at"), split=_split, join=_join
)
