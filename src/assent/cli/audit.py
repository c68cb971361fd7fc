"""`assent audit`: read and search the log, tell stories from it, export it, verify it with nothing but a public key."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from assent.cli import output
from assent.cli.client import Client, connect
from assent.cli.exits import Exit
from assent.cli.output import AsJson, Usage
from assent.cli.searching import line
from assent.core.characters import visible
from assent.core.decisions import Answer
from assent.core.errors import VerificationFailed
from assent.core.records import RecordKind

POLL_SECONDS: Final = 1.0
PAGE_RECORDS: Final = 200
# A follower that fell further behind than this says so instead of reading for ever.
MAX_BEHIND_RECORDS: Final = 10_000

app = output.group("Read the log, and check that nobody changed it.")


@app.command()
def tail(
    *,
    count: Annotated[int, typer.Option("-n", "--count", min=1, max=200, help="So many records.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with every new record.")] = False,
    agent: Annotated[str | None, typer.Option(help="Only of this agent.")] = None,
    tool: Annotated[str | None, typer.Option(help="Only of this tool.")] = None,
    kind: Annotated[RecordKind | None, typer.Option(help="Only of this kind, such as action.decided.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print the newest records, the newest last; with --json and --follow one record a line."""
    client = connect()
    which = {"agent": agent, "tool": tool, "kind": kind}
    heard = client.get("v1", "records", limit=count, **which)
    if as_json and not follow:
        output.print_json(heard)
        return
    items = heard.body["items"]
    _print_records(reversed(items), as_json=as_json)
    while follow:
        time.sleep(POLL_SECONDS)
        newer = _newer_than(client, items[0]["leaf"]["id"] if items else None, which)
        _print_records(reversed(newer), as_json=as_json)
        items = newer or items


def _newer_than(client: Client, last: str | None, which: dict[str, str | None]) -> list[dict[str, Any]]:
    newer: list[dict[str, Any]] = []
    for item in _pages(client, which):
        if item["leaf"]["id"] == last:
            return newer
        newer.append(item)
        if len(newer) >= MAX_BEHIND_RECORDS:
            typer.echo(f"more than {MAX_BEHIND_RECORDS} records came at once, older ones are left out", err=True)
            return newer
    return newer


def _pages(client: Client, which: dict[str, str | None]) -> Iterator[dict[str, Any]]:
    cursor: str | None = None
    while True:
        page = client.get("v1", "records", limit=PAGE_RECORDS, cursor=cursor, **which).body
        yield from page["items"]
        cursor = page.get("next_cursor")
        if not cursor:
            return


def _print_records(items: Iterator[dict[str, Any]], *, as_json: bool) -> None:
    for item in items:
        print(json.dumps(item) if as_json else line(item))
    sys.stdout.flush()


@app.command()
def search(
    *,
    agent: Annotated[str | None, typer.Option(help="Only of this agent.")] = None,
    tool: Annotated[str | None, typer.Option(help="Only of this tool.")] = None,
    kind: Annotated[RecordKind | None, typer.Option(help="Only of this kind, such as approval.voted.")] = None,
    decision: Annotated[Answer | None, typer.Option(help="Only decisions that came out so.")] = None,
    operator: Annotated[str | None, typer.Option(help="Only what this person did.")] = None,
    action: Annotated[str | None, typer.Option(help="Only about the action with this id.")] = None,
    approval: Annotated[str | None, typer.Option(help="Only about the approval with this id.")] = None,
    since: Annotated[str | None, typer.Option(help="From this time on, or from so long ago: 2h, 3d.")] = None,
    until: Annotated[str | None, typer.Option(help="Before this time, or so long ago.")] = None,
    oldest: Annotated[bool, typer.Option("--oldest", help="The oldest first.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on where the last search ended.")] = None,
    as_json: AsJson = False,
) -> None:
    """Find records, newest first; together the options narrow what is found."""
    from assent.cli import searching
    from assent.cli.moments import moment_of

    which = {
        "agent": agent,
        "tool": tool,
        "kind": kind,
        "decision": decision,
        "operator": operator,
        "action": action,
        "approval": approval,
        "since": moment_of(since),
        "until": moment_of(until),
        "order": "oldest" if oldest else None,
    }
    searching.print_found(searching.search(connect(), which, limit=limit, cursor=cursor), as_json=as_json)


@app.command()
def show(
    key: Annotated[str, typer.Argument(metavar="ID", help="A record, an action, an approval, or its short code.")],
    *,
    payload: Annotated[bool, typer.Option("--payload", help="With the values; who saw them is recorded.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why the values are needed, for the record.")] = None,
    as_json: AsJson = False,
) -> None:
    """Tell the life of an action: who asked, who was asked, who said what, what ran, how it ended, what stopped it."""
    from assent.cli import stories

    stories.show(connect(), key, payload=payload, reason=reason, as_json=as_json)


@app.command()
def export(
    *,
    since: Annotated[str | None, typer.Option(help="From this time on, or from so long ago: 2h, 3d.")] = None,
    until: Annotated[str | None, typer.Option(help="Before this time, or so long ago.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write this file, for you alone; else standard output.")] = None,
    after: Annotated[int | None, typer.Option(min=0, help="Without --out: go on behind this index.")] = None,
    as_json: AsJson = False,
) -> None:
    """Export records as JSON lines, complete or not at all; what was interrupted goes on with the same command."""
    from assent.cli import exporting
    from assent.cli.moments import moment_of

    if out is None and as_json:
        raise Usage("--json tells of a file", hint="name one with --out; without it each record is JSON already")
    if out is not None and after is not None:
        raise Usage("a file goes on by itself", hint="leave out --after")
    client, begin, end = connect(), moment_of(since), moment_of(until)
    if out is None:
        stretch = exporting.begin(client, since=begin, until=end)
        typer.echo(exporting.to_stream(client, stretch, sys.stdout.buffer, after=after).as_sentence(), err=True)
        return
    done = exporting.to_file(client, out, since=begin, until=end)
    print(done.as_json(out) if as_json else f"{visible(str(out))}: {done.as_sentence()}")


@app.command()
def erase(
    key: Annotated[str, typer.Argument(metavar="ID", help="An action, its approval, or the short code.")],
    *,
    basis: Annotated[str, typer.Option(help="The legal basis; it stands in the log for all to read.")],
    reason: Annotated[str | None, typer.Option(help="Why, for whoever may read payloads.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Without asking: nothing of it comes back.")] = False,
    as_json: AsJson = False,
) -> None:
    """Erase what was asked and said about an action that has ended; records stay, and the log verifies as before."""
    from assent.cli import erasing

    erasing.erase(connect(), key, basis=basis, reason=reason, yes=yes, as_json=as_json)


@app.command()
def doctor(*, as_json: AsJson = False) -> None:
    """Say what a human should look at in log and ledger; ends with 1 when there is anything."""
    from assent.cli import findings

    heard = connect().get("v1", "findings")
    if as_json:
        output.print_json(heard)
    else:
        findings.print_findings(heard.body["items"])
    if not all(item["ok"] for item in heard.body["items"]):
        raise typer.Exit(Exit.FINDINGS)


@app.command()
def verify(
    *,
    ledger: Annotated[
        Path | None, typer.Option(help="The ledger or a copy of it; by default the broker's here.")
    ] = None,
    key: Annotated[str | None, typer.Option(help="The log's public key or its file; by default LEDGER.pub.")] = None,
    checkpoint: Annotated[list[Path] | None, typer.Option(help="A checkpoint that was kept elsewhere.")] = None,
    keys: Annotated[Path | None, typer.Option(help="With the broker's keys: check MACs and payloads as well.")] = None,
    config: Annotated[Path | None, typer.Option(help="The broker's configuration.")] = None,
    save_checkpoint: Annotated[Path | None, typer.Option(help="Keep the newest checkpoint in this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Verify a log with its public key; ends with 9 and the first bad record when it was changed."""
    from assent.cli import keeping
    from assent.cli import verify as verifying

    kept = [*(checkpoint or []), *(keeping.before(save_checkpoint) if save_checkpoint is not None else [])]
    try:
        path, found = verifying.verify(ledger=ledger, key=key, kept=kept, keys=keys, config=config)
    except VerificationFailed as failed:
        if as_json:
            print(verifying.failure_as_json(failed))
        raise
    print(verifying.as_json(path, found) if as_json else "\n".join(verifying.as_sentences(path, found)))
    if save_checkpoint is not None:
        replaced = keeping.keep(save_checkpoint, verifying.newest_note(path))
        what = (
            "keeps the newest checkpoint now" if replaced else "was left: it keeps a newer checkpoint than the ledger"
        )
        typer.echo(f"{visible(str(save_checkpoint))} {what}", err=True)
