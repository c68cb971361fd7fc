"""What a stop came to, for whoever pulled it in Slack: what it cut off, what runs still, and what to do next. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from assent.core.actions import Action
from assent.core.rendering import spelled_out
from assent.flows.names import Unknown
from assent.flows.trip_breaker import Tripped
from assent.slack import blocks
from assent.slack.blocks import Part, words

MOST_NAMED: Final = 5
MAX_LINE_CHARACTERS: Final = 500
TITLE: Final = "Stopped"


def text_of(tripped: Tripped) -> str:
    """Return what a stop came to, line by line."""
    return "\n".join(blocks.cut(spelled_out(line), MAX_LINE_CHARACTERS) for line in _lines(tripped))


def dialog_of(said: str, runbook: str) -> dict[str, Any]:
    """Return the dialog that takes the place of the one in which somebody stopped something."""
    shown = [blocks.line(words(line)) for line in f"{said}\n".splitlines(keepends=True)]
    return blocks.told(TITLE, [blocks.rich("stopped", *shown, *runbook_lines(runbook))])


def runbook_lines(runbook: str) -> list[Part]:
    """Return where to read what to do next, to be followed where it is an address; nothing where there is none."""
    if not runbook:
        return []
    address = blocks.link(runbook) if runbook.startswith("https://") else words(runbook)
    return [blocks.line(words("Runbook: ", bold=True), address)]


def _lines(tripped: Tripped) -> Iterator[str]:
    yield f"Stopped: {tripped.breaker.scope.describe()}. Nothing in this scope passes from now on."
    yield from map(_unknown, tripped.unknown)
    yield f"Cut off before it ran: {_named(tripped.cut_off)}."
    yield f"Still running, a breaker cannot stop it: {_named(tripped.running)}."
    if tripped.cut_off_elsewhere:
        yield f"Cut it off elsewhere: {tripped.cut_off_elsewhere}"
    yield f"To let it go on: assent breakers reset {tripped.breaker.id}, or the console."


def _unknown(unknown: Unknown) -> str:
    near = f", did you mean {', '.join(f'`{name}`' for name in unknown.near)}" if unknown.near else ""
    return f"No {unknown.dimension} is called `{unknown.name}`{near}; it is stopped all the same."


def _named(actions: Sequence[Action]) -> str:
    if not actions:
        return "nothing"
    named = [f"{action.agent}: {action.tool} in {action.environment}" for action in actions[:MOST_NAMED]]
    rest = [f"and {len(actions) - MOST_NAMED} more"] if len(actions) > MOST_NAMED else []
    return f"{len(actions)} ({', '.join([*named, *rest])})"
