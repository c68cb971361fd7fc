"""The site: it builds without a warning, shows what the repository says, and loads nothing from anywhere else."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from docs import site

ROOT = Path(__file__).parent.parent
SECONDS = 60
# What a browser fetches by itself when it shows a page; a link that a reader may follow is not among them.
FETCHED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "video": "src"}
FETCHING_STYLE = re.compile(r"@import\s+(?:url\()?|url\(")
FOREIGN = re.compile(r"^\s*['\"]?(?:[a-z]+:)?//", re.IGNORECASE)


def build(repository: Path, into: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(into)]
    return subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False, timeout=SECONDS)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT, folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Returns a folder with what the site is built from, free to be spoiled."""
    folder = tmp_path / "clone"
    shutil.copytree(ROOT / "docs", folder / "docs")
    for path in (*site.OUTSIDE, "mkdocs.yml"):
        (folder / path).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / path, folder / path)
    (folder / "src").symlink_to(ROOT / "src")
    return folder


def test_links_that_lead_nowhere_and_a_page_without_a_place_stop_the_build(clone: Path, tmp_path: Path) -> None:
    (clone / "docs" / "new.md").write_text("# A page without a place\n")
    with (clone / "docs" / "why.md").open("a") as page:
        page.write("\n[gone](gone.md) [gone](words.md#gone) [not in the site](../src/assent/logs.py)\n")
    done = build(clone, tmp_path / "site")
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert [told for told in ("gone.md", "#gone", "logs.py", "new.md") if told not in said] == []
    assert "Aborted with 4 warnings in strict mode" in said


def test_the_check_builds_strictly_and_counts_warnings() -> None:
    steps = [line for line in (ROOT / "run").read_text().splitlines() if "mkdocs" in line and "build" in line]
    assert steps
    assert all("--strict" in line and "--quiet" not in line and " -q" not in line for line in steps)


class Fetches(HTMLParser):
    """Collects what a page makes the browser fetch, and the styles written into it."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.styles: list[str] = []
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._in_style = tag == "style"
        self.addresses.append(given.get(FETCHED.get(tag, "")) or "")
        self.styles.append(given.get("style") or "")

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.styles.append(data)


def foreign_in_style(text: str) -> Iterator[str]:
    for found in FETCHING_STYLE.finditer(text):
        address = text[found.end() : found.end() + 80]
        if FOREIGN.match(address):
            yield address


def foreign_in_page(text: str) -> list[str]:
    page = Fetches()
    page.feed(text)
    addresses = [address for address in page.addresses if FOREIGN.match(address)]
    return addresses + [address for style in page.styles for address in foreign_in_style(style)]


def test_what_looks_for_foreign_origins_finds_them() -> None:
    page = """<link href="//a.example/x.css"><script src=https://b.example/x.js></script><a href="https://c.example">
    <style>@import "https://d.example/x.css"; p { background: url(https://e.example/x.png) }</style><img src="x.png">"""
    assert [found[:16] for found in foreign_in_page(page)] == [
        "//a.example/x.cs",
        "https://b.exampl",
        '"https://d.examp',
        "https://e.exampl",
    ]


def test_no_page_makes_a_browser_fetch_from_another_origin(built: Path) -> None:
    pages = sorted(built.rglob("*.html"))
    assert len(pages) > len(list((ROOT / "docs").glob("*.md")))
    assert {page.name: found for page in pages if (found := foreign_in_page(page.read_text()))} == {}


def test_no_style_sheet_fetches_from_another_origin(built: Path) -> None:
    sheets = sorted(built.rglob("*.css"))
    assert sheets
    assert {sheet.name: found for sheet in sheets if (found := list(foreign_in_style(sheet.read_text())))} == {}


def test_nothing_on_a_page_switches_on_what_the_theme_would_load_from_elsewhere(built: Path) -> None:
    # Its script fetches a library for diagrams, and the popularity of a repository, where a page asks for them.
    pages = [page.read_text() for page in built.rglob("*.html")]
    assert [page for page in pages if 'class="mermaid"' in page or 'data-md-component="source"' in page] == []


def test_every_page_of_the_repository_is_in_the_site(built: Path) -> None:
    inside = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")]
    names = [name.with_name("index.md") if name.name == "README.md" else name for name in inside]
    names += [Path(name) for name in site.OUTSIDE.values() if name.endswith(".md")]
    wanted = {name.with_suffix(".html") for name in names}
    assert {name for name in wanted if not (built / name).is_file()} == set()


def test_pages_from_outside_the_folder_are_files_of_the_repository() -> None:
    assert [path for path in site.OUTSIDE if not (ROOT / path).is_file()] == []


@pytest.mark.parametrize(
    ("link", "here", "inside", "turned"),
    [
        ("../SECURITY.md", "docs/index.md", "index.md", "reporting.md"),
        ("../../CHANGELOG.md", "docs/decisions/0001-x.md", "decisions/0001-x.md", "../changelog.md"),
        ("docs/cli.md", "CONTRIBUTING.md", "contributing.md", "cli.md"),
        ("cli.md", "docs/index.md", "index.md", "cli.md"),
        ("../src/assent/logs.py", "docs/index.md", "index.md", "../src/assent/logs.py"),
    ],
)
def test_a_link_is_turned_to_where_the_page_stands_in_the_site(link: str, here: str, inside: str, turned: str) -> None:
    assert site.turned(link, here=here, inside=inside) == turned


def test_no_page_of_the_site_leads_to_a_file_that_is_not_in_it() -> None:
    pages = {path: f"docs/{path.relative_to(ROOT / 'docs')}" for path in (ROOT / "docs").rglob("*.md")}
    pages |= {ROOT / path: path for path in site.OUTSIDE if path.endswith(".md")}
    links = [(here, link["path"]) for path, here in pages.items() for link in site.LINK.finditer(path.read_text())]
    assert links
    assert [pair for pair in links if not in_the_site(*pair)] == []


def in_the_site(here: str, link: str) -> bool:
    target = (ROOT / here).parent.joinpath(link).resolve()
    name = target.relative_to(ROOT).as_posix()
    return name in site.OUTSIDE or (target.is_relative_to(ROOT / "docs") and target.is_file())
