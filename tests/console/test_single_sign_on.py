"""Single sign-on: whoever the issuer vouches for is signed in as who operators.yaml says, and nobody else is."""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from assent.console.given import ConsoleSettings
from assent.console.issuer import Registered
from assent.core.operators import Assurance
from assent.flows import authenticate
from tests.api.client import Heard
from tests.console.issuer import CLIENT, SECRET, StandIn, issuer
from tests.console.town import HOST, Browser, ConsoleTown, text_of
from tests.flows.world import World

pytestmark = pytest.mark.requirement("T17")
BACK = "/console/sign-in/oidc/back"
EVE = "248289761001"


@pytest.fixture
def there() -> Iterator[StandIn]:
    with issuer() as running:
        yield running


@pytest.fixture
def town(world: World, there: StandIn) -> ConsoleTown:
    people = tuple(replace(one, identities={"oidc": EVE} if one.id == "eve" else {}) for one in world.policy.people)
    world.policy = replace(world.policy, people=people)
    known = Registered(issuer=there.url, client_id=CLIENT, client_secret=SECRET, address=f"http://{HOST}{BACK}")
    return ConsoleTown(world, ConsoleSettings(hosts=frozenset({HOST}), issuer=known))


async def left(browser: Browser, after: str = "/console/numbers") -> str:
    """Leave for the issuer, and return where the browser is sent."""
    heard = await browser.get(f"/console/sign-in/oidc?{urlencode({'next': after})}")
    assert heard.status == 303, text_of(heard)
    browser.cookie = heard.headers["set-cookie"].partition(";")[0]
    for word in ("HttpOnly", "SameSite=lax", "Max-Age=600", "Path=/console/sign-in/oidc"):
        assert word in heard.headers["set-cookie"]
    return heard.headers["location"]


async def back(browser: Browser, **brought: str) -> Heard:
    return await browser.get(f"{BACK}?{urlencode(brought)}")


def cookies(heard: Heard) -> list[str]:
    return [value.decode() for name, value in heard.raw_headers if name == b"set-cookie"]


def is_refused(heard: Heard, why: str) -> None:
    assert heard.status == 401, text_of(heard)
    assert why in text_of(heard)
    assert not [one for one in cookies(heard) if one.startswith("assent_console=")]


@pytest.mark.requirement("T22")
async def test_whom_the_issuer_vouches_for_is_signed_in_and_worth_a_console(town: ConsoleTown, there: StandIn) -> None:
    browser = town.browser()
    assert f"Sign in with {urlsplit(there.url).netloc}" in text_of(await browser.get("/console/sign-in"))
    heard = await back(browser, **there.lets_in(await left(browser), EVE))
    assert (heard.status, "Signed in as eve" in text_of(heard)) == (200, True), text_of(heard)
    assert 'content="0; url=/console/numbers"' in heard.body.decode()
    session, gone = sorted(cookies(heard), key=lambda one: "assent_sign_in" in one)
    assert "SameSite=strict" in session
    assert 'assent_sign_in=""' in gone
    caller = await authenticate.session(town.world.broker, session.partition(";")[0].partition("=")[2])
    assert (caller.operator.id, caller.assurance) == ("eve", Assurance.CONSOLE)
    (record,) = await town.world.records(kind="session.opened")
    assert b'"signed_in_by":"oidc"' in record.leaf


async def test_who_is_declared_nowhere_is_told_by_which_name_they_could_be(town: ConsoleTown, there: StandIn) -> None:
    browser = town.browser()
    is_refused(
        await back(browser, **there.lets_in(await left(browser), "mallory\u202e")), "oidc: {subject: mallory\\u{202e}}"
    )
    assert await town.world.records(kind="session.opened") == []


WRONG: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "https://other.example"},
    "for somebody else": {"aud": "another"},
    "for several, and not ours": {"aud": [CLIENT, "another"]},
    "ours and another's": {"aud": [CLIENT, "another"], "azp": "another"},
    "given to another": {"azp": "another"},
    "over": {"exp": int(time.time()) - 61},
    "of long ago": {"iat": int(time.time()) - 700},
    "of tomorrow": {"iat": int(time.time()) + 86_400},
    "a moment that is none": {"exp": True},
    "another sign-in's": {"nonce": "another"},
    "a nonce that is none": {"nonce": 5},
    "nobody": {"sub": ""},
    "a subject that is none": {"sub": 5},
    "a subject without end": {"sub": "x" * 256},
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_what_was_not_said_to_us_now_about_this_sign_in_opens_nothing(
    town: ConsoleTown, there: StandIn, wrong: str
) -> None:
    there.claims = WRONG[wrong]
    browser = town.browser()
    is_refused(await back(browser, **there.lets_in(await left(browser), EVE)), "is not about this sign-in")


@pytest.mark.parametrize("missing", ["iss", "aud", "sub", "nonce", "iat", "exp"])
async def test_nothing_may_be_left_unsaid(town: ConsoleTown, there: StandIn, missing: str) -> None:
    there.left_out = (missing,)
    browser = town.browser()
    is_refused(await back(browser, **there.lets_in(await left(browser), EVE)), "is not about this sign-in")


async def test_a_token_of_another_key_of_no_key_or_of_a_shared_one_opens_nothing(
    town: ConsoleTown, there: StandIn
) -> None:
    browser = town.browser()
    there.published = ECKey.generate_key("P-256", {"kid": "one"})
    is_refused(await back(browser, **there.lets_in(await left(browser), EVE)), "is not signed by it")
    there.published = None
    shared = OctKey.generate_key(256)
    claims = {"iss": there.url, "aud": CLIENT, "sub": EVE, "iat": int(time.time()), "exp": int(time.time()) + 60}
    for token in (jwt.encode({"alg": "HS256"}, claims, shared), "e30.e30.", "garbage", ""):
        there.changed["/token"] = {"id_token": token}
        brought = there.lets_in(await left(browser), EVE)
        heard = await back(browser, **brought)
        assert heard.status == 401
        assert not [one for one in cookies(heard) if one.startswith("assent_console=")]


async def test_an_answer_counts_for_the_browser_that_left_and_once(town: ConsoleTown, there: StandIn) -> None:
    eve, mallory = town.browser(), town.browser()
    brought = there.lets_in(await left(eve), EVE)
    is_refused(await back(town.browser(), **brought), "did not begin to sign in here")
    await left(mallory)
    is_refused(await back(mallory, **brought), "belongs to another sign-in")
    assert (await back(eve, **brought)).status == 200
    is_refused(await back(eve, **brought), "does not answer, or refuses")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"state": "another"}, "belongs to another sign-in"),
        ({"iss": "https://other.example"}, "comes from another issuer"),
        ({"error": "access_denied"}, "did not let you in"),
        ({"code": ""}, "did not let you in"),
        ({"code": "another"}, "does not answer, or refuses"),
    ],
)
async def test_an_answer_that_is_not_the_issuers_opens_nothing(
    town: ConsoleTown, there: StandIn, changes: dict[str, str], why: str
) -> None:
    browser = town.browser()
    is_refused(await back(browser, **{**there.lets_in(await left(browser), EVE), **changes}), why)


async def test_a_cookie_that_was_changed_or_is_old_is_none(town: ConsoleTown, there: StandIn) -> None:
    browser = town.browser()
    brought = there.lets_in(await left(browser), EVE)
    assert browser.cookie is not None
    right = browser.cookie
    for wrong in (f"{right[:-1]}{'0' if right[-1] != '0' else '1'}", right.partition(".")[0], "assent_sign_in=."):
        browser.cookie = wrong
        is_refused(await back(browser, **brought), "did not begin to sign in here, or too long ago")
    browser.cookie = right
    town.world.clock.forward(seconds=601)
    is_refused(await back(browser, **brought), "too long ago")


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token", "/keys"])
@pytest.mark.parametrize("said", [b"", b"[]", b"{", b'{"keys": 5}', b"x" * 1_100_000])
async def test_an_issuer_that_talks_nonsense_signs_nobody_in(
    town: ConsoleTown, there: StandIn, path: str, said: bytes
) -> None:
    browser = town.browser()
    brought = there.lets_in(await left(browser), EVE)
    there.changed[path] = said
    assert (await back(browser, **brought)).status == 401


async def test_an_issuer_that_points_elsewhere_or_is_another_is_left_alone(town: ConsoleTown, there: StandIn) -> None:
    config = "/.well-known/openid-configuration"
    right = there.answer(config, "", "")
    browser = town.browser()
    brought = there.lets_in(await left(browser), EVE)
    there.changed[config] = {**right, "token_endpoint": "ftp://other.example/token"}
    is_refused(await back(browser, **brought), "not as safe as its own")
    there.changed[config] = {**right, "issuer": "https://other.example"}
    heard = await browser.get("/console/sign-in/oidc")
    is_refused(heard, "another issuer than `oidc_issuer`")


async def test_where_no_issuer_is_set_nobody_is_sent_anywhere(world: World) -> None:
    town = ConsoleTown(world)
    assert "Sign in with" not in text_of(await town.browser().get("/console/sign-in"))
    heard = await town.browser().get("/console/sign-in/oidc")
    assert (heard.status, "knows no issuer" in text_of(heard)) == (401, True)


async def test_where_the_browser_goes_afterwards_is_a_page_of_ours(town: ConsoleTown, there: StandIn) -> None:
    browser = town.browser()
    heard = await back(browser, **there.lets_in(await left(browser, "https://evil.example/"), EVE))
    assert 'content="0; url=/console/"' in heard.body.decode()


async def test_what_is_asked_of_the_issuer_names_nobody_and_shows_no_verifier(town: ConsoleTown) -> None:
    asked = dict(parse_qsl(urlsplit(await left(town.browser())).query))
    assert set(asked) == {
        "response_type",
        "client_id",
        "redirect_uri",
        "scope",
        "state",
        "nonce",
        "code_challenge",
        "code_challenge_method",
    }
    assert asked["redirect_uri"] == f"http://{HOST}{BACK}"


def test_the_registration_tells_no_secret() -> None:
    known = Registered(issuer="https://id.example", client_id="x", client_secret="hush", address="https://a/")
    assert "hush" not in repr(known)


async def test_with_tls_the_way_there_is_remembered_in_a_cookie_that_no_other_host_can_plant(
    world: World, there: StandIn
) -> None:
    known = Registered(issuer=there.url, client_id=CLIENT, client_secret=SECRET, address=f"https://{HOST}{BACK}")
    town = ConsoleTown(world, ConsoleSettings(hosts=frozenset({HOST}), issuer=known, has_tls=True))
    people = tuple(replace(one, identities={"oidc": EVE} if one.id == "eve" else {}) for one in world.policy.people)
    world.policy = replace(world.policy, people=people)
    browser = town.browser()
    address = await left(browser)
    assert browser.cookie is not None
    assert browser.cookie.startswith("__Secure-assent_sign_in=")
    brought, kept = there.lets_in(address, EVE), browser.cookie
    # Under the bare name, which any host of the domain could have set, it is none.
    browser.cookie = kept.removeprefix("__Secure-")
    is_refused(await back(browser, **brought), "did not begin")
    browser.cookie = kept
    heard = await back(browser, **brought)
    assert [one.partition("=")[0] for one in cookies(heard)] == ["__Host-assent", "__Secure-assent_sign_in"]
    assert all("; secure" in one.lower() for one in cookies(heard))
