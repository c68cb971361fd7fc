"""Two people at the console in real browsers: a secret, a stop that two let go on, what comes too late or is found."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.console.issuer import CLIENT, SECRET, StandIn, issuer
from tests.e2e.conftest import fits
from tests.serving.broker_process import BrokerProcess, Home, make_home

PEOPLE = """\
demo-owner: {}
you: {groups: [approvers], may: [approver, operator, auditor], oidc: {subject: s-you}}
sam: {groups: [approvers], may: [approver, operator, auditor], oidc: {subject: s-sam}}
"""
VAULT = """\
vault.put:
  description: keep a secret
  impact: write
  resource: "{name}"
  environment: production
  arguments: {name: {type: string, max_length: 50}, value: {type: string, max_length: 200}}
  sensitive: [value]
  how_bad: "whoever uses {name} uses the new value from then on"
  undo: "put the former value of {name} again"
"""
EDIT = """\
config.edit:
  description: replace one passage of a configuration file
  impact: write
  resource: "{file}"
  environment: production
  arguments:
    file: {type: string, max_length: 50}
    old: {type: string, unicode: true, max_length: 50000}
    new: {type: string, unicode: true, max_length: 50000}
  diff: {before: old, after: new}
  how_bad: "whoever reads {file} reads the new passage"
  undo: "put the old passage back"
"""
RULES = """\
    - {id: edit, tools: [config.edit], environments: ["*"], effect: require_approval, route: default}
    - {id: keep, tools: [vault.put], environments: ["*"], effect: require_approval, route: default}
    - {id: hasty, tools: [files.delete], environments: [production], effect: require_approval, route: hasty}
"""
HASTY = """
hasty:
  needs: [{any: 1, of: approvers}]
  assurance: console
  expires_after: 10s
"""
PAGES = ("", "breakers", "activity?all=1", "agents", "agents/demo-agent", "people", "policy", "numbers", "account")
AXE = Path(__file__).parents[2] / ".venv/node/node_modules/axe-core/axe.min.js"
NEVER = "files-never-delete"


@dataclass(slots=True)
class Office:
    """A broker, and the issuer by which people sign in."""

    broker: BrokerProcess
    issuer: StandIn
    browser: Browser
    opened: list[BrowserContext]

    def at(self, who: str, path: str) -> Page:
        """Return a browser of that person, signed in, at a page."""
        context = self.browser.new_context(viewport={"width": 1280, "height": 800})
        self.opened.append(context)
        page = context.new_page()
        self.issuer.signed_in = f"s-{who}"
        page.goto(self.broker.url + path)
        page.get_by_role("link", name="Sign in with localhost").click()
        page.wait_for_url(self.broker.url + path)
        return page


def prepared(home: Home) -> Home:
    policies = home.directory / "policies"
    (policies / "operators.yaml").write_text(PEOPLE)
    (policies / "tools" / "vault.yaml").write_text(VAULT)
    (policies / "tools" / "config.yaml").write_text(EDIT)
    routes, roles = policies / "routes.yaml", next((policies / "roles").glob("*.yaml"))
    routes.write_text(routes.read_text().replace("assurance: token", "assurance: console") + HASTY)
    kept = [line for line in roles.read_text().splitlines() if NEVER not in line]
    roles.write_text("\n".join(kept) + "\n" + RULES)
    for case in (policies / "tests").glob("*.yaml"):
        case.unlink()
    return home


@pytest.fixture(scope="module")
def office(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    home = prepared(make_home(tmp_path_factory.mktemp("office") / "broker"))
    with issuer("localhost") as there:
        known = {"ASSENT_OIDC_ISSUER": there.url, "ASSENT_OIDC_CLIENT_ID": CLIENT, "ASSENT_OIDC_CLIENT_SECRET": SECRET}
        with BrokerProcess(home=home, env=known) as broker:
            made = Office(broker, there, browser, [])
            yield made
            for context in made.opened:
                context.close()


@pytest.mark.requirement("T13", "P3")
def test_a_secret_is_shown_to_whoever_asks_on_record_and_only_then_approved(office: Office) -> None:
    asked = office.broker.ask("vault.put", name="db", value="correct horse battery")
    page = office.at("you", f"/console/approvals/{asked['approval']['id']}")
    lines, approve = page.get_by_label("The arguments, line by line"), page.get_by_role("button", name="Approve once")
    expect(lines).not_to_contain_text("horse")
    page.locator("[data-last-line]").scroll_into_view_if_needed()
    expect(page.get_by_text("Nobody can approve without having seen it.")).to_be_visible()
    expect(approve).to_be_disabled()
    page.get_by_label("Why you look (on record)").fill("is it the new one")
    page.get_by_role("button", name="Show the sensitive values").click()
    expect(lines).to_contain_text("correct horse battery")
    page.locator("[data-last-line]").scroll_into_view_if_needed()
    expect(approve).to_be_enabled()
    approve.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Approved, waiting for the agent")
    (revealed,) = office.broker.records("payload.revealed")
    assert (revealed["operator"], revealed["action"]) == ("you", asked["action_id"])
    other = office.at("sam", f"/console/approvals/{asked['approval']['id']}")
    expect(other.get_by_label("The arguments, line by line")).not_to_contain_text("horse")


@pytest.mark.requirement("P6", "T11")
def test_what_one_stopped_goes_on_when_a_second_person_agrees_and_not_before(office: Office) -> None:
    you = office.at("you", "/console/breakers")
    you.get_by_text("Stop…").click()
    you.get_by_label("Tool, or a pattern").fill("files.write")
    you.get_by_role("button", name="Stop it now").click()
    expect(you.get_by_role("heading", level=1)).to_contain_text("Stopped: tool `files.write`")
    assert office.broker.ask("files.write", path="staging/a", content="x")["decision"] == "deny"
    for _ in range(2):  # asking twice is one person still
        you.goto(f"{office.broker.url}/console/breakers")
        you.get_by_text("Let it go on…").click()
        you.get_by_label("Why it may go on").fill("it was a false alarm")
        you.get_by_role("button", name="Ask to let it go on").click()
        expect(you.get_by_role("heading", level=1)).to_contain_text("A second person is needed")
    assert office.broker.ask("files.write", path="staging/b", content="x")["decision"] == "deny"
    sam = office.at("sam", "/console/breakers")
    expect(sam.get_by_text("you asks to let it go on")).to_be_visible()
    sam.get_by_text("Let it go on…").click()
    sam.get_by_label("Why it may go on").fill("I looked as well")
    sam.get_by_role("button", name="Agree: let it go on").click()
    expect(sam.get_by_text("Nothing is stopped.")).to_be_visible()
    assert office.broker.ask("files.write", path="staging/c", content="x")["decision"] == "allow"


@pytest.mark.requirement("P5")
def test_who_comes_too_late_sees_the_question_close_by_itself(office: Office) -> None:
    asked = office.broker.ask("files.delete", path="prod/old")
    page = office.at("you", f"/console/approvals/{asked['approval']['id']}")
    expect(page.get_by_role("heading", level=1)).to_contain_text(
        "Nobody answered in time, nothing was run", timeout=30_000
    )
    page.reload()
    expect(page.get_by_role("button", name="Approve once")).to_have_count(0)


def test_what_happened_is_found_by_agent_tool_decision_and_code(office: Office) -> None:
    asked = office.broker.ask("vault.put", name="found", value="x")
    page = office.at("you", "/console/activity")
    page.get_by_label("Tool", exact=True).fill("vault.put")
    page.get_by_label("Decision").select_option("pending")
    page.get_by_role("button", name="Look").click()
    expect(page.locator("#records li").first).to_contain_text(
        "demo-agent asked for vault.put in production: a human decides"
    )
    page.locator("#records li").first.get_by_role("link").click()
    expect(page.get_by_text("a human decides").first).to_be_visible()
    page.goto(f"{office.broker.url}/console/activity?tool=nobody.has")
    expect(page.locator("#records .empty")).to_be_visible()
    page.goto(f"{office.broker.url}/console/")
    page.get_by_label("Code").fill(asked["approval"]["code"])
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/console/approvals/{asked['approval']['id']}")


@pytest.mark.skipif(
    not AXE.is_file(), reason="no axe-core in .venv/node: `npm install --prefix .venv/node` as .ci/run does"
)
def test_no_page_keeps_anybody_out(office: Office) -> None:
    asked = office.broker.ask("vault.put", name="open", value="x")
    page = office.at("you", "/console/")
    found: dict[str, list[str]] = {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for path in (*PAGES, f"approvals/{asked['approval']['id']}", f"activity/{asked['action_id']}"):
            page.goto(f"{office.broker.url}/console/{path}")
            page.evaluate(AXE.read_text())
            told = page.evaluate("async () => (await axe.run({resultTypes: ['violations']})).violations")
            found[f"{scheme} {path}"] = [
                f"{one['impact']}: {one['id']}: {node['target']}" for one in told for node in one["nodes"]
            ]
    assert {path: wrong for path, wrong in found.items() if wrong} == {}
    page.evaluate("document.querySelector('main').append(document.createElement('button'))")
    told = page.evaluate("async () => (await axe.run()).violations.map(one => one.id)")
    assert told == ["button-name"], "what has no name is noticed"


def test_every_page_fits_a_phone_in_the_light_and_in_the_dark(office: Office, tmp_path: Path) -> None:
    # Lines without a place to break, wide ones and many, on both sides.
    old = "x" * 3_000 + "\n" + " " * 300 + "end\n" + "same\n" * 50
    asked = office.broker.ask(
        "config.edit", file="app.yaml", old=old, new=old.replace("x" * 50, "y" * 50, 1) + "W" * 500
    )
    page = office.at("you", "/console/")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for width in (360, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            for path in (*PAGES, "policy?of-agent=demo-agent", f"approvals/{asked['approval']['id']}"):
                page.goto(f"{office.broker.url}/console/{path}")
                is_right = fits(page)
                page.screenshot(path=tmp_path / f"{scheme}-{width}-{path.partition('?')[0].replace('/', '-')}.png")
                assert is_right, f"{path} is wider than {width} pixels"


@pytest.mark.requirement("T3", "P3")
def test_a_diff_is_read_to_its_end_and_then_approved(office: Office) -> None:
    asked = office.broker.ask(
        "config.edit", file="pool.yaml", old="size: 20\n" * 200, new="size: 20\n" * 199 + "size: 80\n"
    )
    page = office.at("you", f"/console/approvals/{asked['approval']['id']}")
    page.set_viewport_size({"width": 390, "height": 844})
    approve = page.get_by_role("button", name="Approve once")
    expect(page.get_by_text("From old to new (1 line removed, 1 added)")).to_be_visible()
    # Behind the first lines of the diff nobody has seen all of it.
    expect(approve).to_be_disabled()
    last = page.get_by_label("The difference, line by line").get_by_role("listitem").last
    expect(last).to_have_text("+size: 80")
    page.locator("[data-last-line]").scroll_into_view_if_needed()
    expect(approve).to_be_enabled()
    approve.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Approved, waiting for the agent")
