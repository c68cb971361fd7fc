"""A real broker at a terminal and a real browser, both for all stories of a worker; the browser is the system's own."""

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from assent.core.credentials import Kind
from assent.sdk.endpoint import Limits, endpoint
from assent.sdk.http import Request, Response
from assent.sdk.sockets import SocketDriver
from tests.cli.terminal import at_a_terminal
from tests.serving.broker_process import Home, make_home

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PHONE = ViewportSize(width=390, height=844)
DESK = ViewportSize(width=1280, height=800)
LINK = re.compile(r"(http://\S+)/console/sign-in\?link=(asl_\S+)")


@dataclass(slots=True)
class Served:
    """A broker that serves, the link that it showed, and how its agent asks."""

    home: Home
    url: str
    link: str

    def ask(self, **arguments: Any) -> Any:
        """Return the answer to an ask for a write, which waits for a person in production."""
        return self._call("POST", "/v1/actions", {"tool": "files.write", "arguments": arguments, "reason": "as told"})

    def state(self, asked: Any) -> str:
        return str(self._call("GET", f"/v1/actions/{asked['action_id']}", None)["state"])

    def _call(self, method: str, path: str, body: Any) -> Any:
        import json

        driver = SocketDriver(endpoint(self.url, self.home.agent_key, kind=Kind.AGENT), Limits(answer_seconds=60))
        raw = b"" if body is None else json.dumps(body).encode()
        answer = driver.perform(Request(method=method, path=path, body=raw))
        driver.close()
        assert isinstance(answer, Response), answer
        return json.loads(answer.body)


@dataclass(slots=True)
class Watched:
    """A page, and everything that went wrong on it: words on its console, requests to anywhere else."""

    page: Page
    wrong: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = make_home(tmp_path_factory.mktemp("made") / "broker")
    with at_a_terminal("serve", "--config", str(home.config), "--port", "0", env={}) as screen:
        found = LINK.search(screen.until("broker_started"))
        assert found is not None, screen.shown
        yield Served(home=home, url=found[1], link=found[2])
        screen.interrupt()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Not for the whole session: as long as it lives an event loop runs in this thread, and no story of another module
    # that brings its own could begin.
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine: install `chromium` to run the stories in a browser")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def visit(served: Served, browser: Browser) -> Iterator[Callable[..., Watched]]:
    """Open a page in a fresh browser profile; whatever goes wrong on it fails the story at its end."""
    opened: list[Watched] = []

    def look(path: str, *, phone: bool = False) -> Watched:
        context = browser.new_context(viewport=PHONE if phone else DESK)
        watched = Watched(context.new_page())
        opened.append(watched)
        watched.page.on("console", lambda said: watched.wrong.append(f"{said.type}: {said.text}"))
        watched.page.on("pageerror", lambda fault: watched.wrong.append(str(fault)))
        watched.page.on("dialog", lambda dialog: watched.wrong.append(f"dialog: {dialog.message}"))
        watched.page.on("request", lambda sent: _stay(watched, served, sent.url))
        watched.page.goto(served.url + path)
        return watched

    yield look
    for one in opened:
        one.page.context.close()
    assert [wrong for one in opened for wrong in one.wrong] == []


def _stay(watched: Watched, served: Served, url: str) -> None:
    if not url.startswith(f"{served.url}/"):
        watched.wrong.append(f"request to {url}")


def fits(page: Page) -> bool:
    """Whether nothing on the page is wider than the window, once it looks as it is meant to."""
    # Until its style sheet has come, a page is laid out without it, and whoever asks early sees that.
    page.wait_for_load_state("load")
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def sign_in(page: Page, home: Home) -> None:
    """Sign in with the operator's token, at the form that the page shows."""
    page.get_by_label("Your operator token").fill(home.operator_token)
    page.get_by_role("button", name="Sign in", exact=True).click()
