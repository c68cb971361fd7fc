"""A real broker, as `assent serve` starts it, with a Slack beside it: a card comes, a click approves, it survives."""

import asyncio
import json
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from assent.config import load_settings
from assent.core.errors import ConfigInvalid
from assent.demo.workspace.people import Channel, Person
from assent.demo.workspace.server import StandIn, serving
from assent.demo.workspace.state import Message, Workspace
from assent.serving.slack import slack_of
from assent.slack.view import Press
from tests.serving import warm
from tests.serving.broker_process import make_home
from tests.slack.conftest import SCOPES

ROOM = Channel(id="C0PROD", name="prod-approvals")
YOU = Person(id="U0YOU", name="you")
PATIENCE_SECONDS = 30.0


async def until(found: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        if value := found():
            return value
        await asyncio.sleep(0.02)
    raise AssertionError(f"{what} did not come")


class Broker:
    """A served broker with a starter policy that tells Slack."""

    def __init__(self, folder: Path, slack: StandIn) -> None:
        self.folder = folder
        self.slack = slack
        home = make_home(folder)
        self.agent_key, self.operator = home.agent_key, home.operator_token
        self._tell_slack()
        self.process: warm.Process | None = None
        self.url = ""

    def _tell_slack(self) -> None:
        (self.folder / "policies/routes.yaml").write_text(
            "default: {needs: [{any: 1, of: approvers}], steps: [{tell: [slack:C0PROD]}]}\n"
        )
        (self.folder / "policies/operators.yaml").write_text(
            "you: {groups: [approvers], may: [approver, operator], slack: {team: T0TOWN, user: U0YOU}}\n"
            "demo-owner: {}\n"
        )

    async def start(self, **more: str) -> None:
        environment = {
            **os.environ,
            "ASSENT_PORT": "0",
            "ASSENT_SLACK_BOT_TOKEN": self.slack.slack.bot_token,
            "ASSENT_SLACK_APP_TOKEN": self.slack.slack.app_token,
            "ASSENT_SLACK_API_URL": self.slack.api,
            **more,
        }
        await asyncio.to_thread(self._run, environment)

    def _run(self, environment: dict[str, str]) -> None:
        command = ["serve", "--config", str(self.folder / "assent.toml")]
        with (self.folder / "log").open("a") as errors:
            self.process = warm.start(command, env=environment, stderr=errors.fileno())
        for line in self.process.stdout or ():
            if (found := re.search(rb"http://127\.0\.0\.1:[0-9]+", line)) is not None:
                self.url = found[0].decode()
                return
        raise AssertionError((self.folder / "log").read_text())

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(20)
            if self.process.stdout is not None:
                self.process.stdout.close()
        self.url = ""

    def call(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {self.agent_key}", "content-type": "application/json"}
        connection = HTTPConnection(self.url.removeprefix("http://"), timeout=10)
        try:
            connection.request("GET" if data is None else "POST", path, body=data, headers=headers)
            heard: dict[str, Any] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return heard

    async def ask(self) -> dict[str, Any]:
        wish = {
            "tool": "files.write",
            "arguments": {"path": "prod/prices.txt", "content": "tea 3.40\n"},
            "attempt": "a" * 22,
        }
        return await asyncio.to_thread(self.call, "/v1/actions", wish)

    def card(self) -> Message | None:
        return next((message for message in self.slack.slack.messages if message.only_for is None), None)

    def card_says(self, words: str) -> bool:
        card = self.card()
        return card is not None and words in str(card.now["text"])


@asynccontextmanager
async def town(folder: Path) -> AsyncIterator[Broker]:
    workspace = Workspace(people=[YOU], channels=[ROOM], scopes=SCOPES | {"channels:history"})
    async with serving(workspace) as slack:
        broker = Broker(folder / "broker", slack)
        try:
            yield broker
        finally:
            # Beside the loop: the stand-in takes what the broker still sends, and nothing is left over for its end.
            await asyncio.to_thread(broker.stop)


@pytest.mark.requirement("P4", "P5")
async def test_a_card_comes_a_click_approves_and_the_card_follows(tmp_path: Path) -> None:
    async with town(tmp_path) as broker:
        await broker.start()
        asked = await broker.ask()
        assert asked["decision"] == "pending"
        card = await until(broker.card, "the card")
        await until(lambda: broker.slack.delivery.sockets, "the socket")
        delivered = await broker.slack.as_user("you").press(card, Press.APPROVE)
        assert delivered.outcome == "acknowledged"
        await until(lambda: broker.card_says("waiting for the agent"), "the change of the card")
        found = await asyncio.to_thread(broker.call, f"/v1/actions/{asked['action_id']}")
        assert (found["decision"], found["state"]) == ("allow", "ready")


@pytest.mark.requirement("T20")
async def test_a_broker_that_is_killed_posts_no_second_card_and_its_card_comes_right(tmp_path: Path) -> None:
    async with town(tmp_path) as broker:
        await broker.start()
        asked = await broker.ask()
        card = await until(broker.card, "the card")
        broker.stop(signal.SIGKILL)
        await broker.start()
        await until(lambda: broker.slack.delivery.sockets, "the socket")
        await broker.slack.as_user("you").press(card, Press.APPROVE)
        await until(lambda: broker.card_says("waiting for the agent"), "the change of the card")
        found = await asyncio.to_thread(broker.call, f"/v1/actions/{asked['action_id']}")

        assert found["state"] == "ready"
        assert len([message for message in broker.slack.slack.messages if message.only_for is None]) == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"SLACK_BOT_TOKEN": "xoxp-1", "SLACK_APP_TOKEN": "xapp-1"}, "does not begin with `xoxb-`"),
        ({"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xoxb-1"}, "does not begin with `xapp-`"),
        ({"SLACK_BOT_TOKEN": "xoxb-1"}, "clicks could not come in"),
        ({"SLACK_APP_TOKEN": "xapp-1"}, "`slack_bot_token` is missing"),
        ({"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_BOT_TOKEN_FILE": "x"}, "is set as well"),
        ({"SLACK_BOT_TOKEN_FILE": "readable"}, "can be read by others"),
        ({"SLACK_BOT_TOKEN_FILE": "empty"}, "is empty"),
        ({"SLACK_API_URL": "https://evil.example/api/"}, "the bot token goes there"),
    ],
)
def test_what_is_wrong_with_the_settings_is_said_without_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], said: str
) -> None:
    (tmp_path / "readable").write_text("xoxb-secret")
    (tmp_path / "readable").chmod(0o644)
    (tmp_path / "empty").touch(0o600)
    for name, value in given.items():
        monkeypatch.setenv(f"ASSENT_{name}", str(tmp_path / value) if name.endswith("_FILE") else value)
    with pytest.raises(ConfigInvalid) as refused:
        slack_of(None, load_settings(None))  # type: ignore[arg-type]  # it is refused before a broker is looked at

    assert said in refused.value.message
    assert "secret" not in refused.value.message.replace("signing secret", "")


def test_a_secret_in_the_settings_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "assent.toml"
    file.write_text('slack_bot_token = "xoxb-1"\n')
    with pytest.raises(ConfigInvalid, match="where secrets are copied around"):
        load_settings(file)


def test_without_a_token_there_is_no_slack() -> None:
    assert slack_of(None, load_settings(None)) is None  # type: ignore[arg-type]  # no broker is looked at
