"""Passkeys in a real browser, with an authenticator of its own: added, asked for one question, cancelled, not there."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from tests.cli.terminal import at_a_terminal
from tests.e2e.conftest import LINK, PHONE, Served, fits, sign_in
from tests.serving.broker_process import make_home

AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}
READY = "Approve once, with your passkey"


@dataclass(slots=True)
class Phone:
    """A browser on a phone with a finger on it; `wrong` is what it complained of."""

    page: Page
    devtools: Any
    authenticator: str
    wrong: list[str]

    def finger(self, *, is_right: bool) -> None:
        told = {"authenticatorId": self.authenticator, "isUserVerified": is_right}
        self.devtools.send("WebAuthn.setUserVerified", told)

    def with_another(self) -> str:
        """Return the id of a key that is there and that nobody touches yet."""
        usb = {**AUTHENTICATOR, "transport": "usb", "automaticPresenceSimulation": False}
        return str(self.devtools.send("WebAuthn.addVirtualAuthenticator", {"options": usb})["authenticatorId"])

    def touch(self, authenticator: str, *, is_there: bool) -> None:
        told = {"authenticatorId": authenticator, "enabled": is_there}
        self.devtools.send("WebAuthn.setAutomaticPresenceSimulation", told)


def pending(answer: Any) -> Any:  # JSON
    """Return the answer to an ask that waits for somebody."""
    assert answer.get("decision") == "pending", answer
    return answer


@pytest.fixture
def stepping(tmp_path: Path) -> Iterator[Served]:
    """A broker whose one route asks for a passkey, with the link that its terminal showed."""
    home = make_home(tmp_path / "broker")
    routes = home.directory / "policies" / "routes.yaml"
    routes.write_text(routes.read_text().replace("assurance: token", "assurance: step_up"))
    with at_a_terminal("serve", "--config", str(home.config), "--port", "0", env={}) as screen:
        found = LINK.search(screen.until("broker_started"))
        assert found is not None, screen.shown
        yield Served(home=home, url=found[1], link=found[2])
        screen.interrupt()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context(viewport=PHONE) as made:
        yield made


@pytest.fixture
def phone(context: BrowserContext) -> Phone:
    page, wrong = context.new_page(), list[str]()
    page.on("console", lambda said: wrong.append(f"{said.type}: {said.text}"))
    page.on("pageerror", lambda fault: wrong.append(str(fault)))
    devtools = context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    made = devtools.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    return Phone(page, devtools, made["authenticatorId"], wrong)


def sign_in_with_link(page: Page, broker: Served) -> None:
    page.goto(f"{broker.url}/console/sign-in?link={broker.link}")
    page.get_by_role("button", name="Sign in as you").click()
    page.wait_for_url(f"{broker.url}/console/")


def add(page: Page, broker: Served, name: str = "phone") -> None:
    page.goto(f"{broker.url}/console/account")
    page.get_by_label("What you call it").fill(name)
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"{name}, added")).to_be_visible()


def wake(page: Page) -> None:
    page.locator("[data-last-line]").scroll_into_view_if_needed()
    expect(page.get_by_role("button", name=READY)).to_be_enabled()


@pytest.mark.requirement("P5", "T17", "T26")
def test_on_a_phone_a_passkey_is_added_and_signs_one_question(stepping: Served, phone: Phone) -> None:
    page = phone.page
    sign_in_with_link(page, stepping)
    asked = pending(stepping.ask(path="prod/step.txt", content="x"))
    path = f"{stepping.url}/console/approvals/{asked['approval']['id']}"
    page.goto(path)
    expect(page.get_by_text("you have none")).to_be_visible()
    add(page, stepping)
    page.goto(path)
    wake(page)
    # A finger that is not theirs: the browser says no, nothing is sent, and the button waits.
    phone.finger(is_right=False)
    page.get_by_role("button", name=READY).click()
    expect(page.get_by_text("You cancelled, or your passkey did not answer in time")).to_be_visible()
    expect(page.get_by_role("button", name=READY)).to_be_enabled()
    assert stepping.state(asked) == "pending"
    phone.finger(is_right=True)
    page.get_by_role("button", name=READY).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Approved, waiting for the agent")
    expect(page.get_by_text("you said yes (console, step_up)").first).to_be_visible()
    assert stepping.state(asked) == "ready"
    assert fits(page)
    assert phone.wrong == []


@pytest.mark.requirement("T17", "T26")
def test_on_a_phone_a_finger_signs_in_and_the_session_ends_with_its_passkey(stepping: Served, phone: Phone) -> None:
    page, door = phone.page, f"{stepping.url}/console/sign-in?next=/console/breakers"
    button = page.get_by_role("button", name="Sign in with a passkey")
    page.goto(door)
    # Nobody added one yet: the browser finds none, and says no more than that.
    button.click()
    expect(page.get_by_text("or this device has none that signs in here")).to_be_visible()
    expect(button).to_be_enabled()
    sign_in_with_link(page, stepping)
    add(page, stepping)
    page.get_by_role("button", name="Sign out").click()
    page.goto(door)
    phone.finger(is_right=False)
    button.click()
    expect(page.get_by_text("You cancelled, your passkey did not answer in time")).to_be_visible()
    expect(button).to_be_focused()
    assert fits(page)
    phone.finger(is_right=True)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{stepping.url}/console/breakers")
    page.goto(f"{stepping.url}/console/account")
    expect(page.get_by_text("passkey, so what you do here counts as console")).to_be_visible()
    page.get_by_role("button", name="Take it away").click()
    page.wait_for_url("**/console/sign-in?next=%2Fconsole%2Faccount")
    button.click()
    expect(page.get_by_role("alert")).to_contain_text("this passkey was taken away")
    page.goto(door.replace("localhost", "127.0.0.1"))
    expect(button).to_have_count(0)
    page.get_by_role("link", name="sign in there").click()
    expect(button).to_be_visible()
    page.add_init_script("delete window.PublicKeyCredential")
    page.goto(door)
    button.click()
    expect(page.get_by_text("This browser has no passkeys")).to_be_visible()
    # A refused sign-in is a 401, which the browser writes down.
    assert [one for one in phone.wrong if "401" not in one] == []


@pytest.mark.requirement("T17", "T26")
def test_a_further_one_is_signed_for_and_one_is_taken_away(stepping: Served, phone: Phone) -> None:
    page = phone.page
    sign_in_with_link(page, stepping)
    add(page, stepping)
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_text("This device or key holds a passkey of yours already.")).to_be_visible()
    key = phone.with_another()

    def hold_the_key_out(vouched: Route) -> None:
        # The phone signs for the new one; then its holder takes the key into their hand.
        answer = vouched.fetch()
        phone.touch(phone.authenticator, is_there=False)
        phone.touch(key, is_there=True)
        vouched.fulfill(response=answer)

    page.route("**/passkeys/vouch", hold_the_key_out)
    add(page, stepping, "key")
    expect(page.get_by_role("button", name="Take it away")).to_have_count(2)
    phone.touch(phone.authenticator, is_there=True)
    page.get_by_role("button", name="Take it away").first.click()
    expect(page.get_by_role("button", name="Take it away")).to_have_count(1)
    assert phone.wrong == []


@pytest.mark.requirement("T26")
def test_by_a_number_it_is_said_where_to_go_and_without_support_that_there_is_none(
    stepping: Served, phone: Phone
) -> None:
    page = phone.page
    sign_in_with_link(page, stepping)
    add(page, stepping)
    asked = pending(stepping.ask(path="prod/where.txt", content="x"))
    path = f"/console/approvals/{asked['approval']['id']}"
    page.goto(stepping.url.replace("localhost", "127.0.0.1") + path)
    sign_in(page, stepping.home)
    wake(page)
    page.get_by_role("button", name=READY).click()
    expect(page.get_by_text(f"sign in at {stepping.url} and open this there")).to_be_visible()
    page.add_init_script("delete window.PublicKeyCredential")
    page.goto(stepping.url + path)
    wake(page)
    page.get_by_role("button", name=READY).click()
    expect(page.get_by_text("This browser has no passkeys")).to_be_visible()
    assert stepping.state(asked) == "pending"
    assert phone.wrong == []
