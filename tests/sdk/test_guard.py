"""The decorator: what it refuses at decoration, what it judges, and what the body gets."""

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from assent import ActionDenied, ApprovalPending, Assent, AsyncAssent, BrokerUnavailable, ConfigurationError
from assent.core.canonical import canonical
from tests.sdk.standin import KEY, StandIn, change, lose


def test_a_guarded_function_runs_with_what_the_broker_froze(broker: Assent, standin: StandIn) -> None:
    @broker.guard("files.write")
    def write(path: str, content: object = ("default", 1.0)) -> tuple[str, object]:
        """Write it."""
        return path, content

    assert write("a") == ("a", ["default", 1])
    assert standin.actions["act_1"]["asked"]["arguments"] == {"path": "a", "content": ["default", 1]}
    assert standin.outcomes() == ["succeeded"]
    assert write.__name__ == "write"
    assert write.__doc__ == "Write it."
    assert list(inspect.signature(write).parameters) == ["path", "content"]


def test_the_body_never_sees_the_caller_s_own_objects(broker: Assent) -> None:
    @broker.guard("files.write")
    def write(path: str, content: list[str]) -> list[str]:
        return content

    mine = ["x"]
    assert write(path="a", content=mine) == mine
    assert write(path="a", content=mine) is not mine


def test_a_denied_body_does_not_run(broker: Assent, standin: StandIn) -> None:
    @broker.guard("db.drop")
    def drop(table: str) -> None:
        pytest.fail("the body ran")

    with pytest.raises(ActionDenied):
        drop("orders")


def test_a_broker_that_is_away_stops_the_body_before_the_schema_is_known(broker: Assent, standin: StandIn) -> None:
    @broker.guard("files.read")
    def read(path: str) -> None:
        pytest.fail("the body ran")

    standin.away_from = "/v1/"
    with pytest.raises(BrokerUnavailable):
        read("a")


def test_the_wait_of_the_guard_is_the_wait_of_the_call(broker: Assent, standin: StandIn) -> None:
    @broker.guard("db.delete", wait=0, reason="cleaning up")
    def delete(table: str, where: str) -> str:
        return table

    with pytest.raises(ApprovalPending):
        delete("orders", "id=7")
    standin.approve("act_1")
    assert delete("orders", "id=7") == "orders"
    assert standin.asks()[0].body["reason"] == "cleaning up"


def test_a_method_is_guarded_with_self_unjudged(broker: Assent, standin: StandIn) -> None:
    class Files:
        root = "/srv"

        @broker.guard("files.read", unjudged=("self", "session"))
        def read(self, path: str, *, session: object) -> tuple[str, str, object]:
            return self.root, path, session

    session = object()
    assert Files().read("a", session=session) == ("/srv", "a", session)
    assert standin.actions["act_1"]["asked"]["arguments"] == {"path": "a"}


def star(*paths: str) -> None:
    """Take anything."""


def double_star(**options: str) -> None:
    """Take anything."""


def generator(path: str) -> Iterator[str]:
    """Run later."""
    yield path


async def async_generator(path: str) -> AsyncIterator[str]:
    """Run later."""
    yield path


@pytest.mark.parametrize("function", [star, double_star, generator, async_generator, print, Path])
def test_what_cannot_be_judged_by_its_signature_is_refused_at_decoration(broker: Assent, function: Any) -> None:
    with pytest.raises(ConfigurationError):
        broker.guard("files.read")(function)


@pytest.mark.parametrize("unjudged", [("sesion",), "path"])
def test_an_unjudged_name_that_is_no_parameter_is_refused_at_decoration(broker: Assent, unjudged: Any) -> None:
    def read(path: str) -> None:
        """Read it."""

    with pytest.raises(ConfigurationError):
        broker.guard("files.read", unjudged=unjudged)(read)


def test_a_parameter_that_the_tool_does_not_have_is_refused_before_asking(broker: Assent, standin: StandIn) -> None:
    @broker.guard("files.read")
    def read(path: str, encoding: str = "utf-8") -> None:
        pytest.fail("the body ran")

    with pytest.raises(ConfigurationError, match="`encoding`"):
        read("a")
    assert standin.asks() == []
    with pytest.raises(ConfigurationError, match="`mode`"):  # the tools are known by now

        @broker.guard("files.read")
        def read_again(path: str, mode: str) -> None:
            """Never made."""


def test_a_tool_that_is_not_listed_is_the_broker_s_to_refuse(broker: Assent, standin: StandIn) -> None:
    @broker.guard("files.shred")
    def shred(path: str) -> None:
        pytest.fail("the body ran")

    with pytest.raises(ActionDenied) as caught:
        shred("a")
    assert caught.value.code == "unknown_tool"


class Colour(StrEnum):
    RED = "red"


@pytest.mark.parametrize("value", [object(), {1: "a"}, {"a": float("nan")}, b"bytes", {"x"}, 2**53, "\ud800"])
def test_a_value_without_a_json_form_is_refused_by_the_name_of_its_parameter(
    broker: Assent, standin: StandIn, value: object
) -> None:
    @broker.guard("files.write")
    def write(path: str, content: object) -> None:
        pytest.fail("the body ran")

    with pytest.raises(ConfigurationError, match="`content`"):
        write("a", value)
    assert standin.asks() == []


def test_an_enum_of_strings_arrives_as_its_plain_string(broker: Assent) -> None:
    @broker.guard("files.write")
    def write(path: str, content: object) -> type:
        return type(content)

    assert write("a", Colour.RED) is str


def test_a_call_that_does_not_fit_the_signature_is_python_s_own_error(broker: Assent, standin: StandIn) -> None:
    @broker.guard("files.read")
    def read(path: str) -> None:
        pytest.fail("the body ran")

    with pytest.raises(TypeError, match="path"):
        read()  # type: ignore[call-arg]  # the point of the test
    assert standin.seen == []


def test_a_body_that_returns_work_yet_to_run_is_a_failure(broker: Assent, standin: StandIn) -> None:
    async def later() -> None:
        pytest.fail("the body ran")

    @broker.guard("files.read")
    def read(path: str) -> Awaitable[None]:
        return later()

    with pytest.raises(ConfigurationError, match="yet to run"):
        _ = read("a")
    assert standin.outcomes() == ["failed"]


def test_a_tool_that_redeems_by_itself_is_not_run_by_a_guard(broker: Assent, standin: StandIn) -> None:
    @broker.guard("svc.deploy")
    def deploy(env: str) -> None:
        pytest.fail("the body ran")

    with pytest.raises(ConfigurationError, match="its own service"):
        deploy("prod")
    assert standin.executions == []


async def test_one_client_guards_sync_and_async_functions(broker: Assent, standin: StandIn) -> None:
    @broker.guard("files.read")
    async def read(path: str) -> str:
        await asyncio.sleep(0)
        return path

    assert inspect.iscoroutinefunction(read)
    with broker.run("r"):
        assert await read("a") == "a"
        assert await asyncio.gather(*[read(name) for name in "abc"]) == ["a", "b", "c"]
    await broker.aclose()
    assert standin.outcomes() == ["succeeded"] * 4


async def test_an_async_client_guards_a_sync_function_too(async_broker: AsyncAssent, standin: StandIn) -> None:
    @async_broker.guard("files.read")
    def read(path: str) -> str:
        return path

    with async_broker.run("r"):
        assert read("a") == "a"


@pytest.mark.requirement("P3", "T1")
def test_forged_arguments_never_reach_a_guarded_body(broker: Assent, standin: StandIn) -> None:
    @broker.guard("db.delete")
    def delete(table: str, where: str) -> None:
        pytest.fail("the body ran")

    standin.when_asked(standin.approve)
    standin.break_next("redeem", change(arguments={"table": "orders", "where": "true"}))
    with pytest.raises(BrokerUnavailable):
        delete("orders", "id=7")


def test_the_arguments_of_a_guard_are_the_canonical_bytes(broker: Assent, standin: StandIn) -> None:
    raw: list[bytes] = []

    @broker.guard("files.write")
    def write(content: object, path: str) -> None:
        raw.append(canonical({"content": content, "path": path}))  # type: ignore[dict-item]  # plain JSON

    write({"b": 1, "a": [1.0, 1e-7]}, "ä")
    assert raw == [b'{"content":{"a":[1,1e-7],"b":1},"path":"\xc3\xa4"}']


def test_a_run_carries_who_and_which_model(broker: Assent, standin: StandIn) -> None:
    with broker.run("nightly-7", on_behalf_of=["operator:dana"], model=("m", "1.2")):
        with broker.action("files.read", {"path": "a"}):
            pass
        with broker.action("files.read", {"path": "a"}, run_id="other", call_id="c1", on_behalf_of=()):
            pass
    first, second = (seen.body for seen in standin.asks())
    assert (first["run_id"], first["on_behalf_of"]) == ("nightly-7", ["operator:dana"])
    assert first["context"] == {"model": {"name": "m", "version": "1.2"}}
    assert (second["run_id"], second["call_id"]) == ("other", "c1")
    assert "on_behalf_of" not in second


def test_no_answer_about_the_tools_stops_the_body(broker: Assent, standin: StandIn) -> None:
    @broker.guard("files.read")
    def read(path: str) -> None:
        pytest.fail("the body ran")

    standin.break_next("GET /v1/me", lose, lose, lose)
    with pytest.raises(BrokerUnavailable):
        read("a")


def test_two_clients_of_one_process_do_not_share_tools(url: str, tmp_path: Path, standin: StandIn) -> None:
    with Assent(url, KEY, spool=tmp_path / "a") as one, Assent(url, KEY, spool=tmp_path / "b") as other:
        one.tools()

        @other.guard("files.read")
        def read(path: str) -> str:
            return path

        with other.run("r"):
            assert read("a") == "a"
    assert [seen.path for seen in standin.seen if seen.method == "GET"] == ["/v1/me"] * 2


@pytest.mark.requirement("P1")
@pytest.mark.parametrize("form", ["sync", "async"])
def test_a_guarded_function_tells_what_it_is_and_does_not_lead_to_its_body(broker: Assent, form: str) -> None:
    def once(function: Callable[..., str]) -> Callable[..., str]:
        @functools.wraps(function)
        def inner(path: str) -> str:
            return function(path)

        return inner

    @broker.guard("files.read")
    @once
    def read(path: str) -> str:
        """Read a file."""
        return path

    @broker.guard("files.read")
    async def read_async(path: str) -> str:
        """Read a file."""
        return path

    guarded: Callable[..., object] = read if form == "sync" else read_async
    assert not hasattr(guarded, "__wrapped__")
    assert inspect.unwrap(guarded) is guarded
    assert str(inspect.signature(guarded)) == "(path: str) -> str"
    assert (guarded.__doc__, guarded.__name__[:4]) == ("Read a file.", "read")
