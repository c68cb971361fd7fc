"""`assent doctor`: one line for each thing that a broker depends on: in order, or what is wrong and how to mend it."""

import json
from pathlib import Path
from typing import Annotated

import typer

from assent.cli.called import as_called
from assent.cli.exits import Exit
from assent.cli.output import AsJson
from assent.core.characters import visible

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def doctor(
    *,
    config: Annotated[Path | None, typer.Option(help="The broker's configuration; by default ./assent.toml.")] = None,
    as_json: AsJson = False,
) -> None:
    """Look at everything that the broker here depends on, one line each; ends with 1 when something is to be done."""
    from assent.cli.checks import Finding, examine

    found = list[Finding]()
    for finding in examine(config):
        found.append(finding)
        if not as_json:
            typer.echo(f"{finding.state:<6} {visible(finding.what)}: {visible(finding.said)}")
            if finding.fix:
                typer.echo(f"       next: {visible(as_called(finding.fix))}")
    if as_json:
        rows = [{"what": one.what, "state": one.state.value, "said": one.said, "fix": one.fix} for one in found]
        print(json.dumps({"ok": not any(one.is_finding for one in found), "findings": rows}))
    if any(one.is_finding for one in found):
        raise typer.Exit(Exit.FINDINGS)
