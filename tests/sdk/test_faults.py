"""Whatever goes wrong between agent and broker: the body does not run, in bounded time; what was lost is found."""

import asyncio
import inspect
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from assent import (
    ActionDenied,
    AlreadyExecuted,
    Assent,
    AssentError,
    AsyncAssent,
    BrokerUnavailable,
    ConfigurationError,
    RunIdMissing,
    UntrustedAnswer,
)
from tests.sdk.conftest import BRISK
from tests.sdk.standin import KEY, Fault, StandIn, change, cut, lose, refuse, say

JSON_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
ALLOWED = (
    b'{"action_id":"a","decision":"allow","state":"executing","grant":{"id":"g"},'
    b'"lease_expires_at":"2026-11-23T10:00:00Z"}'
)


def whole(body: bytes, head: bytes = JSON_HEAD) -> bytes:
    return head + f"content-length: {len(body)}\r\n\r\n".encode() + body


GARBAGE = {
    "no http": b"SSH-2.0-OpenSSH_9\r\n\r\n",
    "nothing but a line end": b"\r\n\r\n",
    "html": whole(b"<html>", b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n"),
    "no media type": whole(ALLOWED, b"HTTP/1.1 200 OK\r\n"),
    "broken json": whole(ALLOWED[:-1]),
    "a list": whole(b"[]"),
    "not utf-8": whole(b'{"action_id":"\xff"}'),
    "duplicate keys": whole(b'{"decision":"deny",' + ALLOWED[1:]),
    "no decision": whole(b'{"action_id":"a","state":"executing"}'),
    "no length": JSON_HEAD + b"\r\n" + ALLOWED,
    "two lengths": JSON_HEAD + b"content-length: 1\r\ncontent-length: 9\r\n\r\n" + ALLOWED,
    "length and chunks": JSON_HEAD + b"transfer-encoding: chunked\r\n" + b"content-length: 3\r\n\r\n{}",
    "compressed": whole(ALLOWED, JSON_HEAD + b"content-encoding: gzip\r\n"),
    "an id that is a path": whole(ALLOWED.replace(b'"a"', b'"../me"')),
    "a redirect": b"HTTP/1.1 307 R\r\nlocation: http://127.0.0.1:1/v1/actions\r\ncontent-length: 0\r\n\r\n",
    "too large": JSON_HEAD + b"content-length: 99999999\r\n\r\n" + b" " * 10,
    "an endless head": b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 70_000,
    "server error": whole(b"{}", b"HTTP/1.1 500 E\r\ncontent-type: application/json\r\n"),
    "not found by a stranger": whole(b"nope", b"HTTP/1.1 404 N\r\ncontent-type: text/plain\r\n"),
    "no content": b"HTTP/1.1 204 N\r\n\r\n",
}


@pytest.mark.parametrize("name", GARBAGE)
@pytest.mark.requirement("P1")
def test_garbage_instead_of_an_answer_never_runs_the_body(broker: Assent, standin: StandIn, name: str) -> None:
    standin.break_next("POST /v1/actions", *[say(GARBAGE[name])] * 3)
    try:
        with broker.action("files.read", {"path": "a"}):
            pytest.fail("the body ran")
    except (BrokerUnavailable, ActionDenied) as refused:
        assert refused.code in {"broker_unavailable", "unrecognised_answer"}  # noqa: PT017  # two types may come out


@pytest.mark.parametrize("name", GARBAGE)
@pytest.mark.requirement("P1")
async def test_garbage_never_runs_the_body_of_an_async_agent_either(
    async_broker: AsyncAssent, standin: StandIn, name: str
) -> None:
    standin.break_next("POST /v1/actions", *[say(GARBAGE[name])] * 3)
    with async_broker.run("r"), pytest.raises((BrokerUnavailable, ActionDenied)):
        async with async_broker.action("files.read", {"path": "a"}):
            pytest.fail("the body ran")


@pytest.mark.parametrize(
    "words", [{"decision": "maybe"}, {"state": "running"}, {"decision": "Allow"}, {"decision": True}]
)
@pytest.mark.requirement("P1")
def test_a_word_that_the_sdk_does_not_know_is_a_deny(
    broker: Assent, standin: StandIn, words: dict[str, object]
) -> None:
    standin.break_next("POST /v1/actions", change(**words))
    with pytest.raises(ActionDenied) as caught, broker.action("files.read", {"path": "a"}):
        pytest.fail("the body ran")
    assert caught.value.code == "unrecognised_answer"
    assert "do not retry" in caught.value.model_message


@pytest.mark.parametrize(
    "words",
    [
        {"decision": "deny"},
        {"decision": "pending"},
        {"state": "pending"},
        {"state": "ready", "grant": None},
        {"lease_expires_at": None},
        {"grant": {"id": "g", "redeemed_by": "somebody"}},
        {"arguments": {"path": "b"}},
    ],
)
@pytest.mark.requirement("P1")
def test_an_allow_that_contradicts_itself_never_runs(
    broker: Assent, standin: StandIn, words: dict[str, object]
) -> None:
    standin.break_next("POST /v1/actions", change(**words))
    with pytest.raises(AssentError), broker.action("files.read", {"path": "a"}):
        pytest.fail("the body ran")


@pytest.mark.parametrize(
    "words",
    [
        {"arguments": {"table": "orders", "where": "id=8"}},
        {"arguments": {"table": "orders"}},
        {"arguments": {"table": "orders", "where": "id=7", "force": True}},
        {"arguments": None},
        {"arguments": "id=7"},
        {"action_id": "act_2"},
    ],
)
@pytest.mark.requirement("P3", "T1")
def test_forged_arguments_in_the_redemption_never_run(
    broker: Assent, standin: StandIn, words: dict[str, object]
) -> None:
    standin.when_asked(standin.approve)
    standin.break_next("redeem", change(**words))
    with pytest.raises(UntrustedAnswer), broker.action("db.delete", {"table": "orders", "where": "id=7"}):
        pytest.fail("the body ran")


@pytest.mark.requirement("P3", "T1")
def test_a_digest_that_changes_while_waiting_never_runs(broker: Assent, standin: StandIn) -> None:
    standin.when_asked(standin.approve)
    standin.break_next("GET /v1/actions/act_1", change(digest="0" * 64))
    with pytest.raises(UntrustedAnswer), broker.action("db.delete", {"table": "t", "where": "w"}):
        pytest.fail("the body ran")


@pytest.mark.parametrize("fault", [lose, cut, refuse(503, "broker_unavailable")], ids=["lost", "cut", "503"])
@pytest.mark.parametrize("path", ["POST /v1/actions", "/outcome"])
@pytest.mark.requirement("P4", "T20")
def test_an_answer_lost_after_the_commit_is_found_by_the_retry(
    broker: Assent, standin: StandIn, fault: Fault, path: str
) -> None:
    standin.break_next(path, fault, fault)
    with broker.action("files.write", {"path": "a", "content": "b"}) as action:
        assert action.id == "act_1"
    assert len(standin.actions) == 1
    assert standin.executions == ["act_1"]
    assert standin.outcomes() == ["succeeded"]
    assert len({(seen.headers.get("idempotency-key"), seen.body["attempt"]) for seen in standin.asks()}) == 1


@pytest.mark.parametrize("fault", [lose, cut], ids=["lost", "cut"])
@pytest.mark.requirement("P4", "T20")
def test_a_redemption_lost_after_the_commit_is_found_by_the_retry(
    broker: Assent, standin: StandIn, fault: Fault
) -> None:
    standin.when_asked(standin.approve)
    standin.break_next("redeem", fault, fault)
    with broker.action("db.delete", {"table": "t", "where": "w"}):
        pass
    assert standin.executions == ["act_1"]


def test_every_ask_has_a_key_and_an_attempt_of_its_own(broker: Assent, standin: StandIn) -> None:
    for _ in range(2):
        with broker.action("files.read", {"path": "a"}):
            pass
    secrets = [(seen.headers["idempotency-key"], seen.body["attempt"]) for seen in standin.asks()]
    assert len({value for pair in secrets for value in pair}) == 4
    assert all(len(value) >= 22 for pair in secrets for value in pair)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (403, "agent_suspended", ActionDenied),
        (422, "idempotency_conflict", ActionDenied),
        (409, "already_executed", AlreadyExecuted),
        (503, "broker_unavailable", BrokerUnavailable),
        (500, "internal", BrokerUnavailable),
        (429, "rate_limited", BrokerUnavailable),
    ],
)
def test_a_refused_ask_has_the_error_of_its_code(
    broker: Assent, standin: StandIn, status: int, code: str, kind: type[AssentError]
) -> None:
    standin.break_next("POST /v1/actions", *[refuse(status, code)] * 3)
    with pytest.raises(kind) as caught, broker.action("files.read", {"path": "a"}):
        pytest.fail("the body ran")
    assert isinstance(caught.value, BrokerUnavailable) or caught.value.code == code


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (401, "unauthenticated", "does not take this key"),
        (400, "bad_json", "cannot read this request"),
        (400, "bad_request", "cannot read this request"),
        (413, "payload_too_large", "cannot read this request"),
        (415, "unsupported_media_type", "cannot read this request"),
        (422, "unprocessable", "cannot read this request"),
    ],
)
def test_what_no_retry_can_help_is_told_as_a_mistake_of_the_program(
    broker: Assent, standin: StandIn, status: int, code: str, said: str
) -> None:
    standin.break_next("POST /v1/actions", refuse(status, code))
    with pytest.raises(ConfigurationError, match=said) as caught, broker.action("files.read", {"path": "a"}):
        pytest.fail("the body ran")
    hint = caught.value.hint or ""
    assert ("ASSENT_AGENT_KEY" in hint, f"`{code}`" in hint) == (status == 401, status != 401)
    assert len(standin.asks()) == 1


@pytest.mark.parametrize("code", ["grant_spent", "grant_expired", "digest_mismatch", "breaker_open", "rule_denied"])
def test_a_refused_redemption_never_runs(broker: Assent, standin: StandIn, code: str) -> None:
    standin.when_asked(standin.approve)
    standin.break_next("redeem", refuse(409, code))
    with pytest.raises(AssentError) as caught, broker.action("db.delete", {"table": "t", "where": "w"}):
        pytest.fail("the body ran")
    assert caught.value.code == ("already_executed" if code == "grant_spent" else code)
    assert getattr(caught.value, "tool", None) == "db.delete"


@pytest.mark.requirement("P7")
def test_a_broker_that_is_not_there_fails_closed(spool: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
    with (
        Assent(address, KEY, limits=BRISK, spool=spool) as broker,
        broker.run("r"),
        pytest.raises(BrokerUnavailable, match="cannot be reached"),
        broker.action("files.read", {"path": "a"}),
    ):
        pytest.fail("the body ran")


@pytest.fixture
def black_hole() -> Iterator[str]:
    """A peer that takes everything and answers one byte at a time, never an end of line."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def swallow() -> None:
            held = []
            while not ended.is_set():
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                held.append(connection)
                threading.Thread(target=drip, args=(connection,), daemon=True).start()

        def drip(connection: socket.socket) -> None:
            with connection:
                while not ended.wait(0.02):
                    try:
                        connection.send(b"H")
                    except OSError:
                        return

        threading.Thread(target=swallow, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        ended.set()
        server.shutdown(socket.SHUT_RDWR)


HURRIED = replace(BRISK, answer_seconds=0.1, exchange_seconds=0.3)


@pytest.mark.requirement("P7")
def test_a_broker_that_drips_bytes_for_ever_is_given_up_in_time(black_hole: str, spool: Path) -> None:
    began = time.monotonic()
    with (
        Assent(black_hole, KEY, limits=HURRIED, spool=spool) as broker,
        broker.run("r"),
        pytest.raises(BrokerUnavailable),
        broker.action("files.read", {"path": "a"}),
    ):
        pytest.fail("the body ran")
    assert time.monotonic() - began < 3


async def test_an_async_agent_gives_up_in_time_too(black_hole: str, spool: Path) -> None:
    began = time.monotonic()
    async with AsyncAssent(black_hole, KEY, limits=HURRIED, spool=spool) as broker:
        with broker.run("r"), pytest.raises(BrokerUnavailable, match="in time"):
            async with broker.action("files.read", {"path": "a"}):
                pytest.fail("the body ran")
    assert time.monotonic() - began < 3


def test_an_answer_larger_than_the_limit_is_refused(url: str, spool: Path, standin: StandIn) -> None:
    standin.break_next("POST /v1/actions", *[change(padding="x" * 5_000)] * 3)
    with (
        Assent(url, KEY, limits=replace(BRISK, answer_bytes=4_000), spool=spool) as broker,
        broker.run("r"),
        pytest.raises(BrokerUnavailable, match="larger than"),
        broker.action("files.read", {"path": "a"}),
    ):
        pytest.fail("the body ran")


def test_a_server_that_asks_for_a_pause_gets_it(broker: Assent, standin: StandIn) -> None:
    standin.break_next("POST /v1/actions", refuse(429, "rate_limited"))
    with broker.action("files.read", {"path": "a"}):
        pass
    assert len(standin.asks()) == 2


def test_a_pause_longer_than_our_patience_is_not_waited_for(broker: Assent, standin: StandIn) -> None:
    busy = whole(b"{}", b"HTTP/1.1 429 B\r\nretry-after: 3600\r\ncontent-type: application/json\r\n")
    standin.break_next("POST /v1/actions", say(busy))
    with pytest.raises(BrokerUnavailable), broker.action("files.read", {"path": "a"}):
        pytest.fail("the body ran")
    assert len(standin.asks()) == 1


def test_a_connection_that_the_broker_closed_while_idle_is_not_used_again(broker: Assent, standin: StandIn) -> None:
    def answer_and_close(answer: object, send: object) -> bool:
        send(answer.raw())  # type: ignore[attr-defined,operator]  # a Fault, spelled short
        return False

    standin.break_next("GET /v1/me", answer_and_close)
    broker.tools()
    broker.tools()
    assert [seen.path for seen in standin.seen] == ["/v1/me", "/v1/me"]


def test_calls_keep_one_connection_alive(broker: Assent, standin: StandIn) -> None:
    for _ in range(5):
        broker.tools()
    assert len({seen.peer for seen in standin.seen}) == 1


def test_text_from_the_broker_cannot_play_tricks_on_a_terminal(broker: Assent, standin: StandIn) -> None:
    reasons = [{"code": "rule_denied", "message": "\x1b[2J\u202egone\n" + "x" * 10_000}]
    standin.break_next("POST /v1/actions", change(decision="deny", state="denied", reasons=reasons))
    with pytest.raises(ActionDenied) as caught, broker.action("files.read", {"path": "a"}):
        pytest.fail("the body ran")
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 1_000


def test_an_ask_outside_any_run_is_warned_about_once(url: str, spool: Path) -> None:
    with Assent(url, KEY, limits=BRISK, spool=spool) as broker:
        with pytest.warns(RunIdMissing, match="run_id"), broker.action("files.read", {"path": "a"}):
            pass
        with broker.action("files.read", {"path": "a"}):
            pass


def here() -> int:
    """Returns the line that called this."""
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


def test_the_warning_points_at_the_line_of_the_caller(url: str, spool: Path) -> None:
    with Assent(url, KEY, limits=BRISK, spool=spool) as broker, pytest.warns(RunIdMissing) as caught:
        line, _ = here(), broker.request("files.read", {"path": "a"})
    assert [(warning.filename, warning.lineno) for warning in caught] == [(__file__, line)]


def test_the_warning_points_at_the_line_that_begins_an_action(url: str, spool: Path) -> None:
    with Assent(url, KEY, limits=BRISK, spool=spool) as broker, pytest.warns(RunIdMissing) as caught:
        line, _ = here(), broker.action("files.read", {"path": "a"}).__enter__()
    assert [(warning.filename, warning.lineno) for warning in caught] == [(__file__, line)]


def test_the_warning_points_at_the_line_that_calls_a_guarded_function(url: str, spool: Path) -> None:
    with Assent(url, KEY, limits=BRISK, spool=spool) as broker:

        @broker.guard("files.read")
        def read(path: str) -> str:
            return path

        with pytest.warns(RunIdMissing) as caught:
            line, _ = here(), read("a")
    assert [(warning.filename, warning.lineno) for warning in caught] == [(__file__, line)]


async def test_the_warning_points_at_the_line_that_awaits(url: str, spool: Path) -> None:
    async with AsyncAssent(url, KEY, limits=BRISK, spool=spool) as broker:
        with pytest.warns(RunIdMissing) as caught:
            line, _ = here(), await broker.request("files.read", {"path": "a"})
    assert [(warning.filename, warning.lineno) for warning in caught] == [(__file__, line)]


@pytest.mark.parametrize("fault", [lose, refuse(503, "broker_unavailable")], ids=["lost", "503"])
def test_after_no_answer_the_next_try_goes_by_a_new_connection_which_may_lead_to_another_broker(
    broker: Assent, standin: StandIn, fault: Fault
) -> None:
    with ThreadPoolExecutor(3) as at_once:
        list(at_once.map(lambda _: broker.tools(), range(9)))  # several are idle then, all to the same broker
    before = {seen.peer for seen in standin.seen}
    standin.break_next("GET /v1/me", fault)
    broker.tools()
    failed, answered = standin.seen[-2:]
    assert failed.peer in before
    assert answered.peer not in before


async def test_the_same_holds_on_an_event_loop(async_broker: AsyncAssent, standin: StandIn) -> None:
    await asyncio.gather(*(async_broker.tools() for _ in range(3)))
    before = {seen.peer for seen in standin.seen}
    standin.break_next("GET /v1/me", refuse(503, "broker_unavailable"))
    await async_broker.tools()
    failed, answered = standin.seen[-2:]
    assert failed.peer in before
    assert answered.peer not in before
