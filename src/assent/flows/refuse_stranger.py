"""Somebody acts on an approval, and nobody can say that it is an operator: it does not count, and it is on record."""

import contextlib
from dataclasses import dataclass

from assent.core.actions import Action
from assent.core.approvals import Approval, ApprovalId
from assent.core.deliveries import DeliveryState
from assent.core.errors import NotFound
from assent.core.reasons import Reason
from assent.flows import entries
from assent.flows.authenticate import holder_of
from assent.flows.broker import Broker
from assent.ports import Tx, View

RECORDED_PER_SECOND = 1.0


async def refuse_stranger(broker: Broker, key: str, *, account: str, surface: str, act: str, reason: Reason) -> None:
    """Record that `account` tried to `act` and was refused for `reason`.

    Raises:
        NotFound: no such approval.

    """

    async def work(tx: Tx) -> None:
        approval, action = await _both(tx, key)
        entry = entries.stranger_refused(action, approval, account=account, surface=surface, act=act, reason=reason)
        await tx.append(entry)

    await broker.ledger.transact(work)


async def refuse_credential(
    broker: Broker, token: str | None, key: str, *, surface: str, act: str, reason: Reason
) -> None:
    """Record that the holder of `token` tried to `act`: an agent, a service, an operator of old.

    A token that no credential of ours ever had leaves no record, and nor does an approval that there is not: else
    anybody could fill the log. Of a holder who comes too often the number is recorded.
    """
    holder = await holder_of(broker, token)
    if holder is None:
        return
    account = f"{holder.kind}:{holder.principal}"
    if broker.signals.take(f"refused:{holder.id}", per_second=RECORDED_PER_SECOND, burst=20) > 0:
        broker.unrecorded.count(account)
        return
    with contextlib.suppress(NotFound):
        await refuse_stranger(broker, key, account=account, surface=surface, act=act, reason=reason)


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


async def _both(view: View, key: str) -> tuple[Approval, Action]:
    approval = await view.get(Approval, key) or await view.approval_by_code(key.upper())
    action = None if approval is None else await view.get(Action, approval.action)
    if approval is None or action is None:
        raise NotFound("no such approval")
    return approval, action
