"""`assent migrate`: a ledger moves from its file into the database that `ledger_url` names, with every proof."""

import json
from pathlib import Path
from typing import Annotated

import typer

from assent.cli.output import AsJson

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def migrate(
    *,
    config: Annotated[Path | None, typer.Option(help="The broker's configuration; by default ./assent.toml.")] = None,
    as_json: AsJson = False,
) -> None:
    """Copy the ledger into an empty database, verify it there, and put the file aside; no broker may serve."""
    from assent.cli import migrating

    done = migrating.migrate(config)
    print(json.dumps(migrating.as_facts(done)) if as_json else "\n".join(migrating.as_sentences(done)))
