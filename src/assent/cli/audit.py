"""`assent audit`: read the newest records, and verify a log with nothing but a public key."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from assent.cli import output
from assent.cli.client import Client, connect
from assent.cli.output import AsJson
from assent.core.characters import visible
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
        print(json.dumps(item) if as_json else _line(item))
    sys.stdout.flush()


def _line(item: dict[str, Any]) -> str:
    leaf = item["leaf"]
    parts = [
        str(item["index"]).rjust(6),
        leaf["time"][:19],
        leaf["kind"].ljust(20),
        leaf.get("agent", ""),
        leaf.get("tool", ""),
        leaf.get("environment", ""),
        leaf.get("decision", ""),
        output.words(leaf.get("reasons", ())),
        f"by {leaf['operator']}" if "operator" in leaf else "",
        output.words(leaf.get("rules", ())),
    ]
    return "  ".join(visible(str(part)) for part in parts if part)


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
