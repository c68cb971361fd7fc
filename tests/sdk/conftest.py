"""A stand-in broker and clients for it, with limits that make a test of a failure short."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from assent import Assent, AsyncAssent, Limits
from tests.sdk.standin import KEY, StandIn, serving

BRISK = Limits(
    connect_seconds=2.0,
    answer_seconds=2.0,
    exchange_seconds=6.0,
    outage_seconds=2.0,
    poll_seconds=5,
    first_pause_seconds=0.01,
    longest_pause_seconds=0.05,
)


@pytest.fixture
def standin() -> StandIn:
    return StandIn()


@pytest.fixture
def url(standin: StandIn) -> Iterator[str]:
    with serving(standin) as address:
        yield address


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool" / "spool-test.jsonl"


@pytest.fixture
def broker(url: str, spool: Path) -> Iterator[Assent]:
    with Assent(url, KEY, limits=BRISK, spool=spool) as client, client.run("test-run"):
        yield client


@pytest.fixture
async def async_broker(url: str, spool: Path) -> AsyncIterator[AsyncAssent]:
    async with AsyncAssent(url, KEY, limits=BRISK, spool=spool) as client:
        yield client
