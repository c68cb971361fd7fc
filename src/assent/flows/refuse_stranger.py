"""Somebody acts on an approval, and nobody can say that it is an operator: it does not count, and it is on record."""

from dataclasses import dataclass

from assent.core.actions import Action
from assent.core.approvals import Approval, ApprovalId
from assent.core.deliveries import DeliveryState
from assent.core.errors import NotFound
from assent.core.reasons import Reason
from assent.flows import entries
from assent.flows.broker import Broker
from assent.ports import Tx, View


async def refuse_stranger(
    broker: Broker, key: ApprovalId, *, account: str, surface: str, act: str, reason: Reason
) -> None:
    """Record that `account` tried to `act` and was refused for `reason`.

    Raises:
        NotFound: no such approval.

    """

    async def work(tx: Tx) -> None:
        approval, action = await _both(tx, key)
        entry = entries.stranger_refused(action, approval, account=account, surface=surface, act=act, reason=reason)
        await tx.append(entry)

    await broker.ledger.transact(work)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldOf:
    """An approval with its action, and where its cards stand; `is_unheard` says that one more may stand somewhere."""

    approval: Approval
    action: Action
    places: frozenset[str]
    is_unheard: bool

    def is_card(self, place: str) -> bool:
        """Whether a card of this approval stands, or may stand, at `place`."""
        return place in self.places or self.is_unheard


async def told_of(broker: Broker, key: ApprovalId) -> ToldOf:
    """Return an approval and where it is told, for who must be known before they may act.

    Raises:
        NotFound: no such approval.

    """

    async def work(view: View) -> ToldOf:
        approval, action = await _both(view, key)
        deliveries = await view.deliveries_of(key)
        return ToldOf(
            approval=approval,
            action=action,
            places=frozenset(delivery.place for delivery in deliveries if delivery.place is not None),
            is_unheard=any(delivery.state is DeliveryState.SENT for delivery in deliveries),
        )

    return await broker.ledger.read(work)


async def _both(view: View, key: ApprovalId) -> tuple[Approval, Action]:
    approval = await view.get(Approval, key)
    action = None if approval is None else await view.get(Action, approval.action)
    if approval is None or action is None:
        raise NotFound("no such approval")
    return approval, action
