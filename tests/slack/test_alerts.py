"""Alerts of breakers in Slack: there within seconds, once, inert, and in person where it matters."""

import asyncio
import itertools
import json
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from assent.config import load_settings
from assent.core.alerts import Alert, Severity
from assent.core.breakers import Scope
from assent.core.errors import ConfigInvalid
from assent.core.operators import PERMISSION_SETS, Operator, OperatorId
from assent.demo.workspace.people import Channel
from assent.demo.workspace.server import StandIn, serving
from assent.demo.workspace.state import Message
from assent.demo.workspace.state import Workspace as Town
from assent.serving.slack import slack_of
from assent.slack.alerts import SlackAlerts, Workspace, message_of
from assent.slack.web import SlackWeb
from tests.slack.conftest import PEOPLE, SCOPES
from tests.slack.test_service import Broker, until

ROOM = Channel(id="C0OPS", name="ops")
RUNBOOK = "https://runbooks.example/breakers"
ALERT = Alert(
    id="rec_1",
    event="breaker.tripped",
    severity=Severity.ALERT,
    at="2026-03-01T12:00:00.000000Z",
    breaker="brk_1",
    state="forced_open",
    scope=Scope(agent="bot"),
    by="rule `runaway`",
    reason="120 actions asked for within 1m",
    cancelled=2,
    running=1,
    cut_off_elsewhere="revoke its role",
)
RULE = 'rules: [{id: runaway, scope: {agent: "*"}, trip_on: {actions: 3, window: 1m}}]\n'


def person(name: str, account: str, *, may: str = "operator") -> Operator:
    return Operator(id=OperatorId(name), permissions=PERMISSION_SETS[may], identities={"slack": f"T0TOWN/{account}"})


PERSONS = (person("dana", "U0DANA"), person("eve", "U0EVE"), person("ann", "U0GUEST", may="auditor"))


@pytest.fixture
async def ops() -> AsyncIterator[StandIn]:
    """A workspace with a room for alerts, whose clock stands where the alert's does."""
    scopes = SCOPES | {"channels:history"}
    # A second later at each look: the workspace takes one message a second in a room.
    town = Town(people=PEOPLE, channels=[ROOM], scopes=scopes, clock=itertools.count(1_772_366_400.0).__next__)
    async with serving(town) as stand_in:
        yield stand_in


@asynccontextmanager
async def telling(
    ops: StandIn, people: Sequence[Operator] = PERSONS, room: str = ROOM.id
) -> AsyncIterator[SlackAlerts]:
    web = SlackWeb(ops.slack.bot_token, base_url=ops.api, timeout_seconds=1)
    try:
        yield SlackAlerts(lambda: Workspace(web, "T0TOWN"), lambda: people, room=room, runbook=RUNBOOK)
    finally:
        await web.close()


def in_room(ops: StandIn, room: str = ROOM.id) -> list[Message]:
    return [message for message in ops.slack.messages if message.channel == room]


def written(message: dict[str, Any]) -> str:
    return json.dumps(message, ensure_ascii=False)


async def test_an_alert_says_what_who_why_what_was_cut_off_and_where_to_read_on(ops: StandIn) -> None:
    async with telling(ops) as alerts:
        assert await alerts.alert(ALERT)
    (posted,) = in_room(ops)
    said = written(posted.now)
    assert "breaker tripped over agent `bot`" in posted.now["text"]
    for part in (
        "rule `runaway`",
        "120 actions asked for",
        "Cut off\\n2",
        "Still running\\n1",
        "revoke its role",
        RUNBOOK,
    ):
        assert part in said, part
    assert len(ops.slack.messages) == 1


async def test_an_alert_that_may_have_been_told_is_looked_for_and_stands_there_once(ops: StandIn) -> None:
    async with telling(ops) as before_the_crash:
        assert await before_the_crash.alert(ALERT)
    async with telling(ops) as after_it:
        assert await after_it.alert(ALERT)
        assert await after_it.alert(replace(ALERT, id="rec_2"))
    assert [message.now["metadata"]["event_payload"]["record"] for message in in_room(ops)] == ["rec_1", "rec_2"]


@pytest.mark.parametrize(
    "alert",
    [replace(ALERT, severity=Severity.PAGE), replace(ALERT, by="eve", by_hand="`root` on `broker-1`")],
    ids=["a page", "a trip by hand on the ledger"],
)
async def test_what_must_not_pass_by_is_told_in_person_to_everybody_who_may_trip(ops: StandIn, alert: Alert) -> None:
    async with telling(ops) as alerts:
        assert await alerts.alert(alert)
    assert len(in_room(ops)) == 1
    assert len(ops.slack.messages) == 3  # the room, dana and eve; an auditor trips nothing
    assert (alert.severity is Severity.PAGE) == ('"range": "channel"' in written(in_room(ops)[0].now))
    assert not alert.by_hand or "`root` on `broker-1`" in written(in_room(ops)[0].now)


async def test_somebody_who_cannot_be_told_in_person_keeps_nobody_else_from_hearing(ops: StandIn) -> None:
    gone = person("gus", "U0NOBODY")
    async with telling(ops, (gone, *PERSONS)) as alerts:
        assert await alerts.alert(replace(ALERT, severity=Severity.PAGE))
    assert len(ops.slack.messages) == 3


async def test_a_room_that_is_not_there_or_a_slack_that_is_away_is_no_telling(ops: StandIn) -> None:
    async with telling(ops, room="C0NONE") as alerts:
        assert not await alerts.alert(ALERT)
    nowhere = SlackAlerts(lambda: None, lambda: (), room=ROOM.id, runbook=RUNBOOK)
    assert not await nowhere.alert(ALERT)
    assert ops.slack.messages == []


def test_of_a_policy_it_says_which_version_who_and_what_it_widens() -> None:
    about = replace(ALERT, event="policy.proposed", policy="a" * 64, scope=Scope(), by="ada", reason="rule x: is new")
    said = written(message_of(about, RUNBOOK))
    for part in ("a policy that widens something waits to be confirmed", "a" * 64, "ada", "rule x: is new"):
        assert part in said, part
    assert RUNBOOK not in said
    assert "Cut off" not in said.replace("Cut it off", "")


@pytest.mark.requirement("T13")
def test_words_of_people_and_rules_are_inert() -> None:
    nasty = "<!channel> <https://evil.example|pay here> *bold* :tada: \u202e"
    message = message_of(replace(ALERT, reason=nasty, cut_off_elsewhere=nasty, scope=Scope(agent=nasty)), RUNBOOK)
    said = written(message)
    assert "mrkdwn" not in said
    assert "<!channel>" not in message["text"]
    assert "&lt;!channel&gt;" in message["text"]
    assert '"range"' not in said
    assert "\u202e" not in said
    links = [part for block in message["blocks"] for part in _parts(block) if part.get("type") == "link"]
    assert [part["url"] for part in links] == [RUNBOOK]


def _parts(block: Any) -> list[dict[str, Any]]:
    if isinstance(block, dict):
        return [block, *(part for value in block.values() for part in _parts(value))]
    return [part for value in block for part in _parts(value)] if isinstance(block, list) else []


def test_a_room_needs_a_name_that_slack_knows_and_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSENT_SLACK_ALERT_CHANNEL", "#ops")
    with pytest.raises(ConfigInvalid, match="the id of the channel"):
        load_settings(None)
    monkeypatch.setenv("ASSENT_SLACK_ALERT_CHANNEL", "C0OPS")
    with pytest.raises(ConfigInvalid, match="nobody could be told there"):
        slack_of(None, load_settings(None))  # type: ignore[arg-type]  # it is refused before a broker is looked at


@pytest.mark.requirement("T20")
async def test_a_served_broker_tells_within_five_seconds_what_a_rule_stopped_and_once_over_a_crash(
    tmp_path: Path,
) -> None:
    town = Town(people=PEOPLE, channels=[ROOM], scopes=SCOPES | {"channels:history"})
    async with serving(town) as slack:
        broker = Broker(tmp_path / "broker", slack)
        rules = broker.folder / "policies" / "breakers.yaml"
        rules.write_text(RULE)
        rules.chmod(0o644)
        try:
            await broker.start(ASSENT_SLACK_ALERT_CHANNEL=ROOM.id)
            await until(lambda: slack.delivery.sockets, "the socket")
            await asyncio.to_thread(loop, broker)
            tripped_at = time.monotonic()
            told = await until(lambda: in_room(slack), "the alert")
            assert time.monotonic() - tripped_at < 5.0
            assert "breaker tripped over agent `demo-agent`, by rule `runaway`" in told[0].now["text"]
            broker.stop(signal.SIGKILL)
            await broker.start(ASSENT_SLACK_ALERT_CHANNEL=ROOM.id)
            await asyncio.to_thread(stop_all, broker)
            await until(lambda: len(in_room(slack)) > 1, "the alert of the second trip")
            texts = [str(message.now["text"]).partition(",")[0] for message in in_room(slack)]
            assert texts == ["breaker tripped over agent `demo-agent`", "breaker tripped over everything"]
        finally:
            await asyncio.to_thread(broker.stop)


def loop(broker: Broker) -> None:
    """Ask for the same again and again, as an agent does that does not look at the answer."""
    for _ in range(4):
        broker.call("/v1/actions", {"tool": "files.read", "arguments": {"path": "stg/a"}, "attempt": "a" * 22})


def stop_all(broker: Broker) -> None:
    connection = HTTPConnection(broker.url.removeprefix("http://"), timeout=10)
    headers = {"authorization": f"Bearer {broker.operator}", "content-type": "application/json"}
    connection.request("POST", "/v1/breakers/trip", body=b'{"all": true}', headers=headers)
    assert connection.getresponse().status == 200
    connection.close()
