"""Two brokers, one Slack: one of them holds the socket and tells people, and when it is gone the other does."""

import asyncio
import shutil
import signal
from pathlib import Path

import pytest

from assent.demo.workspace.server import serving
from assent.demo.workspace.state import Workspace
from assent.slack.view import Press
from tests.postgres_server import Server
from tests.serving.broker_process import run
from tests.slack.conftest import SCOPES
from tests.slack.test_service import ROOM, YOU, Broker, until
from tests.valkey_server import ValkeyServer


def beside(broker: Broker, folder: Path) -> Broker:
    """Return another broker on the same ledger, keys and Slack."""
    shutil.copytree(broker.folder, folder)
    other: Broker = object.__new__(Broker)
    other.folder, other.slack, other.process, other.url = folder, broker.slack, None, ""
    other.agent_key, other.operator = broker.agent_key, broker.operator
    return other


@pytest.mark.requirement("P4", "T20")
async def test_a_click_reaches_whoever_is_left_and_no_card_stands_there_twice(
    tmp_path: Path, postgres: Server, own_valkey: ValkeyServer
) -> None:
    workspace = Workspace(people=[YOU], channels=[ROOM], scopes=SCOPES | {"channels:history"})
    async with serving(workspace) as slack:
        first = Broker(tmp_path / "first", slack)
        config = first.folder / "assent.toml"
        shared = f'ledger_url = "{postgres.fresh()}"\nredis_url = "{own_valkey.url}"\n'
        config.write_text(config.read_text() + shared)
        assert run("migrate", "--config", str(config)).returncode == 0
        second = beside(first, tmp_path / "second")
        try:
            await first.start()
            await until(lambda: slack.delivery.sockets, "the socket of the first")
            await second.start()
            asked = await second.ask()
            card = await until(first.card, "the card, told by the first")
            assert len(slack.delivery.sockets) == 1
            await asyncio.to_thread(first.stop, signal.SIGKILL)
            await until(lambda: "lease_taken" in (second.folder / "log").read_text(), "the lease of the second")
            await until(lambda: slack.delivery.sockets, "the socket of the second")
            delivered = await slack.as_user("you").press(card, Press.APPROVE)
            assert delivered.outcome == "acknowledged"
            await until(lambda: second.card_says("waiting for the agent"), "the change of the card")
            found = await asyncio.to_thread(second.call, f"/v1/actions/{asked['action_id']}")
            assert (found["decision"], found["state"]) == ("allow", "ready")
            assert len([message for message in slack.slack.messages if message.only_for is None]) == 1
        finally:
            await asyncio.to_thread(first.stop)
            await asyncio.to_thread(second.stop)
