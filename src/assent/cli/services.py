"""`assent services`: the keys of tools' own services, which redeem the grants that agents hand them."""

from typing import Annotated, Any

import typer

from assent.cli import held, output
from assent.cli.client import connect
from assent.cli.handover import Handover, Out, ValidFor, hand_over
from assent.cli.output import AsJson
from assent.cli.spans import seconds_of
from assent.core.characters import visible

app = output.group("See, issue and revoke the keys of tools' own services.")
key = output.group("Issue and revoke a service's keys.")
app.add_typer(key, name="key")

Service = Annotated[str, typer.Argument(help="The name of the service; it is declared nowhere else.")]


@app.command("list")
def list_(
    *,
    limit: Annotated[int, typer.Option(min=1, max=200, help="At most so many.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on where the last list ended.")] = None,
    as_json: AsJson = False,
) -> None:
    """List every live key of a service, with the tools that it may redeem grants for."""
    heard = connect().get("v1", "services", limit=limit, cursor=cursor)
    if as_json:
        output.print_json(heard)
        return
    rows = [_row(service, one) for service in heard.body["items"] for one in service["keys"]]
    output.print_table(("service", "tools", *held.HEADINGS), rows, empty="no service holds a key")
    output.print_more(heard)


def _row(service: dict[str, Any], one: dict[str, Any]) -> tuple[str, ...]:
    return (service["id"], output.words(one["tools"]), *held.row(one))


@key.command("issue")
def issue(
    service: Service,
    *,
    tool: Annotated[list[str], typer.Option(help="A tool, or a pattern such as `db.*`; again for more.")],
    valid_for: ValidFor = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Issue a key for a tool's own service: it redeems grants for the tools named, and opens nothing else."""
    client, seconds = connect(), None if valid_for is None else seconds_of(valid_for)
    what = Handover(
        name="key",
        what=f"a key for the service `{visible(service)}`",
        shown_as="export ASSENT_SERVICE_KEY={}",
        look="assent services list",
    )
    told = hand_over(
        lambda: client.post("v1", "services", service, "keys", body={"tools": [*tool], "valid_for_seconds": seconds}),
        what,
        out=out,
        as_json=as_json,
    )
    if not as_json:
        typer.echo(f"it redeems grants for: {visible(output.words(told['tools']))}")


@key.command("revoke")
def revoke(
    service: Service,
    key_id: Annotated[str, typer.Argument(metavar="KEY", help="The id of the key, as `list` names it.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Revoke a key of a service, at once."""
    heard = connect().delete("v1", "services", service, "keys", key_id)
    if as_json:
        output.print_json(heard)
        return
    typer.echo(f"revoked: key {visible(heard.body['credential']['id'])} redeems nothing any more")
