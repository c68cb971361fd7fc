"""The guides do what they say: their programs run in order against a real broker and print what the page shows."""

import json
import re
import sys
from pathlib import Path

import pytest

from tests.pages.guide import ROLES, Guide, own_tool
from tests.pages.reader import ROOT, Reader, to_run

DOCS = ROOT / "docs"
GUIDES = ("sdk.md", "waiting.md", "errors.md", "adapters/index.md")
# Pages whose commands another story runs, and which.
ELSEWHERE = {
    "adapters/langchain.md": "tests/adapters/test_pages.py",
    "adapters/openai-agents.md": "tests/adapters/test_pages.py",
    "agentdojo.md": "tests/agentdojo",
    "breakers.md": "sdk/test_stopping.py",
    "policy-tutorial.md": "test_policy_tutorial.py",
    "quick-start.md": "test_quick_start.py",
    "set-up.md": "test_service.py",
    "keeping.md": "test_service.py",
    "policy.md": "cli/test_releases.py",
    "replicas.md": "test_replicas.py",
    "postgresql.md": "serving/test_postgres.py",
    "packs/index.md": "tests of the packs",
    "tool-side.md": "below, with the tool's service in a process of its own",
}


@pytest.fixture
def guide(request: pytest.FixtureRequest, reader: Reader, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Guide:
    guide = Guide(DOCS / request.param, reader)
    files = own_tool()
    guide.serve({**files, "agents.yaml": ROLES} if "cashier" in guide.page.read_text() else files)
    monkeypatch.setenv("ASSENT_URL", f"http://127.0.0.1:{reader.port}")
    monkeypatch.setenv("ASSENT_AGENT_KEY", guide.credential("ASSENT_AGENT_KEY"))
    monkeypatch.setenv("ASSENT_SPOOL", str(tmp_path / "spool"))
    return guide


@pytest.mark.parametrize("guide", GUIDES, indirect=True)
def test_a_guide_prints_what_it_says(guide: Guide) -> None:
    ran = guide.runs()
    assert [printed for printed, _ in ran] == [said for _, said in ran]
    assert any(said for _, said in ran)


@pytest.mark.parametrize("guide", ["tool-side.md"], indirect=True)
def test_the_tools_service_of_the_page_runs_what_was_granted_and_nothing_twice(guide: Guide) -> None:
    (guide.reader.folder / "service.py").write_text(guide.skip("import json\n\nfrom assent import GrantMiddleware"))
    issued = json.loads(guide.issues("/v1/services/payments/keys", b'{"tools": ["payments.*"]}'))
    uvicorn = f"exec {sys.executable} -m uvicorn service:app --port 0 2>&1"
    service = guide.reader.starts(f"ASSENT_SERVICE_KEY={issued['key']} {uvicorn}")
    assert service.stdout
    port = next(found[1] for line in service.stdout if (found := re.search(r"http://127\.0\.0\.1:(\d+)", line)))
    guide.moves("8430", port)
    ran = guide.runs()
    assert [printed for printed, _ in ran] == [said for _, said in ran]


def test_every_page_with_something_to_run_is_run() -> None:
    pages = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md") if to_run(page)}
    assert sorted(pages - set(GUIDES) - set(ELSEWHERE)) == []
    assert sorted({*GUIDES, *ELSEWHERE} - pages) == []
