"""What stays stopped until a second person agrees, in words: who that may be, and what they run."""

from typing import Any

import typer

from assent.cli import output
from assent.cli.called import as_called
from assent.core.characters import visible
from assent.core.second_person import SECOND_PERSON_WITHIN

_MINUTES = int(SECOND_PERSON_WITHIN.total_seconds() // 60)


def print_waiting(state: str, told: dict[str, Any], *, command: str, permission: str) -> None:
    """Print that it is `state` still, with who may agree by running `command`, or how to come by somebody."""
    if told["who"]:
        may, surface = visible(output.words(told["who"])), told.get("assurance")
        where = "" if surface is None else f", at the {visible(surface)}"
        typer.echo(f"still {state}: a second person must agree within {_MINUTES} minutes{where}; who may: {may}")
        if surface is None:
            typer.echo(as_called(f'they run: {visible(command)} --reason "…"'))
        return
    typer.echo(
        f"still {state}: a second person must agree, and there is nobody: no other operator holds `{permission}`"
    )
    typer.echo(
        as_called("declare a second operator in `operators.yaml`, issue their token: assent operators token issue NAME")
    )
