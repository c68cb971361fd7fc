"""Slack fails in every way and for half an hour: no card stands there twice, none lies in the end, nothing passes."""

import contextlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import aiohttp
import pytest

from assent.api import ApiSettings
from assent.core.approvals import DenialCategory
from assent.core.deliveries import SLACK
from assent.core.operators import Assurance
from assent.demo.workspace.people import Channel as Room
from assent.demo.workspace.server import StandIn, serving
from assent.demo.workspace.state import Fault, Workspace
from assent.flows.deliver import deliver
from assent.flows.resolve_approval import approve_action, deny_action
from assent.flows.tick import tick
from assent.slack import accounts
from assent.slack.service import ASK_AFTER_SECONDS, SlackKeys, SlackService
from assent.slack.socket import SILENT_SECONDS, Socket, SocketKeeper
from assent.slack.web import SlackFault, SlackWeb
from tests.api.town import Town
from tests.flows.world import SetClock, World, a_world
from tests.slack.conftest import PROD, SCOPES
from tests.slack.office import EVE, SAM, Office, an_office, hearing_of, town_policy
from tests.slack.test_service import until

HISTORY = frozenset({"channels:history", "im:history"})
EVERY_WAY = ["500", "429", "slow", "reset_before", "reset_after", "garbage", "internal_error", "ratelimited"]


@dataclass
class House:
    """A broker whose Slack can go away, and rounds of its service on a clock that a test moves."""

    world: World
    slack: StandIn
    service: SlackService

    @property
    def workspace(self) -> Workspace:
        return self.slack.slack

    async def rounds(self, number: int, *, seconds: float) -> None:
        for _ in range(number):
            self.world.clock.forward(seconds=seconds)
            # A service with nothing to do waits for a reason; the clock of a test gives it one.
            self.world.broker.signals.wake("cards")
            await self.service.round()
            await deliver(self.world.broker, SLACK, self.service.channel)

    async def ask(self, number: int) -> list[Any]:
        asked = []
        for _ in range(number):
            name = f"bot{len(self.world.policy.profiles)}"
            self.world.declare(*self.world.policy.profiles, name)
            asked.append(await self.world.ask(await self.world.agent(name)))
        return asked

    def headlines(self) -> list[str]:
        cards = [message for message in self.workspace.messages if message.only_for is None]
        return sorted(str(card.now["blocks"][0]["text"]["text"]).partition(" · ")[0] for card in cards)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    clock = SetClock()
    room = Room(id=PROD.id, name=PROD.name)
    workspace = Workspace(people=(EVE, SAM), channels=[room], scopes=SCOPES | HISTORY, clock=clock.steady)
    world = a_world(clock, town_policy(assurance=Assurance.TOKEN))
    async with serving(workspace) as slack:
        keys = SlackKeys(bot_token=workspace.bot_token, signing_secrets=(b"s",), api_url=slack.api)
        service = SlackService(world.broker, keys, now_seconds=clock.steady, steady=clock.steady, timeout_seconds=1)
        yield House(world, slack, service)
        await service.close()
    await world.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has


@pytest.mark.timeout(120)
@pytest.mark.requirement("P7", "T18")
@pytest.mark.parametrize("how", ["500", "429", "reset_before", "reset_after", "garbage", "token_revoked"])
async def test_half_an_hour_without_slack_ends_with_every_card_right(house: House, how: str) -> None:
    told_before = await house.ask(3)
    await house.rounds(6, seconds=2)
    house.workspace.faults.append(Fault(method="*", how=how, times=1_000_000))
    told_while_away = await house.ask(3)
    eve, sam = await house.world.operator("eve"), await house.world.operator("sam")
    await house.rounds(10, seconds=2)
    for one in (told_before[0], told_while_away[0]):
        await approve_action(house.world.broker, eve, one.approval.id, digest_prefix=one.action.digest)
    for one in (told_before[1], told_while_away[1]):
        no = DenialCategory.TOO_RISKY
        await deny_action(house.world.broker, sam, one.approval.id, category=no, comment="")
    await house.rounds(40, seconds=46)
    while (await tick(house.world.broker)).moved:
        pass
    down = house.service.down
    house.workspace.faults.clear()
    late = await house.ask(1)
    await house.rounds(60, seconds=10)

    # What was over before anybody could be told is not told any more; nothing that was told stands there twice.
    told = [one for one in house.headlines() if one != "Approval needed"]
    times = 2 if how == "reset_after" else 1  # those posts had arrived, and their cards are found again
    assert Counter(told) == {
        "Approved, not picked up, nothing was run": times,
        "Denied, nothing was run": times,
        "Nobody answered in time, nothing was run": times,
    }
    assert len(house.headlines()) == len(told) + 1
    assert late[0].approval is not None
    assert (down is not None) == (how != "429")
    assert house.service.down is None


async def test_a_burst_is_told_one_card_a_second_and_is_no_storm_of_refusals(house: House) -> None:
    await house.ask(18)
    await house.rounds(50, seconds=1)
    assert house.headlines() == ["Approval needed"] * 18
    posts = [call for call in house.workspace.calls if call.method == "chat.postMessage"]
    assert [call.said for call in posts] == ["ok"] * 18
    assert len({int(call.at) for call in posts}) == 18


async def test_when_slack_counts_otherwise_than_we_do_it_is_left_alone_for_as_long_as_it_says(house: House) -> None:
    await house.ask(5)
    house.workspace.faults.append(Fault(method="chat.postMessage", how="429", times=3, retry_after=30))
    await house.rounds(140, seconds=1)
    assert house.headlines() == ["Approval needed"] * 5
    refused = [call.at for call in house.workspace.calls if call.said == "429"]
    assert len(refused) == 3
    assert all(later - sooner >= 29 for sooner, later in pairwise(refused))


async def test_an_archived_channel_keeps_nothing_else_waiting(house: House) -> None:
    house.workspace.set_channel(Room(id=PROD.id, name=PROD.name, is_archived=True))
    await house.ask(2)
    await house.rounds(3, seconds=1)
    assert house.headlines() == []
    assert house.service.down is None, "Slack is there, the channel is not"


async def test_while_slack_is_away_the_agent_hears_where_its_question_is_asked(house: House) -> None:
    channels = ApiSettings(
        tells_over=frozenset({"slack", "webhook"}), approvals_url="https://assent.example/approvals/"
    )
    town = Town(house.world, channels)
    town.app = town.with_slack(house.service)
    (asked,) = await house.ask(1)
    look, agent = f"/v1/actions/{asked.action.id}", await town.agent(asked.action.agent)
    told = (await town.get(agent, look)).json["approval"]
    assert (told["asked_in"], "notice" in told) == (["slack", "console", "cli"], False)

    house.workspace.faults.append(Fault(method="*", how="500", times=1_000_000))
    await house.rounds(4, seconds=ASK_AFTER_SECONDS)
    told = (await town.get(agent, look)).json["approval"]
    assert (told["asked_in"], told["notice"]) == (["console", "cli"], "Slack is away since 10:00 UTC (status 500)")


async def test_slack_away_is_a_metric_and_a_banner_until_it_is_back(house: House) -> None:
    town = Town(house.world)
    town.app = town.with_slack(house.service)
    (asked,) = await house.ask(1)
    await house.rounds(1, seconds=1)
    assert (await town.get(await town.operator(), "/v1/approvals")).json.get("notice") is None

    house.workspace.faults.append(Fault(method="*", how="500", times=1_000_000))
    await house.rounds(4, seconds=ASK_AFTER_SECONDS)
    page = (await town.get(await town.operator(), "/v1/approvals")).json
    assert page["notice"] == "Slack is away since 10:00 UTC (status 500): no card comes, answer here"
    assert [one["code"] for one in page["items"]] == [asked.approval.code]

    house.workspace.faults.clear()
    await house.rounds(2, seconds=ASK_AFTER_SECONDS)
    assert (await town.get(await town.operator(), "/v1/approvals")).json.get("notice") is None


async def test_one_call_without_an_answer_is_no_outage_and_a_token_without_worth_is_one() -> None:
    workspace = Workspace(people=(EVE,), scopes=SCOPES)
    async with serving(workspace) as slack:
        web = SlackWeb(workspace.bot_token, base_url=slack.api, timeout_seconds=1, now_seconds=lambda: 7.0)
        for how, is_away in (("500", False), ("500", True), ("429", False), ("token_revoked", True), ("", False)):
            workspace.faults[:] = [Fault(method="*", how=how)] if how else []
            with contextlib.suppress(SlackFault):
                await web.call("auth.test")
            assert (web.trouble is not None) == is_away, how
            assert web.trouble is None or web.trouble.since == 7.0
        await web.close()


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    async for made in an_office("socket"):
        yield made


@pytest.fixture
async def over_http() -> AsyncIterator[Office]:
    async for made in an_office("http"):
        yield made


async def test_an_account_that_takes_too_long_to_look_up_holds_up_no_acknowledgement(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "LOOK_SECONDS", 0.1)
    await office.ask()
    office.slack.slack.faults.append(Fault(method="users.info", how="slow"))
    delivered = await office.press("eve")
    assert delivered.outcome == "acknowledged"
    assert "could not be looked up" in office.heard_by("eve")[0]
    assert await office.states() == ("pending", "pending")


async def test_an_answer_that_slack_does_not_take_holds_up_no_acknowledgement(office: Office) -> None:
    await office.ask(on_behalf_of=("operator:eve",))
    office.slack.slack.hooks.clear()
    payload = (await office.press("eve")).payload
    office.slack.slack.hooks.clear()
    again = await office.slack.delivery.deliver(
        "interactive", "U0EVE", payload | {"response_url": f"{office.slack.url}/hook/gone"}
    )
    assert again.outcome == "acknowledged"
    await office.hearing.settle()


@pytest.mark.parametrize("reason", ["refresh_requested", "warning"])
async def test_a_socket_that_slack_closes_comes_back_and_clicks_go_on(office: Office, reason: str) -> None:
    await office.ask()
    await office.slack.delivery.refresh(reason)
    await until(lambda: office.slack.delivery.sockets, "a new socket")
    delivered = await office.press("eve")
    assert delivered.outcome == "acknowledged"
    assert await office.states() == ("approved", "ready")


class Silenced(Socket):
    """A socket that can stop answering pings."""

    is_silent = False

    async def is_open(self) -> bool:
        return await super().is_open() and not self.is_silent


async def settled(keeper: SocketKeeper) -> None:
    await keeper.look()
    await keeper.settle()
    await keeper.look()


async def test_the_watchdog_replaces_a_silent_socket_and_an_old_one_the_new_one_first(office: Office) -> None:
    """A clock that a test moves stands for half an hour; the sockets are real."""
    now = [0.0]
    async with aiohttp.ClientSession() as session:
        hearing = hearing_of(office.world, office.web, office.slack, session)
        made: list[Silenced] = []

        def make() -> Socket:
            made.append(Silenced(hearing, office.web, app_token=office.slack.slack.app_token, ping_seconds=60))
            return made[-1]

        keeper = SocketKeeper(make, steady=lambda: now[0])
        assert (keeper.age_seconds, keeper.silent_seconds) == (None, 0.0)
        await settled(keeper)
        assert (len(made), keeper.age_seconds) == (1, 0.0)

        now[0] += 1_800
        await settled(keeper)
        assert (len(made), keeper.age_seconds) == (2, 0.0)
        assert [await one.is_open() for one in made] == [False, True]

        made[1].is_silent = True
        now[0] += SILENT_SECONDS - 1
        await keeper.look()
        assert (len(made), keeper.silent_seconds) == (2, SILENT_SECONDS - 1)
        now[0] += 1
        await settled(keeper)
        assert (len(made), keeper.silent_seconds) == (3, 0.0)
        await keeper.close()


async def test_a_stalled_socket_is_noticed_by_its_pings(office: Office) -> None:
    async with aiohttp.ClientSession() as session:
        hearing = hearing_of(office.world, office.web, office.slack, session)
        socket = Socket(hearing, office.web, app_token=office.slack.slack.app_token, ping_seconds=0.05)
        await socket.open()
        office.slack.delivery.stall()
        await until(lambda: not all(one.is_stalled for one in office.slack.delivery.sockets), "a new socket")
        assert await socket.is_open()
        await socket.close()


async def test_a_socket_that_cannot_be_opened_keeps_no_card_waiting(house: House) -> None:
    keys = SlackKeys(bot_token=house.workspace.bot_token, app_token="xapp-wrong", api_url=house.slack.api)
    clock = house.world.clock
    service = SlackService(house.world.broker, keys, now_seconds=clock.steady, steady=clock.steady, timeout_seconds=1)
    house.service, before = service, house.service
    await house.ask(1)
    await house.rounds(3, seconds=1)
    assert house.headlines() == ["Approval needed"]
    assert service.notice is None
    await house.rounds(4, seconds=SILENT_SECONDS / 3)
    assert "no socket answers" in str(service.notice)
    assert service.socket_age_seconds is None
    began = time.monotonic()
    await service.close()
    assert time.monotonic() - began < 5
    house.service = before


@pytest.mark.requirement("T8")
@pytest.mark.parametrize("skew", [-305, -299, 0, 299, 305])
async def test_a_clock_that_is_wrong_by_more_than_five_minutes_takes_nothing_from_slack(
    over_http: Office, skew: int
) -> None:
    await over_http.ask()
    body = b"payload=" + json.dumps({"type": "block_actions"}).encode()
    status, _ = await over_http.slack.delivery.post(
        body, "application/x-www-form-urlencoded", at=int(over_http.world.clock.now.timestamp()) + skew
    )
    assert status == (401 if abs(skew) > 300 else 200)


@pytest.mark.requirement("T8")
async def test_a_click_that_is_sent_again_a_thousand_times_has_one_effect(over_http: Office) -> None:
    await over_http.ask()
    delivered = await over_http.press("eve")
    at = int(over_http.world.clock.now.timestamp())
    body, media = b"payload=" + json.dumps(delivered.payload).encode(), "application/x-www-form-urlencoded"
    answers = [(await over_http.slack.delivery.post(body, media, at=at))[0] for _ in range(200)]
    assert answers == [200] + [401] * 199
    assert await over_http.states() == ("approved", "ready")
    assert len(await over_http.world.records(kind="approval.voted")) == 1
