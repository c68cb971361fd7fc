"""`assent breakers`: stop agents, tools or environments at once, see what that cut off, and let them go on.

A trip is never held up: it happens first, and whatever is asked, looked up or suggested comes after it.
"""

import json
import shlex
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from assent.cli import output
from assent.cli.called import as_called
from assent.cli.client import Client, Heard, Refused, Unreachable, connect, operator_token
from assent.cli.exits import Exit
from assent.cli.output import AsJson, Usage
from assent.cli.second_person import print_waiting
from assent.cli.spans import seconds_of
from assent.cli.stopped import print_stopped
from assent.core.breakers import BreakerState
from assent.core.characters import visible

ACTIVE_MINUTES: Final = 10
PATIENCE_SECONDS: Final = 1.0
MOST_RECORDS: Final = 200
# A trip is not asked who may undo it, and its answer does not say.
TWO_TO_RESET: Final = (
    "a reset takes two people who hold `breakers.reset`, one where the environment is marked nonproduction; "
    "the starter policies have one such person"
)

app = output.group("Stop agents, tools or environments, and let them go on.")
stop = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """List all breakers, newest change first."""
    heard = connect().get("v1", "breakers")
    if as_json:
        output.print_json(heard)
        return
    headings = ("breaker", "state", "covers", "by", "since", "reason")
    output.print_table(headings, map(_row, heard.body["items"]), empty="no breaker was ever tripped")


def _row(breaker: dict[str, Any]) -> tuple[str, ...]:
    since = f"{output.time_since(breaker['changed_at'])} ago"
    return (breaker["id"], breaker["state"], breaker["covers"], breaker["changed_by"], since, breaker["reason"])


@app.command()
@stop.command()
def trip(
    *,
    agent: Annotated[str | None, typer.Option(help="Stop this agent.")] = None,
    tool: Annotated[str | None, typer.Option(help="Stop this tool; `files.*` stops all of them.")] = None,
    env: Annotated[str | None, typer.Option(help="Stop everything in this environment.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Stop every agent everywhere.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why; it can be said after the stop as well.")] = None,
    ttl: Annotated[str | None, typer.Option(help="Ask again after this time, such as 30m; it never closes.")] = None,
    direct: Annotated[bool, typer.Option("--direct", help="On the ledger itself, when the API is down.")] = False,
    config: Annotated[Path | None, typer.Option(help="With --direct: the broker's configuration.")] = None,
    as_json: AsJson = False,
) -> None:
    """Stop what the scope names; options together narrow it. From the answer on nothing in scope passes."""
    scope = {"agent": agent, "tool": tool, "environment": env}
    named = {name: value for name, value in scope.items() if value is not None}
    seconds = None if ttl is None else seconds_of(ttl)
    if direct:
        _trip_directly(named, config, everything=everything, reason=reason, seconds=seconds, as_json=as_json)
        return
    client = connect()
    if bool(named) == everything:
        raise _which(list(_recent(client, since=output.ago(minutes=ACTIVE_MINUTES))), both=everything)
    what: dict[str, Any] = {"all": True} if everything else {"scope": named}
    with _telling_what_else_to_do(named):
        heard = client.post("v1", "breakers", "trip", body={**what, "reason": reason, "ttl_seconds": seconds})
    if as_json:
        output.print_json(heard)
        return
    _print_tripped(heard.body)
    if reason is None and output.is_attended():
        _add_reason(client, what, seconds)
    _print_history(client, named)


@contextmanager
def _telling_what_else_to_do(named: dict[str, str]) -> Iterator[None]:
    """Say after a second without an answer, and when there is none, how to stop it without the API."""
    options = {"agent": "--agent", "tool": "--tool", "environment": "--env"}
    scope = " ".join(f"{options[name]} {shlex.quote(value)}" for name, value in named.items()) or "--all"
    direct = visible(as_called(f"assent stop --direct {scope} --config FILE"))
    waited = threading.Timer(
        PATIENCE_SECONDS, _say, (f"no answer yet; at the broker's machine, beside this: {direct}",)
    )
    waited.start()
    try:
        yield
    except Unreachable:
        _say(f"nobody knows whether it is stopped; at the broker's machine: {direct}")
        raise
    finally:
        waited.cancel()


def _say(text: str) -> None:
    print(f"assent: {text}", file=sys.stderr, flush=True)


def _trip_directly(
    named: dict[str, str],
    config: Path | None,
    *,
    everything: bool,
    reason: str | None,
    seconds: int | None,
    as_json: bool,
) -> None:
    if bool(named) == everything:
        raise _which([], both=everything)
    from assent.cli import direct

    answer = direct.trip(config, named, token=operator_token(), reason=reason or "", seconds=seconds)
    if as_json:
        print(answer.decode())
        return
    _print_tripped(json.loads(answer))


def _which(recent: list[dict[str, Any]], *, both: bool) -> Usage:
    if both:
        return Usage("--all and a scope say different things", hint="leave one of them out; nothing was stopped")
    active = Counter(str(leaf["agent"]) for leaf in recent)
    listed = output.words(f"{name} ({count} records)" for name, count in active.most_common())
    return Usage(
        f"say what to stop, nothing was; active in the last {ACTIVE_MINUTES} minutes: {listed or 'nobody'}",
        hint="use --agent, --tool, --env, or --all to stop everything",
    )


def _recent(client: Client, **which: str) -> Iterator[dict[str, Any]]:
    """Yield the newest records that name an agent; nothing where they may not be read."""
    try:
        page = client.get("v1", "records", limit=MOST_RECORDS, **which).body
    except (Refused, Unreachable):
        return
    yield from (item["leaf"] for item in page["items"] if item.get("leaf", {}).get("agent"))


def _add_reason(client: Client, what: dict[str, Any], seconds: int | None) -> None:
    reason = output.ask("stopped. why? (for the record, empty to leave it out)")
    if reason:
        client.post("v1", "breakers", "trip", body={**what, "reason": reason, "ttl_seconds": seconds})


def _print_tripped(tripped: dict[str, Any]) -> None:
    breaker = tripped["breaker"]
    typer.echo(f"tripped: {visible(breaker['covers'])}; from now on nothing in this scope passes")
    for unknown in tripped.get("unknown", ()):
        _print_unknown(unknown)
    print_stopped(tripped, what="a breaker")
    if tripped.get("runbook"):
        typer.echo(f"runbook: {visible(tripped['runbook'])}")
    typer.echo(as_called(f'reset with: assent breakers reset {visible(breaker["id"])} --reason "…"'))
    typer.echo(TWO_TO_RESET)


def _print_history(client: Client, named: dict[str, str]) -> None:
    """Say what the stopped agent did in the last hour."""
    agent = named.get("agent")
    if agent is None:
        return
    leaves = _recent(client, agent=agent, kind="action.decided", since=output.ago(hours=1))
    did = Counter(f"{leaf.get('tool', '?')} {leaf.get('decision', '?')}" for leaf in leaves)
    listed = output.words(f"{what} ({count} times)" for what, count in did.most_common()) or "nothing"
    typer.echo(f"{visible(agent)} asked in the last hour: {visible(listed)}")
    typer.echo(as_called(f"see it with: assent audit tail --agent {visible(agent)}"))


def _print_unknown(unknown: dict[str, Any]) -> None:
    near = output.words(f"`{visible(name)}`" for name in unknown["near"])
    maybe = f", did you mean {near}" if near else ""
    typer.echo(
        f"note: no {unknown['dimension']} is called `{visible(unknown['name'])}`{maybe}; it is stopped all the same"
    )


@app.command()
def watch(*, as_json: AsJson = False) -> None:
    """Show each change of a breaker as it happens, until Ctrl-C."""
    from assent.cli import watching_breakers

    watching_breakers.watch(connect(), as_json=as_json)


@app.command()
def drill(
    *,
    env: Annotated[str, typer.Option(help="The environment to try it in; it must be marked nonproduction.")],
    agent: Annotated[str | None, typer.Option(help="Narrow it to this agent.")] = None,
    tool: Annotated[str | None, typer.Option(help="Narrow it to this tool.")] = None,
    replica: Annotated[
        list[str] | None, typer.Option(help="The URL of a further replica to ask; again for more.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Try out the stop: trip, see that nothing passes, reset, and file how long it took."""
    from assent.cli import drilling

    scope = {"environment": env, "agent": agent, "tool": tool}
    named = {name: value for name, value in scope.items() if value is not None}
    if not drilling.drill(named, replica or [], as_json=as_json):
        raise typer.Exit(Exit.FINDINGS)


@app.command()
def reset(
    breaker: Annotated[str, typer.Argument(help="The id of the breaker.")],
    *,
    reason: Annotated[str | None, typer.Option(help="Why it may close.")] = None,
    as_json: AsJson = False,
) -> None:
    """Close a breaker; production needs a second, different person within 15 minutes."""
    why = reason if reason is not None else _reason_at_the_terminal()
    heard = connect().post("v1", "breakers", breaker, "reset", body={"reason": why})
    if as_json:
        output.print_json(heard)
    else:
        _print_reset(heard)
    if not _is_closed(heard) and not heard.body["who"]:
        raise typer.Exit(Exit.REFUSED)


def _reason_at_the_terminal() -> str:
    if not output.is_attended():
        raise Usage("a reset needs --reason", hint="say what was found and why it may go on")
    return output.ask("why may it go on?")


def _is_closed(heard: Heard) -> bool:
    return bool(heard.body["closed"]) or heard.body["breaker"]["state"] == BreakerState.CLOSED


def _print_reset(heard: Heard) -> None:
    breaker = heard.body["breaker"]
    if _is_closed(heard):
        typer.echo(f"closed: {visible(breaker['covers'])} may go on")
        return
    print_waiting("open", heard.body, command=f"assent breakers reset {breaker['id']}", permission="breakers.reset")
