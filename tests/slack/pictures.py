"""Pictures of every card, dialog and home tab, as the stand-in draws them: for a phone and for a desk.

    python -m tests.slack.pictures FOLDER        # needs chromium

Somebody looks at them whenever cards change; those that docs/on-call.md shows are taken from here.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from assent.demo.workspace import page
from assent.demo.workspace.people import Person
from assent.demo.workspace.state import Message, Opened, Workspace
from tests.slack.conftest import PROD
from tests.slack.gallery import MESSAGES, VIEWS

WIDTHS = {"phone": 390, "desk": 1_000}
NARROWEST = 500  # a browser's window, so a phone's page is drawn in a frame
EVE = Person(id="U0EVE", name="eve")


class Drawn:
    """What the page needs of a stand-in: its workspace, and what was pressed."""

    def __init__(self, slack: Workspace) -> None:
        self.slack = slack
        self.delivery = SimpleNamespace(log=[])


def pages() -> dict[str, str]:
    """Return the page of each thing by its name."""
    made = {name: _page(blocks=list(blocks)) for name, blocks in MESSAGES.items()}
    made |= {f"home {name}": _page(blocks=view["blocks"]) for name, view in VIEWS.items() if view["type"] == "home"}
    return made | {f"dialog {name}": _page(view=view) for name, view in VIEWS.items() if view["type"] == "modal"}


def _page(*, blocks: list[Any] | None = None, view: dict[str, Any] | None = None) -> str:
    slack = Workspace(people=[EVE], channels=[PROD])
    if blocks is not None:
        slack.messages.append(Message(channel=PROD.id, ts="1.000001", forms=[{"text": "", "blocks": blocks}]))
    if view is not None:
        slack.opened["V1"] = Opened(id="V1", person=EVE.id, view=view, hash="")
    drawn = page.shown_to(Drawn(slack), EVE.id)  # type: ignore[arg-type]  # it looks at the workspace alone
    return drawn.replace("<nav>", "<nav style='display:none'>").replace("<h1>", "<h1 hidden>")


def main(folder: Path) -> None:
    """Take every picture at every width."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        sys.exit("no chromium: apt-get install chromium")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as drawn:
        for name, html in pages().items():
            slug = re.sub(r"[^a-z0-9]+", "-", name.lower())
            for what, width in WIDTHS.items():
                _take(browser, Path(drawn), html, width, folder / f"{slug}.{what}.png")


def _take(browser: str, drawn: Path, html: str, width: int, picture: Path) -> None:
    # A window is never as narrow as a phone: the page is held to its width, and measured before it is taken.
    held = f"<style>html{{width:{width}px}}body{{display:block}}main{{margin:0}}</style>"
    measure = (
        "<script>document.title = Math.ceil(Math.max(...[...document.querySelectorAll('main, dialog')].map("
        "one => one.tagName == 'MAIN' ? one.getBoundingClientRect().bottom : one.scrollHeight + 60)))</script>"
    )
    source = drawn / "page.html"
    source.write_text(html.replace("</head>", held) if "</head>" in html else html.replace("<body", f"{held}<body"))
    source.write_text(source.read_text().replace("</body>", f"{measure}</body>"))
    options = ["--headless", "--no-sandbox", "--hide-scrollbars"]
    seen = subprocess.run(
        [browser, *options, "--dump-dom", source.as_uri()], check=True, capture_output=True, text=True
    )
    found = re.search(r"<title>([0-9]+)</title>", seen.stdout)
    height = int(found[1]) + 16 if found else 800
    size = f"--window-size={max(width, NARROWEST)},{height}"
    subprocess.run(
        [browser, *options, size, f"--screenshot={picture}", source.as_uri()], check=True, capture_output=True
    )
    print(picture)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
