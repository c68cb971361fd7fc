"""Passkeys on the console's pages: what stands there for whom, what their forms and their script are told."""

import json
from dataclasses import replace
from typing import Any

import pytest

from assent.console.live import made
from assent.console.watcher import Target
from assent.core.approvals import Need, Route
from assent.core.operators import Assurance
from assent.flows import authenticate
from assent.flows.answers import Answered
from assent.wiring.passkeys import CheckedHere
from tests.authenticator import ORIGIN, SITE, Authenticator
from tests.console.test_approval import asked_for, digest_of, path_of
from tests.console.town import Browser, ConsoleTown, text_of
from tests.flows.world import World

ACCOUNT = "/console/account"
KEYS = f"{ACCOUNT}/passkeys"


@pytest.fixture
def town(world: World) -> ConsoleTown:
    world.broker = replace(world.broker, passkeys=CheckedHere(SITE, ORIGIN), at_console=frozenset({"eve", "sam"}))
    route = Route(name="default", needs=(Need(count=1, of="oncall"),), assurance=Assurance.STEP_UP)
    world.policy = replace(world.policy, routes={"default": route})
    return ConsoleTown(world)


async def step(browser: Browser, path: str, **fields: str) -> Any:
    heard = await browser.post(path, **fields)
    assert heard.status == 200, heard.body
    return heard.json


async def add(browser: Browser, phone: Authenticator, name: str = "phone") -> None:
    told = await step(browser, f"{KEYS}/ask")
    if "get" in told:
        told = await step(browser, told["next"], passkey=phone.sign(told["get"]))
    heard = await browser.post(f"{KEYS}/add", name=name, passkey=phone.make(told["create"]))
    assert (heard.status, heard.headers["location"]) == (303, ACCOUNT), heard.body


async def read(browser: Browser, asked: Answered) -> None:
    assert (await browser.post(f"{path_of(asked)}/shown", digest=digest_of(asked), values="no")).status == 204


@pytest.mark.requirement("P5", "T17", "T26")
async def test_a_passkey_is_added_and_signs_a_yes(town: ConsoleTown) -> None:
    eve, phone = await town.by_link(), Authenticator()
    asked = await asked_for(town)
    page = text_of(await eve.get(path_of(asked)))
    assert "This route takes a yes that is signed with a passkey, and you have none" in page
    await add(eve, phone, "my <phone>")
    assert "my <phone> , added" in text_of(await eve.get(ACCOUNT))
    shown = await eve.get(path_of(asked))
    assert f'data-passkey="{path_of(asked)}/passkey" data-origin="{ORIGIN}"'.encode() in shown.body
    assert b"/console/static/passkeys.js" in shown.body
    await read(eve, asked)
    told = await step(eve, f"{path_of(asked)}/passkey", digest=digest_of(asked))
    heard = await eve.post(f"{path_of(asked)}/approve", digest=digest_of(asked), passkey=phone.sign(told["get"]))
    assert (heard.status, heard.headers.get("location")) == (303, path_of(asked)), heard.body
    assert "eve said yes (console, step_up)" in text_of(await eve.get(path_of(asked)))
    assert "used last" in text_of(await eve.get(ACCOUNT))


@pytest.mark.requirement("P5", "T26")
async def test_without_its_signature_a_yes_is_403_and_the_page_says_what_to_do(town: ConsoleTown) -> None:
    eve, asked = await town.by_link(), await asked_for(town)
    await add(eve, Authenticator())
    await read(eve, asked)
    for passkey in ("", "{}", '{"type": "public-key"}'):
        heard = await eve.post(f"{path_of(asked)}/approve", digest=digest_of(asked), passkey=passkey)
        assert heard.status == 403
        assert "This did not count" in text_of(heard)


async def owned(town: ConsoleTown) -> tuple[str, Answered]:
    return "owner", await asked_for(town)


async def driven(town: ConsoleTown) -> tuple[str, Answered]:
    return "eve", await asked_for(town, on_behalf_of=("operator:eve",))


async def with_my_key(town: ConsoleTown) -> tuple[str, Answered]:
    return "eve", await town.world.ask(await town.world.agent(issued_by="eve"))


async def of_another_group(town: ConsoleTown) -> tuple[str, Answered]:
    route = town.world.policy.routes["default"]
    needs = (Need(count=1, of="security"),)
    town.world.policy = replace(town.world.policy, routes={"default": replace(route, needs=needs)})
    return "eve", await asked_for(town)


async def too_late(town: ConsoleTown) -> tuple[str, Answered]:
    asked = await asked_for(town)
    town.world.clock.forward(minutes=20)
    return "eve", asked


async def decided(town: ConsoleTown) -> tuple[str, Answered]:
    asked, sam = await asked_for(town), await town.by_link("sam")
    assert (await sam.post(f"{path_of(asked)}/deny", category="other", reason="")).status == 303
    return "eve", asked


MATRIX = {
    "owner": (owned, 403, "you own this agent"),
    "driver": (driven, 403, "acts on your behalf"),
    "key issuer": (with_my_key, 403, "you issued the agent's key"),
    "wrong group": (of_another_group, 403, "none of the groups"),
    "too late": (too_late, 410, "nobody answered in time"),
    "already decided": (decided, 409, "by `sam`"),
}


@pytest.mark.requirement("T4", "T18", "P5")
@pytest.mark.parametrize("name", MATRIX)
async def test_whoever_may_not_answer_is_asked_for_no_signature_and_counts_with_none(
    town: ConsoleTown, name: str
) -> None:
    moment, status, said = MATRIX[name]
    who, asked = await moment(town)
    mine, phone = await town.by_link(who), Authenticator()
    await add(mine, phone)
    told = await mine.post(f"{path_of(asked)}/passkey", digest=digest_of(asked))
    assert (told.status, said in told.json["why"]) == (status, True), told.body
    # And where a signature comes all the same, of whatever else was asked of that passkey.
    other = await step(mine, f"{KEYS}/ask")
    answer = phone.sign(other["get"])
    heard = await mine.post(f"{path_of(asked)}/approve", digest=digest_of(asked), passkey=answer)
    assert heard.status == 403
    assert asked.approval is not None
    stored = await town.world.ledger.read(lambda view: view.approval_of(asked.action.id))
    assert stored is not None
    assert stored.votes == ()


@pytest.mark.requirement("T17", "T12")
async def test_garbage_is_refused_and_never_a_fault_of_ours(town: ConsoleTown) -> None:
    eve, phone, asked = await town.by_link(), Authenticator(), await asked_for(town)
    await add(eve, phone)
    told = await step(eve, f"{KEYS}/ask")
    good = json.loads(phone.sign(told["get"]))
    for part in ("clientDataJSON", "authenticatorData", "signature"):
        for junk in ("", "A", "%%%", "n5-fn5-fn5-f", "A" * 5_000):
            bad = json.dumps(good | {"response": {**good["response"], part: junk}})
            for path in (f"{KEYS}/vouch", f"{KEYS}/add", f"{KEYS}/pky_none/revoke", f"{path_of(asked)}/approve"):
                heard = await eve.post(path, passkey=bad, digest=digest_of(asked))
                assert 400 <= heard.status < 500, (path, heard.status)


@pytest.mark.requirement("T17")
async def test_a_form_of_another_session_adds_nothing(town: ConsoleTown) -> None:
    eve, sam, phone = await town.by_link(), await town.by_link("sam"), Authenticator()
    told = await step(eve, f"{KEYS}/ask")
    made = phone.make(told["create"])
    eve.csrf, own = sam.csrf, eve.csrf
    assert (await eve.post(f"{KEYS}/add", passkey=made)).status == 403
    heard = await eve.post(f"{KEYS}/ask")
    assert (heard.status, "not of your session" in heard.json["why"]) == (403, True)
    eve.csrf = own
    assert (await eve.post(f"{KEYS}/add", (b"origin", b"https://evil.example"), passkey=made)).status == 403
    assert "You have none" in text_of(await eve.get(ACCOUNT))


@pytest.mark.requirement("T22", "T26")
async def test_who_signed_in_with_a_token_is_told_how_to_add_one(town: ConsoleTown) -> None:
    eve = await town.by_token()
    page = await eve.get(ACCOUNT)
    assert "Sign in with a link or by single sign-on to add a passkey" in text_of(page)
    assert b"Add a passkey" not in page.body
    heard = await eve.post(f"{KEYS}/ask")
    assert (heard.status, "not sure enough" in heard.json["why"]) == (403, True)


async def test_where_the_broker_takes_none_the_page_says_so(town: ConsoleTown) -> None:
    town.world.broker = replace(town.world.broker, passkeys=None)
    other = ConsoleTown(town.world)
    eve = await other.by_link()
    assert "This broker takes no passkeys at the moment: assent doctor" in text_of(await eve.get(ACCOUNT))
    heard = await eve.post(f"{KEYS}/ask")
    assert (heard.status, "takes no passkeys" in heard.json["why"]) == (409, True)


async def test_ones_own_is_taken_away_with_it(town: ConsoleTown) -> None:
    eve, phone = await town.by_link(), Authenticator()
    await add(eve, phone)
    (held,) = await town.world.ledger.read(lambda view: view.passkeys("eve", limit=9))
    told = await step(eve, f"{KEYS}/{held.id}/ask")
    assert (await eve.post(f"{KEYS}/{held.id}/revoke", passkey="{}")).status == 403
    told = await step(eve, f"{KEYS}/{held.id}/ask")
    heard = await eve.post(f"{KEYS}/{held.id}/revoke", passkey=phone.sign(told["get"]))
    assert (heard.status, heard.headers.get("location")) == (303, ACCOUNT)
    assert "You have none" in text_of(await eve.get(ACCOUNT))
    assert (await eve.post(f"{KEYS}/{held.id}/ask")).status == 404


async def test_who_manages_operators_takes_away_what_somebody_lost(town: ConsoleTown) -> None:
    eve, admin = await town.by_link(), await town.by_link("admin")
    await add(eve, Authenticator())
    (held,) = await town.world.ledger.read(lambda view: view.passkeys("eve", limit=9))
    path = f"/console/people/eve/passkeys/{held.id}/revoke"
    assert path.encode() in (await admin.get("/console/people")).body
    sam = await town.by_link("sam")
    assert path.encode() not in (await sam.get("/console/people")).body
    assert (await sam.post(path)).status == 403
    assert (await (await town.by_token("admin")).post(path)).status == 403
    assert (await admin.post(path)).status == 303
    assert held.id.encode() not in (await admin.get("/console/people")).body


async def test_a_count_that_went_back_stands_on_the_page(town: ConsoleTown) -> None:
    eve, phone, asked = await town.by_link(), Authenticator(), await asked_for(town)
    await add(eve, phone)
    await read(eve, asked)
    told = await step(eve, f"{path_of(asked)}/passkey", digest=digest_of(asked))
    heard = await eve.post(
        f"{path_of(asked)}/approve", digest=digest_of(asked), passkey=phone.sign(told["get"], count=1)
    )
    assert heard.status == 403
    assert "counted back, as a copy of it would" in text_of(heard)
    assert "It counted back" in text_of(await eve.get(ACCOUNT))
    assert "count went back" in text_of(await eve.get(path_of(asked)))


async def test_what_is_not_asked_of_a_passkey_is_told_in_words(town: ConsoleTown) -> None:
    eve, owner, asked = await town.by_link(), await town.by_link("owner"), await asked_for(town)
    for who, digest, status, said in (
        (eve, digest_of(asked), 403, "you have no passkey"),
        (eve, "0" * 16, 409, "what you saw is not what would run"),
        (owner, digest_of(asked), 403, "you own this agent"),
    ):
        heard = await who.post(f"{path_of(asked)}/passkey", digest=digest)
        assert (heard.status, said in heard.json["why"]) == (status, True), heard.body
    assert (await eve.post("/console/approvals/apr_none/passkey", digest="0" * 16)).status == 404


async def test_the_part_that_keeps_itself_current_says_the_same(town: ConsoleTown) -> None:
    eve, asked = await town.by_link(), await asked_for(town)
    assert eve.cookie is not None
    caller = await authenticate.session(town.world.broker, eve.cookie.partition("=")[2])
    target = Target(path_of(asked), "", hears_log=False)
    console = town.app.state.console
    assert "and you have none" in str(await made(console, target, caller))
    await add(eve, Authenticator())
    assert "and you have none" not in str(await made(console, target, caller))
