"""A broker is killed at every point between a card, a click, its commit, its acknowledgement and the card's change.

Nothing that was acknowledged is lost, nothing counts twice, one card stands there, and it comes right after a restart.
"""

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from assent.slack.view import Press
from tests.hammers import records
from tests.slack.test_service import Broker, town, until

KILLED = -signal.SIGKILL


@dataclass(frozen=True, kw_only=True)
class Death:
    """Where a broker dies; whether a click before that was acknowledged, and how many votes the log holds then."""

    point: str
    clicks: bool = True
    acknowledged: bool = False
    votes: int = 0


DEATHS = {
    "before the card is posted": Death(point="during_delivery:1", clicks=False),
    "the card is posted and the ledger does not know": Death(point="during_delivery:2", clicks=False),
    "before the click is committed": Death(point="before_vote_commit"),
    "committed and not acknowledged": Death(point="after_vote_commit", votes=1),
    "acknowledged and the card not changed": Death(point="during_delivery:3", acknowledged=True, votes=1),
    "the card is changed and the ledger does not know": Death(point="during_delivery:4", acknowledged=True, votes=1),
}


def votes(broker: Broker) -> int:
    return len(records.of_kind(records.read(broker.folder / "ledger.db"), "approval.voted"))


async def ended(broker: Broker) -> int:
    process = broker.process
    assert process is not None
    await until(lambda: process.poll() is not None, "the end of the broker")
    broker.stop()
    return int(process.returncode)


async def clicked(broker: Broker) -> str:
    await until(broker.card, "the card")
    await until(lambda: broker.slack.delivery.sockets, "the socket")
    card: Any = broker.card()
    return (await broker.slack.as_user("you").press(card, Press.APPROVE)).outcome


@pytest.mark.timeout(120)
@pytest.mark.requirement("P2", "P4", "P5", "T18", "T20")
@pytest.mark.parametrize("name", DEATHS)
async def test_whenever_it_dies_the_click_counts_once_and_the_card_comes_right(tmp_path: Path, name: str) -> None:
    death = DEATHS[name]
    async with town(tmp_path) as broker:
        await broker.start(ASSENT_FAILPOINT=death.point)
        asked = await broker.ask()
        if death.clicks:
            outcome = await clicked(broker)
            assert (outcome == "acknowledged") == death.acknowledged
        assert await ended(broker) == KILLED
        assert votes(broker) == death.votes

        await broker.start()
        if not death.acknowledged:
            # Who was not acknowledged was told so, and presses again.
            assert await clicked(broker) == "acknowledged"
        await until(lambda: broker.card_says("waiting for the agent"), "the change of the card")
        assert votes(broker) == 1
        assert len([message for message in broker.slack.slack.messages if message.only_for is None]) == 1
        assert broker.call(f"/v1/actions/{asked['action_id']}")["state"] == "ready"
