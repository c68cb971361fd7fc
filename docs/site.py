"""What the site has beyond the files in docs/: pages of the repository that lie elsewhere, and the pages of a folder.

A file outside docs/ is part of the site or no page links to it: `OUTSIDE` is the only list of them. Links are written
as they work in the repository; here they are turned to where the page stands in the site.
"""

import posixpath
import re
from pathlib import Path, PurePosixPath
from typing import Any, Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).parent.parent
# Where it lies in the repository, and which page of the site it is.
OUTSIDE: Final = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "reporting.md",
    "deploy/assent.service": "assent.service",
}
NOT_LISTED: Final = frozenset({"index.md", "README.md", "0000-template.md"})
LINK: Final = re.compile(r"(?<=\]\()(?P<path>(?![a-z]+:)[^)#\s]+)(?=(#[^)\s]+)?\))")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put all pages of a folder where the navigation says `folder/*`."""
    config.nav = expanded(config.nav)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from outside docs/."""
    for path, name in OUTSIDE.items():
        files.append(File.generated(config, name, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Turn the links of a page that lead out of docs/, or stand on a page from there, to the pages of the site."""
    inside = page.file.src_uri
    here = next((path for path, name in OUTSIDE.items() if name == inside), f"docs/{inside}")
    return LINK.sub(lambda link: turned(link["path"], here=here, inside=inside), markdown)


def turned(link: str, *, here: str, inside: str) -> str:
    """Return `link`, written on `here` in the repository, as it is on the page `inside` of the site."""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(here), link))
    name = OUTSIDE.get(target) or target.removeprefix("docs/")
    if name == target:
        return link  # a page that is not in the site: the strict build says so
    return str(posixpath.relpath(name, PurePosixPath(inside).parent))


def expanded(nav: Any) -> Any:  # noqa: ANN401  # whatever shape the navigation has in mkdocs.yml
    """Return `nav` with the pages of a folder in the place of `folder/*`."""
    if isinstance(nav, dict):
        return {title: expanded(below) for title, below in nav.items()}
    if isinstance(nav, list):
        return [entry for below in nav for entry in (pages_of(below) if is_folder(below) else [expanded(below)])]
    return nav


def is_folder(entry: object) -> bool:
    """Whether an entry of the navigation stands for all pages of a folder."""
    return isinstance(entry, str) and entry.endswith("/*")


def pages_of(entry: str) -> list[str]:
    """Return the pages of `folder/*` by name, without its own page and templates."""
    folder = entry.removesuffix("/*")
    names = sorted(path.name for path in (ROOT / "docs" / folder).glob("*.md"))
    return [f"{folder}/{name}" for name in names if name not in NOT_LISTED]
