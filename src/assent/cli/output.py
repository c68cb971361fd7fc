"""What a person reads: tables, times left, text with every invisible character escaped; JSON as the broker sent it."""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from assent.cli import margin
from assent.core.characters import visible
from assent.core.errors import AssentError

if TYPE_CHECKING:
    from assent.cli.client import Heard

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON: the broker's answer as it is.")]
_UNITS: Final = (("d", 86_400), ("h", 3_600), ("min", 60))


class Usage(AssentError):
    """The command needs something else from whoever typed it."""

    code = "usage"


def group(sentence: str) -> typer.Typer:
    """Return an empty group of commands with the manners that all of ours share."""
    return typer.Typer(help=sentence, add_completion=False, rich_markup_mode=None, no_args_is_help=True)


def print_json(heard: "Heard") -> None:
    """Print exactly what the broker answered; on a terminal the same values with nothing but ASCII."""
    print(json.dumps(heard.body, indent=2) if sys.stdout.isatty() else heard.raw.decode())


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> None:
    """Print rows in columns, or the sentence `empty` when there are none; piped, cells are separated by tabs.

    Where the columns do not fit the terminal, each row is a list of its cells, named; the first cell is never wrapped.
    No colour and no bold: nothing that a terminal would have to be asked for.
    """
    if not sys.stdout.isatty():
        for row in rows:
            print("\t".join(map(visible, row)))
        return
    shown = [[margin.shown(cell) for cell in row] for row in rows]
    if not shown:
        print(empty)
        return
    lines = in_columns([list(headings), *shown])
    if all(margin.cells(line) < margin.terminal_columns() for line in lines):
        print("\n".join(lines))
        return
    for first, *others in shown:
        print(first)
        print_facts(zip(headings[1:], others, strict=True))


def print_more(heard: "Heard") -> None:
    """Say on standard error how a list goes on, where it does."""
    if heard.body.get("next_cursor"):
        typer.echo(f"there are more: --cursor {visible(heard.body['next_cursor'])}", err=True)


def in_columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines in which each column is as wide as its widest cell; the cells are shown already."""
    widths = [max(map(margin.cells, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(_padded, row, widths)).rstrip() for row in rows]


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - margin.cells(cell))


def print_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Print named facts, shown already, and wrapped as `margin` does, never cut; facts without a value are left out."""
    named = [(name, value) for name, value in facts if value]
    width = max((len(name) for name, _ in named), default=0)
    for name, value in named:
        margin.show(f"  {name:<{width}}  ", value)


def ask(question: str) -> str:
    """Return what somebody at the terminal answers, without the spaces around it; the end of input is no answer."""
    print(question, end=" ", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()


def is_attended() -> bool:
    """Whether a person can be asked: input and the place of the question are a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def time_left(until: str, now: datetime | None = None) -> str:
    """Return how long it is until an RFC 3339 moment, in words."""
    seconds = int((_moment(until) - (now or datetime.now(UTC))).total_seconds())
    return f"{_span(seconds)} left" if seconds > 0 else "over"


def span_until(until: str, now: datetime | None = None) -> str:
    """Return how long it is until an RFC 3339 moment, as a span alone."""
    return _span(max(0, int((_moment(until) - (now or datetime.now(UTC))).total_seconds())))


def time_since(moment: str, now: datetime | None = None) -> str:
    """Return how long an RFC 3339 moment is ago, in words."""
    return _span(max(0, int(((now or datetime.now(UTC)) - _moment(moment)).total_seconds())))


def ago(**span: float) -> str:
    """Return the RFC 3339 moment that lies `span` (as for timedelta) before now."""
    return (datetime.now(UTC) - timedelta(**span)).isoformat(timespec="seconds")


def needs(approval: dict[str, Any]) -> str:
    """Return whose answers an approval needs, in words."""
    return words(f"{need['count']} of {need['of']} ({need['assurance']} or better)" for need in approval["needs"])


def words(values: Iterable[Any], separator: str = ", ") -> str:
    """Return values as one text."""
    return separator.join(str(value) for value in values)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _span(seconds: int) -> str:
    for unit, length in _UNITS:
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
