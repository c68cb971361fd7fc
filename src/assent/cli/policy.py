"""`assent policy`: check, try and read policy files; ask a broker why, what serves and what waits; confirm it.

Files are looked at on this machine and nothing is sent; `explain` and `show` ask the broker unless a directory is
named.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from assent.cli import output
from assent.cli.called import as_called
from assent.cli.client import Refused, connect
from assent.cli.exits import Exit
from assent.cli.output import AsJson, Usage
from assent.core.canonical import Json
from assent.core.characters import visible
from assent.core.explanations import DocumentFormat
from assent.core.releases import KEY_NAME

SHOWN_CHANGES: Final = 40

app = output.group("Check, try, explain and read policies; confirm what widens.")

Directory = Annotated[Path | None, typer.Argument(metavar="DIR", help="The directory; by default this broker's.")]
Policies = Annotated[Path | None, typer.Option(help="Ask this directory instead of the broker.")]
Named = Annotated[list[str] | None, typer.Option("--on-behalf-of", help="`operator:ID` or `agent:ID`, again for more.")]


@app.command()
def check(
    directory: Directory = None,
    *,
    strict: Annotated[bool, typer.Option("--strict", help="End with 1 for advice as well.")] = False,
    as_json: AsJson = False,
) -> None:
    """Find what keeps a directory from serving, and what a reviewer should look at; ends with 1 on an error."""
    from assent.cli import policy_files

    where = policy_files.directory_of(directory)
    checked = policy_files.checked(where)
    if as_json:
        print(json.dumps(policy_files.checked_as_json(where, checked)))
    else:
        for finding in checked.findings:
            said = f"{finding.severity.value}: {finding.message}"
            print(f"{visible(str(where / finding.place.file))}:{finding.place.line}:{finding.place.column}: {said}")
        for name, told in policy_files.told_by_routes(checked).items():
            print(f"route `{visible(name)}` tells {_told(told.people, told.places)}")
        more = f", {checked.left_out} more not shown" if checked.left_out else ""
        version = f", version {checked.version[:12]}" if checked.version else ""
        counts = f"{_count(checked.errors, 'error')}, {_count(checked.advice, 'piece')} of advice"
        print(f"{visible(str(where))}: {counts}{more}{version}")
    if checked.errors or (strict and checked.advice):
        raise typer.Exit(Exit.FINDINGS)


def _told(people: Sequence[str], places: Sequence[str]) -> str:
    count = "1 person" if len(people) == 1 else f"{len(people)} people"
    whom = [f"{count} ({visible(output.words(people))})"] if people else []
    return " and ".join([*whom, *map(visible, places)]) or "nobody: people look by themselves"


@app.command("test")
def try_(
    directory: Directory = None,
    *,
    every_rule: Annotated[bool, typer.Option("--every-rule", help="End with 1 when a rule is met by no case.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask every case, decision and reasons; say which rules no case met. Ends with 1 when one differs."""
    from assent.cli import policy_files

    where = policy_files.directory_of(directory)
    trial = policy_files.tried(where)
    if as_json:
        print(json.dumps(policy_files.trial_as_json(trial)))
    else:
        for one in trial.failed:
            place = one.case.place
            print(f"{visible(str(where / place.file))}:{place.line}:{place.column}: {visible(one.case.name)}")
            for differs in one.differs:
                print(f"  {visible(differs)}")
        met = trial.rules - len(trial.unreached)
        passed = len(trial.tried) - len(trial.failed)
        print(
            f"{passed} of {_count(len(trial.tried), 'case')} came out; they met {met} of {_count(trial.rules, 'rule')}"
        )
        for rule in trial.unreached:
            print(f"  no case meets `{rule.id}` ({visible(str(where / rule.place.file))}:{rule.place.line})")
    if trial.failed or (every_rule and trial.unreached):
        raise typer.Exit(Exit.FINDINGS)


@app.command()
def explain(
    agent: Annotated[str, typer.Argument(help="Who would ask.")],
    tool: Annotated[str, typer.Argument(help="For which tool.")],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="With which arguments, or one JSON object.")
    ] = None,
    *,
    on_behalf_of: Named = None,
    policies: Policies = None,
    as_json: AsJson = False,
) -> None:
    """Say what a question would come to: the rules that match, those that nearly do, and whom it would reach."""
    from assent.cli import policy_files, policy_told
    from assent.cli.arguments import arguments_of

    given = arguments_of(arguments or [])
    if policies is None:
        named: list[Json] | None = None if on_behalf_of is None else [*on_behalf_of]
        body: dict[str, Json] = {"agent": agent, "tool": tool, "arguments": given, "on_behalf_of": named}
        heard = connect().post("v1", "policy", "explain", body=body)
        if as_json:
            output.print_json(heard)
            return
        said = heard.body
    else:
        said = policy_files.explained(policies, agent, tool, given, tuple(on_behalf_of or ()))
        if as_json:
            print(json.dumps(said))
            return
    policy_told.tell_explanation(said)


@app.command()
def show(
    directory: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="Show this directory instead of what the broker serves.")
    ] = None,
    *,
    kind: Annotated[
        DocumentFormat, typer.Option("--format", help="For people, or for Casbin.")
    ] = DocumentFormat.MARKDOWN,
    agent: Annotated[str | None, typer.Option(help="Only this agent and its roles.")] = None,
    role: Annotated[str | None, typer.Option(help="Only this role and who has it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print the access-policy document, or Casbin's model and CSV, of the version that serves or of a directory."""
    if agent is not None and role is not None:
        raise Usage("--agent and --role say different things", hint="leave one of them out")
    if directory is not None:
        from assent.cli import policy_files

        said = policy_files.shown(directory, kind, agent=agent, role=role)
        print(json.dumps(said) if as_json else said["text"], end="\n" if as_json else "")
        return
    heard = connect().get("v1", "policy", "document", format=kind.value, agent=agent, role=role)
    if as_json:
        output.print_json(heard)
    else:
        print(_lines(heard.body["text"]), end="")


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="The policy directory as it was.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="As it would be.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Say what one directory gives more or less than another: what widens, what narrows, what is only reworded."""
    from assent.cli import policy_files, policy_told

    changes = policy_files.changes(old, new)
    if as_json:
        print(json.dumps({"changes": changes}))
    else:
        policy_told.tell_changes(changes)


@app.command()
def schema(directory: Directory = None) -> None:
    """Write the JSON Schemas of every policy file into DIR/schemas, for editors that complete and check."""
    from assent.cli import policy_files

    where = policy_files.directory_of(directory)
    for name in policy_files.write_schemas(where):
        print(visible(str(where / name)))
    print("a file finds its own by its first line: # yaml-language-server: $schema=../schemas/roles.json")


@app.command("draft")
def draft_(
    agent: Annotated[str, typer.Argument(help="Whose rules they would be.")],
    *,
    denials: Annotated[bool, typer.Option("--denials", help="From what it was denied for want of one.")] = False,
    python: Annotated[
        list[str] | None, typer.Option(help="From `module:function`, `file.py:function`, or a module's guards.")
    ] = None,
    mcp: Annotated[Path | None, typer.Option(help="From an MCP server's answer to `tools/list`, as JSON.")] = None,
    prefix: Annotated[str | None, typer.Option(help="What stands before the dot in an MCP server's tools.")] = None,
    payload: Annotated[bool, typer.Option("--payload", help="Look at the values; that is recorded.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why the values are needed, for the record.")] = None,
    since: Annotated[str | None, typer.Option(help="Only denials from this time on, or from so long ago.")] = None,
    name: Annotated[str | None, typer.Option(help="What the draft and its role are called.")] = None,
    policies: Annotated[Path | None, typer.Option(help="The directory; by default this broker's.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write catalogue entries and the narrowest rules into drafts/, for a person to review; no broker reads them."""
    from assent.cli import drafting, policy_files
    from assent.cli.moments import moment_of

    if not (denials or python or mcp):
        raise Usage("a draft comes from something", hint="give --denials, --python or --mcp")
    where = policy_files.directory_of(policies)
    declared = drafting.declared(where, policy_files.now())
    sources = drafting.Sources(python=tuple(python or ()), mcp=mcp, prefix=prefix)
    called = drafting.name_of(name, sources, agent, declared)
    if denials:
        asked = drafting.denials(connect(), agent, declared, since=moment_of(since), payload=payload, reason=reason)
        sources = replace(sources, denials=asked)
    drafted = drafting.write(where, called, drafting.made(called, agent, sources, declared))
    if as_json:
        print(drafting.as_json(where, called, drafted))
    else:
        drafting.tell(where, called, agent, drafted)


@app.command()
def sign(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The directory; the note is written into it.")],
    *,
    key_file: Annotated[Path, typer.Option(help="The release key, as `assent keys release` made it.")],
    log: Annotated[str, typer.Option(help="For which broker: the name of its log, `log_origin`.")],
    replaces: Annotated[str, typer.Option(help="What serves there: a directory, or a version of 64 hex digits.")],
    valid_for: Annotated[str, typer.Option(help="How long it may be used, at most 31d.")] = "1d",
    name: Annotated[str, typer.Option(help="The name under which the broker knows the key.")] = KEY_NAME,
    as_json: AsJson = False,
) -> None:
    """Vouch for what a version widens, so that it serves where that takes a confirmation; counts once."""
    from assent.cli import policy_told, releasing

    signed = releasing.sign(directory, key_file=key_file, name=name, log=log, replaces=replaces, valid_for=valid_for)
    facts = releasing.as_facts(signed)
    if as_json:
        print(json.dumps(facts))
        return
    if facts["changes"] is not None:
        policy_told.tell_changes(facts["changes"])
    print("\n".join(releasing.as_sentences(signed)))


@app.command()
def publish(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The directory that was reviewed.")],
    *,
    commit: Annotated[str, typer.Option(help="The commit that holds it: all of its 40 or 64 hex digits.")],
    change_url: Annotated[str, typer.Option(help="Where the change was reviewed, `https://…`.")],
    author: Annotated[str, typer.Option(help="Who wrote the change.")],
    reviewer: Annotated[str, typer.Option(help="Who reviewed it: somebody else.")],
    tests: Annotated[Path, typer.Option(help="What `assent policy test DIR --json` printed.")],
    as_json: AsJson = False,
) -> None:
    """Put a version into the ledger, from where every broker loads it; what it widens may wait to be confirmed."""
    from assent.cli import publishing

    offer = publishing.offered(directory, tests)
    offer |= {"commit": commit, "change_url": change_url, "author": author, "reviewer": reviewer}
    try:
        heard = publishing.send(offer)
    except Refused as refused:
        if refused.code != "policy_refused":
            raise
        _print_refused(refused, as_json=as_json)
        raise typer.Exit(Exit.FINDINGS) from None
    if as_json:
        output.print_json(heard)
    else:
        publishing.tell(heard.body)


@app.command()
def status(*, as_json: AsJson = False) -> None:
    """Say which version the broker serves, whether its files are others by now, and what waits to be confirmed."""
    from assent.cli import policy_told

    heard = connect().get("v1", "policy")
    if as_json:
        output.print_json(heard)
    else:
        policy_told.tell_status(heard.body)


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
    from assent.cli import policy_told

    version, serving = body["version"][:12], body["serving"][:12]
    if body["uptake"] == "unchanged":
        print(f"{version} serves already, nothing changed")
        return
    for change in body["widens"]:
        print(f"  widens  {visible(change)}")
    if body["uptake"] == "waiting":
        print(f"{version} waits, {serving} goes on serving: it widens something, and somebody has to confirm it")
        policy_told.tell_unvouched(body)
        print(as_called(f"  next    assent policy activate {version}"))
        return
    print(f"{version} serves now; {body['changes']} changes, {body['ended']} waiting actions were ended by them")
    if body.get("vouched_by"):
        print(f"vouched for by {visible(', '.join(body['vouched_by']))}")


@app.command()
def activate(
    digest: Annotated[str, typer.Argument(help="The digest of the version that waits, at least 8 hex digits.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Confirm the version that waits, after reading what it changes with `assent policy status`."""
    heard = connect().post("v1", "policy", "activate", body={"digest": digest})
    if as_json:
        output.print_json(heard)
        return
    answer: dict[str, Any] = heard.body
    if answer["uptake"] == "unchanged":
        print(f"{answer['version'][:12]} serves already")
        return
    print(f"{answer['version'][:12]} serves from now on; {_count(answer['ended'], 'waiting action')} called back")
    print(as_called("see it on record with: assent audit search --kind policy.activated"))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _lines(text: str) -> str:
    """Return a document with its lines, and nothing else that a reader cannot see."""
    return "".join(f"{visible(line)}\n" for line in text.splitlines())
