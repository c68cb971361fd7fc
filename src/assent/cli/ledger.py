"""`assent ledger`: what the owner of a PostgreSQL database does for a ledger in it."""

import json
from pathlib import Path
from typing import Annotated

import typer

from assent.cli.output import AsJson
from assent.core.characters import visible

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)


@app.callback()
def ledger() -> None:
    """Make the tables of a ledger in PostgreSQL."""


@app.command()
def prepare(
    *,
    owner_url: Annotated[str, typer.Option(help="The database, as the role that owns its tables: postgresql://…")],
    role: Annotated[str, typer.Option(help="The broker's role, which `ledger_url` names.")],
    owner_password_file: Annotated[Path | None, typer.Option(help="The owner's password lies in this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make the tables or bring them forward, and give the broker's role what it needs and nothing more."""
    from assent.cli import preparing

    version = preparing.prepare(owner_url, owner_password_file, role)
    if as_json:
        print(json.dumps({"version": version, "role": role}))
        return
    typer.echo(f"the ledger has version {version}; `{visible(role)}` may read and add, and change nothing on record")
