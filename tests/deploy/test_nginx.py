"""nginx before two brokers, as it is shipped: what it passes on to the other one, what never, and what streams."""

import http.client
import json
import re
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from assent.api.problems import of_error
from assent.config import Settings
from assent.console.live import CHECK_EACH_SECONDS
from assent.core.errors import LedgerUnavailable
from assent.sdk.endpoint import Limits
from assent.wire.shapes import MAX_WAIT_SECONDS
from tests.deploy.nginx_server import FILES, Nginx, directives, why_not
from tests.deploy.standing_in import StandIn, standing_in
from tests.valkey_server import free_port

PLACES = (FILES / "places.conf").read_text()
MAIN = (FILES / "nginx.conf").read_text()
QUICKER = {"proxy_read_timeout 4s": "proxy_read_timeout 2s", "fail_timeout=3s": "fail_timeout=60s"}
TRIES = 6
PATIENCE_SECONDS = 10
POST, GET, DELETE = ("POST", "/v1/actions"), ("GET", "/v1/actions/act_1"), ("DELETE", "/v1/agents/a/keys/k")


@pytest.fixture
def brokers() -> Iterator[tuple[StandIn, StandIn]]:
    with standing_in() as one, standing_in() as other:
        yield one, other


@pytest.fixture
def nginx(brokers: tuple[StandIn, StandIn], tmp_path: Path) -> Iterator[Nginx]:
    if reason := why_not():
        pytest.skip(reason)
    nginx = Nginx(tmp_path, (brokers[0].port, brokers[1].port), QUICKER)
    nginx.start()
    yield nginx
    nginx.stop()


def connected(nginx: Nginx) -> http.client.HTTPSConnection:
    trusted = ssl.create_default_context(cafile=str(nginx.folder / "tls.crt"))
    return http.client.HTTPSConnection("localhost", nginx.port, timeout=PATIENCE_SECONDS, context=trusted)


def call(nginx: Nginx, method: str, path: str, **headers: str) -> tuple[int, bytes, http.client.HTTPMessage]:
    line = connected(nginx)
    try:
        line.request(method, path, b"{}" if method == "POST" else None, headers)
        answer = line.getresponse()
        return answer.status, answer.read(), answer.headers
    finally:
        line.close()


def test_nginx_reads_the_configuration(tmp_path: Path) -> None:
    if reason := why_not():
        pytest.skip(reason)
    nginx = Nginx(tmp_path, (free_port(), free_port()))
    nginx.prepare()
    said = nginx.parses()
    assert said.returncode == 0, said.stderr
    assert "warn" not in said.stderr
    (tmp_path / "nginx.conf").write_text(MAIN.replace("least_conn", "least_con"))
    assert nginx.parses().returncode != 0


def test_what_is_waited_for_outlasts_the_longest_wait_and_no_longer_than_callers_do() -> None:
    waits = {float(said.removesuffix("s")) for said in directives(PLACES, "proxy_read_timeout")}
    assert max(waits) > MAX_WAIT_SECONDS + CHECK_EACH_SECONDS / 3
    assert sorted(waits)[-2] < Limits().answer_seconds  # nginx notices before its caller has gone
    (kept,) = directives(MAIN, "keepalive_timeout")
    assert float(kept.removesuffix("s")) < Settings.model_fields["keep_alive_seconds"].default


@pytest.mark.parametrize("asked", [POST, GET, DELETE], ids=lambda asked: asked[0])
def test_a_broker_that_is_gone_is_not_noticed(
    brokers: tuple[StandIn, StandIn], nginx: Nginx, asked: tuple[str, str]
) -> None:
    brokers[0].shutdown()
    brokers[0].server_close()
    answers = [call(nginx, *asked) for _ in range(TRIES)]
    assert [(status, body) for status, body, _ in answers] == [(200, str(brokers[1].port).encode())] * TRIES
    assert len(brokers[1].asked) == TRIES


@pytest.mark.requirement("P4")
def test_what_changes_something_is_never_repeated_by_nginx(brokers: tuple[StandIn, StandIn], nginx: Nginx) -> None:
    for broker in brokers:
        broker.mode = "hang up"
    status, body, headers = call(nginx, *POST)
    assert brokers[0].methods() + brokers[1].methods() == ["POST"]
    assert (status, headers["retry-after"], headers["content-type"]) == (503, "1", "application/problem+json")
    told = json.loads(body)
    as_brokers_tell = of_error(LedgerUnavailable("x"))
    assert {name: told[name] for name in ("type", "title", "status", "code", "next_step", "retry_after")} == {
        name: getattr(as_brokers_tell, name) for name in ("type", "title", "status", "code", "next_step", "retry_after")
    }


@pytest.mark.parametrize("asked", [GET, DELETE], ids=lambda asked: asked[0])
def test_what_may_be_done_twice_goes_to_the_other_broker(
    brokers: tuple[StandIn, StandIn], nginx: Nginx, asked: tuple[str, str]
) -> None:
    brokers[0].mode = "hang up"
    answers = [call(nginx, *asked)[:2] for _ in range(TRIES)]
    assert answers == [(200, str(brokers[1].port).encode())] * TRIES
    assert len(brokers[0].asked) <= 1  # then it is left out


def test_a_broker_that_hangs_is_given_up_and_left_out(brokers: tuple[StandIn, StandIn], nginx: Nginx) -> None:
    brokers[0].mode = "hang"
    answers = [call(nginx, *POST)[0] for _ in range(TRIES)]
    assert sorted(answers) == [200] * (TRIES - 1) + [503]
    assert len(brokers[0].asked) == 1


@pytest.mark.parametrize("asked", [POST, GET], ids=lambda asked: asked[0])
def test_an_answer_is_passed_back_whatever_it_says(
    brokers: tuple[StandIn, StandIn], nginx: Nginx, asked: tuple[str, str]
) -> None:
    for broker in brokers:
        broker.mode = "503"
    answers = [call(nginx, *asked)[:2] for _ in range(TRIES)]
    assert {status for status, _ in answers} == {503}
    assert {body for _, body in answers} <= {str(broker.port).encode() for broker in brokers}
    assert len(brokers[0].asked) + len(brokers[1].asked) == TRIES


def test_whoever_watches_nginx_keeps_requests_from_a_broker_that_is_not_ready(
    brokers: tuple[StandIn, StandIn], nginx: Nginx
) -> None:
    brokers[0].mode = "503"
    for _ in range(2):
        line = http.client.HTTPConnection("127.0.0.1", nginx.health_port, timeout=PATIENCE_SECONDS)
        line.request("GET", "/readyz")
        assert line.getresponse().read() == str(brokers[1].port).encode()
        line.close()
    before = len(brokers[0].asked)
    assert [call(nginx, *POST)[0] for _ in range(TRIES)] == [200] * TRIES
    assert len(brokers[0].asked) == before == 1


def test_outside_it_is_ready_while_any_broker_is(brokers: tuple[StandIn, StandIn], nginx: Nginx) -> None:
    brokers[0].mode = "503"
    assert [call(nginx, "GET", "/readyz")[0] for _ in range(TRIES)] == [200] * TRIES
    brokers[1].mode = "503"
    assert {call(nginx, "GET", "/readyz")[0] for _ in range(TRIES)} == {503}


def test_what_a_caller_says_of_itself_is_not_passed_on(brokers: tuple[StandIn, StandIn], nginx: Nginx) -> None:
    call(nginx, *POST, **{"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "http", "Idempotency-Key": "k"})
    heard = brokers[0].headers or brokers[1].headers
    assert (heard["x-forwarded-for"], heard["x-forwarded-proto"]) == ("127.0.0.1", "https")
    assert (heard["host"], heard["idempotency-key"]) == (f"localhost:{nginx.port}", "k")


@pytest.mark.parametrize("path", ["/console/live", "/v1/actions/act_1?wait=55"])
def test_what_is_sent_bit_by_bit_arrives_bit_by_bit(brokers: tuple[StandIn, StandIn], nginx: Nginx, path: str) -> None:
    for broker in brokers:
        broker.mode = "stream"
    line = connected(nginx)
    line.request("GET", path)
    answer = line.getresponse()
    assert answer.read(9) == b"data: 1\n\n"  # the rest is not sent yet
    for broker in brokers:
        broker.go_on.set()
    assert answer.read() == b"data: 2\n\n"
    line.close()


def test_numbers_of_one_broker_are_not_served_as_those_of_all(nginx: Nginx) -> None:
    assert call(nginx, "GET", "/metrics")[0] == 404


def test_every_problem_nginx_tells_is_json() -> None:
    (told,) = re.findall(r"return 503 '([^']+)';", PLACES)
    assert json.loads(told)["status"] == 503
