"""A stand-in workspace with people of every kind, and our client for it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from assent.demo.workspace.people import OTHER_TEAM, Channel, Person
from assent.demo.workspace.server import StandIn, serving
from assent.demo.workspace.state import Workspace
from assent.slack.web import SlackWeb

SCOPES = frozenset({"chat:write", "im:write", "users:read", "usergroups:read", "files:write", "channels:read"})
PEOPLE = (
    Person(id="U0DANA", name="dana"),
    Person(id="U0EVE", name="eve"),
    Person(id="U0GUEST", name="gil", is_guest=True),
    Person(id="U0STRANGER", name="sol", team=OTHER_TEAM, is_stranger=True),
    Person(id="U0GONE", name="gus", is_deleted=True),
)
PROD = Channel(id="C0PROD", name="prod-approvals")


@dataclass
class Seconds:
    """A clock that a test moves."""

    now: float = 1_772_366_400.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def workspace(seconds: Seconds) -> Workspace:
    return Workspace(
        people=PEOPLE, channels=[PROD], groups={"S0ONCALL": ("U0DANA", "U0EVE")}, scopes=SCOPES, clock=seconds
    )


@pytest.fixture
async def slack(workspace: Workspace) -> AsyncIterator[StandIn]:
    async with serving(workspace, acknowledged_within_seconds=0.2) as stand_in:
        yield stand_in


@pytest.fixture
async def web(slack: StandIn) -> AsyncIterator[SlackWeb]:
    client = SlackWeb(slack.slack.bot_token, base_url=slack.api, timeout_seconds=1)
    yield client
    await client.close()
