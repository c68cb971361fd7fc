"""The page of each framework does what it says: its programs run in order, and print what it shows."""

import contextlib
import io
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.broker import Broker
from tests.adapters.promises import DRIVERS
from tests.pages.reader import Block, blocks

DOCS = Path(__file__).parents[2] / "docs" / "adapters"
PAGES = {"langchain": "langchain.md", "openai_agents": "openai-agents.md"}
RUN_ID = "letters-1"


def printed(page: Path, broker: Broker) -> Iterator[tuple[str, str]]:
    """Run what a page gives its reader; yield what each program printed, and what the page says."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for block, behind in pairwise([*blocks(page), Block("", "")]):
        if block.kind == "sh":
            assert block.text.startswith("assent approvals approve ")
            broker.approve(*broker.pending(RUN_ID))
        elif block.kind == "python":
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(block.text, str(page), "exec"), names)  # noqa: S102  # the page's own programs
            yield out.getvalue(), behind.text if behind.kind == "text" else ""


@pytest.mark.parametrize("name", PAGES)
def test_a_page_prints_what_it_says(name: str, broker: Broker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if find_spec(DRIVERS[name]) is None:
        pytest.skip(f"{name} is not installed here; `./run adapters {name}` brings it")
    monkeypatch.setenv("ASSENT_URL", broker.url)
    monkeypatch.setenv("ASSENT_AGENT_KEY", broker.made.agent_key)
    monkeypatch.setenv("ASSENT_SPOOL", str(tmp_path / "spool"))
    ran = list(printed(DOCS / PAGES[name], broker))
    assert [told for told, _ in ran] == [says for _, says in ran]
    assert sum(bool(says) for _, says in ran) > 1


def test_every_framework_has_a_page() -> None:
    assert PAGES.keys() | {"functions"} == DRIVERS.keys()
    assert {path.name for path in DOCS.glob("*.md")} == {*PAGES.values(), "index.md"}
