"""The page of records: every kind and every fact that a leaf holds is on it, and nothing that does not exist."""

import ast
import json
import re
from collections import defaultdict
from pathlib import Path

from assent.api import ApiSettings
from assent.core.records import RecordKind
from tests.api.triggers import TRIGGERS, Square

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "records.md").read_text()
ROWS = {found[1]: found[0] for found in re.finditer(r"^\| `([a-z_]+\.[a-z_]+)` \|.*$", PAGE, re.MULTILINE)}
AS_FOR = re.compile(r"as for `([a-z_.]+)`")
RESERVED = "reserved, not written yet"
# So many kinds the stories below write at least; fewer would mean that they tell nothing any more.
LEAST_KINDS = 15
SETTINGS = ApiSettings(requests_per_second=0.01, requests_burst=20)


def test_the_page_has_a_row_for_every_kind_and_no_other() -> None:
    assert set(ROWS) == {kind.value for kind in RecordKind}


def test_a_kind_is_reserved_on_the_page_as_long_as_nothing_writes_it() -> None:
    # Core names kinds to tell of them; what writes a record lies outside it.
    sources = [path for path in (ROOT / "src").rglob("*.py") if path.parent.name != "core"]
    nodes = [node for path in sources for node in ast.walk(ast.parse(path.read_text()))]
    named = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    assert {kind for kind, row in ROWS.items() if RESERVED in row} == {
        k.value for k in RecordKind if k.name not in named
    }


def told_about(kind: str) -> set[str]:
    row = ROWS[kind]
    also = AS_FOR.search(row)
    return set(re.findall(r"`([a-z_]+)`", row)) | (told_about(also[1]) if also else set())


async def test_every_fact_of_a_record_stands_in_the_row_of_its_kind(tmp_path: Path) -> None:
    facts: dict[str, set[str]] = defaultdict(set)
    stories = [story for code, story in TRIGGERS.items() if code != "broker_unavailable"]  # its ledger is gone
    for number, story in enumerate(stories):
        square = Square(tmp_path / str(number), SETTINGS)
        try:
            await story(square)
            for record in await square.world.records():
                leaf = json.loads(record.leaf)
                facts[leaf["kind"]] |= {*leaf.get("detail", {}), *leaf.get("commit", {})}
        finally:
            await square.world.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has
    assert len(facts) > LEAST_KINDS
    assert {kind: sorted(names - told_about(kind)) for kind, names in facts.items() if names - told_about(kind)} == {}
