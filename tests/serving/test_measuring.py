"""What a scraper reads of a real broker, and what is left out when the ledger does not answer."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.request import urlopen

import pytest

from assent.api import Readiness
from assent.core.breakers import BreakerState
from assent.core.records import Entry, RecordKind
from assent.ports import Tx
from assent.serving.measuring import Gauges
from assent.stores.keys import Keys
from assent.stores.ledger_tree import LedgerTree
from assent.stores.signals_local import LocalSignals
from assent.stores.sqlite import SqliteLedger
from assent.stores.tree import Integrator
from assent.wiring.published import PublishedLog
from tests.contracts import samples
from tests.contracts.samples import T0, Clock, Ids
from tests.serving.broker_process import BrokerProcess
from tests.test_metrics import samples as samples_in

ORIGIN = "assent/test"


@dataclass
class House:
    """A ledger in a file with its log, seen by `gauges`."""

    ledger: SqliteLedger
    log: PublishedLog
    clock: Clock
    gauges: Gauges = field(init=False)

    def __post_init__(self) -> None:
        signals = LocalSignals(time.monotonic)
        self.gauges = Gauges(
            self.ledger, self.log, self.clock, self._readiness, signals=signals, channels=("slack", "email")
        )

    async def _readiness(self) -> Readiness:
        return Readiness(ledger_writable=True, policy_loaded=True)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    clock, keys = Clock(), Keys.generate()
    ledger = SqliteLedger.open(tmp_path / "ledger.db", keys.ledger_keys(), clock=clock, new_id=Ids())
    tree = LedgerTree(ledger)
    integrator = Integrator(tree, key=keys.log_verifier_key(ORIGIN), sign=keys.sign_log)
    log = PublishedLog(ledger, tree, integrator)
    await log.open()
    yield House(ledger, log, clock)
    await ledger.close()


async def happen(tx: Tx) -> None:
    """Two approvals wait, one breaker of two is open, a policy was taken up, four records are there."""
    await tx.add(samples.approval("one", action="a", code="1", asked_at=T0 - timedelta(seconds=90)))
    await tx.add(samples.approval("two", action="b", code="2"))
    await tx.add(samples.breaker("open", state=BreakerState.FORCED_OPEN))
    await tx.add(samples.breaker("closed", state=BreakerState.CLOSED, scope=samples.FULL_BREAKER.scope))
    await tx.add(samples.delivery("late"))
    await tx.append(Entry(kind=RecordKind.POLICY_ACTIVATED, policy="v1"))
    for _ in range(3):
        await tx.append(samples.entry())


async def test_the_gauges_say_what_the_ledger_holds(house: House) -> None:
    await house.ledger.transact(happen)
    await house.log.integrate()
    await house.ledger.transact(lambda tx: tx.append(samples.entry()))
    house.clock.step(seconds=10)
    found = await house.gauges.look()
    assert found.ready
    assert (found.approvals_open, found.approvals_oldest_seconds) == (2, 100)
    assert (found.breakers_open, found.log_records, found.log_unsigned_records) == (1, 4, 1)
    assert (found.deliveries_due, found.signals_up) == ({"slack": 1, "email": 0}, False)
    assert (found.policy_age_seconds, found.clock_behind_seconds, found.ledger_waiting) == (10, 0, 0)
    assert found.ledger_seconds is not None
    assert sum(found.ledger_seconds[0]) >= 2


@pytest.mark.requirement("T15")
async def test_a_clock_that_was_set_back_shows(house: House) -> None:
    await house.ledger.transact(happen)
    house.clock.step(seconds=-3_600)
    behind = (await house.gauges.look()).clock_behind_seconds
    assert behind is not None
    assert 3_599 < behind <= 3_601


async def test_what_was_found_is_told_again_for_a_second(house: House) -> None:
    first = await house.gauges.look()
    await house.ledger.transact(happen)
    assert await house.gauges.look() is first


async def test_an_empty_ledger_has_neither_an_oldest_approval_nor_a_policy(house: House) -> None:
    found = await house.gauges.look()
    assert (found.approvals_open, found.approvals_oldest_seconds, found.policy_age_seconds) == (0, None, None)


@pytest.mark.requirement("T5")
async def test_a_ledger_that_does_not_answer_leaves_its_gauges_out(house: House) -> None:
    await house.ledger.close()
    found = await house.gauges.look()
    assert (found.approvals_open, found.breakers_open, found.log_unsigned_records) == (None, None, None)
    assert (found.ledger_waiting, found.deliveries_due) == (0, None)


def test_a_scraper_on_this_machine_reads_a_serving_broker(broker: BrokerProcess) -> None:
    before = datetime.now(UTC)
    broker.ask("files.delete", path="prod/a")
    broker.ask("files.write", path="prod/a", content="x")
    with urlopen(f"{broker.url}/metrics", timeout=20) as answer:  # noqa: S310  # our own broker
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        found = samples_in(answer.read())
    assert found["assent_ready"] == found["assent_approvals_open"] == 1
    assert found['assent_decisions_total{answer="deny",reason="rule_denied"}'] == 1
    assert found['assent_decisions_total{answer="pending",reason="none"}'] == 1
    assert found["assent_clock_behind_seconds"] == found["assent_breakers_open"] == 0
    assert found["assent_policy_age_seconds"] < 60 + (datetime.now(UTC) - before).total_seconds()
    assert found["assent_ledger_seconds_count"] >= 3
    assert found["assent_decision_seconds_count"] == 2
    assert found["assent_signals_up"] == 1
    assert found['assent_deliveries_due{channel="slack"}'] == 0
