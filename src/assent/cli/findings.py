"""`assent audit doctor`: what a human should look at in log and ledger, one line for each question."""

from typing import Any

from assent.cli import margin
from assent.cli.called import as_called
from assent.cli.margin import shown


def print_findings(items: list[dict[str, Any]]) -> None:
    """Print each answer, and below what is wrong what to do."""
    width = max((len(item["check"]) for item in items), default=0)
    for item in items:
        sign = "ok  " if item["ok"] else "look"
        margin.show(f"{sign}  {shown(item['check']):<{width}}  ", shown(item["what"]))
        if not item["ok"]:
            margin.show(f"{'':{width + 8}}do: ", shown(as_called(item.get("do") or "")))
