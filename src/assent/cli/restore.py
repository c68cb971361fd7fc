"""`assent restore`: a copy takes the place of the ledger, unless that would forget what is known to have happened."""

import json
from pathlib import Path
from typing import Annotated

import typer

from assent.cli.output import AsJson

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The backup; it stays as it is.")],
    *,
    checkpoint: Annotated[list[Path] | None, typer.Option(help="A checkpoint that was kept elsewhere.")] = None,
    forget: Annotated[str | None, typer.Option(metavar="TODAY", help="Give records up: today's date.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why they are given up; it is recorded.")] = None,
    without_stop: Annotated[bool, typer.Option("--without-stop", help="Do not stop everything with it.")] = False,
    config: Annotated[Path | None, typer.Option(help="The broker's configuration; by default ./assent.toml.")] = None,
    as_json: AsJson = False,
) -> None:
    """Put a backup in the place of the ledger, with no broker serving; what was there is kept beside it."""
    from assent.cli import restoring

    wish = restoring.Wish(
        file=file,
        checkpoints=tuple(checkpoint or ()),
        forget=forget,
        reason=(reason or "").strip(),
        stop=not without_stop,
    )
    done = restoring.restore(config, wish)
    print(json.dumps(restoring.as_facts(done)) if as_json else "\n".join(restoring.as_sentences(done)))
