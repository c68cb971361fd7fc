"""A wrong type is told at the line that gives it, before anything is asked; a client shows what it is for."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assent import Assent, AsyncAssent, ConfigurationError
from tests.sdk.standin import KEY, StandIn

PUBLIC = {
    "aclose",
    "action",
    "cancel",
    "close",
    "decided",
    "guard",
    "latest_checkpoint",
    "request",
    "resume",
    "run",
    "tools",
    "wait",
}
A: Any = {"path": "a"}

CALLS: dict[str, Callable[[Any], Any]] = {
    "a wait in words": lambda broker: broker.action("files.read", A, wait="5"),
    "a wait that is true": lambda broker: broker.action("files.read", A, wait=True),
    "a wait below nothing": lambda broker: broker.action("files.read", A, wait=-1),
    "a wait that is no number": lambda broker: broker.request("files.read", A, wait=float("nan")),
    "a tool without a name": lambda broker: broker.action("", A),
    "a tool that is a number": lambda broker: broker.request(7, A),
    "arguments that are none": lambda broker: broker.action("files.read", 7),
    "a reason that is a list": lambda broker: broker.action("files.read", A, reason=["x"]),
    "an empty run id": lambda broker: broker.action("files.read", A, run_id=""),
    "a call id that is a number": lambda broker: broker.action("files.read", A, call_id=7),
    "one name for a list of names": lambda broker: broker.action("files.read", A, on_behalf_of="operator:dana"),
    "a name that is empty": lambda broker: broker.request("files.read", A, on_behalf_of=["operator:dana", ""]),
    "a model without a version": lambda broker: broker.action("files.read", A, model="m"),
    "a model with a number": lambda broker: broker.action("files.read", A, model=("m", 1)),
    "an empty run": lambda broker: broker.run(""),
    "a run that is a number": lambda broker: broker.run(7),
    "a run for one name": lambda broker: broker.run("r", on_behalf_of="operator:dana"),
    "a run with three words for a model": lambda broker: broker.run("r", model=("m", "1", "2")),
    "a guard with a wait in words": lambda broker: broker.guard("files.read", wait="5"),
    "a guard without a tool": lambda broker: broker.guard(None),
    "a guard with a reason that is none": lambda broker: broker.guard("files.read", reason=7),
    "waiting for nothing": lambda broker: broker.wait(""),
    "waiting in words": lambda broker: broker.wait("act_1", timeout="5"),
    "cancelling nothing": lambda broker: broker.cancel(None),
    "cancelling for a reason that is none": lambda broker: broker.cancel("act_1", 7),
    "a cursor that is a number": lambda broker: broker.decided(since=7),
    "waiting for decisions in halves": lambda broker: broker.decided(wait_seconds=0.5),
    "resuming an id": lambda broker: broker.resume("act_1"),
}


@pytest.mark.parametrize("name", CALLS)
def test_what_cannot_be_meant_is_refused_before_anything_is_asked(broker: Assent, standin: StandIn, name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        CALLS[name](broker)
    assert caught.value.hint
    assert standin.seen == []


@pytest.mark.parametrize("name", CALLS)
async def test_the_async_client_refuses_the_same(async_broker: AsyncAssent, standin: StandIn, name: str) -> None:
    async def call() -> None:
        called = CALLS[name](async_broker)
        if inspect.isawaitable(called):
            await called

    with pytest.raises(ConfigurationError):
        await call()
    assert standin.seen == []


@pytest.mark.parametrize("given", [{"url": 7}, {"key": 7}, {"limits": 5}, {"spool": "here"}])
def test_a_client_is_not_made_from_what_it_cannot_be_made_from(given: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        Assent(**{"url": "http://127.0.0.1:1", "key": KEY, "spool": tmp_path / "s", **given})


def test_what_is_shown_of_a_wrong_value_is_short_and_visible(broker: Assent) -> None:
    with pytest.raises(ConfigurationError) as caught:
        broker.run(["\u202e" * 1_000])  # type: ignore[arg-type]  # that is the test
    assert len(caught.value.message) < 800
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("wait", [0, 0.0, 2, 1.5, None, float("inf")])
def test_every_time_that_can_be_meant_is_taken(broker: Assent, wait: float | None) -> None:
    assert broker.request("files.read", A, wait=wait).action_id


@pytest.mark.parametrize("client", [Assent, AsyncAssent])
def test_a_client_shows_what_it_is_for_and_no_insides(client: type, tmp_path: Path) -> None:
    shown = {name for name in dir(client("http://127.0.0.1:1", KEY, spool=tmp_path / "s")) if not name.startswith("_")}
    assert shown == PUBLIC
