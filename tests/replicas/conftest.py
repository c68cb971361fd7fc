"""Fleets for tests: two brokers and three, each started once for the tests of a module."""

from collections.abc import Iterator

import pytest

from tests.hammers import policy
from tests.hammers.broker import Installation
from tests.replicas.fleet import Fleet, fleet, why_not

FEW = 6
RULES = f'rules:\n  - {{id: few, scope: {{agent: "{policy.OTHER_AGENT}"}}, trip_on: {{actions: {FEW}, window: 10m}}}}\n'


def few_for_the_other(at: Installation) -> None:
    """Let one of the agents do little: what it does is counted by all brokers together."""
    rules = at.folder / "policies" / "breakers.yaml"
    rules.write_text(RULES)
    rules.chmod(0o644)


def _started(brokers: int, made: pytest.TempPathFactory) -> Iterator[Fleet]:
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with fleet(made.mktemp(f"fleet-of-{brokers}"), brokers, prepare=few_for_the_other) as started:
        started.start()
        yield started


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Start two brokers behind a load balancer."""
    yield from _started(2, tmp_path_factory)


@pytest.fixture(scope="module")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Start three of them."""
    yield from _started(3, tmp_path_factory)
