"""The link that opens the console: shown at a terminal, once, and nowhere that a program reads."""

import json
import re
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPRedirectHandler, Request, build_opener

import pytest

from assent.cli.exits import Exit
from tests.cli.terminal import at_a_terminal
from tests.serving.broker_process import BrokerProcess, Home, run

LINK = re.compile(r"(http://\S+/console/sign-in)\?link=(asl_\S+)")


class Stay(HTTPRedirectHandler):
    """Follows nowhere."""

    def redirect_request(self, *arguments: object) -> None:
        return None


def post(url: str, **fields: str) -> tuple[int, str]:
    try:
        with build_opener(Stay()).open(Request(url, urlencode(fields).encode()), timeout=20) as heard:  # noqa: S310  # http
            return heard.status, heard.headers.get("set-cookie", "")
    except HTTPError as answer:
        return answer.code, answer.headers.get("set-cookie", "")


@pytest.mark.requirement("T17", "T22")
def test_at_a_terminal_the_broker_shows_a_link_that_opens_one_session(home: Home) -> None:
    with at_a_terminal("serve", "--config", str(home.config), "--port", "0", env={}) as screen:
        # The line of the link is whole once the one below it has begun, and the last line of all is the log's first.
        found = LINK.search(screen.until("broker_started"))
        assert found is not None
        url, secret = found.groups()
        status, cookie = post(url, secret=secret)
        assert (status, cookie.partition("=asc_")[0]) == (303, "assent_console")
        assert post(url, secret=secret) == (401, "")
        screen.interrupt()


@pytest.mark.requirement("P5", "P6")
def test_who_is_shown_a_link_lets_go_on_at_the_console_alone(home: Home) -> None:
    with at_a_terminal("serve", "--config", str(home.config), "--port", "0", env={}) as screen:
        found = LINK.search(screen.until("broker_started"))
        assert found is not None
        url = found.group(1).removesuffix("/console/sign-in")
        broker = {"ASSENT_URL": url, "ASSENT_OPERATOR_TOKEN": home.operator_token}
        tripped = run("breakers", "trip", "--env", "production", "--reason", "x", "--json", env=broker)
        key = json.loads(tripped.stdout)["breaker"]["id"]
        by_token = run("breakers", "reset", key, "--reason", "fine", env=broker)
        assert by_token.returncode == Exit.STEP_UP
        assert "you can sign in at the console here, so your word counts from there" in by_token.stderr
        screen.interrupt()


@pytest.mark.requirement("T22")
def test_without_a_terminal_nobody_is_shown_a_link(home: Home) -> None:
    with BrokerProcess(home=home) as broker:
        assert broker.records("link.issued") == []
