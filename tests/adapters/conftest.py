"""Which frameworks are here, a broker for each story, and the table of what held, written where the run asks for it.

This folder is also collected alone (`--confcutdir`), in environments that hold one framework and no broker.
"""

import json
import os
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.broker import Broker, Made, make
from tests.adapters.promises import DRIVERS, NOT_ASKED, PROMISES
from tests.adapters.stage import Stage
from tests.sdk.standin import KEY, Server, StandIn, serving

# A killed broker, and a denial, which people are not asked again for a while.
ON_THEIR_OWN = {"killed", "rejected"}
_held: dict[tuple[str, str], bool] = {}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "promise(name): the promise of tests/adapters/promises.py that this story keeps")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Play each story with every driver, and where it asks for a mode, in every mode of the driver."""
    marker = metafunc.definition.get_closest_marker("promise")
    if marker is None or "driver" not in metafunc.fixturenames:
        return
    promise = marker.args[0]
    assert promise in PROMISES
    names = [name for name in DRIVERS if (name, promise) not in NOT_ASKED]
    if "mode" not in metafunc.fixturenames:
        metafunc.parametrize("driver", names, indirect=True)
        return
    rows = [pytest.param(name, mode, id=f"{name}-{mode}") for name in names for mode in _modes(name)]
    metafunc.parametrize(("driver", "mode"), rows, indirect=["driver"])


def _modes(name: str) -> tuple[str, ...]:
    return tuple(import_module(f"tests.adapters.drivers.{name}").modes) if find_spec(DRIVERS[name]) else ("any",)


@pytest.fixture
def driver(request: pytest.FixtureRequest) -> Any:
    """Return the driver of one framework, or skip and say how to have it."""
    if find_spec(DRIVERS[request.param]) is None:
        pytest.skip(f"{request.param} is not installed here; `./run adapters {request.param}` brings it")
    return import_module(f"tests.adapters.drivers.{request.param}")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("made") / "broker")


@pytest.fixture(scope="session")
def shared(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker(made, tmp_path_factory.mktemp("shared") / "broker") as running:
        yield running


@pytest.fixture
def broker(request: pytest.FixtureRequest, made: Made, tmp_path: Path) -> Iterator[Broker]:
    """Return a broker: one for all stories, but for those that would disturb others."""
    marker = request.node.get_closest_marker("promise")
    if marker is not None and marker.args[0] not in ON_THEIR_OWN:
        yield request.getfixturevalue("shared")
        return
    with Broker(made, tmp_path / "broker") as running:
        yield running


@pytest.fixture
def stage(broker: Broker, driver: Any, tmp_path: Path) -> Stage:
    return stage_at(driver, tmp_path, broker.url, broker.made.agent_key)


@pytest.fixture
def nowhere(driver: Any, tmp_path: Path) -> Iterator[tuple[Stage, Server]]:
    """Return a stage before a stand-in of the broker, which can be told to answer wrongly."""
    with serving() as server:
        server.standin = StandIn()
        yield stage_at(driver, tmp_path, server.url, KEY), server


def stage_at(driver: Any, tmp_path: Path, url: str, key: str) -> Stage:
    """Return an empty stage, with a run of its own."""
    folder = tmp_path / "stage"
    folder.mkdir()
    run_id = f"{tmp_path.parent.name}-{tmp_path.name}"
    return Stage(folder=folder, url=url, key=key, turns=[], run_id=run_id, wait=0 if driver.pauses else None)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Iterator[None]:
    outcome: Any = yield
    report, marker = outcome.get_result(), item.get_closest_marker("promise")
    params = getattr(getattr(item, "callspec", None), "params", {})
    if marker is None or "driver" not in params or report.skipped or (report.when != "call" and report.passed):
        return
    key = (params["driver"], marker.args[0])
    _held[key] = _held.get(key, True) and report.passed


def pytest_sessionfinish() -> None:
    folder = os.environ.get("ADAPTERS_TOLD")
    for driver in {name for name, _ in _held} if folder else ():
        told = {promise: held for (name, promise), held in sorted(_held.items()) if name == driver}
        (Path(str(folder)) / f"{driver}.json").write_text(json.dumps(told, indent=2) + "\n")
