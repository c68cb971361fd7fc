"""One initialised broker for all tests of a worker, copied for each; one that serves, where a test may share it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving.broker_process import BrokerProcess, Home, make_home


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return make_home(tmp_path_factory.mktemp("made") / "broker")


@pytest.fixture
def home(made: Home, tmp_path: Path) -> Home:
    return made.copied(tmp_path / "broker")


@pytest.fixture
def broker(home: Home) -> Iterator[BrokerProcess]:
    with BrokerProcess(home=home) as running:
        yield running
