"""What people decide in Slack, over both ways in: presses, dialogs, commands; refusals are in test_matrix."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, cast

import pytest

from assent.core.actions import ActionState
from assent.core.agents import AgentId
from assent.core.approvals import Need
from assent.core.breakers import Scope
from assent.core.canonical import load
from assent.core.errors import LedgerUnavailable
from assent.demo.workspace.rules import faults_of_view
from assent.demo.workspace.state import Fault, Message
from assent.flows.names import Unknown
from assent.flows.trip_breaker import Tripped
from assent.ports import Ledger
from assent.slack import dialogs, heard, stopped
from assent.slack.callbacks import Callbacks
from assent.slack.view import Press
from tests.core.samples import a_breaker, an_action
from tests.slack.conftest import PROD
from tests.slack.office import EVE, RUNBOOK, Office, an_office, town_policy


@pytest.fixture(params=["socket", "http"])
async def office(request: pytest.FixtureRequest) -> AsyncIterator[Office]:
    async for made in an_office(request.param):
        yield made


@pytest.mark.requirement("P5")
async def test_a_click_approves_and_the_record_names_the_account(office: Office) -> None:
    await office.ask()
    delivered = await office.press("eve")
    await office.follow()

    assert delivered.outcome == "acknowledged"
    assert await office.states() == ("approved", "ready")
    assert "waiting for the agent" in office.card.now["text"]
    (voted,) = [load(r.leaf) for r in await office.world.records(kind="approval.voted")]
    assert isinstance(voted, dict)
    assert voted["operator"] == "eve"
    assert isinstance(voted["detail"], dict)
    assert (voted["detail"]["surface"], voted["detail"]["account"]) == ("slack", "T0TOWN/U0EVE")
    assert voted["detail"]["assurance"] == "slack"


async def test_a_click_twice_counts_once(office: Office) -> None:
    office.world.policy = town_policy(needs=(Need(count=2, of="oncall"),))
    await office.ask()
    for _ in range(3):
        await office.press("eve")
    assert await office.states() == ("partial", "pending")
    assert any("needs more" in told for told in office.heard_by("eve"))
    await office.press("sam")
    assert await office.states() == ("approved", "ready")
    assert len(await office.world.records(kind="approval.voted")) == 2


@pytest.mark.parametrize("how", ["500", "reset_before", "429", "token_revoked"])
async def test_when_slack_does_not_say_who_it_is_production_stays_shut(office: Office, how: str) -> None:
    await office.ask()
    office.slack.slack.faults.append(Fault(method="users.info", how=how))
    await office.press("eve")

    assert await office.states() == ("pending", "pending")
    assert "could not be looked up" in office.heard_by("eve")[0]
    await office.press("eve")
    assert await office.states() == ("approved", "ready")


@pytest.mark.requirement("T14")
async def test_one_account_cannot_use_up_what_others_need(office: Office) -> None:
    await office.ask()
    for _ in range(30):
        await office.press("nobody")
    asked = [call for call in office.slack.slack.calls if call.method == "users.info"]
    assert len(asked) < 30
    assert len(await office.refusals()) == len(asked)
    assert office.world.broker.unrecorded.gather() == {"T0TOWN/U0NOBODY": 30 - len(asked)}
    assert "faster than anybody reads" in office.heard_by("nobody")[-1]
    office.world.clock.forward(minutes=1)
    await office.press("eve")
    assert (await office.states())[0] == "approved"


async def test_a_copy_of_a_card_elsewhere_counts_nothing(office: Office) -> None:
    await office.ask()
    copy = Message(channel=PROD.id, ts="1.000001", forms=[office.card.now])
    await office.slack.as_user("eve").press(copy, Press.APPROVE)
    await office.hearing.settle()

    assert await office.states() == ("pending", "pending")
    assert "no card that this broker knows" in office.heard_by("eve")[0]


async def test_a_denial_with_its_reason(office: Office) -> None:
    await office.ask()
    await office.press("eve", Press.DENY)
    await office.slack.as_user("eve").submit(**{dialogs.CATEGORY: "wrong_time", dialogs.REASON: "freeze <!channel>"})
    await office.follow()

    assert await office.states() == ("denied", "denied")
    assert "nothing was run" in office.card.now["text"]
    assert "freeze <!channel>" in str(office.card.now["blocks"])


async def test_a_denial_by_command_opens_the_same_dialog(office: Office) -> None:
    await office.ask()
    approval = office.asked.approval
    assert approval is not None
    await office.slack.as_user("eve").type_command(f"deny {approval.code.lower()}", channel=PROD.id)
    await office.slack.as_user("eve").submit(**{dialogs.CATEGORY: "not_needed", dialogs.REASON: "no"})
    await office.follow()

    assert await office.states() == ("denied", "denied")
    await office.slack.as_user("nobody").type_command(f"deny {approval.code}", channel=PROD.id)
    office.slack.slack.faults.append(Fault(method="views.open", how="expired_trigger_id"))
    await office.slack.as_user("sam").type_command(f"deny {approval.code}", channel=PROD.id)
    await office.hearing.settle()
    assert "no operator of the policy" in office.heard_by("nobody")[0]
    assert "did not open the dialog (expired_trigger_id)" in office.heard_by("sam")[0]


async def test_a_card_says_what_became_of_what_people_were_asked_before(office: Office) -> None:
    await office.ask()
    assert "people were never asked this before" in str(office.card.now["blocks"])
    await office.press("eve", Press.DENY)
    await office.slack.as_user("eve").submit(**{dialogs.CATEGORY: "not_needed"})
    await office.ask(arguments={"env": "production", "path": "other"})

    newest = [message for message in office.slack.slack.messages if message.only_for is None][-1]
    assert "0 runs: 0 ok, 0 failed, 0 unknown; 1 not approved" in str(newest.now["blocks"])
    assert "asked this before" not in str(office.card.now["blocks"]), "what is over looks back at nothing"


async def test_a_malicious_ask_is_denied_and_its_agent_stopped(office: Office) -> None:
    await office.ask()
    await office.press("eve", Press.DENY)
    await office.slack.as_user("eve").submit(**{dialogs.CATEGORY: dialogs.AND_TRIP})

    assert await office.states() == ("denied", "denied")
    again = await office.world.ask(await office.world.agent(), arguments={"env": "staging"})
    assert again.decision.reasons[0].code == "breaker_open"


async def test_who_may_not_deny_is_told_in_the_dialog(office: Office) -> None:
    await office.ask()
    await office.press("eve", Press.DENY)
    office.slack.slack.set_person(replace(EVE, is_deleted=True))
    await office.slack.as_user("eve").submit(**{dialogs.CATEGORY: "too_risky"})

    opened = office.slack.as_user("eve").modal()
    assert opened.view["callback_id"] == "assent.deny"
    assert await office.states() == ("pending", "pending")
    assert [r["detail"]["act"] for r in await office.refusals()] == ["deny"]


async def test_a_yes_with_a_comment_and_its_revocation(office: Office) -> None:
    await office.ask()
    await office.press("eve", Press.MORE, choose="comment")
    await office.slack.as_user("eve").submit(**{dialogs.REASON: "as agreed"})
    await office.follow()
    assert await office.states() == ("approved", "ready")
    await office.press("sam", Press.REVOKE)
    await office.slack.as_user("sam").submit(**{dialogs.REASON: "changed my mind"})
    await office.follow()

    assert await office.states() == ("approved", ActionState.REVOKED.value)
    assert "Revoked, nothing was run" in office.card.now["text"]


async def test_a_trip_from_the_card(office: Office) -> None:
    await office.ask()
    await office.press("eve", Press.MORE, choose="trip")
    await office.slack.as_user("eve").submit(**{dialogs.SCOPE: "environment", dialogs.REASON: "stop"})
    await office.follow()

    assert (await office.states())[0] == "cancelled"
    assert "Cancelled, nothing was run" in office.card.now["text"]
    said = office.said_to("eve")
    assert "Stopped: environment `production`. Nothing in this scope passes from now on." in said
    assert "Cut off before it ran: 1 (bot: files.write in production)." in said
    assert "Still running, a breaker cannot stop it: nothing." in said
    assert said.endswith(RUNBOOK)
    assert "submit" not in office.slack.as_user("eve").modal().view


async def test_a_denial_that_also_stops_the_agent_says_both(office: Office) -> None:
    await office.ask()
    await office.press("eve", Press.DENY)
    await office.slack.as_user("eve").submit(**{dialogs.CATEGORY: dialogs.AND_TRIP, dialogs.REASON: "no"})
    said = office.said_to("eve")
    assert "is denied, nothing was run." in said
    assert "Stopped: agent `bot`." in said
    assert "Cut it off elsewhere: revoke bot" in said
    assert said.endswith(RUNBOOK)


class ReadOnly:
    """A ledger that answers questions and takes nothing."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def __getattr__(self, name: str) -> Any:  # whatever else a ledger has
        return getattr(self._ledger, name)

    async def transact(self, *_: object, **__: object) -> None:
        raise LedgerUnavailable("the disk hangs")


@pytest.mark.requirement("P6", "T5")
async def test_a_stop_that_holds_in_memory_only_says_so_wherever_it_was_asked_for(office: Office) -> None:
    await office.ask()
    await office.press("eve", Press.MORE, choose="trip")
    sent = await office.slack.as_user("eve").submit(**{dialogs.SCOPE: "agent"})
    typed = await office.slack.as_user("eve").type_command("trip agent:bot loop", channel=PROD.id)
    broker = replace(office.world.broker, ledger=cast("Ledger", ReadOnly(office.world.ledger)))
    callbacks = Callbacks(
        broker, office.web, team="T0TOWN", app="A0ASSENT", now_seconds=office.world.clock.steady, runbook=RUNBOOK
    )
    in_dialog, in_channel = heard.interaction(sent.payload), heard.command(typed.payload)
    assert in_dialog is not None
    answers = [await callbacks.hear(in_dialog), await callbacks.hear(in_channel)]
    for answer in answers:
        assert answer.said.startswith("agent `bot` is stopped in the memory of this broker only")
    assert [answer.payload.get("response_action") for answer in answers] == ["update", None]
    assert faults_of_view(answers[0].payload["view"]) == []
    assert [trip.scope for trip in broker.held.trips] == [Scope(agent="bot")]


def test_many_that_were_cut_off_are_counted_and_a_name_that_nobody_knows_is_questioned() -> None:
    waiting = tuple(replace(an_action(), agent=AgentId(f"b{number}")) for number in range(7))
    tripped = Tripped(
        breaker=a_breaker(Scope(agent="bott\u202e")),
        cut_off=waiting,
        running=waiting[:1],
        unknown=(Unknown(dimension="agent", name="bott\u202e", near=("bot",)),),
    )
    said = stopped.text_of(tripped)
    assert "Cut off before it ran: 7 (b0: " in said
    assert "and 2 more)." in said
    assert "Still running, a breaker cannot stop it: 1 (b0: " in said
    assert "did you mean `bot`; it is stopped all the same." in said
    assert "\u202e" not in said
    assert "Runbook" not in str(stopped.dialog_of(said, ""))


async def test_who_can_and_can_i(office: Office) -> None:
    await office.ask()
    await office.press("owner", Press.MORE, choose="why")
    await office.press("eve", Press.MORE, choose="why")

    assert office.heard_by("owner") == [
        "You cannot: you may not decide this approval: you own this agent. Who can: eve, sam."
    ]
    assert office.heard_by("eve") == ["You can answer this. Who can: eve, sam."]


async def test_what_is_typed_is_answered(office: Office) -> None:
    await office.ask()
    eve = office.slack.as_user("eve")
    for text in (
        "pending",
        f"show {office.asked.approval.code if office.asked.approval else ''}",
        "help",
        "trip tool:a..b",
        "trip nobody",
        "trip agent:bot loop",
    ):
        await eve.type_command(text, channel=PROD.id)
    await office.slack.as_user("nobody").type_command("pending", channel=PROD.id)
    await office.hearing.settle()

    pending, shown, told, no_pattern, no_name, tripped = office.heard_by("eve")
    assert "files.write in production" in pending
    assert "you can answer it on its card" in shown
    assert "button of the card" in told
    assert "is no pattern of tools: a segment is empty" in no_pattern
    assert no_name.startswith("Name what to stop.")
    assert tripped.startswith("Stopped: agent `bot`. Nothing in this scope passes from now on.\nCut off before")
    assert "Cut it off elsewhere: revoke bot" in tripped
    assert RUNBOOK in office.said_to("eve")
    assert office.heard_by("nobody") == [
        "you may not decide this approval: no operator of the policy is declared with this Slack account."
    ]


async def test_a_click_that_cannot_be_stored_is_not_acknowledged_and_says_so(office: Office) -> None:
    await office.ask()
    await office.world.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has
    delivered = await office.press("eve")

    assert delivered.outcome.startswith("lost")
    assert "Not recorded" in office.heard_by("eve")[0]


@pytest.mark.requirement("T23")
async def test_a_click_while_another_policy_is_taken_up_counts_nothing_and_says_when_to_press_again(
    office: Office,
) -> None:
    await office.ask()
    await office.world.another_is_active()
    await office.press("eve")
    assert office.heard_by("eve") == ["Not counted: this broker is taking up another policy. Press again in a moment."]
    assert "approval.voted" not in await office.world.kinds()


async def test_another_app_presses_nothing(office: Office) -> None:
    await office.ask()
    payload = (await office.press("eve", Press.MORE, choose="why")).payload | {"api_app_id": "A0OTHER"}
    payload["actions"] = [{"action_id": Press.APPROVE, "value": office.card.control(Press.APPROVE)[0]["value"]}]  # type: ignore[index]  # it stands there
    await office.slack.delivery.deliver("interactive", "U0EVE", payload)

    assert await office.states() == ("pending", "pending")
