"""`assent demo`: the story of a broker, told in a minute, in a temporary folder."""

from typing import Annotated

import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def demo(
    *,
    auto: Annotated[bool, typer.Option("--auto", help="Answer for the reader, as without a terminal.")] = False,
) -> None:
    """Tell the whole story with a real broker, and end with 0 only if every step came out as told."""
    from assent.demo.story import run

    raise typer.Exit(run(auto=auto))
