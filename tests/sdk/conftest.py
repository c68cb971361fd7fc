"""A stand-in broker and clients for it, with limits that make a test of a failure short."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from assent import Assent, AsyncAssent, Limits
from tests.sdk.standin import KEY, Server, StandIn, serving

BRISK = Limits(
    connect_seconds=2.0,
    answer_seconds=2.0,
    exchange_seconds=6.0,
    outage_seconds=0.5,
    poll_seconds=1,
    first_pause_seconds=0.01,
    longest_pause_seconds=0.05,
)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with serving() as one:
        yield one


@pytest.fixture
def standin(server: Server) -> StandIn:
    server.standin = StandIn()
    return server.standin


@pytest.fixture
def url(server: Server, standin: StandIn) -> str:
    return server.url


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
