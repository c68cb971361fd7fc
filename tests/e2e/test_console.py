"""The console in a real browser: signing in, reading, answering; nothing goes wrong on any page, nothing leaves it."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Served, Watched, fits, sign_in

Visit = Callable[..., Watched]
LONG = "\n".join(f"line {number}" for number in range(200))
NAUGHTY = "<script>alert(1)</script><img src=x onerror=alert(1)>\u202e\u200b\"'>{{7*7}}</code>"


@pytest.mark.requirement("T3", "T17")
def test_with_the_link_on_a_phone_all_of_it_is_read_and_then_approved(served: Served, visit: Visit) -> None:
    asked = served.ask(path="prod/long.txt", content=LONG)
    page = visit(f"/console/sign-in?link={served.link}", phone=True).page
    page.get_by_role("button", name="Sign in as you").click()
    assert asked["approval"]["url"] == f"{served.url}/console/approvals/{asked['approval']['id']}"
    page.get_by_role("link", name="files.write in production").click()
    approve = page.get_by_role("button", name="Approve once")
    expect(approve).to_be_disabled()
    assert fits(page)
    page.locator("[data-last-line]").scroll_into_view_if_needed()
    expect(approve).to_be_enabled()
    approve.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Approved, waiting for the agent")
    assert served.state(asked) == "ready"


@pytest.mark.requirement("T3", "T17")
def test_naughty_text_stays_text_and_a_no_is_a_no(served: Served, visit: Visit) -> None:
    asked = served.ask(path="prod/naughty.txt", content=NAUGHTY)
    page = visit(f"/console/approvals/{asked['approval']['id']}").page
    sign_in(page, served.home)
    lines = page.get_by_label("The arguments, line by line")
    expect(lines).to_contain_text("<script>alert(1)</script><img src=x onerror=alert(1)>\\u{202e}\\u{200b}")
    assert page.locator("main script, main img, main svg").count() == 0
    page.get_by_label("Why not").select_option("malicious")
    page.get_by_label("In words").fill(NAUGHTY)
    page.get_by_role("button", name="Deny").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Denied, nothing was run")
    assert served.state(asked) == "denied"


def test_an_open_inbox_shows_what_comes_without_being_loaded_again(served: Served, visit: Visit) -> None:
    page = visit("/console/?show=open").page
    sign_in(page, served.home)
    with page.expect_response(lambda answer: "/console/live?of=%2Fconsole%2F%3Fshow%3Dopen" in answer.url):
        page.reload()
    page.evaluate("window.sameDocument = true")
    asked = served.ask(path="prod/live.txt", content="live")
    expect(page.get_by_text(asked["approval"]["code"])).to_be_visible()
    assert page.evaluate("window.sameDocument")


@pytest.mark.requirement("T18")
def test_two_people_at_once_and_everything_by_keyboard(served: Served, visit: Visit) -> None:
    asked = served.ask(path="prod/short.txt", content="short")
    path = f"/console/approvals/{asked['approval']['id']}"
    one, other = visit(path), visit(path)
    first, second = one.page, other.page
    # This page hears of nothing: what the other person does meanwhile, only the broker can tell.
    second.route("**/console/live*", lambda route: route.fulfill(status=204))
    for page in (first, second):
        page.get_by_label("Your operator token").press_sequentially(served.home.operator_token)
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Approve once")).to_be_enabled()
    first.get_by_label("Why not").focus()
    first.keyboard.press("t")
    first.keyboard.press("Tab")
    first.keyboard.press("Tab")
    first.keyboard.press("Enter")
    expect(first.get_by_role("heading", level=1)).to_contain_text("Denied")
    second.get_by_role("button", name="Approve once").focus()
    second.keyboard.press("Enter")
    expect(second.get_by_role("alert")).to_contain_text("decided already")
    # The browser itself says so of every answer that is a no.
    assert [wrong for wrong in other.wrong if "409 (Conflict)" not in wrong and "status 204" not in wrong] == []
    other.wrong.clear()
    assert served.state(asked) == "denied"
