"""What every adapter promises, played with the real framework, a scripted model and a real broker in a process."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from assent import ConfigurationError
from assent.sdk.link import Link
from tests.adapters.broker import SECONDS, Broker, clean_environment
from tests.adapters.stage import DIED, DONE, SUB_AGENT, Seen, Stage
from tests.sdk.standin import Server, change, cut, lose, refuse, say

FREE = {"path": "staging/a", "content": "one"}
ASKS = {"path": "prod/a", "content": "one"}
ALSO = {"path": "prod/b", "content": "two"}


@contextmanager
def playing(driver: Any, stage: Stage, mode: str) -> Iterator[Callable[[], Seen]]:
    """Play until the story waits for a person; then the block answers, and the call it gets goes on to the end.

    A framework that holds its calls plays in a thread meanwhile; one that pauses is resumed by a worker.
    """
    if driver.pauses:
        driver.play(stage, mode)
        yield lambda: driver.work(stage)
        return
    told: list[Seen] = []
    thread = threading.Thread(target=lambda: told.append(driver.play(stage, mode)))
    thread.start()

    def ended() -> Seen:
        thread.join(timeout=SECONDS)
        return told[0]

    yield ended
    thread.join(timeout=SECONDS)


def waiting(broker: Broker, stage: Stage, count: int = 1) -> list[str]:
    """Return the actions of the story that wait for a person, as soon as there are so many."""
    until = time.monotonic() + SECONDS
    while len(found := broker.pending(stage.run_id)) < count:
        assert time.monotonic() < until, found
    return found


def act(driver: Any, act: str, mode: str, stage: Stage) -> "subprocess.CompletedProcess[str]":
    """Play one act in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "tests.adapters.actor", driver.name, act, mode],
        input=stage.dump(),
        env=clean_environment(),
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )


@pytest.mark.promise("allowed")
@pytest.mark.requirement("P3")
def test_what_is_allowed_runs_once_and_is_on_record(driver: Any, mode: str, stage: Stage, broker: Broker) -> None:
    seen = driver.play(stage.playing([("read", {"path": "prod/a"}, "c1"), ("write", FREE, "c2")]), mode)
    assert seen.heard == {"c1": "text of prod/a", "c2": "written staging/a"}
    assert (seen.said, seen.paused, seen.error) == (DONE, [], None)
    assert sorted(one["tool"] for one in stage.ran) == ["read", "write"]
    assert broker.outcomes(stage.run_id) == ["succeeded", "succeeded"]


@pytest.mark.promise("denied")
@pytest.mark.requirement("P1")
def test_what_is_denied_does_not_run_and_the_model_reads_why(driver: Any, mode: str, stage: Stage) -> None:
    seen = driver.play(stage.playing([("delete", {"path": "staging/a"}, "c1")]), mode)
    assert "`files.delete` did not run" in seen.heard["c1"]
    assert "do not retry" in seen.heard["c1"]
    assert (seen.said, seen.error, stage.ran) == (DONE, None, [])


@pytest.mark.promise("approved")
@pytest.mark.requirement("P4", "P5", "T2")
def test_a_yes_lets_what_was_pending_run_once(driver: Any, mode: str, stage: Stage, broker: Broker) -> None:
    stage = stage.playing([("write", ASKS, "c1")])
    with playing(driver, stage, mode) as ended:
        (asked,) = waiting(broker, stage)
        assert stage.ran == []
        broker.approve(asked)
        seen = ended()
    assert (seen.heard, seen.said) == ({"c1": "written prod/a"}, DONE)
    if driver.pauses:
        driver.work(stage)  # hears the same again
    assert stage.ran == [{"tool": "write", **ASKS}]
    assert broker.action(asked)["state"] == "succeeded"


@pytest.mark.promise("rejected")
@pytest.mark.requirement("P5", "P7")
def test_after_a_no_it_never_runs(driver: Any, mode: str, stage: Stage, broker: Broker) -> None:
    stage = stage.playing([("write", ASKS, "c1")])
    with playing(driver, stage, mode) as ended:
        broker.deny(*waiting(broker, stage))
        seen = ended()
    assert "a human denied this action" in seen.heard["c1"]
    assert (seen.said, seen.paused) == (DONE, [])
    driver.resume(stage, mode)
    assert stage.ran == []


@pytest.mark.promise("forged")
@pytest.mark.requirement("P5", "T1")
def test_a_yes_that_only_the_framework_knows_of_runs_nothing(
    driver: Any, mode: str, stage: Stage, broker: Broker
) -> None:
    stage = stage.playing([("write", ASKS, "c1")])
    driver.play(stage, mode)
    driver.resume(stage, mode)
    assert stage.ran == []
    assert broker.action(*waiting(broker, stage))["state"] == "pending"


HTML = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nok"
GARBAGE = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 5\r\n\r\n\x00\xff{{}"
FAULTS = {
    "lost": lose,
    "cut": cut,
    "failing": refuse(500, "internal"),
    "html": say(HTML),
    "garbage": say(GARBAGE),
    "redirect": say(b"HTTP/1.1 307 X\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"),
    "another decision": change(decision="Allow"),
    "another state": change(state="succeeded"),
    "other arguments": change(arguments={"path": "prod/z", "content": "else"}),
    "nothing": change(decision=None, state=None),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.promise("no answer")
@pytest.mark.requirement("P1", "P7")
def test_a_broker_that_answers_wrongly_runs_nothing(
    driver: Any, mode: str, nowhere: tuple[Stage, Server], fault: str
) -> None:
    stage, server = nowhere
    server.standin.break_next("/v1/actions", *[FAULTS[fault]] * 20)
    seen = driver.play(replace(stage.playing([("write", FREE, "c1")]), answer_seconds=1.0), mode)
    assert stage.ran == []
    assert "do not" in seen.heard["c1"]


@pytest.mark.parametrize("where", ["http://127.0.0.1:1", "a socket that never answers"])
@pytest.mark.promise("no answer")
@pytest.mark.requirement("P1", "P7")
def test_a_broker_that_is_away_or_silent_runs_nothing(
    driver: Any, mode: str, nowhere: tuple[Stage, Server], where: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = where if where.startswith("http") else f"http://127.0.0.1:{silent.getsockname()[1]}"
        stage = replace(nowhere[0].playing([("write", FREE, "c1")]), url=url, answer_seconds=0.3)
        seen = driver.play(stage, mode)
    assert stage.ran == []
    assert "nothing was run" in seen.heard["c1"]


class Interruption(BaseException):
    """What no `except Exception` catches."""


@pytest.mark.parametrize("raised", [RuntimeError("a bug"), Interruption()], ids=["error", "interruption"])
@pytest.mark.promise("no answer")
@pytest.mark.requirement("P1", "P7")
def test_a_client_that_raises_runs_nothing(
    driver: Any, mode: str, nowhere: tuple[Stage, Server], raised: BaseException
) -> None:
    stage, told = nowhere[0].playing([("write", FREE, "c1")]), ""
    with breaking(raised):
        try:
            told = driver.play(stage, mode).heard.get("c1", "")
        except BaseException as out:
            if not isinstance(raised, Interruption) or isinstance(out, Exception):
                raise
    assert stage.ran == []
    if isinstance(raised, Exception):
        assert "did not run" in told


@contextmanager
def breaking(raised: BaseException) -> Iterator[None]:
    """Make every client raise where it should send."""

    def perform(*_: Any) -> Any:
        raise raised

    async def perform_async(*_: Any) -> Any:
        raise raised

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Link, "perform", perform)
        patch.setattr(Link, "perform_async", perform_async)
        yield


@pytest.mark.promise("killed")
@pytest.mark.requirement("P7", "T20")
def test_a_broker_killed_while_a_person_is_asked_runs_nothing_and_goes_on_later(
    driver: Any, mode: str, stage: Stage, broker: Broker
) -> None:
    stage = replace(stage.playing([("write", ASKS, "c1")]), answer_seconds=2.0)
    with playing(driver, stage, mode) as ended:
        (asked,) = waiting(broker, stage)
        broker.kill()
        if driver.pauses:
            driver.resume(stage, mode)
        assert stage.ran == []
        broker.start()
        broker.approve(asked)
        if not driver.pauses:
            assert ended().heard == {"c1": "written prod/a"}
    assert stage.ran == ([] if driver.pauses else [{"tool": "write", **ASKS}])


@pytest.mark.promise("reverse")
def test_two_that_are_pending_are_decided_in_reverse_order(
    driver: Any, mode: str, stage: Stage, broker: Broker
) -> None:
    if (driver.name, mode) == ("functions", "sync"):
        pytest.skip("a loop that blocks calls one tool after the other")
    stage = stage.playing([("write", ASKS, "c1"), ("write", ALSO, "c2")])
    with playing(driver, stage, mode) as ended:
        first, second = waiting(broker, stage, 2)
        broker.approve(second)
        if driver.pauses:
            seen = driver.work(stage)
            assert len(seen.paused) == 1
            assert stage.ran == [{"tool": "write", **ALSO}]
        broker.approve(first)
        seen = ended()
    assert seen.heard == {"c1": "written prod/a", "c2": "written prod/b"}
    assert stage.ran == [{"tool": "write", **ALSO}, {"tool": "write", **ASKS}]


@pytest.mark.promise("crash")
@pytest.mark.requirement("P4", "T20", "T21")
def test_a_crash_in_the_body_is_unknown_and_its_replay_runs_nothing(
    driver: Any, mode: str, stage: Stage, broker: Broker
) -> None:
    stage = stage.playing([("die", FREE, "c1")])
    died = act(driver, "play", mode, stage)
    assert died.returncode == DIED, died.stderr
    assert stage.ran == [{"tool": "die", **FREE}]
    seen = driver.resume(stage, mode)
    assert "was not run again" in seen.heard["c1"]
    assert stage.ran == [{"tool": "die", **FREE}]
    assert broker.outcomes(stage.run_id) == ["executing"]  # until the lease ends: then unknown


@pytest.mark.promise("restart")
@pytest.mark.requirement("T21")
def test_a_process_started_anew_finds_the_same_approval(driver: Any, mode: str, stage: Stage, broker: Broker) -> None:
    stage = stage.playing([("write", ASKS, "c1")])
    if driver.pauses:
        driver.play(stage, mode)
        (asked,) = waiting(broker, stage)
        told = act(driver, driver.restart, mode, stage)
        assert told.returncode == 0, told.stderr
        assert waiting(broker, stage) == [asked]
        broker.approve(asked)
        told = act(driver, "work", mode, stage)
        assert json.loads(told.stdout)["heard"] == {"c1": "written prod/a"}
    else:
        abandoned = subprocess.Popen(
            [sys.executable, "-m", "tests.adapters.actor", driver.name, "play", mode],
            stdin=subprocess.PIPE,
            env=clean_environment(),
            cwd=Path(__file__).parents[2],
            text=True,
        )
        assert abandoned.stdin
        abandoned.stdin.write(stage.dump())
        abandoned.stdin.close()
        (asked,) = waiting(broker, stage)
        abandoned.kill()
        abandoned.wait(timeout=SECONDS)
        with playing(driver, stage, mode) as ended:
            broker.approve(asked)
            assert ended().heard == {"c1": "written prod/a"}
    assert broker.action(asked)["state"] == "succeeded"
    assert stage.ran == [{"tool": "write", **ASKS}]


@pytest.mark.promise("changed")
@pytest.mark.requirement("P3", "T1")
def test_other_arguments_after_the_yes_are_asked_anew(driver: Any, mode: str, stage: Stage, broker: Broker) -> None:
    stage = stage.playing([("write", ASKS, "c1")])
    driver.play(stage, mode)
    (asked,) = waiting(broker, stage)
    broker.approve(asked)
    driver.change(stage, "c1", ALSO)
    seen = driver.resume(stage, mode)
    assert stage.ran == []
    if seen.error is not None:
        return  # the framework itself found that its state was changed
    (other,) = waiting(broker, stage)
    assert other != asked
    assert broker.action(other)["resource"] == "prod/b"


@pytest.mark.promise("raised")
def test_a_tool_that_raises_has_failed(driver: Any, mode: str, stage: Stage, broker: Broker) -> None:
    driver.play(stage.playing([("fail", {"path": "staging/a"}, "c1")]), mode)
    assert stage.ran == [{"tool": "fail", "path": "staging/a"}]
    assert broker.outcomes(stage.run_id) == ["failed"]


@pytest.mark.promise("sub-agent")
@pytest.mark.requirement("P1")
def test_what_a_sub_agent_calls_is_asked_for(driver: Any, mode: str, stage: Stage, broker: Broker) -> None:
    inner = [[("delete", {"path": "prod/a"}, "i1"), ("read", {"path": "prod/a"}, "i2")]]
    driver.play(stage.playing([(SUB_AGENT, {"input": "go"}, "c1")], inner=inner), mode)
    assert stage.ran == [{"tool": "read", "path": "prod/a"}]
    assert sorted(broker.outcomes(stage.run_id)) == ["denied", "succeeded"]


@pytest.mark.promise("hosted")
def test_a_tool_that_the_provider_runs_is_refused_or_named(
    driver: Any, stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ConfigurationError, match="cannot be put behind the broker"):
        driver.hosted(stage, strict=True)
    driver.hosted(stage, strict=False)
    assert "unbrokered_tool" in caplog.text


@pytest.mark.promise("worker")
@pytest.mark.requirement("P4", "T21")
def test_the_process_ends_while_it_waits_and_a_worker_started_later_goes_on(
    driver: Any, mode: str, stage: Stage, broker: Broker
) -> None:
    stage = stage.playing([("write", ASKS, "c1")], [("read", {"path": "prod/a"}, "c2")])
    told = act(driver, "play", mode, stage)
    assert told.returncode == 0, told.stderr
    assert len(json.loads(told.stdout)["paused"]) == 1
    broker.approve(*waiting(broker, stage))
    seen = json.loads(act(driver, "work", mode, stage).stdout)
    assert (seen["heard"], seen["said"]) == ({"c1": "written prod/a", "c2": "text of prod/a"}, DONE)
    assert [one["tool"] for one in stage.ran] == ["write", "read"]


@pytest.mark.promise("parallel")
def test_many_calls_at_once_are_as_many_actions(driver: Any, mode: str, stage: Stage, broker: Broker) -> None:
    count = 200
    turn = [("write", {"path": f"staging/{n}", "content": "one"}, f"c{n}") for n in range(count)]
    seen = driver.play(stage.playing(turn), mode)
    assert seen.heard == {f"c{n}": f"written staging/{n}" for n in range(count)}
    assert sorted(one["path"] for one in stage.ran) == sorted(f"staging/{n}" for n in range(count))
    assert set(broker.outcomes(stage.run_id)) == {"succeeded"}
