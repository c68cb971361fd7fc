"""What people do in Slack is read from what the stand-in sends, and from nothing else."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.core.approvals import DenialCategory
from assent.core.breakers import BreakerState, Scope
from assent.demo.workspace.delivering import Delivery
from assent.demo.workspace.rules import faults_of_view
from assent.demo.workspace.server import StandIn, serving
from assent.demo.workspace.state import Workspace
from assent.slack import dialogs, heard
from assent.slack.cards import value_of
from assent.slack.heard import Carried, HomeOpened, Pressed, Submitted, Typed, Unreadable, Who
from assent.slack.home import Inbox, home
from assent.slack.view import Form, More, Press
from assent.slack.web import SlackWeb
from tests.contracts.samples import FULL_BREAKER, T0, approval, breaker
from tests.slack.conftest import PROD
from tests.slack.test_cards import PENDING, nodes
from tests.slack.test_stand_in import only_message, post_card

EVE = Who(user="U0EVE", team="T0TOWN")
CARRIED = Carried(approval=PENDING.approval.id, revision=1, digest="ab" * 8)


class Catcher(Delivery):
    """Keeps what would go to the app."""

    async def _send(self, kind: str, payload: dict[str, Any]) -> dict[str, Any]:
        del kind, payload
        return {}


@pytest.fixture
async def slack(workspace: Workspace) -> AsyncIterator[StandIn]:
    async with serving(workspace) as stand_in:
        stand_in.delivery.__class__ = Catcher
        yield stand_in


async def test_a_press(slack: StandIn, web: SlackWeb) -> None:
    await post_card(web)
    delivered = await slack.as_user("eve").press(only_message(slack.slack), Press.APPROVE)
    found = heard.interaction(delivered.payload)

    assert isinstance(found, Pressed)
    assert (found.who, found.press, found.carried, found.more) == (EVE, Press.APPROVE, CARRIED, None)
    assert (found.channel, found.message_ts, found.app) == (PROD.id, only_message(slack.slack).ts, "A0ASSENT")
    assert found.trigger
    assert found.response_url.startswith(slack.url)


async def test_a_choice(slack: StandIn, web: SlackWeb) -> None:
    await post_card(web)
    delivered = await slack.as_user("eve").press(only_message(slack.slack), Press.MORE, choose="why")
    found = heard.interaction(delivered.payload)

    assert isinstance(found, Pressed)
    assert (found.press, found.more, found.carried) == (Press.MORE, More.WHY_NOT_ME, CARRIED)


async def test_a_dialog(slack: StandIn, web: SlackWeb) -> None:
    await post_card(web)
    eve = slack.as_user("eve")
    delivered = await eve.press(only_message(slack.slack), Press.DENY)
    view = dialogs.deny("K7Q-4MX", value_of(PENDING))
    await web.call("views.open", trigger_id=delivered.payload["trigger_id"], view=view)
    sent = await eve.submit(**{dialogs.CATEGORY: dialogs.AND_TRIP, dialogs.REASON: "who are you <!channel>"})
    found = heard.interaction(sent.payload)

    assert isinstance(found, Submitted)
    assert (found.who, found.form, found.carried) == (EVE, Form.DENY, CARRIED)
    assert found.answers == {"category": dialogs.AND_TRIP, "reason": "who are you <!channel>"}
    assert dialogs.category_chosen(found.answers["category"]) == (DenialCategory.MALICIOUS, True)


async def test_a_command_and_a_home_tab(slack: StandIn) -> None:
    typed = await slack.as_user("eve").type_command("deny K7Q-4MX  too late", channel=PROD.id)
    opened = await slack.as_user("eve").open_home()

    found = heard.command(typed.payload)
    assert isinstance(found, Typed)
    assert (found.who, found.words, found.channel) == (EVE, ("deny", "K7Q-4MX", "too", "late"), PROD.id)
    assert heard.event(opened.payload) == HomeOpened(who=EVE, app="A0ASSENT")


def test_other_events_are_nothing_to_us() -> None:
    assert heard.event({"team_id": "T1", "event": {"type": "channel_rename"}}) is None


SOUND: Mapping[str, Any] = {
    "type": "block_actions",
    "user": {"id": "U0EVE", "team_id": "T0TOWN"},
    "actions": [{"action_id": Press.APPROVE, "value": value_of(PENDING)}],
}


@pytest.mark.parametrize(
    "changed",
    [
        {"type": "shortcut"},
        {"user": {}},
        {"user": {"id": "dana@acme.example"}},
        {"actions": []},
        {"actions": SOUND["actions"] * 2},
        {"actions": [{"action_id": "other.app", "value": "x"}]},
        {"actions": [{"action_id": Press.APPROVE, "value": "{"}]},
        {"actions": [{"action_id": Press.APPROVE, "value": '{"a":"x","r":"1","d":"' + "ab" * 8 + '"}'}]},
        {"actions": [{"action_id": Press.APPROVE, "value": '{"a":"x","r":1,"d":"ABABABABABABABAB"}'}]},
        {"actions": [{"action_id": Press.APPROVE, "value": '{"a":"x y","r":1,"d":"' + "ab" * 8 + '"}'}]},
        {"actions": [{"action_id": Press.MORE, "selected_option": {"value": "unknown:{}"}}]},
    ],
)
def test_what_no_card_of_ours_sends_is_unreadable(changed: dict[str, Any]) -> None:
    assert isinstance(heard.interaction(SOUND), Pressed)
    with pytest.raises(Unreadable):
        heard.interaction({**SOUND, **changed})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["type", "user", "team", "actions", "view", "event", "team_id"]), JSON))
def test_nothing_else_can_happen_than_unreadable(payload: dict[str, Any]) -> None:
    for read in (heard.interaction, heard.command, heard.event):
        with suppress(Unreadable):
            read(payload)


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b'{"a":1,"a":2}', b"\xff", b'{"a":' * 100])
def test_bytes_that_are_no_object(raw: bytes) -> None:
    with pytest.raises(Unreadable):
        heard.payload_of(raw)


def test_bytes_that_are() -> None:
    assert heard.payload_of(json.dumps(SOUND).encode())["type"] == "block_actions"


@pytest.mark.parametrize(
    "view",
    [
        dialogs.deny("K7Q-4MX", value_of(PENDING)),
        dialogs.revoke("K7Q-4MX", value_of(PENDING)),
        dialogs.comment("K7Q-4MX", value_of(PENDING)),
        dialogs.trip(dialogs.scopes_of("a" * 255, "t" * 255, "e" * 255), value_of(PENDING)),
        home(Inbox(operator=None, is_linked=False, waiting=[], stopped=[], now=T0)),
        home(Inbox(operator="eve", is_linked=False, waiting=[], stopped=[], now=T0)),
        home(
            Inbox(
                operator="eve",
                is_linked=True,
                waiting=[approval(f"apr_{number}", code=f"K7Q-{number:03d}") for number in range(40)],
                stopped=[FULL_BREAKER, *(breaker(f"brk_{number}") for number in range(40))],
                now=T0,
            )
        ),
    ],
)
def test_dialogs_and_home_are_taken_by_slack_and_read_no_markup(view: dict[str, Any]) -> None:
    assert faults_of_view(view) == []
    assert not [node for node in nodes(view) if node.get("type") == "mrkdwn"]


def test_what_can_be_stopped_from_a_card() -> None:
    about = {"agent": "deployer", "tool": "k8s.scale", "environment": "prod"}
    found = {choice: dialogs.scope_chosen(choice, **about) for choice in dialogs.scopes_of(**about)}

    assert found == {
        "agent": Scope(agent="deployer"),
        "agent+tool": Scope(agent="deployer", tool="k8s.scale"),
        "tool": Scope(tool="k8s.scale"),
        "environment": Scope(environment="prod"),
    }
    assert dialogs.scope_chosen("everything", **about) is None


def test_a_stranger_is_told_that_nothing_they_press_counts() -> None:
    assert "counts" in json.dumps(home(Inbox(operator=None, is_linked=False, waiting=[], stopped=[], now=T0)))
    assert BreakerState.FORCED_OPEN.value in json.dumps(
        home(Inbox(operator="eve", is_linked=False, waiting=[], stopped=[breaker()], now=T0))
    )
