"""`assent approvals`: what waits for a human, shown whole; approved by the digest that was seen, denied, taken back.

Nothing is approved that was not fetched and shown: without a terminal the digest of what was seen must be given.
"""

import json
import re
from typing import Annotated, Any, Final

import typer

from assent.cli import margin, output
from assent.cli.called import as_called
from assent.cli.client import Client, connect
from assent.cli.margin import shown, shown_again
from assent.cli.output import AsJson, Usage
from assent.core.approvals import MIN_DIGEST_PREFIX, OPEN, ApprovalState, DenialCategory
from assent.core.characters import visible

SHA_CHARACTERS: Final = 12
DIGEST_PREFIX: Final = re.compile(rf"[0-9a-fA-F]{{{MIN_DIGEST_PREFIX},64}}")
LONG_CHARACTERS: Final = 200
app = output.group("See what waits for a human, approve or deny it, take a yes or a no back.")

Code = Annotated[str, typer.Argument(help="The short code of the approval, or its id.")]
Mine = Annotated[bool, typer.Option("--mine", help="Only those that wait for your own vote.")]


@app.command("list")
def list_(
    *,
    state: Annotated[list[ApprovalState] | None, typer.Option(help="Only these; without it the open ones.")] = None,
    mine: Mine = False,
    limit: Annotated[int, typer.Option(min=1, max=200, help="At most so many.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on where the last list ended.")] = None,
    as_json: AsJson = False,
) -> None:
    """List approvals, newest first."""
    states = [str(one) for one in state] if state else None
    whose = "true" if mine else None
    heard = connect().get("v1", "approvals", state=states, mine=whose, limit=limit, cursor=cursor)
    if as_json:
        output.print_json(heard)
        return
    headings = ("code", "sha", "state", "asked", "time", "agent", "tool", "environment", "resource", "needs")
    nothing = "nothing waits for your vote" if mine else "nothing waits for a human"
    output.print_table(headings, map(_row, heard.body["items"]), empty=nothing)
    if heard.body.get("notice"):
        typer.echo(visible(heard.body["notice"]), err=True)
    if heard.body.get("next_cursor"):
        typer.echo(f"older ones: --cursor {visible(heard.body['next_cursor'])}", err=True)


def _row(approval: dict[str, Any]) -> tuple[str, ...]:
    asked = f"{output.time_since(approval['asked_at'])} ago"
    left = output.time_left(approval["expires_at"]) if approval["state"] in OPEN else "-"
    what = (approval[name] for name in ("agent", "tool", "environment", "resource"))
    sha = approval["digest"][:SHA_CHARACTERS]
    return (approval["code"], sha, approval["state"], asked, left, *what, output.needs(approval))


@app.command()
def show(code: Code, *, as_json: AsJson = False) -> None:
    """Show everything that will run, who can decide it, and why you cannot."""
    heard = connect().get("v1", "approvals", code)
    if as_json:
        output.print_json(heard)
        return
    _print_whole(heard.body)


@app.command()
def approve(
    code: Code,
    *,
    sha: Annotated[str | None, typer.Option(help="The first 8 or more hex digits of the digest you saw.")] = None,
    comment: Annotated[str | None, typer.Option(help="A word for the record.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say yes to what you saw: it may then run once, with exactly these arguments."""
    if sha is not None and not DIGEST_PREFIX.fullmatch(sha):
        raise Usage(f"`{sha}` is no beginning of a digest", hint="--sha takes its first 8 to 64 hex digits, as shown")
    client = connect()
    seen = sha if sha is not None else _seen_at_the_terminal(client, code)
    body = {"digest_prefix": seen, "comment": comment}
    heard = client.post("v1", "approvals", code, "approve", body=body)
    if as_json:
        output.print_json(heard)
        return
    _print_resolved(heard.body)


def _seen_at_the_terminal(client: Client, code: str) -> str:
    if not output.is_attended():
        raise Usage(
            "without a terminal an approval needs the digest that was seen",
            hint=f"run `assent approvals show {code}` and repeat with its --sha",
        )
    fetched = client.get("v1", "approvals", code).body
    _print_whole(fetched)
    _print_reminder(fetched)
    answer = output.ask(f"approve {visible(fetched['code'])} to run once, exactly as shown? [y/N]")
    if answer.lower() not in {"y", "yes"}:
        raise Usage("nothing was decided", hint=f"deny it with `assent approvals deny {code}`, or let it expire")
    return str(fetched["digest"])


@app.command()
def deny(
    code: Code,
    *,
    category: Annotated[DenialCategory | None, typer.Option(help="What kind of no this is.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why, for the record and for the next person.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say no: nothing will be run."""
    kind = category or _category_at_the_terminal()
    why = (reason if reason is not None else _reason_at_the_terminal("a denial")).strip()
    if not why:
        raise Usage("a denial needs a reason, nothing was decided", hint="say in a few words why")
    client = connect()
    heard = client.post("v1", "approvals", code, "deny", body={"category": str(kind), "reason": why})
    if as_json:
        output.print_json(heard)
        return
    _print_resolved(heard.body)
    _print_first_reason(client, code, kind, why)
    _print_again(heard.body)


def _print_again(resolved: dict[str, Any]) -> None:
    """Say what the denial keeps from being asked, and how to lift that."""
    if not (facts := _again(resolved)):
        return
    typer.echo(f"not asked again: {visible(facts)}")
    typer.echo(as_called(f"  sooner with: assent approvals let-again {visible(resolved['code'])}"))


def _again(approval: dict[str, Any]) -> str:
    same, alike = approval.get("same_again_at"), approval.get("alike_again_at")
    told = [f"the same for {output.span_until(same)}"] if same else []
    told += [f"anything under the same rules for {output.span_until(alike)}, two denials stopped it"] if alike else []
    return output.words(told, "; ")


def _print_first_reason(client: Client, code: str, kind: DenialCategory, why: str) -> None:
    """Say which denial counts when it is not this one: the second of two is answered like the first."""
    kept = client.get("v1", "approvals", code).body
    if not kept.get("masked") and (kept.get("category"), kept.get("comment")) != (kind, why):
        margin.show(
            "it was denied already, and the first denial stays: ", shown(f"{kept['category']}, {kept['comment']}")
        )


@app.command()
def revoke(
    code: Code,
    *,
    reason: Annotated[str | None, typer.Option(help="Why, for the record and for the agent.")] = None,
    as_json: AsJson = False,
) -> None:
    """Take a yes back before its action runs; once it runs, this says that it is too late."""
    why = (reason if reason is not None else _reason_at_the_terminal("a revocation")).strip()
    if not why:
        raise Usage("a revocation needs a reason, nothing was revoked", hint="say in a few words why")
    heard = connect().post("v1", "approvals", code, "revoke", body={"reason": why})
    if as_json:
        output.print_json(heard)
        return
    typer.echo(f"{visible(heard.body['code'])} revoked: nothing was run, and its grant is worth nothing any more")


@app.command("let-again")
def let_again(
    code: Code,
    *,
    reason: Annotated[str | None, typer.Option(help="Why, for the record.")] = None,
    as_json: AsJson = False,
) -> None:
    """Let what was denied be asked again before it has cooled off; it approves nothing."""
    heard = connect().post("v1", "approvals", code, "let-again", body={"reason": reason})
    if as_json:
        output.print_json(heard)
        return
    typer.echo(f"{visible(heard.body['code'])} may be asked again: nothing is approved by that")


@app.command()
def stats(
    *,
    days: Annotated[int, typer.Option(min=1, max=90, help="Count over so many days.")] = 7,
    as_json: AsJson = False,
) -> None:
    """Count how people are asked: how often, how fast they answer, and which rules nobody ever says no to."""
    heard = connect().get("v1", "approvals", "stats", days=days)
    if as_json:
        output.print_json(heard)
        return
    found = heard.body
    headings = ("who", "asked", "answered", "median", "under 3 s", "approved", "denied", "expired", "cancelled")
    rows = [("everybody", found["all"]), *((f"agent {one['name']}", one) for one in found["agents"])]
    rows += [(one["name"], one) for one in found["people"]]
    output.print_table(headings, (_asked(who, one) for who, one in rows), empty="nobody was asked anything")
    for one in found["always_approved"]:
        typer.echo(
            f"approved every time, {one['asked']} of {one['asked']}: {visible(one['rule'])}; does it have to ask?"
        )
    if not found["is_whole"]:
        typer.echo("there was more: only the newest 5,000 questions are counted", err=True)


def _asked(who: str, one: dict[str, Any]) -> tuple[str, ...]:
    middle, quick = one.get("median_seconds"), one.get("quick_share")
    took = "-" if middle is None else f"{middle:.0f} s"
    share = "-" if quick is None else f"{quick:.0%}"
    ends = (one[name] for name in ("approved", "denied", "expired", "cancelled"))
    return (who, str(one["asked"]), str(one["answered"]), took, share, *map(str, ends))


@app.command()
def watch(*, mine: Mine = False, as_json: AsJson = False) -> None:
    """Follow what waits, with the time left, until Ctrl-C; with --json one line for each change."""
    from assent.cli import watching

    watching.watch(connect(), mine=mine, as_json=as_json)


def _category_at_the_terminal() -> DenialCategory:
    known = output.words(DenialCategory)
    if not output.is_attended():
        raise Usage("a denial needs --category", hint=f"one of {known}")
    answer = output.ask(f"which kind of no ({known})?")
    if answer not in set(DenialCategory):
        raise Usage(f"`{answer}` is no kind of denial, nothing was decided", hint=f"one of {known}")
    return DenialCategory(answer)


def _reason_at_the_terminal(what: str) -> str:
    if not output.is_attended():
        raise Usage(f"{what} needs --reason", hint="say in a few words why")
    return output.ask("why?")


def _print_whole(approval: dict[str, Any]) -> None:
    state = approval["state"]
    left = f", {output.time_left(approval['expires_at'])}" if state in OPEN else ""
    typer.echo(f"{visible(approval['code'])}  {visible(state)}{left}")
    output.print_facts(_facts(approval))
    _print_arguments(approval)
    if state in OPEN:
        sha = approval["digest"][:SHA_CHARACTERS]
        command = as_called(f"assent approvals approve {visible(approval['code'])} --sha {visible(sha)}")
        typer.echo(f"\nif that is right: {command}")


def _facts(approval: dict[str, Any]) -> list[tuple[str, str]]:
    says, why_not = approval["agent_says"], approval.get("why_not_me")
    votes = (f"{vote['operator']} ({vote['assurance']}, {vote['surface']})" for vote in approval["votes"])
    decided = approval.get("decided_by") or ""
    outcome = approval.get("outcome")
    facts = [
        ("agent", f"{approval['agent']}, owned by {approval['owner']}"),
        ("run", approval.get("run_id") or ""),
        ("driven by", output.words(approval["drivers"])),
        ("tool", f"{approval['tool']} ({approval['impact']})"),
        ("environment", approval["environment"]),
        ("resource", approval["resource"]),
        ("how bad", approval["how_bad"]),
        ("undo", approval["undo"]),
        ("agent says", f"{says['reason']} (its own word, not verified)" if says["reason"] else ""),
        ("needs", output.needs(approval)),
        ("yes from", output.words(votes)),
        ("self-approved", "yes: somebody involved voted under `single_person`" if approval["self_approved"] else ""),
        ("can decide", output.words(approval["who"]) or ("nobody" if approval["state"] in OPEN else "")),
        ("you cannot", why_not["message"] if why_not else ""),
        ("decided by", f"{decided} {approval.get('category') or ''}".strip()),
        ("comment", approval.get("comment") or ""),
        ("not asked", _again(approval)),
        ("action", f"{approval['action_state']}{_ended(outcome)}"),
        ("rules", output.words(approval["rules"])),
        ("digest", approval["digest"]),
    ]
    # The broker has made the values in its sentences visible already.
    sentences = {"how bad", "undo"}
    return [(name, _sentence(value, approval) if name in sentences else shown(value)) for name, value in facts]


def _sentence(text: str, approval: dict[str, Any]) -> str:
    """Return a sentence about the arguments, with the length of a huge one in the place of what stands whole below."""
    values = (approval.get("arguments") or {}).values()
    huge = {value for value in values if isinstance(value, str) and len(value) > LONG_CHARACTERS}
    for value in sorted(huge, key=len, reverse=True):
        text = text.replace(visible(value), f"({len(value)} characters, whole below)")
    return shown_again(text)


def _print_reminder(approval: dict[str, Any]) -> None:
    """Say again, just above the question, what a long argument may have moved out of sight."""
    typer.echo()
    facts = [(name, _shortened(approval[name])) for name in ("agent", "tool", "environment", "resource")]
    output.print_facts(facts)


def _shortened(text: str) -> str:
    if len(text) <= LONG_CHARACTERS:
        return shown(text)
    return f"{shown(text[:LONG_CHARACTERS])}… ({len(text)} characters, whole above)"


def _ended(outcome: dict[str, Any] | None) -> str:
    if outcome is None:
        return ""
    return f": {outcome['status']} at {outcome['at']}" + ("" if outcome["reported"] else ", nobody said")


def _print_arguments(approval: dict[str, Any]) -> None:
    if approval.get("erased_by"):
        typer.echo(f"\nwhat was asked is erased: assent audit show {shown(approval['erased_by'])}")
        return
    hidden = approval["invisible"]
    unseen = hidden["arguments"] + hidden["resource"] + hidden["reason"]
    warning = f", {unseen} characters that cannot be seen, written \\u{{…}}" if unseen else ""
    typer.echo(f"\nwhat will run, whole ({approval['arguments_bytes']} bytes{warning}):")
    _print_command(approval)
    arguments = approval.get("arguments")
    if arguments is None:
        margin.show("  ", shown(approval["arguments_text"]))
        return
    for name in sorted(arguments):
        value = json.dumps(arguments[name], ensure_ascii=False, sort_keys=True)
        margin.show("  ", f"{shown(name)} = {shown(value)}")
    for one in approval["sensitive"]:
        length = "" if one.get("length") is None else f", length {one['length']}"
        margin.show("  ", f"{shown(one['name'])} is sensitive and not shown ({shown(one['kind'])}{length})")


def _print_command(approval: dict[str, Any]) -> None:
    """Print the argument vector of a program, one element a line, so that nobody has to guess where one ends."""
    for at, element in enumerate(approval.get("command") or ()):
        margin.show("  ", f"argv[{at}] = {shown(json.dumps(element, ensure_ascii=False))}")


def _print_resolved(resolved: dict[str, Any]) -> None:
    code, state = visible(resolved["code"]), resolved["state"]
    if state == ApprovalState.APPROVED:
        typer.echo(f"{code} approved: the agent may now run it, once, with exactly these arguments")
    elif state == ApprovalState.DENIED:
        typer.echo(f"{code} denied: nothing was run")
    else:
        typer.echo(
            f"{code} {visible(state)}: your yes counts, still needed from {visible(output.words(resolved['who']))}"
        )
    if resolved["self_approved"]:
        typer.echo("this is self-approved under `single_person`, and every record says so")
