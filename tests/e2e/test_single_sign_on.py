"""Single sign-on in a real browser, with an issuer on another site: cookies cross where they should, and only there."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.console.issuer import CLIENT, SECRET, issuer
from tests.serving.broker_process import BrokerProcess, make_home

EVE = "248289761001"


@pytest.mark.requirement("T17")
def test_a_person_comes_back_from_the_issuer_to_the_page_that_they_wanted(browser: Browser, tmp_path: Path) -> None:
    home = make_home(tmp_path / "broker")
    people = home.directory / "policies" / "operators.yaml"
    people.write_text(
        people.read_text().replace("groups: [approvers]", f'groups: [approvers], oidc: {{subject: "{EVE}"}}')
    )
    with issuer("localhost") as there:
        there.signed_in = EVE
        known = {"ASSENT_OIDC_ISSUER": there.url, "ASSENT_OIDC_CLIENT_ID": CLIENT, "ASSENT_OIDC_CLIENT_SECRET": SECRET}
        with BrokerProcess(home=home, env=known) as broker, browser.new_context() as context:
            page = context.new_page()
            wrong: list[str] = []
            page.on("console", lambda said: wrong.append(said.text))
            page.goto(f"{broker.url}/console/account")
            page.get_by_role("link", name="Sign in with localhost").click()
            expect(page.get_by_role("heading", level=1)).to_contain_text("you")
            page.wait_for_url(f"{broker.url}/console/account")
            assert {cookie["name"] for cookie in context.cookies()} == {"assent_console"}
            page.reload()
            expect(page.get_by_text("signed in as you")).to_be_visible()
            assert wrong == []
            page.get_by_role("button", name="Sign out").first.click()
            there.signed_in = "somebody else"
            page.get_by_role("link", name="Sign in with localhost").click()
            expect(page.get_by_role("alert")).to_contain_text("oidc: {subject: somebody else}")
