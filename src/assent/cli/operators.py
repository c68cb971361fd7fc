"""`assent operators`: the people, what they may, their tokens; a token issued or revoked.

`--direct` is for the lost token: it works on the broker's files, needs no token, and the record says by whose hand.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from assent.cli import held, output
from assent.cli.called import as_called
from assent.cli.client import Client, Heard, Refused, connect
from assent.cli.handover import Handover, Out, ValidFor, hand_over
from assent.cli.output import AsJson, Usage
from assent.cli.spans import seconds_of
from assent.core.characters import visible
from assent.core.credentials import OPERATOR_TOKEN_MAX_AGE

app = output.group("See who may do what; issue and revoke tokens.")
token = output.group("Issue and revoke an operator's tokens.")
passkey = output.group("Take away a passkey that somebody lost.")
app.add_typer(token, name="token")
app.add_typer(passkey, name="passkey")

Operator = Annotated[str, typer.Argument(help="The id of the operator.")]


@app.command("list")
def list_(
    *,
    limit: Annotated[int, typer.Option(min=1, max=200, help="At most so many.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on where the last list ended.")] = None,
    as_json: AsJson = False,
) -> None:
    """List operators by id: what they may, the groups they answer for, how old their tokens are."""
    heard = connect().get("v1", "operators", limit=limit, cursor=cursor)
    if as_json:
        output.print_json(heard)
        return
    headings = ("operator", "may", "groups", "owns", "tokens")
    output.print_table(headings, map(_row, heard.body["items"]), empty="the policy names no operator")
    for operator in heard.body["items"]:
        warn_of_old(operator)
    output.print_more(heard)


def _row(operator: dict[str, Any]) -> tuple[str, ...]:
    groups = output.words(operator["groups"]) or "-"
    return (operator["id"], _may(operator), groups, output.words(operator["owns"]) or "-", _tokens(operator))


def _may(operator: dict[str, Any]) -> str:
    if not operator["registered"]:
        return "nothing: not in the policy"
    return output.words(operator["sets"]) or output.words(operator["permissions"]) or "nothing"


def _tokens(operator: dict[str, Any]) -> str:
    return held.how_many(operator["tokens"])


def warn_of_old(operator: dict[str, Any]) -> None:
    """Say on standard error which of somebody's tokens are about to end, unless a younger one is there."""
    live = held.live(operator["tokens"])
    if live and all(one["old"] for one in live):
        last = max(one["expires_at"] for one in live)
        name = visible(operator["id"])
        issue_one = as_called(f"assent operators token issue {name}")
        typer.echo(f"note: the last token of `{name}` is about to end, {output.time_left(last)}: {issue_one}", err=True)


@app.command()
def show(operator: Operator, *, as_json: AsJson = False) -> None:
    """Show one operator: what they may, whom they answer for, all their tokens with age and end."""
    heard = connect().get("v1", "operators", operator)
    if as_json:
        output.print_json(heard)
        return
    print_operator(heard.body)
    typer.echo()
    held.print_all(heard.body["tokens"], empty="no token")
    if heard.body.get("passkeys"):
        typer.echo()
        output.print_table(
            ("passkey", "added", "vouched for by", "used"), map(_passkey, heard.body["passkeys"]), empty=""
        )
    warn_of_old(heard.body)


def _passkey(one: dict[str, Any]) -> tuple[str, ...]:
    used = f"{output.time_since(one['last_used_at'])} ago" if one.get("last_used_at") else "never"
    suspect = ", counted back once" if one.get("suspect_at") else ""
    return (one["id"], f"{output.time_since(one['added_at'])} ago", one["vouched_by"], used + suspect)


def print_operator(operator: dict[str, Any]) -> None:
    """Print who an operator is and what they may."""
    typer.echo(f"{visible(operator['id'])}  {visible(_may(operator))}")
    single = operator.get("single_person")
    facts = [
        ("permissions", output.words(operator["permissions"])),
        ("groups", output.words(operator["groups"])),
        ("owns", output.words(operator["owns"])),
        ("known on", output.words(operator["identities"])),
        ("Slack account", "linked" if operator.get("linked") else ""),
        ("away", "yes" if operator["away"] else ""),
        ("may approve alone", f"until {single['until']}: {single['reason']}" if single else ""),
    ]
    output.print_facts((name, visible(value)) for name, value in facts)


@token.command("issue")
def issue(
    operator: Operator,
    *,
    valid_for: ValidFor = None,
    out: Out = None,
    direct: Annotated[bool, typer.Option("--direct", help="On the ledger itself: for a lost token.")] = False,
    config: Annotated[Path | None, typer.Option(help="With --direct: the broker's configuration.")] = None,
    as_json: AsJson = False,
) -> None:
    """Issue a token for an operator whom the policy names and who may no more than you; it ends within 90 days."""
    seconds = None if valid_for is None else _bounded(valid_for)
    what = Handover(
        name="token",
        what=f"a token for `{visible(operator)}`",
        shown_as="{}",
        look=f"assent operators show {visible(operator)}",
    )
    told = hand_over(_issuing(operator, seconds, config, direct=direct), what, out=out, as_json=as_json)
    if not as_json:
        _print_issued(told, by_hand=direct)


def _bounded(valid_for: str) -> int:
    seconds = seconds_of(valid_for)
    if seconds > OPERATOR_TOKEN_MAX_AGE.total_seconds():
        raise Usage(f"a token lives 90 days at most, not `{valid_for}`", hint="leave --valid-for out, or shorten it")
    return seconds


def _issuing(operator: str, seconds: int | None, config: Path | None, *, direct: bool) -> Callable[[], Heard]:
    if not direct:
        client = connect()
        return lambda: _issue_over_http(client, operator, seconds)

    def by_hand() -> Heard:
        from assent.cli import direct as on_the_ledger

        raw = on_the_ledger.issue_token(config, operator, seconds=seconds)
        return Heard(200, raw, json.loads(raw))

    return by_hand


def _issue_over_http(client: Client, operator: str, seconds: int | None) -> Heard:
    try:
        return client.post("v1", "operators", operator, "tokens", body={"valid_for_seconds": seconds})
    except Refused as refused:
        if refused.code == "forbidden" and "--direct" not in (refused.hint or ""):
            refused.hint = f"{refused.hint}; whoever keeps the broker's files can with --direct"
        raise


def _print_issued(told: dict[str, Any], *, by_hand: bool) -> None:
    typer.echo(f"{visible(told['operator'])} keeps it with `{as_called('assent login')}`; {_life(told)}")
    if by_hand:
        typer.echo("the record names this account and this machine")
    elif told["operator"] != told["issued_by"]:
        typer.echo(
            "for 24 hours you two count as one person where two are needed, and it does not vote on what you own"
        )


def _life(told: dict[str, Any]) -> str:
    return f"it ends by itself: {output.time_left(told['expires_at'])}"


@token.command("revoke")
def revoke(
    operator: Operator,
    token_id: Annotated[str, typer.Argument(metavar="TOKEN", help="The id of the token, as `show` names it.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Revoke a token, at once; your own you may always revoke."""
    heard = connect().delete("v1", "operators", operator, "tokens", token_id)
    if as_json:
        output.print_json(heard)
        return
    typer.echo(f"revoked: token {visible(heard.body['credential']['id'])} opens nothing any more")


@passkey.command("revoke")
def revoke_passkey(
    operator: Operator,
    passkey_id: Annotated[str, typer.Argument(metavar="PASSKEY", help="The id of the passkey, as `show` names it.")],
    *,
    direct: Annotated[
        bool, typer.Option("--direct", help="On the ledger itself: for somebody who lost all theirs.")
    ] = False,
    config: Annotated[Path | None, typer.Option(help="With --direct: the broker's configuration.")] = None,
    as_json: AsJson = False,
) -> None:
    """Take a lost passkey away, on the broker's machine; elsewhere that is done at the console, on the page People."""
    if not direct:
        raise Usage(
            "a token is not sure enough to take a passkey away",
            hint="at the console: your own on the page You, others' on People; on the broker's machine --direct",
        )
    from assent.cli import direct as on_the_ledger

    told = on_the_ledger.revoke_passkey(config, operator, passkey_id)
    if as_json:
        print(json.dumps(told))
        return
    typer.echo(f"taken away: passkey {visible(passkey_id)} signs nothing for {visible(operator)} any more")
    typer.echo("the record names this account and this machine")


@app.command()
def link(*, as_json: AsJson = False) -> None:
    """Ask for a code that links your own Slack account: typed there, your votes from Slack count as `linked`."""
    heard = connect().post("v1", "operators", "me", "link", body={})
    if as_json:
        output.print_json(heard)
        return
    told = heard.body
    typer.echo(f"/assent link {visible(told['code'])}")
    account = visible(told["account"])
    typer.echo(f"type this in Slack at the account {account}, once, {output.time_left(told['expires_at'])}", err=True)


@app.command()
def unlink(operator: Operator, *, as_json: AsJson = False) -> None:
    """Unlink somebody's Slack account, at once; your own you may always unlink."""
    heard = connect().delete("v1", "operators", operator, "link")
    if as_json:
        output.print_json(heard)
        return
    typer.echo(f"unlinked: what {visible(heard.body['operator'])} presses in Slack counts as `slack`")
