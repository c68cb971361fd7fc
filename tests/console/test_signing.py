"""Signing in and out: what opens a session, how long it holds, what it is worth, and what ends it."""

import re
from dataclasses import replace

import pytest

from assent.console.given import ConsoleSettings
from assent.core.breakers import Scope
from assent.core.credentials import CredentialId, Kind
from assent.core.errors import Unauthenticated
from assent.core.operators import Assurance
from assent.flows import authenticate, manage_principals, trip_breaker
from assent.flows.authenticate import ASSURANCE_OF
from assent.flows.link_account import type_code
from tests.console.town import HOST, Browser, ConsoleTown, text_of


def session_of(browser: Browser) -> str:
    assert browser.cookie is not None
    return browser.cookie.partition("=")[2]


@pytest.mark.requirement("T17")
async def test_a_link_opens_one_session_and_then_none(town: ConsoleTown) -> None:
    link = await town.world.token(Kind.LINK, "eve", issued_by="assent serve")
    shown = await town.browser().get(f"/console/sign-in?link={link}")
    assert "Sign in as eve" in text_of(shown)
    await town.browser().sign_in(link)
    again = await town.browser().post("/console/sign-in", secret=link)
    assert again.status == 401
    assert "was used already" in text_of(again)
    assert "set-cookie" not in again.headers


async def test_looking_at_a_link_does_not_use_it_up(town: ConsoleTown) -> None:
    link = await town.world.token(Kind.LINK, "eve", issued_by="assent serve")
    for _ in range(3):
        assert (await town.browser().get(f"/console/sign-in?link={link}")).status == 200
    await town.browser().sign_in(link)


async def test_a_link_is_over_after_two_minutes(town: ConsoleTown) -> None:
    link = await town.world.token(Kind.LINK, "eve", issued_by="assent serve")
    town.world.clock.forward(minutes=2)
    heard = await town.browser().post("/console/sign-in", secret=link)
    assert heard.status == 401
    assert "2 minutes" in text_of(heard)


@pytest.mark.requirement("T22")
async def test_a_session_is_worth_what_opened_it(town: ConsoleTown) -> None:
    by_link, by_token = await town.by_link(), await town.by_token()
    callers = [await authenticate.session(town.world.broker, session_of(one)) for one in (by_link, by_token)]
    assert [caller.assurance for caller in callers] == [Assurance.CONSOLE, Assurance.TOKEN]
    assert set(ASSURANCE_OF.values()) == {Assurance.CONSOLE, Assurance.TOKEN}
    assert [caller.voter().token_issued_by for caller in callers] == [None, "admin"]


@pytest.mark.requirement("T17")
async def test_a_session_ends_after_eight_hours(town: ConsoleTown) -> None:
    eve = await town.by_link()
    town.world.clock.forward(hours=8)
    heard = await eve.get("/console/account")
    assert (heard.status, heard.headers["location"]) == (303, "/console/sign-in?next=%2Fconsole%2Faccount")


@pytest.mark.requirement("T17")
async def test_a_session_is_over_with_the_token_that_opened_it(town: ConsoleTown) -> None:
    eve = await town.by_token()
    caller = await authenticate.session(town.world.broker, session_of(eve))
    assert caller.token is not None
    await manage_principals.revoke_credential(town.world.broker, caller.token.id, by="admin")
    assert (await eve.get("/console/account")).status == 303
    # Also where it was recognised a moment before: the flow asks again in its own transaction.
    with pytest.raises(Unauthenticated):
        await trip_breaker.trip(town.world.broker, caller, Scope())


async def test_a_session_ends_no_later_than_its_token(town: ConsoleTown) -> None:
    token = await town.world.token(Kind.OPERATOR, "eve")
    town.world.clock.forward(days=89, hours=23)
    eve = await town.browser().sign_in(token)
    town.world.clock.forward(hours=1)
    assert (await eve.get("/console/account")).status == 303


@pytest.mark.requirement("T17")
async def test_signing_out_ends_the_session_in_the_ledger(town: ConsoleTown) -> None:
    eve = await town.by_link()
    heard = await eve.post("/console/sign-out")
    assert (heard.status, heard.headers["location"]) == (303, "/console/sign-in")
    assert (await eve.get("/console/account")).status == 303
    assert (await town.world.kinds())[-2:] == ["session.opened", "session.ended"]


async def test_one_of_ones_other_sessions_is_ended_from_the_account(town: ConsoleTown) -> None:
    here, there, sam = await town.by_link(), await town.by_token(), await town.by_link("sam")
    key = (await authenticate.session(town.world.broker, session_of(there))).session.id
    assert (await sam.post(f"/console/account/sessions/{key}/end")).status == 404
    assert (await here.post(f"/console/account/sessions/{key}/end")).status == 303
    assert (await there.get("/console/account")).status == 303
    assert (await here.get("/console/account")).status == 200


async def test_whoever_signs_in_too_often_loses_the_oldest_session(town: ConsoleTown) -> None:
    first = await town.by_link()
    for _ in range(19):
        town.world.clock.forward(minutes=1)
        await town.by_link()
    assert (await first.get("/console/account")).status == 200
    await town.by_link()
    assert (await first.get("/console/account")).status == 303


@pytest.mark.requirement("T22")
@pytest.mark.parametrize("kind", [Kind.AGENT, Kind.SERVICE, Kind.SESSION])
async def test_no_other_credential_opens_a_session(town: ConsoleTown, kind: Kind) -> None:
    heard = await town.browser().post("/console/sign-in", secret=await town.world.token(kind, "eve"))
    assert heard.status == 401


@pytest.mark.parametrize("secret", ["", "x", "aso_k1_", "asl_k000001_wrong", "é", "aso_k000001_\u202e"])
async def test_what_is_no_secret_opens_none(town: ConsoleTown, secret: str) -> None:
    heard = await town.browser().post("/console/sign-in", secret=secret)
    assert heard.status == 401


async def test_a_wrong_secret_of_a_known_link_says_no_more_than_that_it_is_not_known(town: ConsoleTown) -> None:
    link = await town.world.token(Kind.LINK, "eve", issued_by="assent serve")
    heard = await town.browser().post("/console/sign-in", secret=link[:-1] + "x")
    assert (heard.status, "not known" in text_of(heard), "eve" in text_of(heard)) == (401, True, False)


async def test_whom_policy_does_not_name_cannot_sign_in(town: ConsoleTown) -> None:
    heard = await town.browser().post("/console/sign-in", secret=await town.world.token(Kind.OPERATOR, "gone"))
    assert heard.status == 401


@pytest.mark.requirement("T14")
async def test_attempts_to_sign_in_are_slowed_down(town: ConsoleTown) -> None:
    heard = [await town.browser().post("/console/sign-in", secret=f"aso_k{n}_wrong") for n in range(25)]
    assert [one.status for one in heard] == [401] * 20 + [429] * 5
    assert heard[-1].headers["retry-after"] == "2"


@pytest.mark.requirement("T17")
async def test_the_cookie_is_for_this_browser_and_this_site_alone(town: ConsoleTown) -> None:
    token = await town.world.token(Kind.OPERATOR, "eve")
    heard = await town.browser().post("/console/sign-in", secret=token)
    attributes = {part.strip().lower() for part in heard.headers["set-cookie"].split(";")[1:]}
    assert attributes == {"httponly", "samesite=strict", "path=/", "max-age=28800"}


def attributes_of(cookie: str) -> set[str]:
    return {part.strip().lower() for part in cookie.split(";")[1:]}


@pytest.mark.requirement("T17")
async def test_with_tls_the_cookie_never_leaves_it_and_is_bound_to_the_host(town: ConsoleTown) -> None:
    secure = ConsoleTown(town.world, ConsoleSettings(hosts=frozenset({HOST}), has_tls=True))
    browser = secure.browser()
    heard = await browser.post("/console/sign-in", secret=await town.world.token(Kind.OPERATOR, "eve"))
    cookie = heard.headers["set-cookie"]
    assert cookie.startswith("__Host-assent=asc_")
    # What a browser demands of the prefix (RFC 6265bis, 4.1.3.2): `Secure`, the path `/`, no domain. Else it drops it.
    assert attributes_of(cookie) == {"secure", "httponly", "samesite=strict", "path=/", "max-age=28800"}
    browser.cookie = cookie.partition(";")[0]
    assert (await browser.get("/console/account")).status == 200


@pytest.mark.requirement("T17")
async def test_with_tls_a_session_under_the_name_that_others_could_plant_is_none(town: ConsoleTown) -> None:
    secure = ConsoleTown(town.world, ConsoleSettings(hosts=frozenset({HOST}), has_tls=True))
    signed_in = await town.by_link()
    planted = secure.browser()
    # The very session of somebody, which another host of the domain may set for all of it, but not with the prefix.
    for name in ("assent_console", "__Secure-assent", "__host-assent", " __Host-assent2"):
        planted.cookie = f"{name}={session_of(signed_in)}"
        assert (await planted.get("/console/account")).status == 303, name
    planted.cookie = f"__Host-assent={session_of(signed_in)}"
    assert (await planted.get("/console/account")).status == 200


@pytest.mark.requirement("T17")
async def test_signing_out_takes_the_cookie_away_as_it_was_given(town: ConsoleTown) -> None:
    for has_tls, name in ((True, "__Host-assent"), (False, "assent_console")):
        there = ConsoleTown(town.world, ConsoleSettings(hosts=frozenset({HOST}), has_tls=has_tls))
        browser, other = there.browser(), await town.by_link()
        browser.cookie, browser.csrf = f"{name}={session_of(other)}", other.csrf
        cookie = (await browser.post("/console/sign-out")).headers["set-cookie"]
        assert cookie.startswith(f'{name}="";')
        assert {"max-age=0", "path=/", "httponly", "samesite=strict"} <= attributes_of(cookie)
        assert ("secure" in attributes_of(cookie)) is has_tls
        assert (await browser.get("/console/account")).status == 303


@pytest.mark.requirement("T17")
async def test_a_session_chosen_by_somebody_else_is_not_taken_over(town: ConsoleTown) -> None:
    browser = town.browser()
    browser.cookie = "assent_console=asc_k1_chosen"
    await browser.sign_in(await town.world.token(Kind.LINK, "eve", issued_by="assent serve"))
    assert "chosen" not in session_of(browser)


@pytest.mark.requirement("T24")
async def test_the_ledger_keeps_no_secret_of_a_session(town: ConsoleTown) -> None:
    eve = await town.by_link()
    caller = await authenticate.session(town.world.broker, session_of(eve))
    secret = session_of(eve).rpartition("_")[2]
    assert secret not in repr(caller.session)
    assert secret.encode() not in b"".join(record.leaf for record in await town.world.records())
    assert caller.session.secret_mac != secret.encode()


@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.example",
        "https://evil.example/",
        "/console/../v1",
        "/other",
        "/console//evil.example",
        "",
        "/console/\\x",
    ],
)
async def test_nobody_is_sent_away_after_signing_in(town: ConsoleTown, wanted: str) -> None:
    token = await town.world.token(Kind.OPERATOR, "eve")
    heard = await town.browser().post("/console/sign-in", secret=token, next=wanted)
    assert heard.headers["location"] == "/console/"


async def test_whoever_was_on_the_way_to_a_page_comes_to_it(town: ConsoleTown) -> None:
    token = await town.world.token(Kind.OPERATOR, "eve")
    heard = await town.browser().post("/console/sign-in", secret=token, next="/console/approvals/apr_1?raw=1")
    assert heard.headers["location"] == "/console/approvals/apr_1?raw=1"


async def test_a_session_is_no_bearer_token(town: ConsoleTown) -> None:
    eve = await town.by_link()
    with pytest.raises(Unauthenticated):
        await authenticate.operator(town.world.broker, session_of(eve), "api")


async def test_what_is_issued_from_a_session_names_it(town: ConsoleTown) -> None:
    admin = await town.by_link("admin")
    caller = await authenticate.session(town.world.broker, session_of(admin))
    await manage_principals.issue_credential(town.world.broker, Kind.OPERATOR, "sam", issued_by="admin", caller=caller)
    assert f'"using":"{caller.session.id}"'.encode() in (await town.world.records())[-1].leaf
    assert CredentialId(caller.session.id) == caller.session.id


async def test_a_slack_account_is_linked_with_a_code_from_here_and_unlinked(town: ConsoleTown) -> None:
    policy = town.world.policy
    people = tuple(replace(one, identities={"slack": "T0/U0EVE"} if one.id == "eve" else {}) for one in policy.people)
    town.world.policy = replace(policy, people=people)
    eve, admin = await town.by_link(), await town.by_token("admin")
    assert "It is not linked: what you press there counts as slack." in text_of(await eve.get("/console/account"))

    asked = text_of(await eve.post("/console/account/link"))
    found = re.search(r"/assent link ([A-Z0-9-]+)", asked)
    assert found is not None
    assert found[1] not in text_of(await eve.get("/console/account"))
    await type_code(town.world.broker, account="T0/U0EVE", code=found[1])
    assert "It is linked : what you press there counts as linked." in text_of(await eve.get("/console/account"))
    assert "Slack linked" in text_of(await admin.get("/console/people"))

    assert (await (await town.by_token("sam")).post("/console/people/eve/unlink")).status == 403
    assert (await admin.post("/console/people/eve/unlink")).status == 303
    assert (await eve.post("/console/account/unlink")).status == 404
    assert "It is not linked" in text_of(await eve.get("/console/account"))
    assert "None is declared for you" in text_of(await admin.get("/console/account"))
    assert (await admin.post("/console/account/link")).status == 409


@pytest.mark.requirement("T14", "T17")
async def test_whoever_guesses_at_the_same_address_keeps_nobody_out(town: ConsoleTown) -> None:
    link = await town.world.token(Kind.LINK, "eve", issued_by="assent serve")
    told = [(await town.browser().post("/console/sign-in", secret=f"{link[:-4]}AAAA")).status for _ in range(40)]
    assert (told[0], told[-1]) == (401, 429)
    await town.browser().sign_in(link)
