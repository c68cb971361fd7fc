"""The door with a passkey: when its button is there, and that what it asks is this browser's, once, for a moment."""

from dataclasses import replace

import pytest

from assent.console.given import ConsoleSettings
from assent.core.operators import Assurance
from assent.flows import authenticate
from assent.wiring.passkeys import CheckedHere
from tests.api.client import Heard
from tests.authenticator import ORIGIN, SITE, Authenticator
from tests.console.test_passkeys import add
from tests.console.town import HOST, Browser, ConsoleTown, text_of
from tests.flows.world import World

pytestmark = pytest.mark.requirement("T17", "T26")
DOOR = "/console/sign-in/passkey"


@pytest.fixture
def town(world: World) -> ConsoleTown:
    world.broker = replace(world.broker, passkeys=CheckedHere(SITE, ORIGIN), at_console=frozenset({"eve"}))
    return ConsoleTown(world)


@pytest.fixture
async def phone(town: ConsoleTown) -> Authenticator:
    made = Authenticator()
    await add(await town.by_link(), made)
    return made


async def asked(browser: Browser, phone: Authenticator) -> str:
    """Ask as the page's script does, keep the cookie, and return what the phone signs."""
    heard = await browser.post(f"{DOOR}/ask")
    assert heard.status == 200, heard.body
    browser.cookie = heard.headers["set-cookie"].partition(";")[0]
    return phone.sign(heard.json["get"])


def cookies(heard: Heard) -> list[str]:
    return [value.decode() for name, value in heard.raw_headers if name == b"set-cookie"]


def is_refused(heard: Heard, why: str) -> None:
    assert (heard.status, why in text_of(heard)) == (401, True), text_of(heard)
    assert [one for one in cookies(heard) if one.startswith("assent_console=")] == []


async def test_a_finger_lets_in_and_the_page_that_was_wanted_comes(town: ConsoleTown, phone: Authenticator) -> None:
    browser = town.browser()
    page = await browser.get("/console/sign-in?next=/console/numbers")
    assert b'data-passkey="/console/sign-in/passkey/ask"' in page.body
    assert b"/console/static/passkeys.js" in page.body
    heard = await browser.post(DOOR, passkey=await asked(browser, phone), next="/console/numbers")
    assert (heard.status, heard.headers["location"]) == (303, "/console/numbers")
    session, gone = sorted(cookies(heard), key=lambda one: "assent_passkey" in one)
    assert 'assent_passkey=""' in gone
    caller = await authenticate.session(town.world.broker, session.partition(";")[0].partition("=")[2])
    assert (caller.operator.id, caller.assurance) == ("eve", Assurance.CONSOLE)
    browser.cookie = session.partition(";")[0]
    account = text_of(await browser.get("/console/account"))
    assert "Signed in by passkey, so what you do here counts as console" in account


async def test_what_was_asked_is_kept_by_this_browser_alone(town: ConsoleTown, phone: Authenticator) -> None:
    heard = await town.browser().post(f"{DOOR}/ask")
    for word in ("HttpOnly", "SameSite=strict", "Max-Age=120", "Path=/"):
        assert word in heard.headers["set-cookie"]
    secure = ConsoleTown(town.world, ConsoleSettings(hosts=frozenset({HOST}), has_tls=True))
    cookie = (await secure.browser().post(f"{DOOR}/ask")).headers["set-cookie"]
    assert (cookie.startswith("__Host-assent_passkey="), "Secure" in cookie) == (True, True)
    mine, other = town.browser(), town.browser()
    answer = await asked(mine, phone)
    is_refused(await other.post(DOOR, passkey=answer), "this browser was not asked")
    await asked(other, phone)
    is_refused(await other.post(DOOR, passkey=answer), "does not hold for this browser")


@pytest.mark.parametrize("spoilt", ["", "x", "é", "a.b", "0", "."])
async def test_a_cookie_that_is_none_of_ours_asks_nothing(town: ConsoleTown, phone: Authenticator, spoilt: str) -> None:
    browser = town.browser()
    answer = await asked(browser, phone)
    assert browser.cookie is not None
    kept = browser.cookie
    for cookie in (f"assent_passkey={spoilt}", f"{kept}{spoilt or '0'}", kept.replace("=", f"={spoilt or '0'}", 1)):
        browser.cookie = cookie
        is_refused(await browser.post(DOOR, passkey=answer), "this browser was not asked")


async def test_an_answer_comes_once_and_in_time(town: ConsoleTown, phone: Authenticator) -> None:
    browser = town.browser()
    answer = await asked(browser, phone)
    kept = browser.cookie
    assert (await browser.post(DOOR, passkey=answer)).status == 303
    browser.cookie = kept
    is_refused(await browser.post(DOOR, passkey=answer), "opened a session before")
    answer = await asked(browser, phone)
    town.world.clock.forward(minutes=2)
    is_refused(await browser.post(DOOR, passkey=answer), "after two minutes")


async def test_garbage_is_refused_at_a_measured_pace_and_asking_is_free(
    town: ConsoleTown, phone: Authenticator
) -> None:
    browser = town.browser()
    before = await town.world.kinds()
    told = [(await browser.post(DOOR, passkey=junk * n)).status for junk in ("{", "é", "x") for n in range(1, 9)]
    assert (told[:20], set(told[20:])) == ([401] * 20, {429})
    assert {(await browser.post(f"{DOOR}/ask")).status for _ in range(30)} == {200}
    assert await town.world.kinds() == before
    assert (await browser.post(DOOR, passkey=await asked(browser, phone))).status == 303


async def test_the_button_is_there_where_passkeys_work_alone(town: ConsoleTown) -> None:
    elsewhere = replace(town.world.broker, passkeys=CheckedHere("localhost", "http://localhost:8420"))
    for broker, button, link in ((town.world.broker, True, False), (elsewhere, False, True)):
        town.world.broker = broker
        page = text_of(await ConsoleTown(town.world).browser().get("/console/sign-in"))
        assert ("Sign in with a passkey" in page, "under this broker's own name" in page) == (button, link)
    town.world.broker = replace(town.world.broker, passkeys=None)
    none = ConsoleTown(town.world).browser()
    assert "passkey" not in text_of(await none.get("/console/sign-in"))
    heard = await none.post(f"{DOOR}/ask")
    assert (heard.status, "takes no passkeys" in heard.json["why"]) == (409, True)
    assert (await none.post(DOOR, passkey="{}")).status == 401


async def test_a_page_of_another_site_asks_and_sends_nothing(town: ConsoleTown, phone: Authenticator) -> None:
    browser = town.browser()
    answer = await asked(browser, phone)
    for path in (DOOR, f"{DOOR}/ask"):
        assert (await browser.post(path, (b"origin", b"https://evil.example"), passkey=answer)).status == 403
