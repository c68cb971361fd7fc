"""The published side of the log: the newest checkpoint from memory, tiles and proofs from the ledger."""

import asyncio
from collections.abc import Callable
from typing import Final

from assent.core.checkpoints import LogProof
from assent.core.errors import NotFound, Stale
from assent.core.records import Record, RecordId
from assent.core.tiles import Tile
from assent.ports import Ledger, View
from assent.stores.ledger_tree import LedgerTree
from assent.stores.tree import Integrator

TRIES: Final = 5


class PublishedLog:
    """What the API shows of the log, and the one step that makes it grow; `keep` is given each new checkpoint."""

    def __init__(
        self,
        ledger: Ledger,
        tree: LedgerTree,
        integrator: Integrator,
        *,
        keep: Callable[[bytes], None] = lambda _note: None,
    ) -> None:
        self._ledger = ledger
        self._tree = tree
        self._integrator = integrator
        self._keep = keep
        self._newest: bytes | None = None
        self._size = 0
        self._reaching = asyncio.Lock()

    async def open(self) -> None:
        """Read the newest checkpoint, so that answers carry it from the first on."""
        await self._look()

    async def integrate(self) -> int:
        """Put the next records under a signed checkpoint; return how many that were, at most 1,024.

        Raises:
            VerificationFailed: a record, a tile or the last checkpoint is not what it was; nothing was signed.
            Stale: other brokers were first, again and again. LedgerUnavailable: as the integrator says.

        """
        before = self._size
        for left in reversed(range(TRIES)):
            try:
                if await self._integrator.integrate_once() is not None:
                    await self.follow()
                break
            except Stale:
                # Another broker signs at this moment, as where one begins or ends beside it: what it left is ours.
                if not left:
                    raise
                await self.follow()
        return self._size - before

    async def follow(self) -> None:
        """Take in the checkpoint that another broker signed, and keep it here as well."""
        before = self._newest
        await self._look()
        if self._newest is not None and self._newest != before:
            await asyncio.to_thread(self._keep, self._newest)

    async def reach(self, size: int) -> None:
        """Take in what another broker signed, unless the newest checkpoint covers `size` records already.

        Whoever was shown that many by another broker is shown as many here: a checkpoint is stored before anybody is
        shown it. Where the ledger holds none of that size what is shown stays smaller, and callers see that it does.

        Raises:
            LedgerUnavailable: it is behind, and the ledger cannot be asked.

        """
        if size <= self._size:
            return
        async with self._reaching:  # one look for all who came meanwhile
            if size > self._size:
                await self.follow()

    async def _look(self) -> None:
        head = await self._tree.head()
        # Looks overtake one another, and what was shown once is not taken back.
        if head is not None and head.size >= self._size:
            self._newest, self._size = head.note, head.size

    @property
    def size(self) -> int:
        """How many records the newest checkpoint covers."""
        return self._size

    def newest_checkpoint(self) -> bytes | None:
        """Return the newest signed note, or None before the first."""
        return self._newest

    async def unsigned(self) -> int:
        """Return how many records no checkpoint covers yet."""
        return await self._tree.unsigned()

    async def tile(self, tile: Tile) -> bytes | None:
        """Return a tile or an entry bundle, or None when the log is not that far."""
        return await self._tree.tile(tile)

    async def proof(self, record: RecordId) -> bytes | None:
        """Return the log proof of a record, or None while no checkpoint covers it."""

        async def work(view: View) -> Record | None:
            return await view.record(record)

        found = await self._ledger.read(work)
        if found is None or found.index is None:
            return None
        try:
            inclusion = await self._tree.inclusion(found.index)
        except NotFound:
            return None
        head = inclusion.head
        return LogProof(index=inclusion.index, hashes=inclusion.hashes, checkpoint=head.note).encode()
