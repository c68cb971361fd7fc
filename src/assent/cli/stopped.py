"""What a stop did, in words: what it cut off before it ran, what runs still, how to cut the agent off elsewhere."""

from typing import Any, Final

import typer

from assent.cli import margin, output
from assent.core.characters import visible

SHOWN_ACTIONS: Final = 20


def print_stopped(stopped: dict[str, Any], *, what: str) -> None:
    """Print what a trip or a suspension (`what`) did."""
    _print_actions("cut off before it ran", stopped["cut_off"])
    _print_actions(f"still running, {what} cannot stop it", stopped["running"])
    if stopped.get("cut_off_elsewhere"):
        typer.echo(f"cut_off: {visible(stopped['cut_off_elsewhere'])}")


def _print_actions(heading: str, actions: list[dict[str, Any]]) -> None:
    typer.echo(f"{heading}: {len(actions) or 'nothing'}")
    for action in actions[:SHOWN_ACTIONS]:
        lease = action.get("lease_expires_at")
        until = f", lease ends in {output.time_left(lease)}" if lease else ""
        names = (action["agent"], action["tool"], action["environment"], action.get("resource"))
        margin.show(f"  {action['action_id']}  ", f"{margin.shown(output.words(filter(None, names), ' '))}{until}")
    if len(actions) > SHOWN_ACTIONS:
        typer.echo(f"  and {len(actions) - SHOWN_ACTIONS} more, see --json")
