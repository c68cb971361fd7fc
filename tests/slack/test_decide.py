"""Who may decide in Slack: the matrix, as data, over both ways in; each refusal said to the person, and on record."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web as aiohttp_web

from assent.core.actions import ActionState
from assent.core.approvals import ApprovalState, Need, Route, Step
from assent.core.canonical import load
from assent.core.operators import Assurance
from assent.demo.workspace.people import OTHER_TEAM, Person
from assent.demo.workspace.server import StandIn, serving
from assent.demo.workspace.state import Delivered, Fault, Message, Workspace
from assent.flows.answers import Answered
from assent.flows.deliver import deliver
from assent.ports import View
from assent.slack import dialogs
from assent.slack.callbacks import Callbacks
from assent.slack.channel import SlackChannel
from assent.slack.hearing import Hearing
from assent.slack.receiving import Receiver
from assent.slack.socket import Socket
from assent.slack.speaking import Speaker
from assent.slack.view import Press
from assent.slack.web import SlackWeb
from tests.flows.world import SetClock, TownPolicy, World, a_world
from tests.slack.conftest import PROD, SCOPES

STEP = Step(after=timedelta(0), tell=(f"slack:{PROD.id}",))
EVE, SAM, OWNER, NOBODY = (Person(id=f"U0{name}", name=name.lower()) for name in ("EVE", "SAM", "OWNER", "NOBODY"))
ALIAS = Person(id="U0EVE2", name="eve-again")
FOREIGN = Person(id="U0EVE", name="eve", team=OTHER_TEAM)


def town_policy(**route: Any) -> TownPolicy:
    people = tuple(replace(p, identities={"slack": f"T0TOWN/U0{p.id.upper()}"}) for p in TownPolicy().people)
    usual = Route(name="default", needs=(Need(count=1, of="oncall"),), assurance=Assurance.SLACK, steps=(STEP,))
    return TownPolicy(people=people, routes={"default": replace(usual, **route)})


@dataclass
class Office:
    """A broker with its Slack, and what came of what people did there."""

    world: World
    slack: StandIn
    web: SlackWeb
    asked: Answered = field(init=False)

    async def ask(self, **more: Any) -> None:
        bot = await self.world.agent(issued_by=more.pop("issued_by", "admin"))
        self.asked = await self.world.ask(bot, **more)
        await self.follow()

    async def follow(self) -> None:
        for _ in range(3):
            self.world.clock.forward(seconds=1.1)
            await deliver(self.world.broker, {"slack": SlackChannel(self.web, team="T0TOWN")})

    @property
    def card(self) -> Message:
        return next(message for message in self.slack.slack.messages if message.only_for is None)

    def heard_by(self, person: str) -> list[str]:
        found = [
            message for message in self.slack.slack.messages if message.only_for == self.slack.slack.person(person).id
        ]
        return [message.now["blocks"][0]["elements"][0]["elements"][0]["text"] for message in found]

    async def press(self, person: str, press: str = Press.APPROVE, **more: Any) -> Delivered:
        return await self.slack.as_user(person).press(self.card, press, **more)

    async def states(self) -> tuple[str, str]:
        async def work(view: View) -> tuple[str, str]:
            (approval,) = await view.approvals(list(ApprovalState), limit=2)
            action = await view.get(type(self.asked.action), approval.action)
            assert action is not None
            return approval.state.value, action.state.value

        return await self.world.ledger.read(work)

    async def refusals(self) -> list[dict[str, Any]]:
        return [dict(load(r.leaf)) for r in await self.world.records(kind="approval.vote_refused")]  # type: ignore[arg-type]  # leaves are objects


@pytest.fixture(params=["socket", "http"])
async def office(request: pytest.FixtureRequest) -> AsyncIterator[Office]:
    clock = SetClock()

    def seconds() -> float:
        return clock.now.timestamp()

    people = (EVE, SAM, OWNER, NOBODY, ALIAS)
    workspace = Workspace(people=people, channels=[PROD], scopes=SCOPES, clock=seconds)
    world = a_world(clock, town_policy())
    start = over_sockets if request.param == "socket" else over_http
    async for made in start(world, workspace, seconds):
        yield made
    await world.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has


def hearing_of(world: World, web: SlackWeb, slack: StandIn, session: aiohttp.ClientSession) -> Hearing:
    callbacks = Callbacks(world.broker, web, team="T0TOWN", app="A0ASSENT")
    return Hearing(callbacks, Speaker(session, addresses=slack.url))


async def over_sockets(world: World, workspace: Workspace, _seconds: Callable[[], float]) -> AsyncIterator[Office]:
    async with serving(workspace, acknowledged_within_seconds=2) as slack, aiohttp.ClientSession() as session:
        web = SlackWeb(workspace.bot_token, base_url=slack.api, timeout_seconds=1)
        socket = Socket(hearing_of(world, web, slack, session), web, app_token=workspace.app_token)
        await socket.open()
        assert await socket.is_open()
        yield Office(world, slack, web)
        await socket.close()
        await web.close()


async def over_http(world: World, workspace: Workspace, seconds: Callable[[], float]) -> AsyncIterator[Office]:
    receivers: list[Receiver] = []

    async def listen(request: aiohttp_web.Request) -> aiohttp_web.Response:
        headers = {name.lower(): value.encode() for name, value in request.headers.items()}
        received = await receivers[0].receive(
            await request.read(),
            timestamp=headers.get("x-slack-request-timestamp"),
            signature=headers.get("x-slack-signature"),
            media_type=headers.get("content-type"),
        )
        return aiohttp_web.json_response(dict(received.payload), status=received.status)

    application = aiohttp_web.Application()
    application.router.add_post("/", listen)
    runner = aiohttp_web.AppRunner(application)
    await runner.setup()
    await aiohttp_web.TCPSite(runner, "127.0.0.1", 0).start()
    address: Any = runner.addresses[0]
    url = f"http://127.0.0.1:{address[1]}/"
    async with (
        serving(workspace, request_url=url, acknowledged_within_seconds=2) as slack,
        aiohttp.ClientSession() as session,
    ):
        web = SlackWeb(workspace.bot_token, base_url=slack.api, timeout_seconds=1)
        hearing = hearing_of(world, web, slack, session)
        secrets = [workspace.signing_secret.encode()]
        receivers.append(Receiver(hearing, world.broker.signals, secrets=secrets, now_seconds=seconds))
        yield Office(world, slack, web)
        await web.close()
    await runner.cleanup()


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


@dataclass(frozen=True, kw_only=True)
class Row:
    """Somebody who presses Approve, and what they are told."""

    person: Person
    told: str
    operator: str | None = None
    ask: dict[str, Any] = field(default_factory=dict)
    route: dict[str, Any] = field(default_factory=dict)
    code: str = "not_eligible"


MATRIX = {
    "owner": Row(person=OWNER, told="you own this agent", operator="owner"),
    "driver": Row(person=EVE, told="acts on your behalf", operator="eve", ask={"on_behalf_of": ("operator:eve",)}),
    "key issuer": Row(person=EVE, told="you issued the agent's key", operator="eve", ask={"issued_by": "eve"}),
    "alias account": Row(person=ALIAS, told="no operator of the policy"),
    "stranger": Row(person=NOBODY, told="no operator of the policy"),
    "deactivated": Row(person=replace(EVE, is_deleted=True), told="is deactivated"),
    "guest": Row(person=replace(EVE, is_guest=True), told="is a guest's"),
    "single-channel guest": Row(person=replace(EVE, is_single_channel_guest=True), told="is a guest's"),
    "bot": Row(person=replace(EVE, is_bot=True), told="is a bot's"),
    "shared channel": Row(person=replace(EVE, is_stranger=True), told="another workspace"),
    "other workspace": Row(person=FOREIGN, told="another workspace"),
    "wrong group": Row(
        person=EVE, told="none of the groups", operator="eve", route={"needs": (Need(count=1, of="security"),)}
    ),
    "assurance": Row(
        person=EVE,
        told="accepts `linked` or better",
        operator="eve",
        route={"assurance": Assurance.LINKED},
        code="step_up_required",
    ),
}


@pytest.mark.requirement("T3", "T4", "P5")
@pytest.mark.parametrize("name", MATRIX)
async def test_who_may_not_approve_is_told_why_and_stands_on_record(office: Office, name: str) -> None:
    row = MATRIX[name]
    office.world.policy = town_policy(**row.route)
    office.slack.slack.set_person(row.person)
    await office.ask(**row.ask)
    await office.press(row.person.id)

    assert await office.states() == ("pending", "pending")
    (told,) = office.heard_by(row.person.id)
    assert "Not counted" in told
    assert row.told in told
    (refused,) = await office.refusals()
    assert refused.get("operator") == row.operator
    assert refused["reasons"] == [row.code]
    assert refused["detail"]["account"].endswith(row.person.id)
    assert refused["detail"]["act"] == "approve"


async def test_too_late_and_already_decided(office: Office) -> None:
    await office.ask()
    await office.press("eve")
    await office.press("sam")
    assert any("already" in told or "approved" in told for told in office.heard_by("sam"))
    assert [r["reasons"] for r in await office.refusals()] == [["already_decided"]]


async def test_after_its_time_nothing_counts(office: Office) -> None:
    await office.ask()
    office.world.clock.forward(minutes=20)
    await office.press("eve")

    assert [r["reasons"] for r in await office.refusals()] == [["approval_expired"]]
    assert (await office.states())[1] == "pending"


async def test_a_digest_that_was_not_shown_does_not_count(office: Office) -> None:
    await office.ask()
    for form in office.card.forms:
        for block in form["blocks"]:
            for element in block.get("elements", []):
                if element.get("action_id") == Press.APPROVE:
                    element["value"] = element["value"].replace(office.asked.action.digest[:16], "0" * 16)
    await office.press("eve")

    assert [r["reasons"] for r in await office.refusals()] == [["digest_changed"]]
    assert await office.states() == ("pending", "pending")


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
    assert "faster than anybody reads" in office.heard_by("nobody")[-1]
    office.world.clock.forward(minutes=1)
    await office.press("eve")
    assert (await office.states())[0] == "approved"


async def test_a_copy_of_a_card_elsewhere_counts_nothing(office: Office) -> None:
    await office.ask()
    copy = Message(channel=PROD.id, ts="1.000001", forms=[office.card.now])
    await office.slack.as_user("eve").press(copy, Press.APPROVE)

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


async def test_who_can_and_can_i(office: Office) -> None:
    await office.ask()
    await office.press("owner", Press.MORE, choose="why")
    await office.press("eve", Press.MORE, choose="why")

    assert office.heard_by("owner") == [
        "You cannot: you may not decide this approval: you own this agent. Who can: eve, sam."
    ]
    assert office.heard_by("eve") == ["You can answer this. Who can: eve, sam."]


async def test_commands_and_the_home_tab(office: Office) -> None:
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
    await eve.open_home()

    pending, shown, told, no_pattern, no_name, tripped = office.heard_by("eve")
    assert "files.write in production" in pending
    assert "you can answer it on its card" in shown
    assert "buttons of the card" in told
    assert "is no pattern of tools: a segment is empty" in no_pattern
    assert no_name.startswith("Name what to stop.")
    assert tripped.startswith("Stopped: agent `bot`. 1 cancelled")
    assert office.heard_by("nobody") == [
        "you may not decide this approval: no operator of the policy is declared with this Slack account."
    ]
    assert "You are eve" in str(office.slack.slack.homes["U0EVE"].view)


async def test_a_click_that_cannot_be_stored_is_not_acknowledged_and_says_so(office: Office) -> None:
    await office.ask()
    await office.world.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has
    delivered = await office.press("eve")

    assert delivered.outcome.startswith("lost")
    assert "Not recorded" in office.heard_by("eve")[0]


async def test_another_app_presses_nothing(office: Office) -> None:
    await office.ask()
    payload = (await office.press("eve", Press.MORE, choose="why")).payload | {"api_app_id": "A0OTHER"}
    payload["actions"] = [{"action_id": Press.APPROVE, "value": office.card.control(Press.APPROVE)[0]["value"]}]  # type: ignore[index]  # it stands there
    await office.slack.delivery.deliver("interactive", "U0EVE", payload)

    assert await office.states() == ("pending", "pending")
