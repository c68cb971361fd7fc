"""`assent backup`: one moment of the ledger in a file, verified before it gets its name, also while a broker serves."""

import json
from pathlib import Path
from typing import Annotated

import typer

from assent.cli.output import AsJson

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(metavar="FILE|DIR", help="The file to make, or a directory to make it in.")],
    *,
    config: Annotated[Path | None, typer.Option(help="The broker's configuration; by default ./assent.toml.")] = None,
    as_json: AsJson = False,
) -> None:
    """Copy the ledger to a file that is not there yet; it is verified with the broker's keys before that name."""
    from assent.cli import backing_up

    made = backing_up.backup(config, target)
    print(json.dumps(backing_up.as_facts(made)) if as_json else "\n".join(backing_up.as_sentences(made)))
