"""The policy's own document, taken apart into what a template shows: headings, lists, tables, paragraphs. Pure.

Only the forms that the document writes are known. Anything else is a paragraph, and no text becomes markup anywhere.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

_HEADING = re.compile(r"(?P<marks>#{1,6}) (?P<text>.*)")
_ITEM = re.compile(r"\s*(?:[-*]|\d+\.) (?P<text>.*)")
_RULE = re.compile(r"\|[\s:|-]+\|")
_CELLS = re.compile(r"(?<!\\)\|")
_PIECE = re.compile(r"(?P<fence>`+)(?P<code>.+?)(?P=fence)|\*\*(?P<strong>.+?)\*\*")
DEEPEST: Final = 6
MOST_BLOCKS: Final = 1_000
MOST_ROWS: Final = 100
MOST_CHARACTERS: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One part of a document: `kind` is heading, list, table or paragraph; a table's first row is its head.

    `more` counts items or rows that are left out.
    """

    kind: str
    text: str = ""
    level: int = 0
    items: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    more: int = 0


def blocks_of(document: str) -> tuple[Block, ...]:
    """Return the parts of a document in its order."""
    found: list[_Open] = []
    for line in document.splitlines():
        if not line.strip():
            found.append(_Open("gap"))
        else:
            _add(found, line)
    return tuple(block.closed() for block in found if block.kind != "gap")


@dataclass(slots=True)
class _Open:
    """A block to which lines are still added."""

    kind: str
    text: str = ""
    level: int = 0
    items: list[str] = field(default_factory=list)
    rows: list[tuple[str, ...]] = field(default_factory=list)

    def closed(self) -> Block:
        return Block(kind=self.kind, text=self.text, level=self.level, items=tuple(self.items), rows=tuple(self.rows))


def cut(blocks: Sequence[Block]) -> tuple[Block, ...]:
    """Return the blocks as a page shows them: long lists, tables and texts end early, and say how much is left out."""
    shown = tuple(_cut(block) for block in blocks[:MOST_BLOCKS])
    more = len(blocks) - len(shown)
    return (*shown, Block(kind="paragraph", more=more)) if more else shown


def _cut(block: Block) -> Block:
    head = 1 if block.kind == "table" else 0
    kept = MOST_ROWS + head
    return Block(
        kind=block.kind,
        text=_short(block.text),
        level=block.level,
        items=tuple(map(_short, block.items[:kept])),
        rows=tuple(tuple(map(_short, row)) for row in block.rows[:kept]),
        more=max(0, len(block.items) + len(block.rows) - kept),
    )


def _short(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]} … ({len(text):,} characters)"


def _add(found: list[_Open], line: str) -> None:
    last = found[-1] if found else _Open("gap")
    if (heading := _HEADING.fullmatch(line)) is not None:
        found.append(_Open("heading", text=heading["text"], level=min(len(heading["marks"]) + 1, DEEPEST)))
    elif (item := _ITEM.fullmatch(line)) is not None:
        _going_on(found, "list").items.append(item["text"])
    elif line.startswith("|"):
        if _RULE.fullmatch(line.strip()) is None:
            _going_on(found, "table").rows.append(_cells(line))
    elif last.kind == "list" and line.startswith(" "):
        last.items[-1] += f" {line.strip()}"
    elif last.kind == "paragraph":
        last.text += f" {line}"
    else:
        found.append(_Open("paragraph", text=line))


def _going_on(found: list[_Open], kind: str) -> _Open:
    if not found or found[-1].kind != kind:
        found.append(_Open(kind))
    return found[-1]


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


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip().replace("\\|", "|") for cell in _CELLS.split(line.strip())[1:-1])
