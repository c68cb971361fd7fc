"""What all tests start from."""

import logging
import signal
from collections.abc import Iterator

import pytest
import structlog

from assent import logs
from assent.stores.postgres import Place
from tests import valkey_server
from tests.postgres_server import Server, started, why_not
from tests.valkey_server import ValkeyServer


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    # A shell lets a job in the background ignore SIGINT, and every process that the tests start would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _log_of_its_own() -> Iterator[None]:
    """Takes back what a command that ran in this process made of the log: its stream is closed when its test ends."""
    library, own = logging.getLogger(), structlog.get_config()
    handlers, level = library.handlers[:], library.level
    yield
    logs._asked_for.clear()  # noqa: SLF001  # there is one process to a broker, and here one to many
    structlog.configure(**own)
    library.handlers[:] = handlers
    library.setLevel(level)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """Start a PostgreSQL server for this process of tests, or skip and say why."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    server = started()
    yield server
    server.stop()


@pytest.fixture
def place(postgres: Server) -> Place:
    """Give a place for a ledger on PostgreSQL, empty."""
    return Place(url=postgres.cleared())


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    """Start a Valkey server for this process of tests, or skip and say why."""
    reason = valkey_server.why_not()
    if reason is not None:
        pytest.skip(reason)
    server = valkey_server.started()
    yield server
    server.stop()


@pytest.fixture
def own_valkey() -> Iterator[ValkeyServer]:
    """Start a Valkey server for one test, to be killed and stopped, or skip and say why."""
    reason = valkey_server.why_not()
    if reason is not None:
        pytest.skip(reason)
    server = valkey_server.started()
    yield server
    server.stop()
