"""The published log where two sign in turn: what one of them has shown is not gone for who asks the other next."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from assent.core.errors import LedgerUnavailable, Stale
from assent.ports import Tx
from assent.stores.keys import Keys
from assent.stores.ledger_tree import Head, LedgerTree
from assent.stores.sqlite import SqliteLedger
from assent.stores.tree import Integrator, Step
from assent.wiring.published import PublishedLog
from tests.contracts import samples
from tests.stores.files import opened

pytestmark = pytest.mark.requirement("P8", "T16")

LOG = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
KEYS = Keys(log=LOG, grant=LOG, ledger=b"l" * 32, payload=b"p" * 32)


class CountingTree(LedgerTree):
    """A tree that counts how often its head was looked at, and may be out of reach."""

    looks = 0
    is_away = False
    overtaken_by: "PublishedLog | None" = None

    async def head(self) -> Head | None:
        self.looks += 1
        if self.is_away:
            raise LedgerUnavailable("the ledger does not answer")
        return await super().head()

    async def grow(self, step: Step) -> None:
        """Let the other be first, who lets nobody be."""
        if self.overtaken_by is not None:
            await self.overtaken_by.integrate()
        await super().grow(step)


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[SqliteLedger]:
    async with opened(tmp_path / "ledger.db", unsafe_not_durable="a test that loses no power") as ledger:
        yield ledger


def published(ledger: SqliteLedger) -> tuple[PublishedLog, CountingTree]:
    """Return the log as one of several brokers publishes it."""
    tree = CountingTree(ledger)
    return PublishedLog(ledger, tree, Integrator(tree, key=KEYS.log_verifier_key("a/log"), sign=KEYS.sign_log)), tree


async def happening(tx: Tx) -> None:
    await tx.append(samples.entry())


async def signed(log: PublishedLog, ledger: SqliteLedger) -> bytes:
    await ledger.transact(happening)
    while await log.integrate():
        pass
    note = log.newest_checkpoint()
    assert note is not None
    return note


async def test_what_another_showed_is_shown_here_before_the_answer(ledger: SqliteLedger) -> None:
    one, _ = published(ledger)
    other, looked = published(ledger)
    note = await signed(one, ledger)
    assert other.newest_checkpoint() is None
    await asyncio.gather(*(other.reach(one.size) for _ in range(20)))
    assert other.newest_checkpoint() == note
    assert looked.looks == 1
    await other.reach(one.size)
    await other.reach(0)
    assert looked.looks == 1


async def test_who_claims_to_have_seen_more_than_there_is_changes_nothing(ledger: SqliteLedger) -> None:
    log, _ = published(ledger)
    note = await signed(log, ledger)
    await log.reach(10**14)
    assert log.newest_checkpoint() == note


async def test_where_the_ledger_cannot_be_asked_nothing_older_is_shown(ledger: SqliteLedger) -> None:
    one, _ = published(ledger)
    other, away = published(ledger)
    await signed(one, ledger)
    away.is_away = True
    with pytest.raises(LedgerUnavailable):
        await other.reach(one.size)


async def test_a_look_that_comes_late_does_not_take_back_what_was_shown(ledger: SqliteLedger) -> None:
    log, tree = published(ledger)
    await signed(log, ledger)
    older = await LedgerTree(ledger).head()
    note = await signed(log, ledger)

    async def late() -> Head | None:
        return older

    tree.head = late  # type: ignore[method-assign]  # an answer that was on its way
    await log.follow()
    assert log.newest_checkpoint() == note


@pytest.mark.requirement("T20")
async def test_who_signs_at_the_moment_that_another_does_goes_on_from_there(ledger: SqliteLedger) -> None:
    first, _ = published(ledger)
    begins, tree = published(ledger)
    await signed(first, ledger)
    await ledger.transact(happening)
    tree.overtaken_by = first
    await begins.integrate()
    assert begins.size == first.size == 2
    assert begins.newest_checkpoint() == first.newest_checkpoint()


async def test_who_is_overtaken_without_end_says_so(ledger: SqliteLedger) -> None:
    first, _ = published(ledger)
    begins, tree = published(ledger)

    class Endless(PublishedLog):
        async def integrate(self) -> int:
            done = await first.integrate()
            await ledger.transact(happening)
            return done

    tree.overtaken_by = Endless(ledger, tree, Integrator(tree, key=KEYS.log_verifier_key("a/log"), sign=KEYS.sign_log))
    await ledger.transact(happening)
    with pytest.raises(Stale):
        await begins.integrate()
    assert tree.looks > 1
