"""The stand-in is as strict as Slack: what would fail there fails here, in the same words, through the real client."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web as aiohttp_web
from slack_sdk.signature import Clock, SignatureVerifier
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse

from assent.demo.workspace.delivering import MAX_SOCKETS
from assent.demo.workspace.people import Channel, Person
from assent.demo.workspace.server import StandIn, serving
from assent.demo.workspace.state import Fault, Message, Refused, Workspace
from assent.slack.cards import card
from assent.slack.view import Press
from assent.slack.web import Gone, LockedOut, NobodyKnows, NotNow, SlackFault, SlackWeb, TooLong
from tests.slack.conftest import PROD, Seconds
from tests.slack.test_cards import ENDED, PENDING

TEXT = {"text": "hello"}


async def post_card(web: SlackWeb, view: Any = PENDING, channel: str = PROD.id) -> dict[str, Any]:
    made = card(view)
    return await web.call("chat.postMessage", channel=channel, text=made.text, blocks=list(made.blocks))


def only_message(workspace: Workspace) -> Message:
    (found,) = workspace.messages
    return found


@pytest.mark.parametrize("view", [PENDING, *ENDED.values()])
async def test_every_card_is_taken(web: SlackWeb, workspace: Workspace, view: Any) -> None:
    answered = await post_card(web, view)

    assert answered["ts"] == only_message(workspace).ts
    assert only_message(workspace).now["text"] == card(view).text


async def test_a_card_is_changed_in_place_and_keeps_every_form_it_had(web: SlackWeb, workspace: Workspace) -> None:
    posted = await post_card(web)
    after = card(ENDED["Approved, running"])
    await web.call("chat.update", channel=PROD.id, ts=posted["ts"], text=after.text, blocks=list(after.blocks))

    assert len(only_message(workspace).forms) == 2
    assert "running" in only_message(workspace).now["text"]


@pytest.mark.parametrize(
    ("method", "arguments", "said"),
    [
        ("chat.postMessage", {"channel": "C0NOWHERE", **TEXT}, "channel_not_found"),
        ("chat.postMessage", {"channel": PROD.id}, "no_text"),
        ("chat.postMessage", {**TEXT}, "invalid_arguments"),
        ("chat.postMessage", {"channel": PROD.id, **TEXT, "colour": "red"}, "invalid_arguments"),
        ("chat.postMessage", {"channel": PROD.id, "text": "x" * 40_001}, "msg_too_long"),
        ("chat.postMessage", {"channel": PROD.id, "blocks": [{"type": "section"}], **TEXT}, "invalid_blocks"),
        ("chat.update", {"channel": PROD.id, "ts": "1.1", **TEXT}, "message_not_found"),
        ("chat.postEphemeral", {"channel": PROD.id, "user": "U0NOBODY", **TEXT}, "user_not_in_channel"),
        ("views.open", {"trigger_id": "none", "view": {"type": "modal"}}, "invalid_arguments"),
        ("views.publish", {"user_id": "U0NOBODY", "view": {"type": "home"}}, "user_not_found"),
        ("users.info", {"user": "U0NOBODY"}, "user_not_found"),
        ("usergroups.users.list", {"usergroup": "S0NONE"}, "no_such_subteam"),
        ("conversations.open", {"users": "U0GONE"}, "user_disabled"),
        ("reminders.add", {"text": "x"}, "unknown_method"),
    ],
)
async def test_what_slack_refuses_is_refused(web: SlackWeb, method: str, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(SlackFault) as refused:
        await web.call(method, **arguments)

    assert refused.value.said == said


async def test_a_method_that_reads_forms_does_not_see_json(slack: StandIn) -> None:
    headers = {"authorization": f"Bearer {slack.slack.bot_token}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{slack.api}users.info", json={"user": "U0DANA"}, headers=headers) as answered,
    ):
        assert await answered.json() == {"ok": False, "error": "invalid_arguments", "missing": ["user"]}


async def test_one_message_a_second_and_channel(web: SlackWeb, seconds: Seconds) -> None:
    await web.call("chat.postMessage", channel=PROD.id, **TEXT)
    for spelling in ("ratelimited", "rate_limited"):
        with pytest.raises(NotNow) as refused:
            await web.call("chat.postMessage", channel=PROD.id, **TEXT)
        assert (refused.value.said, refused.value.retry_after_seconds) == (spelling, 1.0)
    seconds.now += 1
    await web.call("chat.postMessage", channel=PROD.id, **TEXT)


async def test_so_many_calls_a_minute(web: SlackWeb, seconds: Seconds) -> None:
    for _ in range(20):
        await web.call("usergroups.users.list", usergroup="S0ONCALL")
    with pytest.raises(NotNow) as refused:
        await web.call("usergroups.users.list", usergroup="S0ONCALL")
    assert refused.value.retry_after_seconds == 60
    seconds.now += 61
    assert (await web.call("usergroups.users.list", usergroup="S0ONCALL"))["users"] == ["U0DANA", "U0EVE"]


async def test_a_missing_scope_and_a_wrong_token_lock_the_app_out(slack: StandIn, workspace: Workspace) -> None:
    workspace.scopes = frozenset()
    for token, said in ((workspace.bot_token, "missing_scope"), ("xoxb-other", "invalid_auth")):
        client = SlackWeb(token, base_url=slack.api)
        with pytest.raises(LockedOut) as refused:
            await client.call("users.info", user="U0DANA")
        await client.close()
        assert refused.value.said == said
        assert refused.value.hint


@pytest.mark.parametrize(
    ("how", "kind", "took_effect"),
    [
        ("429", NotNow, False),
        ("500", NobodyKnows, False),
        ("reset_before", NobodyKnows, False),
        ("reset_after", NobodyKnows, True),
        ("slow", NobodyKnows, True),
        ("garbage", NobodyKnows, False),
        ("msg_blocks_too_long", TooLong, False),
        ("is_archived", Gone, False),
        ("token_revoked", LockedOut, False),
    ],
)
async def test_faults_are_told_apart_by_what_may_have_happened(
    web: SlackWeb, workspace: Workspace, how: str, kind: type[SlackFault], *, took_effect: bool
) -> None:
    workspace.faults.append(Fault(method="chat.postMessage", how=how))

    with pytest.raises(SlackFault) as failed:
        await post_card(web)

    assert type(failed.value) is kind
    assert bool(workspace.messages) is took_effect
    assert len(workspace.calls) == 1, "the client repeated it on its own"


async def test_nobody_there_means_that_nothing_was_done() -> None:
    client = SlackWeb("xoxb", base_url="http://127.0.0.1:9/api/")
    with pytest.raises(NotNow):
        await client.call("auth.test")
    await client.close()


async def test_channels_that_are_closed_to_the_app(web: SlackWeb, workspace: Workspace, seconds: Seconds) -> None:
    workspace.set_channel(Channel(id=PROD.id, name=PROD.name, is_archived=True))
    with pytest.raises(Gone, match="is_archived"):
        await post_card(web)
    workspace.set_channel(Channel(id=PROD.id, name=PROD.name, has_bot=False))
    seconds.now += 1
    with pytest.raises(Gone, match="not_in_channel"):
        await post_card(web)


async def test_a_message_to_a_person_goes_to_their_direct_messages(web: SlackWeb, slack: StandIn) -> None:
    opened = await web.call("conversations.open", users="U0DANA")
    await post_card(web, channel=opened["channel"]["id"])

    assert len(slack.slack.seen_by("dana")) == 1
    assert slack.slack.seen_by("eve") == []


async def test_a_file_is_sent_in_three_steps(web: SlackWeb, workspace: Workspace, slack: StandIn) -> None:
    posted = await post_card(web)
    place = await web.call("files.getUploadURLExternal", filename="K7Q-4MX.txt", length=5)
    async with aiohttp.ClientSession() as session, session.post(place["upload_url"], data=b"hello") as sent:
        assert sent.status == 200
    file = {"id": place["file_id"], "title": "all of it"}
    await web.call("files.completeUploadExternal", files=[file], channel_id=PROD.id, thread_ts=posted["ts"])

    (kept,) = workspace.files.values()
    assert (kept["content"], kept["thread"]) == (b"hello", posted["ts"])
    assert slack.url in place["upload_url"]
    with pytest.raises(SlackFault, match="file_not_found"):
        await web.call("files.completeUploadExternal", files=[{"id": "F0"}])


# --- clicks -----------------------------------------------------------------------------------------------------------


class App:
    """An app that listens over HTTP as ours will: it checks the signature and remembers what came."""

    def __init__(self, secret: str, clock: Seconds) -> None:
        self.heard: list[dict[str, Any]] = []
        self.answer: dict[str, Any] | None = None
        self.is_late = False
        self._verifier = SignatureVerifier(secret, clock=_Clock(clock))

    async def listen(self, request: aiohttp_web.Request) -> aiohttp_web.Response:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        if not self._verifier.is_valid_request(body, headers):
            return aiohttp_web.Response(status=401)
        form = await request.post()
        self.heard.append(json.loads(str(form["payload"])) if "payload" in form else dict(form))
        if self.is_late:
            return aiohttp_web.Response(status=503)
        return aiohttp_web.json_response(self.answer) if self.answer else aiohttp_web.Response()


class _Clock(Clock):
    def __init__(self, seconds: Seconds) -> None:
        self._seconds = seconds

    def now(self) -> float:
        return self._seconds.now


@pytest.fixture
async def app(workspace: Workspace, seconds: Seconds) -> AsyncIterator[tuple[App, StandIn]]:
    app = App(workspace.signing_secret, seconds)
    application = aiohttp_web.Application()
    application.router.add_post("/", app.listen)
    runner = aiohttp_web.AppRunner(application)
    await runner.setup()
    site = aiohttp_web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    address: Any = runner.addresses[0]
    async with serving(workspace, request_url=f"http://127.0.0.1:{address[1]}/") as stand_in:
        yield app, stand_in
    await runner.cleanup()


@pytest.fixture
async def posted(app: tuple[App, StandIn], workspace: Workspace) -> Message:
    client = SlackWeb(workspace.bot_token, base_url=app[1].api)
    await post_card(client)
    await client.close()
    return only_message(workspace)


async def test_a_click_arrives_signed_with_what_the_button_carries(app: tuple[App, StandIn], posted: Message) -> None:
    listening, slack = app
    delivered = await slack.as_user("eve").press(posted, Press.APPROVE)

    (heard,) = listening.heard
    assert delivered.outcome == "acknowledged"
    assert (heard["type"], heard["user"]["id"], heard["team"]["id"]) == ("block_actions", "U0EVE", "T0TOWN")
    assert json.loads(heard["actions"][0]["value"])["a"] == "apr_1"
    assert heard["container"]["message_ts"] == posted.ts


async def test_only_what_stood_there_once_can_be_pressed(app: tuple[App, StandIn], posted: Message) -> None:
    _, slack = app
    with pytest.raises(Refused, match="no_such_control"):
        await slack.as_user("eve").press(posted, "somebody.elses")
    with pytest.raises(Refused, match="no_such_option"):
        await slack.as_user("eve").press(posted, Press.MORE, choose="nothing like it")
    # An old phone still shows the old form.
    posted.forms.append({"text": "over", "blocks": []})
    assert (await slack.as_user("eve").press(posted, Press.APPROVE)).outcome == "acknowledged"


async def test_a_choice_from_the_menu(app: tuple[App, StandIn], posted: Message) -> None:
    listening, slack = app
    await slack.as_user("eve").press(posted, Press.MORE, choose="trip")

    assert listening.heard[0]["actions"][0]["selected_option"]["value"].startswith("trip:")


async def test_a_wrong_signature_a_late_or_absent_app_lose_the_click(app: tuple[App, StandIn], posted: Message) -> None:
    listening, slack = app
    status, _ = await slack.delivery.post(b"payload=%7B%7D", "application/x-www-form-urlencoded", signed="v0=forged")
    assert status == 401
    status, _ = await slack.delivery.post(b"payload=%7B%7D", "application/x-www-form-urlencoded", at=1)
    assert status == 401
    listening.is_late = True
    assert (await slack.as_user("eve").press(posted, Press.APPROVE)).outcome == "lost: the app answered 503"
    slack.delivery.request_url = "http://127.0.0.1:9/"
    assert (await slack.as_user("eve").press(posted, Press.APPROVE)).outcome.startswith("lost: ")


async def test_a_modal_opens_once_within_three_seconds_and_stays_open_on_errors(
    app: tuple[App, StandIn], posted: Message, seconds: Seconds
) -> None:
    listening, slack = app
    client = SlackWeb(slack.slack.bot_token, base_url=slack.api)
    delivered = await slack.as_user("eve").press(posted, Press.DENY)
    question = {
        "type": "input",
        "block_id": "why",
        "label": {"type": "plain_text", "text": "Why?"},
        "element": {"type": "plain_text_input", "action_id": "v"},
    }
    view = {
        "type": "modal",
        "callback_id": "deny",
        "title": {"type": "plain_text", "text": "Deny"},
        "blocks": [question],
    }
    trigger = delivered.payload["trigger_id"]
    await client.call("views.open", trigger_id=trigger, view=view)
    with pytest.raises(SlackFault, match="exchanged_trigger_id"):
        await client.call("views.open", trigger_id=trigger, view=view)
    late = (await slack.as_user("eve").press(posted, Press.DENY)).payload["trigger_id"]
    seconds.now += 4
    with pytest.raises(SlackFault, match="expired_trigger_id"):
        await client.call("views.open", trigger_id=late, view=view)
    await client.close()

    listening.answer = {"response_action": "errors", "errors": {"why": "say why"}}
    await slack.as_user("eve").submit(why="")
    assert slack.as_user("eve").modal().view["callback_id"] == "deny"
    listening.answer = None
    await slack.as_user("eve").submit(why="not now")
    with pytest.raises(Refused, match="no_modal"):
        slack.as_user("eve").modal()
    assert listening.heard[-1]["view"]["state"]["values"]["why"]["v"]["value"] == "not now"


async def test_a_response_address_works_five_times(app: tuple[App, StandIn], posted: Message) -> None:
    _, slack = app
    address = (await slack.as_user("eve").press(posted, Press.APPROVE)).payload["response_url"]
    async with aiohttp.ClientSession() as session:
        said = [(await session.post(address, json={"text": "you may not"})).status for _ in range(6)]

    assert said == [200] * 5 + [404]
    assert len(slack.slack.seen_by("eve")) == 6
    assert len(slack.slack.seen_by("dana")) == 1


# --- sockets ----------------------------------------------------------------------------------------------------------


@pytest.fixture
async def socket(slack: StandIn, web: SlackWeb) -> AsyncIterator[tuple[SocketModeClient, list[SocketModeRequest]]]:
    heard: list[SocketModeRequest] = []
    client = SocketModeClient(app_token=slack.slack.app_token, web_client=web.client)

    async def listen(client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        heard.append(request)
        await client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))

    client.socket_mode_request_listeners.append(listen)
    await client.connect()  # type: ignore[no-untyped-call]  # the client has no types there
    yield client, heard
    await client.close()  # type: ignore[no-untyped-call]  # the client has no types there


async def test_a_click_arrives_over_a_socket_of_the_real_client(
    slack: StandIn, web: SlackWeb, socket: tuple[SocketModeClient, list[SocketModeRequest]]
) -> None:
    await post_card(web)
    delivered = await slack.as_user("eve").press(only_message(slack.slack), Press.APPROVE)

    assert delivered.outcome == "acknowledged"
    assert [request.payload["user"]["id"] for request in socket[1]] == ["U0EVE"]


async def test_a_silent_socket_loses_clicks_and_closes_nothing(
    slack: StandIn, web: SlackWeb, socket: tuple[SocketModeClient, list[SocketModeRequest]]
) -> None:
    await post_card(web)
    slack.delivery.stall()
    delivered = await slack.as_user("eve").press(only_message(slack.slack), Press.APPROVE)

    assert delivered.outcome == "lost: TimeoutError"
    assert socket[1] == []
    assert await socket[0].is_connected()


async def test_without_a_socket_a_click_is_lost(slack: StandIn, web: SlackWeb) -> None:
    await post_card(web)
    delivered = await slack.as_user("eve").press(only_message(slack.slack), Press.APPROVE)

    assert delivered.outcome == "lost: the app has no open socket"


async def test_at_most_ten_sockets(slack: StandIn) -> None:
    async with aiohttp.ClientSession() as session:
        address = f"{slack.url}/socket/ticket".replace("http", "ws", 1)
        open_ones = [await session.ws_connect(address) for _ in range(MAX_SOCKETS)]
        assert all([(await one.receive_json())["type"] == "hello" for one in open_ones])
        one_more = await session.ws_connect(address)
        assert (await one_more.receive_json())["reason"] == "too_many_websockets"


# --- the page ---------------------------------------------------------------------------------------------------------


async def test_the_page_shows_the_cards_and_its_buttons_work(app: tuple[App, StandIn], posted: Message) -> None:
    listening, slack = app
    form = {"as": "U0EVE", "do": "press", "channel": posted.channel, "ts": posted.ts, "action": Press.APPROVE}
    async with aiohttp.ClientSession() as session:
        shown = await (await session.get(f"{slack.url}/?as=U0EVE")).text()
        await session.post(f"{slack.url}/do", data=form)
        unknown = await session.post(f"{slack.url}/do", data=form | {"action": "nothing"})

    assert "Approve once" in shown
    assert "cluster = &quot;prod-eu&quot;" in shown
    assert unknown.status == 409
    assert [heard["user"]["id"] for heard in listening.heard] == ["U0EVE"]


async def test_the_page_tells_somebody_that_their_press_did_not_arrive(slack: StandIn) -> None:
    # No app listens: nothing was stored, and nothing on the card would say so.
    delivered = await slack.as_user("eve").type_command("pending", channel="C0PROD")
    assert delivered.outcome.startswith("lost")
    async with aiohttp.ClientSession() as session:
        hers = await (await session.get(f"{slack.url}/?as=U0EVE")).text()
        danas = await (await session.get(f"{slack.url}/?as=U0DANA")).text()
    told = "Your last press did not reach the app (the app has no open socket). Try again."
    assert (told in hers, told in danas) == (True, False)


def test_people_of_every_kind_look_like_it() -> None:
    info = Person(id="U1", name="gil", is_single_channel_guest=True).info()

    assert (info["is_restricted"], info["is_ultra_restricted"], info["deleted"]) == (True, True, False)
