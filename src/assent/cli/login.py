"""`assent login`: keeps an operator's token where only they can read it, once the broker has said whose it is."""

import os
import re
import sys
from typing import Annotated, Any, Final

import typer

from assent.cli import credentials, output
from assent.cli.client import TOKEN_VARIABLE, URL_VARIABLE, Client, Heard, broker_url, client_for, connect, token_source
from assent.cli.operators import print_operator, warn_of_old
from assent.cli.output import AsJson, Usage
from assent.core.characters import visible
from assent.core.credentials import PREFIXES, Kind

MAX_TYPED: Final = 65_536
_TOKEN: Final = re.compile(rf"{PREFIXES[Kind.OPERATOR]}[A-Za-z0-9]+_[A-Za-z0-9_-]+")

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def login(
    *,
    url: Annotated[str | None, typer.Option(help="Where the broker is; otherwise where it was before.")] = None,
    show: Annotated[bool, typer.Option("--show", help="Say who you are to the broker, and change nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Keep your token for this account, after the broker has said whose it is; typed unseen, or from standard input."""
    if show:
        client = connect()
        _print_me(_me(client), client, as_json=as_json)
        typer.echo(f"the token is from {token_source()}", err=True)
        return
    given = _token()
    client = client_for(url or broker_url(), given, source="what was given to `assent login`")
    heard = _me(client)
    file = credentials.keep(url=client.url, token=given)
    _print_me(heard, client, as_json=as_json)
    typer.echo(f"kept in {visible(str(file))}, for you alone", err=True)
    for variable, value in ((TOKEN_VARIABLE, given), (URL_VARIABLE, client.url)):
        if os.environ.get(variable, value) != value:
            typer.echo(f"note: {variable} is set and goes before the file: unset it to use what was kept", err=True)


def _me(client: Client) -> Heard:
    return client.get("v1", "operators", "me")


def _token() -> str:
    """Return the one operator token in what somebody types unseen, or in standard input. It is never an argument."""
    if output.is_attended():
        from getpass import getpass

        text = getpass("operator token (it is not shown): ", stream=sys.stderr)
    else:
        text = sys.stdin.read(MAX_TYPED)
    found = set(_TOKEN.findall(text))
    if len(found) != 1:
        what = "several operator tokens" if found else "no operator token"
        begins = f"one begins with `{PREFIXES[Kind.OPERATOR]}`"
        raise Usage(f"{what} in what was given, nothing was kept", hint=f"give exactly one; {begins}")
    return str(found.pop())


def _print_me(heard: Heard, client: Client, *, as_json: bool) -> None:
    if as_json:
        output.print_json(heard)
        return
    me: dict[str, Any] = heard.body
    typer.echo(f"{visible(client.url)} knows you as:")
    print_operator(me["operator"])
    output.print_facts([("token", f"{visible(me['token']['id'])}, {output.time_left(me['token']['expires_at'])}")])
    warn_of_old(me["operator"])
