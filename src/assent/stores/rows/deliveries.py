"""How deliveries are stored: all of it is facts, because a destination and a card's name tell nothing of what runs."""

from assent.core.deliveries import Delivery, DeliveryState
from assent.stores.rows.moments import moment, moment_or_none, stamp, stamp_or_none
from assent.stores.rows.table import Split, Stored, Table
from assent.stores.sealing import LedgerKeys


def _split(delivery: Delivery, _keys: LedgerKeys) -> Split:
    columns = (
        delivery.id,
        delivery.revision,
        delivery.approval,
        delivery.destination,
        delivery.state.value,
        stamp(delivery.due_at),
        delivery.shown,
    )
    facts: dict[str, object] = {
        "step": delivery.step,
        "place": delivery.place,
        "handed_over_at": stamp_or_none(delivery.handed_over_at),
        "attempts": delivery.attempts,
        "why": delivery.why,
    }
    return columns, facts, ()


def _join(stored: Stored) -> Delivery:
    columns, facts = stored.columns, stored.facts
    return Delivery(
        id=columns["id"],
        revision=columns["revision"],
        approval=columns["approval"],
        destination=columns["destination"],
        state=DeliveryState(columns["state"]),
        due_at=moment(columns["due_at"]),
        shown=columns["shown"],
        step=facts["step"],
        place=facts["place"],
        handed_over_at=moment_or_none(facts["handed_over_at"]),
        attempts=facts["attempts"],
        why=facts["why"],
    )


DELIVERIES: Table[Delivery] = Table(
    name="delivery",
    columns=("id", "revision", "approval", "destination", "state", "due_at", "shown"),
    split=_split,
    join=_join,
)
