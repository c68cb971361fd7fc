"""One look for all pages that are made after one change: what one of them read, the next ones need not read again.

No row changes without a record, so what was read holds as long as the log ends where it did. Remembered are actions and
approvals alone, and lists of them: they are what costs. Who is signed in is read every time.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar, cast

from assent.core.actions import Action
from assent.core.approvals import Approval, ApprovalId, ApprovalState
from assent.ports import Gate, Ledger, R, Tx, View

T = TypeVar("T")
MOST: Final = 5_000


class OneLook:
    """A ledger whose reads share what they read, until the log moves; it writes like the ledger behind it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._index = -1
        self._known: dict[object, Any] = {}

    async def read(self, work: Callable[[View], Awaitable[T]], *, within_seconds: float = 2.0) -> T:
        """Run `work` on a snapshot, as the ledger does."""

        async def looked(view: View) -> T:
            return await work(cast("View", _Remembering(view, self._at(await view.next_index()))))

        return await self._ledger.read(looked, within_seconds=within_seconds)

    async def transact(
        self,
        work: Callable[[Tx], Awaitable[T]],
        *,
        within_seconds: float = 2.0,
        gate: Gate = Gate.SHARED,
        urgent: bool = False,
    ) -> T:
        """Run `work` as one transaction, as the ledger does."""
        return await self._ledger.transact(work, within_seconds=within_seconds, gate=gate, urgent=urgent)

    def blind(self, purpose: str, value: bytes) -> bytes:
        """Return a MAC, as the ledger does."""
        return self._ledger.blind(purpose, value)

    def _at(self, index: int) -> dict[object, Any]:
        # A read that is still on an older snapshot keeps the memory that it began with.
        if index != self._index or len(self._known) > MOST:
            self._index, self._known = index, {}
        return self._known


class _Remembering:
    """A view that reads an action, an approval or a list of them once."""

    def __init__(self, view: View, known: dict[object, Any]) -> None:
        self._view = view
        self._known = known

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # everything else is the view's own
        return getattr(self._view, name)

    async def get(self, kind: type[R], key: str) -> R | None:
        if kind not in {Action, Approval}:
            return await self._view.get(kind, key)
        place = kind, key
        if place not in self._known:
            self._known[place] = await self._view.get(kind, key)
        found: R | None = self._known[place]
        return found

    async def approvals(
        self, states: Sequence[ApprovalState], *, limit: int, before: ApprovalId | None = None
    ) -> Sequence[Approval]:
        place = tuple(states), limit, before
        if place not in self._known:
            self._known[place] = await self._view.approvals(states, limit=limit, before=before)
        found: Sequence[Approval] = self._known[place]
        return found
