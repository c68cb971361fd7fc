"""Pictures of the console as its page in docs/ shows them, taken from a real broker in a real browser.

    python -m tests.e2e.pictures docs/assets/console        # needs chromium

Somebody takes them again whenever these pages change, and looks at them.
"""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests.e2e.conftest import CHROMIUM, PHONE
from tests.serving.broker_process import BrokerProcess, Home, make_home

TOOL = """\
config.edit:
  description: replace one passage of a configuration file
  impact: write
  resource: "{file}"
  environment: production
  arguments:
    file: {type: string, path: true, max_length: 500}
    old: {type: string, unicode: true, max_length: 50000}
    new: {type: string, unicode: true, max_length: 50000}
  diff: {before: old, after: new}
  how_bad: "the checkout reads {file} at its next start"
  undo: "put the passage back that stands as old"
"""
RULE = '    - {id: edit, tools: [config.edit], environments: ["*"], effect: require_approval, route: default}\n'
OLD = "pool:\n  size: 20\n  timeout: 5s\nretries: 3\n"
NEW = "pool:\n  size: 80\n  timeout: 5s\nretries: 3\nkeep_alive: true\n"


def prepared(home: Home) -> Home:
    """Let the agent of the start edit configuration, when somebody agrees."""
    policies = home.directory / "policies"
    (policies / "tools" / "config.yaml").write_text(TOOL)
    (role,) = (policies / "roles").glob("*.yaml")
    role.write_text(role.read_text().rstrip("\n") + "\n" + RULE)
    return home


def take(page: Page, picture: Path, *, upto: str) -> None:
    """Take the top of the page, down to where `upto` ends."""
    box = page.locator(upto).first.bounding_box()
    assert box is not None
    height = min(page.evaluate("document.documentElement.scrollHeight"), box["y"] + box["height"] + 16)
    clip = {"x": 0, "y": 0, "width": PHONE["width"], "height": height}
    page.screenshot(path=picture, clip=clip, full_page=True)  # type: ignore[arg-type]  # a FloatRect by its fields
    print(picture)


def main(folder: Path) -> None:
    """Take every picture."""
    if CHROMIUM is None:
        sys.exit("no chromium: apt-get install chromium")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made, sync_playwright() as playwright:
        home = prepared(make_home(Path(made) / "broker"))
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        with BrokerProcess(home=home) as broker:
            broker.ask("files.write", path="prod/prices.txt", content="tea 3.40\n")
            asked = broker.ask("config.edit", file="checkout/app.yaml", old=OLD, new=NEW)
            page = browser.new_page(viewport=PHONE)
            page.goto(f"{broker.url}/console/")
            page.get_by_label("Your operator token").fill(home.operator_token)
            page.get_by_role("button", name="Sign in", exact=True).click()
            expect(page.get_by_text(asked["approval"]["code"])).to_be_visible()
            take(page, folder / "inbox.phone.png", upto="#inbox")
            page.goto(f"{broker.url}/console/approvals/{asked['approval']['id']}")
            take(page, folder / "question.phone.png", upto="[data-last-line]")
            page.locator("#stop summary").click()
            take(page, folder / "stop.phone.png", upto="#stop form")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
