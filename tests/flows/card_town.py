"""A town with a wall on which cards are hung, and a ledger that may be full: for stories of what people are shown."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from assent.core.approvals import ApprovalState, DenialCategory, Need, Route, Step
from assent.core.canonical import load
from assent.core.deliveries import Delivery, DeliveryFault, NobodyKnows, Showing, Told
from assent.core.errors import LedgerUnavailable
from assent.core.operators import Assurance
from assent.flows.answers import Answered
from assent.flows.deliver import Round, deliver
from assent.flows.resolve_approval import deny_action
from assent.ports import Gate, Ledger, Tx, View
from tests.flows.world import TownPolicy, World

ROOM, NEXT = "wall:kitchen", "wall:attic"
FIRST_STEP = Step(after=timedelta(0), tell=(ROOM,))
SECOND_STEP = Step(after=timedelta(minutes=4), tell=(NEXT,))
Before = Callable[[], Awaitable[None]]


class Wall:
    """A wall on which cards are hung, with the faults that a story wants of it."""

    def __init__(self) -> None:
        self.cards: dict[str, str] = {}
        self.calls: list[str] = []
        self.faults: dict[str, DeliveryFault] = {}
        self.answers_get_lost = False
        self.before_answer: Before | None = None

    async def announce(self, where: str, showing: Showing) -> Told:
        self._called("announce", where)
        place = f"{where}/{len(self.calls)}"
        return await self._hang(place, showing)

    async def update(self, where: str, place: str, showing: Showing) -> Told:
        self._called("update", where)
        return await self._hang(place, showing)

    async def find(self, where: str, showing: Showing, since: datetime) -> str | None:
        self._called("find", where)
        assert since <= showing.now
        return next((place for place in self.cards if place.startswith(where)), None)

    def _called(self, what: str, where: str) -> None:
        self.calls.append(f"{what} {where}")
        fault = self.faults.get(what)
        if fault is not None:
            raise fault

    async def _hang(self, place: str, showing: Showing) -> Told:
        self.cards[place] = f"{showing.approval.state.value} {','.join(showing.who)}".strip()
        if self.answers_get_lost:
            raise NobodyKnows("no answer came")
        if self.before_answer is not None:
            first, self.before_answer = self.before_answer, None
            await first()
        return Told(place=place, seen="5" * 64, approvable=True)


@dataclass
class Town:
    """A broker and a wall."""

    world: World
    wall: Wall

    async def round(self, **after: float) -> Round:
        """Let so much time go by, and one round be made."""
        self.world.clock.forward(**after)
        return await deliver(self.world.broker, "wall", self.wall)

    async def deliveries(self) -> dict[str, Delivery]:
        async def work(view: View) -> list[Delivery]:
            asked = await view.approvals(list(ApprovalState), limit=1_000)
            return [delivery for one in asked for delivery in await view.deliveries_of(one.id)]

        return {delivery.destination: delivery for delivery in await self.world.ledger.read(work)}

    async def states(self) -> dict[str, str]:
        return {where: delivery.state.value for where, delivery in (await self.deliveries()).items()}

    async def shown(self) -> list[dict[str, Any]]:
        leaves = [load(record.leaf) for record in await self.world.records(kind="approval.shown")]
        return [leaf for leaf in leaves if isinstance(leaf, dict)]

    async def no(self, asked: Answered) -> None:
        assert asked.approval is not None
        eve = await self.world.operator("eve")
        await deny_action(
            self.world.broker, eve, asked.approval.id, category=DenialCategory.TOO_RISKY, comment="not now"
        )


def policy(*steps: Step, people: int = 1) -> TownPolicy:
    needs = (Need(count=people, of="oncall"),)
    return TownPolicy(routes={"default": Route(name="default", needs=needs, assurance=Assurance.TOKEN, steps=steps)})


class Full:
    """A ledger whose commits fail from some point on."""

    def __init__(self, ledger: Ledger, good: int) -> None:
        self._ledger = ledger
        self.good = good

    async def transact(self, work: Any, *, within_seconds: float = 2.0, gate: Gate = Gate.SHARED) -> Any:
        self.good -= 1
        if self.good >= 0:
            return await self._ledger.transact(work, within_seconds=within_seconds, gate=gate)

        async def and_fail(tx: Tx) -> None:
            await work(tx)
            raise LedgerUnavailable("no space left")

        return await self._ledger.transact(and_fail, within_seconds=within_seconds, gate=gate)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)
