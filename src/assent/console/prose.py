"""The policy's own document, taken apart into what a template shows: headings, lists, tables, paragraphs. Pure.

Only the forms that the document writes are known. Anything else is a paragraph, and no text becomes markup anywhere.
"""

import re
from dataclasses import dataclass
from typing import Final

_HEADING = re.compile(r"(?P<marks>#{1,6}) (?P<text>.*)")
_ITEM = re.compile(r"\s*(?:[-*]|\d+\.) (?P<text>.*)")
_RULE = re.compile(r"\|[\s:|-]+\|")
_CELLS = re.compile(r"(?<!\\)\|")
_PIECE = re.compile(r"(?P<fence>`+)(?P<code>.+?)(?P=fence)|\*\*(?P<strong>.+?)\*\*")
DEEPEST: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One part of a document: `kind` is heading, list, table or paragraph; a table's first row is its head."""

    kind: str
    text: str = ""
    level: int = 0
    items: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def blocks_of(document: str) -> tuple[Block, ...]:
    """Return the parts of a document in its order."""
    found: list[Block] = []
    for line in document.splitlines():
        if not line.strip():
            found.append(Block(kind="gap"))
        else:
            _add(found, line)
    return tuple(block for block in found if block.kind != "gap")


def _add(found: list[Block], line: str) -> None:
    last = found[-1] if found else Block(kind="gap")
    if (heading := _HEADING.fullmatch(line)) is not None:
        found.append(Block(kind="heading", text=heading["text"], level=min(len(heading["marks"]) + 1, DEEPEST)))
    elif (item := _ITEM.fullmatch(line)) is not None:
        _join(found, last, Block(kind="list", items=(item["text"],)))
    elif line.startswith("|"):
        if _RULE.fullmatch(line.strip()) is None:
            _join(found, last, Block(kind="table", rows=(_cells(line),)))
    elif last.kind == "list" and line.startswith(" "):
        found[-1] = Block(kind="list", items=(*last.items[:-1], f"{last.items[-1]} {line.strip()}"))
    elif last.kind == "paragraph":
        found[-1] = Block(kind="paragraph", text=f"{last.text} {line}")
    else:
        found.append(Block(kind="paragraph", text=line))


def pieces_of(text: str) -> tuple[tuple[str, str], ...]:
    """Return a line of a document as (code, strong or plain, its words), in order; nothing of it is lost but marks."""
    found: list[tuple[str, str]] = []
    end = 0
    for piece in _PIECE.finditer(text):
        found.append(("plain", text[end : piece.start()]))
        found.append(("code", piece["code"]) if piece["code"] is not None else ("strong", piece["strong"]))
        end = piece.end()
    found.append(("plain", text[end:]))
    return tuple((kind, said) for kind, said in found if said)


def _join(found: list[Block], last: Block, block: Block) -> None:
    if last.kind != block.kind:
        found.append(block)
        return
    found[-1] = Block(kind=block.kind, items=last.items + block.items, rows=last.rows + block.rows)


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip().replace("\\|", "|") for cell in _CELLS.split(line.strip())[1:-1])
