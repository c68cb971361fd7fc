"""The gate that all adapters share: what names a call, what was allowed ahead, what cannot be put behind it."""

import ast
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from assent import AsyncAssent, BrokerUnavailable, ConfigurationError
from assent.core.actions import ActionState
from assent.core.decisions import Answer
from assent.sdk import adapters
from assent.sdk.adapters import resume_decided, wrap
from assent.sdk.adapters.gate import Call, Gate, NotRun, call_id_of, was_decided
from assent.sdk.client import Assent
from assent.sdk.decisions import Decided, Decision
from tests.sdk.standin import KEY, StandIn, change, refuse, serving

WRITE = {"path": "a", "content": "b"}
ASKS = {"table": "orders", "where": "id=7"}
LINES = 100


@pytest.fixture
def standin() -> Iterator[tuple[StandIn, str]]:
    with serving() as server:
        server.standin = StandIn()
        yield server.standin, server.url


@pytest.fixture
async def gate(standin: tuple[StandIn, str], tmp_path: Path) -> AsyncIterator[Gate]:
    async with AsyncAssent(standin[1], KEY, spool=tmp_path / "spool") as client:
        with client.run("r"):
            yield Gate(client, wait=0)


def called(number: int = 1, tool: str = "files.write", arguments: Any = None) -> Call:
    return Call(tool=tool, arguments=arguments or WRITE, id=f"call-{number}")


async def ran(gate: Gate, call: Call) -> Any:
    async def body(frozen: dict[str, Any]) -> Any:
        return frozen

    return await gate.run_async(call, body)


def test_the_same_id_with_other_arguments_or_of_another_tool_is_another_call() -> None:
    ids = [
        call_id_of(called(), b'{"a":1}'),
        call_id_of(called(), b'{"a":2}'),
        call_id_of(called(tool="files.read"), b'{"a":1}'),
        call_id_of(called(2), b'{"a":1}'),
    ]
    assert len(set(ids)) == len(ids)
    assert ids[0] == call_id_of(called(), b'{"a":1}')


def test_an_id_of_any_length_fits_and_is_recognised() -> None:
    long = Call(tool="t", arguments={}, id="x" * 1000)
    name = call_id_of(long, b"{}")
    assert len(name) <= 255
    assert was_decided("x" * 1000, [None, name])
    assert not was_decided("x", [None, name])
    assert not was_decided("", [None, name])


@pytest.mark.requirement("P4")
async def test_what_was_allowed_ahead_is_asked_for_once_and_redeemed_before_its_body(
    gate: Gate, standin: tuple[StandIn, str]
) -> None:
    standin[0].break_next("/v1/actions", change(arguments=WRITE))  # as the real one tells what it froze
    assert not await gate.waits(called())
    assert await ran(gate, called()) == WRITE
    assert len(standin[0].asks()) == 1
    assert [seen.path.rpartition("/")[2] for seen in standin[0].seen if seen.method == "POST"][1:] == [
        "redeem",
        "outcome",
    ]
    assert isinstance(await ran(gate, called()), NotRun)


@pytest.mark.requirement("P6")
async def test_a_breaker_that_trips_between_keeps_what_was_allowed_ahead_from_running(
    gate: Gate, standin: tuple[StandIn, str]
) -> None:
    standin[0].break_next("/v1/actions", change(arguments=WRITE))
    await gate.waits(called())
    standin[0].break_next("redeem", refuse(409, "breaker_open"))

    async def body(_: Any) -> None:
        pytest.fail("the body ran")

    told = await gate.run_async(called(), body)
    assert isinstance(told, NotRun)
    assert "breaker" in told.message


async def test_other_arguments_than_those_that_were_allowed_ahead_are_asked_for(
    gate: Gate, standin: tuple[StandIn, str]
) -> None:
    await gate.waits(called())
    other = {"path": "b", "content": "c"}
    assert await ran(gate, called(arguments=other)) == other
    assert len(standin[0].asks()) == 2


async def test_the_same_call_in_two_runs_is_two_actions(standin: tuple[StandIn, str], tmp_path: Path) -> None:
    async with AsyncAssent(standin[1], KEY, spool=tmp_path / "spool") as client:
        gate = Gate(client, wait=0)
        for run_id in ("one", "two"):
            with client.run(run_id):
                await gate.waits(called())
        for run_id in ("one", "two"):
            with client.run(run_id):
                assert await ran(gate, called()) == WRITE
    assert standin[0].executions == ["act_1", "act_2"]


async def test_what_a_person_is_asked_is_told_ahead_and_runs_nothing(gate: Gate, standin: tuple[StandIn, str]) -> None:
    call = called(tool="db.delete", arguments=ASKS)
    assert await gate.waits(call)
    told = await ran(gate, call)
    assert isinstance(told, NotRun)
    assert told.notice["action_id"] == standin[0].pending()[0]
    assert len(standin[0].pending()) == 1


async def test_no_more_is_asked_ahead_than_the_broker_keeps_grants_for(
    gate: Gate, standin: tuple[StandIn, str]
) -> None:
    for number in range(60):
        assert not await gate.waits(called(number, arguments={"path": str(number), "content": "b"}))
    assert len(standin[0].asks()) == 50
    assert await ran(gate, called(55, arguments={"path": "55"})) == {"path": "55"}


async def test_whoever_cannot_be_asked_ahead_is_asked_at_the_body(gate: Gate, standin: tuple[StandIn, str]) -> None:
    standin[0].break_next("/v1/actions", *[refuse(500, "internal")] * 3)
    assert not await gate.waits(called())
    assert await ran(gate, called()) == WRITE


def test_what_has_no_json_form_is_told_and_does_not_run(tmp_path: Path) -> None:
    gate = Gate(Assent("http://127.0.0.1:1", KEY, spool=tmp_path / "spool"))
    told = gate.run(Call(tool="t", arguments={"a": float("nan")}), lambda _: pytest.fail("the body ran"))
    assert "did not run" in told.message


def decided(run_id: str | None, number: int) -> Decision:
    return Decision(action_id=f"act_{number}", decision=Answer.ALLOW, state=ActionState.READY, run_id=run_id)


class Heard(Assent):
    """A client that hears of four decisions in two runs, one of them outside of any."""

    def decided(self, *, since: str | None = None, wait_seconds: int = 0) -> Decided:
        rows = (decided("one", 1), decided(None, 2), decided("two", 3), decided("one", 4))
        return Decided(items=rows, cursor="next")


def test_each_run_is_handed_what_was_decided_about_it(tmp_path: Path) -> None:
    told: dict[str, list[str]] = {}

    def resume(run_id: str, decisions: Any) -> None:
        told[run_id] = [decision.action_id for decision in decisions]

    cursor = resume_decided(Heard("http://127.0.0.1:1", KEY, spool=tmp_path / "spool"), resume)
    assert (cursor, told) == ("next", {"one": ["act_1", "act_4"], "two": ["act_3"]})


def test_a_run_that_cannot_go_on_keeps_no_other_waiting_and_is_told(tmp_path: Path) -> None:
    tried: list[str] = []

    def resume(run_id: str, _: Any) -> None:
        tried.append(run_id)
        if run_id == "one":
            raise BrokerUnavailable("away")

    with pytest.raises(ExceptionGroup) as caught:
        resume_decided(Heard("http://127.0.0.1:1", KEY, spool=tmp_path / "spool"), resume)
    assert (tried, len(caught.value.exceptions)) == (["one", "two"], 1)


def anything(*paths: str) -> None:
    """Take arguments that nobody can name."""


def lines() -> Iterator[str]:
    """Give one after the other."""
    yield "a"


@pytest.mark.parametrize("tool", [anything, lines, {"type": "web_search"}, object(), print])
def test_what_cannot_be_judged_by_name_is_refused_at_once(tool: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        wrap(Assent("http://127.0.0.1:1", KEY, spool=tmp_path / "spool"), [tool])


def test_only_a_client_can_ask() -> None:
    with pytest.raises(ConfigurationError, match="no client"):
        Gate("http://127.0.0.1:8420")  # type: ignore[arg-type]  # what a newcomer may try


def code_lines(path: Path) -> int:
    """Return how many lines of a module hold code: no comments, texts, imports or blank lines."""
    left_out: set[int] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import | ast.ImportFrom) or (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        ):
            left_out |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    written = {n for n, line in enumerate(path.read_text().splitlines(), 1) if line.strip() and line.strip()[0] != "#"}
    return len(written - left_out)


def test_the_file_of_each_framework_is_short() -> None:
    shared = {"__init__", "gate", "resuming", "wrapping"}
    folder = Path(str(adapters.__file__)).parent
    sizes = {path.stem: code_lines(path) for path in folder.glob("*.py") if path.stem not in shared}
    assert sizes
    assert {name: size for name, size in sizes.items() if size > LINES} == {}
