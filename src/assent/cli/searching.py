"""`assent audit search`: records that match, page after page, until there are enough or the log is at its end.

What no index knows is looked for step by step, so one question may take many; how far that is, is told meanwhile.
"""

import json
import sys
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from assent.cli import output
from assent.cli.client import Client
from assent.cli.margin import shown
from assent.core.characters import visible

PAGE_RECORDS: Final = 200
MAX_QUESTIONS: Final = 10_000
HEADINGS: Final = ("record", "time", "kind", "agent", "tool", "environment", "decision", "reasons", "by", "action")

Item: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Searched:
    """What was found, and where to go on; None at the end of the log."""

    items: list[Item]
    next_cursor: str | None


def search(client: Client, which: dict[str, str | None], *, limit: int, cursor: str | None) -> Searched:
    """Return at most `limit` matching records; `which` are the filters of the API."""
    items: list[Item] = []
    for question in range(MAX_QUESTIONS):
        if question:
            _say_how_far(items, cursor)
        page = client.get("v1", "records", limit=min(PAGE_RECORDS, limit - len(items)), cursor=cursor, **which).body
        items += page["items"]
        cursor = page.get("next_cursor")
        if cursor is None or len(items) >= limit:
            break
    return Searched(items, cursor)


def _say_how_far(items: list[Item], cursor: str | None) -> None:
    if sys.stderr.isatty():
        print(f"\rlooking at record {cursor}, {len(items)} found \x1b[K\r", end="", file=sys.stderr, flush=True)


def print_found(found: Searched, *, as_json: bool) -> None:
    """Print what was found, and on standard error how to go on."""
    if as_json:
        print(json.dumps({"items": found.items, "next_cursor": found.next_cursor}))
        return
    if sys.stderr.isatty():
        print("\x1b[K", end="", file=sys.stderr, flush=True)
    output.print_table(HEADINGS, map(row, found.items), empty="no record matches")
    if found.next_cursor:
        print(f"there may be more: --cursor {visible(found.next_cursor)}", file=sys.stderr)


def row(item: Item) -> tuple[str, ...]:
    """Return the cells of one record."""
    leaf = item["leaf"]
    named = (str(leaf.get(name, "")) for name in ("kind", "agent", "tool", "environment", "decision"))
    reasons = output.words(leaf.get("reasons", ()))
    return (str(item["index"]), leaf["time"][:19], *named, reasons, leaf.get("operator", ""), leaf.get("action", ""))


def line(item: Item) -> str:
    """Return one record on one line, for whoever follows the log."""
    index, time, kind, *rest, operator, _ = map(shown, row(item))
    rules = shown(output.words(item["leaf"].get("rules", ())))
    parts = (index.rjust(6), time, kind.ljust(20), *rest, f"by {operator}" if operator else "", rules)
    return "  ".join(filter(None, parts))
