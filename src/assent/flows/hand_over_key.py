"""A signing key of the broker took the place of another: recorded once, with the note that both of them signed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from assent.core.breakers import Scope
from assent.core.canonical import Json, load
from assent.core.handovers import Handover, KeyUse, ToVerifier, open_handover
from assent.core.looking import RecordFilter
from assent.core.records import Record, RecordKind
from assent.flows import entries
from assent.ports import Gate, Ledger, Tx, View

# A hundred years of a rotation each month.
MAX_HANDOVERS = 1_200


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOver:
    """A handover on record: at which index and when, and until when what the old key signed is good beside the new."""

    handover: Handover
    index: int
    at: datetime
    until: datetime


async def handed_over(ledger: Ledger, to_verifier: ToVerifier) -> Sequence[HandedOver]:
    """Return every handover on record, oldest first."""

    async def work(view: View) -> Sequence[HandedOver]:
        return await _recorded(view, to_verifier)

    return await ledger.read(work)


async def hand_over(
    ledger: Ledger, note: bytes, to_verifier: ToVerifier, *, overlap: timedelta, by_hand: Mapping[str, Json]
) -> None:
    """Record the handover of `note`, once, however often this is called.

    The log's old key signs along for `overlap`. What the old key for grants signed is good until the last grant that
    it may have been signed for has expired, and not longer; without overlap it is worth nothing at once.
    """
    handover = open_handover(note, to_verifier)

    async def work(tx: Tx) -> None:
        if any(known.handover == handover for known in await _recorded(tx, to_verifier)):
            return
        until = tx.now + overlap if handover.use is KeyUse.LOG else await _last_expiry(tx, overlap)
        await tx.append(entries.broker_key_rotated(handover, note, until=until, by_hand=by_hand))

    await ledger.transact(work, gate=Gate.EXCLUSIVE)


async def _last_expiry(tx: Tx, overlap: timedelta) -> datetime:
    """Return when the last grant expires of all that are issued, or spent by somebody who still runs."""
    if not overlap:
        return tx.now
    expiries = [action.pick_up_until for action in await tx.waiting(Scope())]
    for action in await tx.running(Scope()):
        grant = await tx.grant_of(action.id)
        expiries.append(None if grant is None else grant.expires_at)
    return max([tx.now, *(expiry for expiry in expiries if expiry is not None)])


async def _recorded(view: View, to_verifier: ToVerifier) -> list[HandedOver]:
    found = await view.records(RecordFilter(kind=RecordKind.BROKER_KEY_ROTATED), limit=MAX_HANDOVERS)
    return [told(record, to_verifier) for record in reversed(found.records)]


def told(record: Record, to_verifier: ToVerifier) -> HandedOver:
    """Return what a record of a rotation tells. Raises NoteInvalid when both keys did not sign it."""
    leaf = load(record.leaf)
    detail = leaf.get("detail") if isinstance(leaf, dict) else None
    said = detail if isinstance(detail, dict) else {}
    return HandedOver(
        handover=open_handover(str(said.get("note", "")).encode(), to_verifier),
        index=record.index or 0,
        at=record.time,
        until=datetime.fromisoformat(str(said.get("until"))),
    )
