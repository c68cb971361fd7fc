"""`assent policy`: what agents may do, and which version of it decides."""

import json
from typing import Any

import typer

from assent.cli import output
from assent.cli.called import as_called
from assent.cli.client import Refused, connect
from assent.cli.exits import Exit
from assent.cli.output import AsJson
from assent.core.characters import visible

app = output.group("Which version of the policies decides, and what is wrong with them.")


@app.callback()
def policy() -> None:
    """Which version of the policies decides, and what is wrong with them."""


@app.command()
def reload(*, as_json: AsJson = False) -> None:
    """Let the broker read its policy directory again; what it refuses is told by file and line, and ends with 1."""
    client = connect()
    try:
        heard = client.post("v1", "policy", "reload", body={})
    except Refused as refused:
        if refused.code != "policy_refused":
            raise
        _print_refused(refused, as_json=as_json)
        raise typer.Exit(Exit.FINDINGS) from None
    if as_json:
        output.print_json(heard)
        return
    _print_taken_up(heard.body)


def _print_refused(refused: Refused, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(dict(refused.document)))
        return
    for fault in refused.document.get("errors") or ():
        print(visible(f"{fault['at']}: {fault['message']}"))
    typer.echo(f"assent: {visible(refused.message)}", err=True)


def _print_taken_up(body: dict[str, Any]) -> None:
    version, serving = body["version"][:12], body["serving"][:12]
    if body["uptake"] == "unchanged":
        print(f"{version} serves already, nothing changed")
        return
    for change in body["widens"]:
        print(f"  widens  {visible(change)}")
    if body["uptake"] == "waiting":
        print(f"{version} waits, {serving} goes on serving: it widens something, and somebody has to confirm it")
        print(as_called(f"  next    assent policy activate {version}"))
        return
    print(f"{version} serves now; {body['changes']} changes, {body['ended']} waiting actions were ended by them")
