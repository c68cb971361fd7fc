"""The tutorial on policies does what it says: every command is run as written, and prints what the page shows."""

import re
from itertools import pairwise

from tests.pages.reader import ROOT, Block, Reader, address, blocks

PAGE = ROOT / "docs" / "policy-tutorial.md"
DIGEST = re.compile(r"\b[0-9a-f]{64}\b|\b[0-9a-f]{12}\b")
SERVE = "assent serve"


def same(text: str) -> list[str]:
    """Return lines with every digest alike, because the release of the schemas is in it."""
    return [line.rstrip() for line in DIGEST.sub("DIGEST", text.strip()).splitlines()]


def test_the_page_takes_a_reader_from_a_list_of_tools_to_a_policy_that_serves(reader: Reader) -> None:
    shown = 0
    for block, behind in pairwise([*blocks(PAGE), Block("", "")]):
        if block.kind == "sh" and block.text.startswith(SERVE):
            reader.port = address(reader, block.text)
        elif block.kind == "sh":
            printed = reader.types(block.text)
            if behind.kind == "text":
                shown += 1
                assert same(printed) == same(behind.text)
    assert shown == len([block for block in blocks(PAGE) if block.kind == "text"])
    document = (reader.folder / "access.md").read_text()
    assert "| `crm.delete_account` | production, staging | **denied**" in document
